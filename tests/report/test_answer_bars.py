"""What charts of answers draw: places, colours and names, by hand."""

from __future__ import annotations

import polars as pl
import pytest

from opinioncast.report.answer_bars import (
    bar_starts,
    drawn_order,
    ink_on,
    long_rows,
    option_colours,
    option_names,
)
from opinioncast.survey import Question


def test_bars_of_a_scale_stand_about_its_middle() -> None:
    five = Question("q", "Q?", ("--", "-", "0", "+", "++", "DK"), (1, 2, 3, 4, 5, -1))
    (starts,) = bar_starts(five, [[0.1, 0.2, 0.3, 0.2, 0.1, 0.1]])
    assert starts == pytest.approx([-0.45, -0.35, -0.15, 0.15, 0.35, 0.45])
    down = Question("q", "Q?", ("a", "b", "c"), (3, 2, 1))  # listed from the top: drawn as listed
    assert bar_starts(down, [[0.5, 0.2, 0.3]])[0] == pytest.approx([-0.6, -0.1, 0.1])
    four = Question("q", "Q?", ("a", "b", "DK", "c", "d"), (1, 2, -1, 3, 4))
    starts = bar_starts(four, [[0.1, 0.2, 0.1, 0.3, 0.3], [0.0, 0.0, 0.0, 0.0, 1.0]])
    assert starts[0] == pytest.approx([-0.3, -0.2, 0.6, 0.0, 0.3])
    assert starts[1, 4] == 0
    assert drawn_order(four) == [0, 1, 3, 4, 2]


def test_bars_without_a_scale_begin_at_zero() -> None:
    question = Question("q", "Q?", ("Car", "Bus", "Train"))
    assert bar_starts(question, [[0.2, 0.3, 0.5]])[0] == pytest.approx([0, 0.2, 0.5])
    assert drawn_order(question) == [0, 1, 2]


def test_ink_is_read_on_its_colour() -> None:
    assert ink_on("#000000") == "white"
    assert ink_on("#f7f7f7") == "black"
    for question in (
        Question("q", "Q?", tuple("abcdefg"), (1, 2, 3, 4, 5, 6, 7)),
        Question("q", "Q?", tuple("abcdefg")),
    ):
        for colour in option_colours(question):
            assert _contrast(colour, ink_on(colour)) > 4.5


def _contrast(one: str, other: str) -> float:
    """Of WCAG 2, computed here."""
    lights = []
    for colour in (one, {"white": "#ffffff", "black": "#000000"}[other]):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        lights.append(sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_colours_follow_the_scale_not_the_listing() -> None:
    up = option_colours(Question("q", "Q?", ("a", "b", "c", "?"), (1, 2, 3, -1)))
    down = option_colours(Question("q", "Q?", ("a", "b", "c", "?"), (3, 2, 1, -1)))
    assert up[:3] == down[2::-1]
    assert up[3] == down[3]
    assert len(set(option_colours(Question("q", "Q?", ("a", "b", "c"))))) == 3


LONG = "Government regulation of business"


def test_two_long_options_tell_apart() -> None:
    one = f"{LONG} {'is necessary because without it companies would cut corners ' * 3}"
    other = f"{LONG} {'is harmful because with it companies would lose customers ' * 3}"
    shown = option_names([one, other, "Neither"], 30)
    assert len(set(shown)) == 3
    assert max(map(len, shown)) <= 30
    same = [f"{LONG * 3} {i}" for i in range(2)]
    assert len(set(option_names(same, 30))) == 2
    assert option_names(["Yes", "No"]) == ["Yes", "No"]


def test_groups_of_one_name_are_told_apart() -> None:
    frame = pl.DataFrame(
        {
            "attribute": ["RACE", "RACE", "RELIG", "RELIG"],
            "group": ["White", "Other", "Hindu", "Other"],
            "options": [["Yes", "No"]] * 4,
            "distribution": [[0.5, 0.5]] * 4,
            "low": [None] * 4,
            "high": [None] * 4,
            "basis": [None] * 4,
        }
    )
    labels = long_rows(frame)["label"].unique(maintain_order=True).to_list()
    assert labels == ["RACE · White", "RACE · Other", "RELIG · Hindu", "RELIG · Other"]
