"""Means over validation rows, and what they say where there is no number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from opinioncast.errors import InputError
from opinioncast.finetune.recipe import parse_finetune
from opinioncast.finetune.targets import TrainingRow
from opinioncast.finetune.validation import (
    choose_metric,
    mean_distance,
    mean_kl,
    with_distance,
)
from opinioncast.survey import Question, Subpopulation


def row(target: tuple[float, ...], ordinal: tuple[int, ...] = (1, 2, -1)) -> TrainingRow:
    question = Question("q", "Is it so?", ("Yes", "No", "Not sure"), ordinal)
    return TrainingRow(question, Subpopulation(), target)


def test_kl_by_hand() -> None:
    rows = [row((0.5, 0.5, 0.0)), row((1.0, 0.0, 0.0))]
    shares = [np.array([0.25, 0.5, 0.25]), np.array([0.5, 0.25, 0.25])]
    expected = (0.5 * math.log(2) + math.log(2)) / 2
    assert mean_kl(rows, shares) == pytest.approx(expected)


@pytest.mark.parametrize("share", [0.0, math.nan])
def test_kl_that_is_no_number_is_none(share: float) -> None:
    shares = [np.array([share, 0.5, 0.5])]
    assert mean_kl([row((0.5, 0.5, 0.0))], shares) is None


def test_the_distance_leaves_out_rows_without_one_and_counts_them() -> None:
    """Without a scale; everybody off it. Of the third: 0.75 of those on the scale against 0.5."""
    rows = [row((0.5, 0.5, 0.0), (1, 1, 1)), row((0.0, 0.0, 1.0)), row((0.6, 0.2, 0.2))]
    shares = [np.array([0.4, 0.4, 0.2])] * 3
    assert with_distance(rows) == [2]
    assert mean_distance(rows, shares) == pytest.approx(0.25)
    assert mean_distance(rows[:2], shares[:2]) is None


def test_the_metric_is_one_that_the_rows_have() -> None:
    """A scale with nobody on it measures nothing: no check would ever give a number."""
    recipe = parse_finetune({"name": "x", "table": "t"}, "test")
    people, nobody = row((0.2, 0.2, 0.6)), row((0.0, 0.0, 1.0))
    assert choose_metric(recipe, [nobody, people]) == "wd"
    assert choose_metric(recipe, [nobody]) == "kl"
    assert choose_metric(recipe, []) == "wd"
    asked = parse_finetune({"name": "x", "table": "t", "checks": {"metric": "wd"}}, "test")
    with pytest.raises(InputError, match="no distance to stop by"):
        choose_metric(asked, [nobody])


def test_shares_that_are_no_numbers_have_no_distance() -> None:
    shares = [np.array([0.4, 0.4, 0.2]), np.array([math.nan] * 3)]
    assert mean_distance([row((0.6, 0.2, 0.2))] * 2, shares) is None
