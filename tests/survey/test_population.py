"""Whom a survey is about: in words, from files, in tables."""

from __future__ import annotations

from typing import Any

import pytest

from opinioncast.errors import InputError
from opinioncast.survey import (
    US_ADULTS,
    OpinionTable,
    Population,
    Question,
    Subpopulation,
    opinion_row,
)


def test_the_default_is_the_papers() -> None:
    assert US_ADULTS.people == "adults in the United States"
    assert US_ADULTS.person == "an adult living in the United States"
    assert US_ADULTS.is_default
    assert Population("adults in the United States") == US_ADULTS


@pytest.mark.parametrize(
    ("raw", "people", "person"),
    [
        (None, US_ADULTS.people, US_ADULTS.person),
        ("adults in Berlin", "adults in Berlin", "one of the adults in Berlin"),
        (
            {"people": "adults in Berlin", "person": "an adult living in Berlin"},
            "adults in Berlin",
            "an adult living in Berlin",
        ),
    ],
)
def test_read(raw: Any, people: str, person: str) -> None:
    found = Population.read(raw)
    assert (found.people, found.person) == (people, person)
    assert Population.read(found.record()) == found


@pytest.mark.parametrize("raw", ["", "  ", "two\nlines", 7, {"persons": "x"}, ["a"]])
def test_what_names_no_population_is_refused(raw: Any) -> None:
    with pytest.raises(InputError, match="population cannot be read"):
        Population.read(raw)


def test_a_table_hands_its_population_to_its_questions() -> None:
    question = Question("q", "Is it so?", ("Yes", "No"))
    rows = [opinion_row(question, Subpopulation(), [0.5, 0.5])]
    assert OpinionTable.from_rows(rows).questions()[0].population == US_ADULTS
    table = OpinionTable.from_rows(rows, {"population": "adults in Berlin"})
    assert table.questions()[0].population.people == "adults in Berlin"
