"""What of two tables can be scored: each kind of trouble by hand, counted and named."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from opinioncast.errors import DataError
from opinioncast.evaluate import coverage as cov
from opinioncast.evaluate.coverage import Coverage, Finding, absent, usable_predictions

KEYS = {"family": "T", "wave": "1", "attribute": "SEX", "group": "Male"}


def rows(*changed: dict[str, Any]) -> pl.DataFrame:
    """A row for each, of questions q0, q1, ...; two options, half and half."""
    plain = {"options": ["No", "Yes"], "distribution": [0.5, 0.5]}
    return pl.DataFrame(
        [KEYS | {"question_id": f"q{i}"} | plain | change for i, change in enumerate(changed)],
        infer_schema_length=None,
        strict=False,
    )


def found(frame: pl.DataFrame) -> tuple[list[str], dict[str, int]]:
    kept, findings = usable_predictions(frame)
    return kept["question_id"].to_list(), {f.what: f.count for f in findings}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"distribution": None}, cov.NOT_A_DISTRIBUTION),
        ({"distribution": []}, cov.NOT_A_DISTRIBUTION),
        ({"distribution": [1.2, -0.2]}, cov.NOT_A_DISTRIBUTION),
        ({"distribution": [float("nan"), 1.0]}, cov.NOT_A_DISTRIBUTION),
        ({"distribution": [None, 1.0]}, cov.NOT_A_DISTRIBUTION),
        ({"distribution": [0.2, 0.3, 0.5]}, cov.WRONG_LENGTH),
        ({"distribution": [0.5, 0.494]}, cov.UNNORMALISED),
        ({"distribution": [0.5, 0.506]}, cov.UNNORMALISED),
        ({"options": ["No", None]}, cov.NO_OPTION_TEXT),
        ({"question_id": None}, cov.NO_KEY),
        ({"attribute": None}, cov.NO_KEY),
        ({"group": None}, cov.NO_KEY),
    ],
)
def test_a_row_that_cannot_be_scored_is_left_out_and_counted(
    change: dict[str, Any], what: str
) -> None:
    assert found(rows({}, change, {})) == (["q0", "q2"], {what: 1})


def test_rounding_is_taken_and_said() -> None:
    frame = rows({"distribution": [0.5, 0.496]}, {"distribution": [0.2, 0.8 + 9e-7]})
    kept, findings = usable_predictions(frame)
    assert kept["distribution"][0].to_list() == pytest.approx([0.5 / 0.996, 0.496 / 0.996])
    assert kept["distribution"][1].to_list() == [0.2, 0.8 + 9e-7]  # as it is
    assert [str(f) for f in findings] == [f"{cov.RESCALED}: 1, rescaled (T/1/q0 SEX=Male)"]


def test_what_is_told_beside_the_shares_is_a_number_or_nothing() -> None:
    nan, beyond = float("nan"), float("inf")
    frame = rows(
        {"label_mass": nan, "order_spread": 0.1},
        {"label_mass": 0.5, "order_spread": beyond},
        {"label_mass": None},
    )
    kept, findings = usable_predictions(frame)
    assert kept["label_mass"].to_list() == [None, 0.5, None]
    assert kept["order_spread"].to_list() == [0.1, None, None]
    assert not findings


def test_the_same_cell_twice_is_neither() -> None:
    """Nothing says which is meant. Rows without a key are no cell twice."""
    frame = rows({}, {"question_id": "q0"}, {}, {"question_id": None}, {"question_id": None})
    assert found(frame) == (["q2"], {cov.REPEATED: 2, cov.NO_KEY: 2})


@pytest.mark.parametrize(
    ("low", "whole"), [([0.4, 0.4], True), ([0.4], False), ([0.4, None], False), (None, False)]
)
def test_intervals_that_are_not_one_an_option_are_dropped(low: Any, whole: bool) -> None:
    kept, findings = usable_predictions(rows({"low": low, "high": [0.6, 0.6]}))
    assert kept["low"].to_list() == ([[0.4, 0.4]] if whole else [None])
    assert kept["high"].to_list() == ([[0.6, 0.6]] if whole else [None])
    assert [(f.what, f.done) for f in findings] == (
        [] if whole else [(cov.BROKEN_INTERVAL, "scored without")]
    )


def test_what_is_absent_and_of_what_kind() -> None:
    kept, findings = usable_predictions(rows({}).drop("family", "wave"))
    assert (kept["family"].to_list(), kept["wave"].to_list()) == ([""], [""])
    assert findings == []
    with pytest.raises(DataError, match="lack columns") as caught:
        usable_predictions(rows({}).drop("options", "group"))
    assert "without group, options" in str(caught.value)
    with pytest.raises(DataError, match="another type"):
        usable_predictions(rows({}).with_columns(distribution=pl.lit("half")))


def test_what_only_one_side_has() -> None:
    """q1 and the women were not predicted; q2 and the old were not asked."""

    def cells(*named: tuple[str, str, str]) -> pl.DataFrame:
        return pl.DataFrame(
            [("T", "1", *row) for row in named],
            schema=["family", "wave", "question_id", "attribute", "group"],
            orient="row",
        )

    observed = cells(("q0", "SEX", "Male"), ("q0", "SEX", "Female"), ("q1", "SEX", "Male"))
    predicted = cells(("q0", "SEX", "Male"), ("q0", "AGE", "65+"), ("q2", "SEX", "Male"))
    assert [str(f) for f in absent(observed, predicted)] == [
        f"{cov.UNPREDICTED}: 2, not in the averages (T/1/q0 SEX=Female; T/1/q1 SEX=Male)",
        f"{cov.UNOBSERVED}: 2, left out (T/1/q0 AGE=65+; T/1/q2 SEX=Male)",
        f"{cov.MISSING_QUESTIONS}: 1, not in the averages (T/1/q1)",
        f"{cov.UNKNOWN_QUESTIONS}: 1, left out (T/1/q2)",
        f"{cov.MISSING_GROUPS}: 1, not in the averages (SEX=Female)",
    ]
    assert absent(observed, observed) == []
    three = (cov.MISSING_QUESTIONS, cov.UNKNOWN_QUESTIONS, cov.MISSING_GROUPS)
    assert [w.split()[0] for w in three] == ["questions", "predicted", "groups"]


def test_a_finding_in_words_and_as_a_row() -> None:
    few = Finding("a kind", 2, "left out", ("one", "two"))
    more = Finding("a kind", 5, "rescaled", ("one", "two", "three"))
    bare = Finding("another", 1, "left out")
    assert str(few) == "a kind: 2, left out (one; two)"
    assert str(more) == "a kind: 5, rescaled (one; two; three, and 2 more)"
    assert str(bare) == "another: 1, left out"
    coverage = Coverage(9, 5, 4, (few, bare, more))
    assert (coverage.count("a kind"), coverage.count("another"), coverage.count("none")) == (
        7,
        1,
        0,
    )
    assert coverage.frame().columns == ["what", "count", "done", "examples"]
    assert coverage.frame().rows() == [
        ("a kind", 2, "left out", "one; two"),
        ("another", 1, "left out", ""),
        ("a kind", 5, "rescaled", "one; two; three"),
    ]
