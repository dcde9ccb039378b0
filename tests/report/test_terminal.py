"""Tables for a terminal."""

from __future__ import annotations

import pytest
from rich.console import Console

from opinioncast.evaluate.scores import score_cells
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
