"""Questions drawn, bounds of several surveys, questions wanted by list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from tests.finetune.small_table import QUESTIONS, make_table
from tests.made_up_survey import answers, write_survey

pytest.importorskip("torch")

from opinioncast.curate.recipe import load_curation
from opinioncast.errors import DataError
from opinioncast.evaluate.bounds import OVERALL, Bounds
from opinioncast.jobs.curate import bounds_of
from opinioncast.reproduce.run import Request
from opinioncast.reproduce.store import Store
from opinioncast.reproduce.tables import Tables, draw_questions, pooled, question_keys
from opinioncast.survey import OpinionTable


def test_questions_are_drawn_by_seed_and_key_not_by_row() -> None:
    table = make_table()
    first = draw_questions(table, 2, seed=1)
    turned = OpinionTable(table.frame.reverse(), dict(table.meta))
    ids = set(first.frame["question_id"])
    assert len(ids) == 2
    assert set(draw_questions(turned, 2, seed=1).frame["question_id"]) == ids
    assert len(first) == 2 * len(table.subpopulations())
    assert first.meta["questions_drawn"] == 2
    assert draw_questions(table, len(QUESTIONS), seed=1) is table
    assert any(set(draw_questions(table, 2, s).frame["question_id"]) != ids for s in range(9))


def bounds(human: float, half: float, questions: int) -> Bounds:
    rows = [("SEX", "Male"), OVERALL]
    frame = pl.DataFrame(
        [
            {
                "attribute": a,
                "group": g,
                "n_questions": questions,
                "human": human,
                "human_low": human - half,
                "human_high": human + half,
            }
            for a, g in rows
        ]
    )
    return Bounds(frame)


def test_bounds_of_two_surveys_by_hand() -> None:
    both = pooled([bounds(0.02, 0.003, 10), bounds(0.05, 0.004, 20)])
    assert both is not None
    last = both.groups.row(-1, named=True)
    assert (last["attribute"], last["group"], last["n_questions"]) == (*OVERALL, 30)
    assert last["human"] == pytest.approx((0.02 * 10 + 0.05 * 20) / 30)
    half = ((0.003 * 10) ** 2 + (0.004 * 20) ** 2) ** 0.5 / 30
    assert last["human_high"] - last["human"] == pytest.approx(half)
    assert pooled([bounds(0.02, 0.003, 10)]) is not None
    assert pooled([]) is None


def test_bounds_of_some_questions_are_those_of_a_survey_of_them(tmp_path: Path) -> None:
    columns = answers()
    recipe, beside = load_curation(write_survey(tmp_path / "both", columns))
    recipe = recipe.with_bounds({"replicates": 50})
    some = bounds_of(recipe, [beside], questions=[("MADE", "1", "q2")])
    assert some.groups["n_questions"].to_list() == [1, 1, 1, 1, 4]
    whole = bounds_of(recipe, [beside])
    assert whole.groups["n_questions"].to_list()[-1] == 8
    assert not some.groups["human"].equals(whole.groups["human"])


def test_questions_wanted_by_list(request_for: Callable[..., Request], tmp_path: Path) -> None:
    text = (tmp_path / "tiny.yaml").read_text("utf-8")
    text = text.replace("    part: train\n", "    only: [mine.txt]\n", 1)
    (tmp_path / "tiny.yaml").write_text(text, "utf-8")
    (tmp_path / "data" / "mine.txt").write_text("q1\n\nq3\nunknown\n", "utf-8")
    request = request_for("by_method")
    _, setting = request.load()
    tables = Tables(setting, Store(tmp_path / "work"), request.data)
    assert set(tables.table("train").frame["question_id"]) == {"q1", "q3"}
    assert tables.bounds("train") is None  # the table does not say that it has respondents
    (tmp_path / "data" / "mine.txt").write_text("unknown\n", "utf-8")
    with pytest.raises(DataError, match="None of the questions wanted"):
        Tables(setting, Store(tmp_path / "work"), request.data).table("train")
    assert question_keys(tmp_path / "data" / "pew.jsonl") == {f"Q{i}_W34" for i in range(4)}
