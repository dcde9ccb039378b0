"""Waves and variables: consistency is checked when they are made."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from opinioncast.errors import DataError
from opinioncast.survey.wave import Design, Missing, Variable, Wave, tagged

FRAME = pl.DataFrame({"id": ["a", "b"], "trust": [1.0, -9_000_001.0], "w": [0.5, 1.5]})
TRUST = Variable(
    "trust", codes=(1, 2), options=("Yes", "No"), missing={tagged("a"): Missing.REFUSED}
)


def test_a_wave_counts_its_respondents() -> None:
    wave = Wave("GSS", "2018", FRAME, {"trust": TRUST}, Design(weight="w"), respondent_id="id")
    assert len(wave) == 2
    assert wave.variables["trust"].missing[-9_000_001.0] is Missing.REFUSED
    assert TRUST.system_missing is Missing.UNKNOWN  # an empty cell says nothing by itself


@pytest.mark.parametrize(
    "more",
    [
        {"variables": {"Trust": TRUST}},
        {"design": Design(weight="weight")},
        {"design": Design(strata="weight")},
        {"design": Design(psu="weight")},
        {"respondent_id": "caseid"},
        {"variables": {"trust": Variable("trust", weight="weight")}},
    ],
)
def test_a_wave_that_names_an_absent_column(more: dict[str, Any]) -> None:
    given: dict[str, Any] = {"respondents": FRAME, "variables": {}} | more
    with pytest.raises(DataError, match="variables its file does not have") as caught:
        Wave("GSS", "2018", **given)
    assert caught.value.where == "GSS 2018"
    assert caught.value.hint


def test_tagged_codes_are_in_alphabetical_order() -> None:
    assert (tagged("a"), tagged("B"), tagged("z")) == (-9_000_001.0, -9_000_002.0, -9_000_026.0)
    assert len({tagged(c) for c in "abcdefghijklmnopqrstuvwxyz"}) == 26


@pytest.mark.parametrize("letter", ["", "ab", "1", ".", "ä", "ß"])
def test_a_tag_that_is_no_letter(letter: str) -> None:
    with pytest.raises(DataError, match="not a letter"):
        tagged(letter)


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"options": ("Yes",)}, "as many options as codes"),
        ({"ordinal": (1.0, 2.0, 3.0)}, "as many ordinal as codes"),
        ({"codes": (1, 1)}, "lists a code twice"),
        ({"missing": {2.0: Missing.DONT_KNOW}}, "both an answer and missing"),
    ],
)
def test_variables_that_contradict_themselves(more: dict[str, Any], match: str) -> None:
    parts: dict[str, Any] = {"name": "trust", "codes": (1, 2), "options": ("Yes", "No")}
    with pytest.raises(DataError, match=match) as caught:
        Variable(**(parts | more))
    assert caught.value.where == "variable trust"
