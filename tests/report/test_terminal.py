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


def printed(width: int, options: tuple[str, ...], **meta: object) -> str:
    shares = [1 / len(options)] * len(options)
    question = Question("agree", "Do you agree?", options)
    groups = (Subpopulation((("POLIDEOLOGY", "Very conservative"),)), Subpopulation(()))
    rows = [
        opinion_row(
            question,
            group,
            shares,
            refusal_rate=0.02,
            label_mass=0.0001,
            order_spread=0.3,
            model="m",
            method="x",
        )
        for group in groups[:1]
    ]
    console = Console(width=width)
    with console.capture() as capture:
        console.print(prediction_table(PredictionTable.from_rows(rows, dict(meta))))
    return capture.get()


SEVEN = tuple(
    f"{how} {what}".strip().capitalize()
    for how, what in [
        ("strongly", "agree"), ("", "agree"), ("slightly", "agree"),
        ("neither agree nor", "disagree"), ("slightly", "disagree"), ("", "disagree"),
        ("strongly", "disagree"),
    ]
)  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("options", [SEVEN, ("Yes", "No"), tuple(f"Option {i}" for i in range(20))])
def test_no_number_and_no_option_is_cut(width: int, options: tuple[str, ...]) -> None:
    text = printed(width, options)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert text.count(f"{100 / len(options):.0f}%") >= len(options)
    words = " ".join(text.split()).replace("\u00a0", " ")
    for option in options:
        assert set(option.split()) <= set(words.split())
    assert "Very conservative" in text


def test_label_mass_that_says_nothing_is_not_shown_and_said() -> None:
    judged = printed(200, ("Yes", "No"), label_mass_judged=True)
    assert "<1%" in judged
    trained = printed(200, ("Yes", "No"), parts=[{}, {"label_mass_judged": False}])
    assert "label mass" not in trained
    assert "says nothing about these rows" in trained
    assert "30%" in trained


def test_dashes_say_why() -> None:
    question = Question("q", "Q?", ("Low", "High"))
    group, other = (Subpopulation((("SEX", s),)) for s in ("Female", "Male"))
    observed = OpinionTable.from_rows([opinion_row(question, g, [1, 0]) for g in (group, other)])
    predicted = PredictionTable.from_rows(
        [opinion_row(question, group, [1, 0], model="m", method="x")]
    )
    console = Console(width=100)
    with console.capture() as capture:
        console.print(score_table(score_cells(observed, predicted)))
    text = " ".join(capture.get().split())
    assert "needs a scale" in text
    assert "not predicted" in text


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
