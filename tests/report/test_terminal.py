"""Tables for a terminal."""

from __future__ import annotations

import pytest
from rich.console import Console

from opinioncast.evaluate.scores import score_cells
from opinioncast.evidence.worth import measure_worth
from opinioncast.report.terminal import prediction_table, score_table
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

QUESTION = Question("q", "Q?", ("Low", "High"), (1, 2))


def test_groups_of_one_name_and_two_attributes_are_not_averaged() -> None:
    race, religion = (Subpopulation(((a, "Other"),)) for a in ("RACE", "RELIG"))
    observed = OpinionTable.from_rows(
        [opinion_row(QUESTION, race, [1, 0]), opinion_row(QUESTION, religion, [0, 1])]
    )
    predicted = PredictionTable.from_rows(
        [opinion_row(QUESTION, g, [1, 0], model="m", method="x") for g in (race, religion)]
    )
    console = Console(width=100)
    with console.capture() as capture:
        console.print(score_table(score_cells(observed, predicted)))
    lines = [line.split() for line in capture.get().splitlines()]
    assert ["RACE", "Other", "0.000", "0.500", "-", "1"] in lines
    assert ["RELIG", "Other", "1.000", "0.500", "-", "1"] in lines


def shown(table: PredictionTable) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(prediction_table(table))
    return capture.get()


def test_what_predictions_are_worth_comes_first_then_shares_with_their_intervals() -> None:
    worth = {"all cells": {"words": "about 3.5 respondents", "questions": 40}}
    row = opinion_row(QUESTION, Subpopulation(), [0.02, 0.98], low=[0.0, 0.81], high=[0.19, 1.0])
    text = shown(PredictionTable.from_rows([row], {"worth": worth}))
    assert text.startswith("Measured on 40 other questions")
    assert "a sample of about 3.5 respondents" in " ".join(text.split())
    assert "in brackets: 90% interval, measured" in text
    assert "2% [0-19]" in text
    assert "98% [81-100]" in text


def test_a_share_that_may_be_anything_has_no_bracket() -> None:
    ends = {"low": [0.0, 0.0], "high": [1.0, 1.0], "basis": "model, never measured"}
    row = opinion_row(QUESTION, Subpopulation(), [0.02, 0.98], **ends)
    text = shown(PredictionTable.from_rows([row]))
    assert text.startswith("Worth: never measured")
    assert "any share is possible" in text
    assert "[" not in text.replace("[opinioncast", "")


def test_worth_stands_beside_the_distances() -> None:
    groups = [Subpopulation((("SEX", s),)) for s in ("Female", "Male")]
    observed = OpinionTable.from_rows([opinion_row(QUESTION, g, [0.5, 0.5], n=400) for g in groups])
    guess = ([0.4, 0.6], [1.0, 0.0])
    predicted = PredictionTable.from_rows(
        [opinion_row(QUESTION, g, p) for g, p in zip(groups, guess, strict=True)]
    )
    scores = score_cells(observed, predicted)
    console = Console(width=100)
    with console.capture() as capture:
        console.print(score_table(scores, measure_worth(scores)))
    women, men = (line.split() for line in capture.get().splitlines()[1:3])
    # off by 0.1 at a share of one half: 2 / pi x 0.25 / 0.1^2 is 16, less the yardstick's own noise
    assert float(women[2]) == pytest.approx(17, abs=1.5)
    assert men[1] == "1"  # as far as one answer always is
