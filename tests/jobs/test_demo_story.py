"""What knowing more is worth, on the demo's questions."""

from __future__ import annotations

import polars as pl
import pytest

from opinioncast import predict
from opinioncast.jobs.demo import demo_table, knowing_more
from opinioncast.jobs.demo_story import PILOT, tell
from opinioncast.survey import GroupScheme, OpinionTable


@pytest.mark.slow
def test_each_chapter_is_nearer_than_the_one_before() -> None:
    whole = demo_table()
    ids = whole.frame["question_id"].unique(maintain_order=True)[:4].to_list()
    observed = OpinionTable(whole.frame.filter(pl.col("question_id").is_in(ids)), whole.meta)
    groups = GroupScheme.of_standard(observed.subpopulations(), "demo")
    predicted = predict(observed.questions(), groups, method="uniform").table
    wording, topline, pilot = tell(predicted, observed)
    assert wording.table is not predicted  # a copy of it, with the same shares
    assert wording.table.content_hash == predicted.content_hash
    distance = [chapter.scores.mean()["wd"] for chapter in (wording, topline, pilot)]
    assert distance[1] < distance[0] / 2
    assert distance[2] < distance[0] / 2
    assert pilot.worth.respondents > wording.worth.respondents
    assert set(pilot.table.frame["basis"]) == {f"model and {PILOT} respondents"}
    assert set(topline.table.frame["basis"]) == {"model and a topline"}
    told = knowing_more((wording, topline, pilot))
    assert told["distance"].to_list() == distance
