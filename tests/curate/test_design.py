"""Weight and design checks, effective sample sizes. Standard errors: test_r_survey.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinioncast.curate.design import (
    design_effect,
    kish,
    product_of_weights,
    read_weights,
    sample_design,
)
from opinioncast.errors import DataError
from opinioncast.survey import Design, Wave


def _wave(design: Design, **columns: list[object]) -> Wave:
    return Wave("TEST", "1", pl.DataFrame(columns, strict=False), {}, design)


def _weights(values: list[object], needed: list[bool] | None = None) -> Any:
    needed_mask = np.array(needed if needed is not None else [True] * len(values))
    return read_weights(_wave(Design("w"), w=values), "w", needed_mask)


@pytest.mark.parametrize(
    ("values", "title", "details"),
    [
        ([1.0, -2.0, 1.0, -0.5], "negative", ["row(s) 2, 4", "2 of 4", "-2.0"]),
        ([1.0, float("inf")], "infinite", ["row(s) 2"]),
        ([1.0, None, float("nan"), 2.0], "no weight", ["row(s) 2, 3", "2 of 4"]),
        ([0.0, 0.0], "zero or missing", ["2 zero"]),
        ([None, None], "zero or missing", ["2 missing"]),
        ([1.5] * 7, "same for everyone", ["7 times 1.5", "leave the weight variable out"]),
        (["a", "b"], "not numeric", ["String"]),
    ],
)
def test_weights_that_cannot_be_used_are_named(
    values: list[object], title: str, details: list[str]
) -> None:
    needed = None if None not in values or 2.0 in values else [False] * len(values)
    with pytest.raises(DataError, match=title) as caught:
        _weights(values, needed)
    for detail in ["TEST 1, weight variable w", *details]:
        assert detail in str(caught.value)


def test_an_absent_weight_variable_is_named() -> None:
    with pytest.raises(DataError, match="absent") as caught:
        read_weights(_wave(Design("w"), w=[1.0, 2.0]), "W", np.array([True, True]))
    assert "weight variable W" in str(caught.value)


def test_weights_missing_where_nobody_needs_them_are_counted() -> None:
    weights = _weights([1.0, None, 0.0, 3.0], [True, False, True, True])
    assert weights.values.tolist() == [1.0, 0.0, 0.0, 3.0]
    assert weights.sampled.tolist() == [True, False, True, True]
    assert (weights.zero, weights.absent) == (1, 1)


def test_no_weight_variable_counts_everyone_once() -> None:
    weights = read_weights(_wave(Design(), x=[5.0, 6.0]), None, np.array([True, True]))
    assert weights.values.tolist() == [1.0, 1.0]


def test_a_product_of_weights_is_each_respondents_own() -> None:
    wave = product_of_weights(_wave(Design("a"), a=[1.0, 2.0, None], b=[3, 0, 5]), ["a", "b"])
    assert wave.design.weight == "a x b"
    assert wave.respondents["a x b"].to_list() == [3.0, 0.0, None]


def test_psu_codes_are_nested_in_strata() -> None:
    wave = _wave(Design(None, "h", "j"), h=[7.0, 7.0, 3.0, 3.0, 3.0], j=[2, 1, 1, 2, 1])
    design = sample_design(wave, np.ones(5, dtype=bool))
    assert design.psu.tolist() == [3, 2, 0, 1, 0]
    assert design.stratum.tolist() == [0, 0, 1, 1]
    assert design.strata == ("3", "7")
    assert design.sizes.tolist() == [2, 2]


def test_text_strata_and_respondents_outside_the_design() -> None:
    wave = _wave(Design(None, "h", None), h=["b", "a", "a", None, "b"])
    design = sample_design(wave, np.array([True, True, True, False, True]))
    assert design.strata == ("a", "b")
    assert design.psu[3] == -1
    assert design.sizes.tolist() == [2, 2]


def test_lonely_psus_are_named() -> None:
    wave = _wave(Design(None, "h", "j"), h=[1.0, 1.0, 2.0, 4.0], j=[1, 2, 1, 1])
    everyone = np.ones(4, dtype=bool)
    with pytest.raises(DataError, match="2 stratum or strata have a single PSU") as caught:
        sample_design(wave, everyone)
    assert "2, 4" in str(caught.value)
    assert "variable h" in str(caught.value)
    assert sample_design(wave, everyone, "adjust").lonely == ("2", "4")


def test_missing_strata_and_a_single_psu_are_refused() -> None:
    everyone = np.ones(3, dtype=bool)
    with pytest.raises(DataError, match="no stratum or PSU") as caught:
        sample_design(_wave(Design(None, "h"), h=[1.0, None, 2.0]), everyone)
    assert "row(s) 2" in str(caught.value)
    with pytest.raises(DataError, match="single PSU"):
        sample_design(_wave(Design(None, None, "j"), j=[1, 1, 1]), everyone)


def test_no_design_without_strata_and_psus() -> None:
    assert sample_design(_wave(Design(), x=[1.0]), np.array([True])) is None


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=50))
def test_kish_by_formula(weights: list[float]) -> None:
    """n / (1 + squared coefficient of variation of the weights), Kish 1965."""
    w = np.array(weights)
    expected = len(w) / (1 + w.var() / w.mean() ** 2)
    assert kish(w) == pytest.approx(expected)
    assert kish(w * 7) == pytest.approx(expected)
    assert kish(w) <= len(w) * (1 + 1e-12)


def test_kish_of_nobody_is_zero() -> None:
    assert kish([]) == 0
    assert kish([0.0, 0.0]) == 0


def test_design_effect_of_a_binary_item_is_its_variance_ratio() -> None:
    shares, errors = np.array([[0.3, 0.7]]), np.array([[0.05, 0.05]])
    deff = design_effect(shares, errors, np.array([[100.0]]), np.array([0, 2]))
    assert deff[0, 0] == pytest.approx(0.05**2 / (0.3 * 0.7 / 100))
