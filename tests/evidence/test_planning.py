"""Sample planning: against published figures, hand-worked values and a general optimiser."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from opinioncast.errors import InputError
from opinioncast.evidence.planning import (
    allocate,
    detectable_difference,
    margin_of_error,
    neyman,
    oversampling_effect,
    weighting_effect,
    worst_variance,
)


def test_the_pollsters_three_points() -> None:
    assert margin_of_error(0.5, 1067) == pytest.approx(0.03, abs=1e-4)  # the textbook's 1,067
    assert margin_of_error(0.5, 1000 / 1.5) == pytest.approx(
        1.959964 * math.sqrt(0.25 * 1.5 / 1000)
    )
    assert margin_of_error(0.5, 0) == math.inf


def test_kish() -> None:
    weights = np.array([1.0, 1, 2, 4])
    assert weighting_effect(weights) == pytest.approx(1 + weights.var() / weights.mean() ** 2)
    assert weighting_effect([3.0, 3.0, 0.0]) == 1
    with pytest.raises(InputError):
        weighting_effect([0.0])
    # half of the interviews in a tenth of the population: 0.01 / 0.5 + 0.81 / 0.5
    assert oversampling_effect([0.1, 0.9], [500, 500]) == pytest.approx(1.64)
    assert oversampling_effect([0.1, 0.9], [100, 900]) == pytest.approx(1)
    assert oversampling_effect([0.1, 0.9], [0, 900]) == math.inf


@pytest.mark.parametrize(
    ("p1", "p2", "n"),
    # Fleiss, Statistical Methods for Rates and Proportions, 3rd ed., Table A.4 without the
    # continuity correction (n - 2 / |p2 - p1|): alpha 0.05, power 0.80
    [(0.5, 0.6, 388), (0.1, 0.2, 199), (0.25, 0.4, 152)],
)
def test_textbook_sample_sizes(p1: float, p2: float, n: int) -> None:
    found = detectable_difference(p1, n, n)
    assert found is not None
    assert found == pytest.approx(p2 - p1, rel=0.01)


@settings(max_examples=200)
@given(st.floats(0.01, 0.99), st.floats(60, 3000), st.floats(60, 3000), st.sampled_from([0.8, 0.9]))
def test_the_difference_is_seen_with_that_power(
    p: float, first: float, second: float, power: float
) -> None:
    d = detectable_difference(p, first, second, power=power)
    assert d is not None
    p2 = p + d if p <= 0.5 else p - d
    mean = (p * first + p2 * second) / (first + second)
    null = math.sqrt(mean * (1 - mean) * (1 / first + 1 / second))
    other = math.sqrt(p * (1 - p) / first + p2 * (1 - p2) / second)
    reached = 1 - stats.norm.cdf((stats.norm.ppf(0.975) * null - d) / other)
    assert reached == pytest.approx(power, abs=1e-6)


def test_no_difference_can_be_seen_with_a_handful() -> None:
    assert detectable_difference(0.5, 3, 3) is None
    assert detectable_difference(0.5, 0, 100) is None


def test_the_worst_share_in_an_interval() -> None:
    assert worst_variance([0.1, 0.1, 0.8], [0.05, 0.05, 0.6], [0.2, 0.7, 0.9]) == pytest.approx(
        [0.16, 0.25, 0.24]
    )
    assert worst_variance(0.1) == pytest.approx(0.09)


def test_one_target_is_neymans_closed_form() -> None:
    """Cochran, Sampling Techniques, 5.5: n_h proportional to W_h S_h / sqrt(c_h), and for a given
    variance n_h = W_h S_h / sqrt(c_h) sum_k W_k S_k sqrt(c_k) / V."""
    w, s, c = np.array([0.4, 0.6]), np.array([10.0, 20.0]), np.array([4.0, 9.0])
    found = allocate((w * s) ** 2, [1.0], c)
    # sum W S sqrt(c) = 4 x 2 + 12 x 3 = 44; n = (4 / 2, 12 / 3) x 44 = 88, 176
    assert found.sample == pytest.approx([88, 176])
    assert found.cost == pytest.approx(88 * 4 + 176 * 9)
    assert found.sample == pytest.approx(neyman(w, s, c, 264))  # type: ignore[arg-type]
    assert found.binding.tolist() == [True]


def test_two_targets_by_hand() -> None:
    # each target is of one stratum alone: 4 / n <= 0.01, 9 / n <= 0.1; and the total's is slack
    found = allocate([[4, 0], [0, 9], [1, 1]], [0.01, 0.1, 1.0], [1, 5])
    assert found.sample == pytest.approx([400, 90])
    assert found.binding.tolist() == [True, True, False]
    assert found.cost == pytest.approx(found.bound)
    # at least 100 of the second
    more = allocate([[4, 0], [0, 9], [1, 1]], [0.01, 0.1, 1.0], [1, 5], least=[0, 100])
    assert more.sample == pytest.approx([400, 100])
    assert allocate([[4.0, 0]], [0.01], [1, 5]).sample == pytest.approx([400, 0])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 5), st.integers(1, 6), st.booleans())
def test_as_cheap_as_a_general_optimiser_finds(
    seed: int, strata: int, targets: int, floors: bool
) -> None:
    rng = np.random.default_rng(seed)
    a = rng.uniform(0, 1, (targets, strata)) * (rng.random((targets, strata)) < 0.7)
    a[np.arange(targets), rng.integers(0, strata, targets)] += 0.1
    v, c = rng.uniform(0.001, 0.01, targets), rng.uniform(1, 20, strata)
    least = rng.uniform(0, 200, strata) if floors else np.zeros(strata)
    found = allocate(a, v, c, least=least)
    with np.errstate(divide="ignore", invalid="ignore"):
        reached = np.where(a > 0, a / found.sample, 0).sum(axis=1)
    assert (reached <= v * (1 + 1e-6)).all()
    assert (found.sample >= least - 1e-9).all()
    assert found.cost <= found.bound * 1.001
    # x = 1 / n makes the targets linear; SciPy's SLSQP from the middle
    start = np.full(strata, v.min() / a.sum(axis=1).max())
    upper = np.where(least > 0, 1 / np.maximum(least, 1e-12), 1e3)
    solved = optimize.minimize(
        lambda x: (c / x).sum() / 1000,
        np.minimum(start, upper),
        jac=lambda x: -c / x**2 / 1000,
        constraints={
            "type": "ineq",
            "fun": lambda x: (v - a @ x) / v,
            "jac": lambda x: -a / v[:, None],
        },
        bounds=[(1e-9, u) for u in upper],
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-12},
    )
    feasible = (a @ solved.x <= v * (1 + 1e-6)).all()
    if solved.success and feasible:
        assert found.cost <= (c / solved.x).sum() * (1 + 1e-4) + 1e-3 * c.sum()


@pytest.mark.parametrize(
    "wrong",
    [
        {"targets": [0.0]},
        {"costs": [1.0, 0.0]},
        {"coefficients": [[-1.0, 1.0]]},
        {"coefficients": [[1.0]]},
        {"targets": [1.0, 1.0]},
    ],
)
def test_numbers_out_of_range(wrong: dict[str, object]) -> None:
    given_with: dict[str, object] = {
        "coefficients": [[1.0, 1.0]],
        "targets": [1.0],
        "costs": [1.0, 1.0],
    }
    with pytest.raises(InputError, match="cannot be allocated"):
        allocate(**(given_with | wrong))  # type: ignore[arg-type]
