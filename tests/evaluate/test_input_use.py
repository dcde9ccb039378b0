"""Does it use its input: methods that use all, no group, no question, or only the position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from opinioncast.evaluate.input_use import (
    AS_ASKED,
    NEUTRAL,
    NO_GROUP,
    NO_QUESTION,
    SHUFFLED,
    Predict,
    input_use,
    shuffled,
)
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

RNG = np.random.default_rng(0)
OPTIONS = ("Never", "Rarely", "Often", "Always")
QUESTIONS = [Question(f"q{i}", f"How often {i}?", OPTIONS, (1, 2, 3, 4)) for i in range(20)]
GROUPS = [Subpopulation((("AGE", a),)) for a in ("18-29", "30-49", "65+")]
TRUTH = {
    (q.text, g): dict(zip(OPTIONS, RNG.dirichlet(np.ones(4)), strict=True))
    for q in QUESTIONS
    for g in GROUPS
}
OBSERVED = OpinionTable.from_rows(
    [opinion_row(q, g, list(TRUTH[q.text, g].values())) for q in QUESTIONS for g in GROUPS]
)


def oracle(questions: Sequence[Question], groups: Sequence[Subpopulation]) -> PredictionTable:
    def shares(question: Question, group: Subpopulation) -> list[float]:
        known = TRUTH.get((question.text, group))
        return [0.25] * 4 if known is None else [known[o] for o in question.options]

    return PredictionTable.from_rows(
        [opinion_row(q, g, shares(q, g)) for q in questions for g in groups]
    )


def always(shares: Sequence[float]) -> Predict:
    return lambda questions, groups: PredictionTable.from_rows(
        [opinion_row(q, g, shares) for q in questions for g in groups]
    )


def test_a_method_that_knows_everything_loses_by_each() -> None:
    frame = input_use(OBSERVED, oracle)
    assert frame["input"].to_list() == [AS_ASKED, NO_GROUP, NO_QUESTION, SHUFFLED]
    asked, no_group, no_question, turned = frame.iter_rows(named=True)
    assert asked["wd"] == pytest.approx(0)
    assert no_group["worse_by"] > 0.05
    assert no_group["low"] > 0
    assert no_question["p_value"] < 0.01
    assert no_question["moved"] > 0.1
    # options are matched by text again: their order alone costs nothing
    assert turned["wd"] == pytest.approx(0)
    assert turned["moved"] == pytest.approx(0)
    assert set(frame["cells"]) == {60}
    assert set(frame["note"]) == {""}


def test_a_method_that_answers_by_position_is_seen_when_options_move() -> None:
    frame = input_use(OBSERVED, always([0.7, 0.1, 0.1, 0.1]))
    moved = dict(frame.select("input", "moved").iter_rows())
    assert moved[NO_GROUP] == moved[NO_QUESTION] == 0
    assert moved[SHUFFLED] > 0.2


def test_what_is_asked_in_place() -> None:
    asked: list[tuple[str, int]] = []

    def watch(questions: Sequence[Question], groups: Sequence[Subpopulation]) -> PredictionTable:
        asked.extend((q.text, len(groups)) for q in questions)
        return oracle(questions, groups)

    input_use(OBSERVED, watch)
    counts = pl.DataFrame(asked, schema=["text", "groups"], orient="row")
    assert counts.filter(text=NEUTRAL).height == 20
    assert counts.filter(groups=1).height == 20
    for question in QUESTIONS:
        turned = shuffled(question, np.random.default_rng(1))
        assert turned.options != question.options
        assert dict(zip(turned.options, turned.ordinal, strict=True)) == dict(
            zip(question.options, question.ordinal, strict=True)
        )


def test_all_four_are_over_the_cells_that_all_have() -> None:
    """Without the question, the method is silent on one question's youngest."""

    def silent(questions: Sequence[Question], groups: Sequence[Subpopulation]) -> PredictionTable:
        table = oracle(questions, groups)
        if questions[0].text != NEUTRAL:
            return table
        return PredictionTable(table.frame.slice(1))

    frame = input_use(OBSERVED, silent)
    assert set(frame["cells"]) == {59}
    assert set(frame["note"]) == {"59 of 60 cells have a distance in all four"}
    left = [TRUTH[q.text, g] for q in QUESTIONS for g in GROUPS][1:]
    tv = [sum(abs(p - 0.25) for p in shares.values()) / 2 for shares in left]
    assert frame.filter(input=NO_QUESTION)["moved"].item() == pytest.approx(np.mean(tv))
