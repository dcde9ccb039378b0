"""Every way a frame can break a table's schema, and a half-width read as an interval."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from opinioncast.errors import DataError
from opinioncast.survey.table_rows import with_intervals
from opinioncast.survey.tables import OpinionTable, PredictionTable

from .test_tables import predictions, rows, table


@pytest.mark.parametrize(
    ("change", "show"),
    [
        ({"distribution": [0.5, 0.5]}, "distribution"),
        ({"distribution": None}, "distribution"),
        ({"distribution": [0.5, 0.5, 0.5]}, "distribution"),
        ({"distribution": [1.5, -0.5, 0.0]}, "distribution"),
        ({"distribution": [0.5, float("nan"), 0.5]}, "distribution"),
        ({"distribution": [0.5, None, 0.5]}, "distribution"),
        ({"distribution": [0.5, float("inf"), 0.5]}, "distribution"),
        ({"ordinal": [1.0, 2.0]}, "distribution"),
        ({"ordinal": [1.0, 2.0, -3.0]}, "ordinal"),
        ({"ordinal": [1.0, 2.0, None]}, "ordinal"),
        ({"ordinal": [1.0, 2.0, float("inf")]}, "ordinal"),
        ({"ordinal": None}, "question_id"),
        ({"options": ["Yes", None, "No"]}, "options"),
        ({"options": None}, "question_id"),
        ({"question": None}, "question_id"),
        ({"question_id": None}, "question_id"),
        ({"group": None}, "question_id"),
        ({"refusal_rate": 1.5}, "refusal_rate"),
        ({"refusal_rate": float("nan")}, "refusal_rate"),
        ({"n": -1}, "n_eff"),
        ({"n_eff": -1.0}, "n_eff"),
        ({"n_eff": float("nan")}, "n_eff"),
        ({"n_eff": float("inf")}, "n_eff"),
        ({"se": [0.1, 0.1]}, "se"),
        ({"se": [0.1, 0.1, -0.1]}, "se"),
    ],
)
def test_rows_that_break_the_schema(change: dict[str, Any], show: str) -> None:
    listed = [rows()[1], rows()[0] | change]
    with pytest.raises(DataError, match=r"1 row.* break its schema") as caught:
        OpinionTable.from_rows(listed)
    assert caught.value.where is not None
    assert caught.value.where.startswith("row 1 (")
    assert caught.value.found is not None
    assert caught.value.found.startswith(f"{show} =")


@pytest.mark.parametrize(
    "change", [{"n": "many"}, {"distribution": ["a", "b", "c"]}, {"distribution": "0.5"}]
)
def test_values_of_another_type(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"column of another type|break its schema"):
        OpinionTable.from_rows([rows()[0] | change])


def test_a_key_twice() -> None:
    with pytest.raises(DataError, match=r"2 row.* break its schema") as caught:
        OpinionTable.from_rows([rows()[0], rows()[0]])
    assert caught.value.expected == "each key once"


def test_missing_columns() -> None:
    with pytest.raises(DataError, match="lacks columns") as caught:
        OpinionTable(table().frame.drop("distribution", "group"))
    assert caught.value.found == "without group, distribution"


@pytest.mark.parametrize(
    ("change", "show"),
    [
        ({"low": [0.4, 0.2]}, "low"),
        ({"low": None}, "low"),
        ({"high": None}, "low"),
        ({"high": [0.6, 0.3, None]}, "high"),
        ({"high": [0.6, 0.3, float("nan")]}, "high"),
        ({"low": [0.51, 0.2, 0.1]}, "low"),
        ({"low": [-0.1, 0.2, 0.1]}, "low"),
        ({"high": [0.6, 0.24, 0.5]}, "high"),
        ({"high": [0.6, 0.3, 1.1]}, "high"),
    ],
)
def test_intervals_that_are_none(change: dict[str, Any], show: str) -> None:
    listed = [predictions()[1], predictions()[0] | change]
    with pytest.raises(DataError, match=r"1 row.* break its schema") as caught:
        PredictionTable.from_rows(listed)
    assert str(caught.value.where).startswith("row 1 (")
    assert str(caught.value.found).startswith(f"{show} =")


def test_the_first_rule_that_is_broken_is_told_with_all_its_rows() -> None:
    listed = [rows()[0] | {"se": [9.0]}, rows()[1] | {"ordinal": [1.0, 2.0, -3.0]}, rows()[2]]
    with pytest.raises(DataError, match=r"1 row.* break its schema") as caught:
        OpinionTable.from_rows(listed)
    assert str(caught.value.found).startswith("ordinal =")  # though the other row stands before it
    assert str(caught.value.where).startswith("row 1 (")


def test_a_half_width_is_cut_off_at_the_ends() -> None:
    frame = pl.DataFrame(
        {"distribution": [[0.125, 0.875], [0.5, 0.5]], "share_error_90": [0.25, None]}
    )
    made = with_intervals(frame)
    assert made["low"].to_list() == [[0.0, 0.625], None]
    assert made["high"].to_list() == [[0.375, 1.0], None]
    assert made.columns == ["distribution", "low", "high"]
    assert with_intervals(made).equals(made)
