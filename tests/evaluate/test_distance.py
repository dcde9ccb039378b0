"""Distances against SciPy and hand-worked values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from opinioncast.evaluate.distance import (
    pad,
    sampling_noise,
    total_variation,
    uniform,
    wasserstein,
)


@st.composite
def cells(draw: st.DrawFn) -> tuple[list[float], list[float], list[float]]:
    k = draw(st.integers(2, 8))
    share = st.floats(0.001, 1)
    p, q = (np.array(draw(st.lists(share, min_size=k, max_size=k))) for _ in range(2))
    scale = draw(st.lists(st.sampled_from([-1.0, 0.0, 1.0, 1.5, 2.0, 5.0]), min_size=k, max_size=k))
    return list(p / p.sum()), list(q / q.sum()), scale


@given(st.lists(cells(), min_size=1, max_size=5))
def test_equals_scipy(rows: list[tuple[list[float], list[float], list[float]]]) -> None:
    p, q, ordinal = (pad([r[i] for r in rows], f) for i, f in enumerate((0.0, 0.0, np.nan)))
    found = wasserstein(p, q, ordinal)
    for (a, b, scale), value in zip(rows, found, strict=True):
        on = [i for i, v in enumerate(scale) if v != -1]
        positions = [scale[i] for i in on]
        if len(set(positions)) < 2:
            assert np.isnan(value)
            continue
        expected = wasserstein_distance(
            positions, positions, [a[i] for i in on], [b[i] for i in on]
        ) / (max(positions) - min(positions))
        assert value == pytest.approx(expected, abs=1e-12)


def test_hand_worked() -> None:
    # Figure 2's scale: all of one end against all of the other is 1; one step of three is 1/3.
    scale = np.array([[1.0, 2.0, 3.0, 4.0, -1.0]] * 3)
    p = np.array([[1.0, 0, 0, 0, 0], [0, 1.0, 0, 0, 0], [0.4, 0.1, 0.0, 0.0, 0.5]])
    q = np.array([[0, 0, 0, 1.0, 0], [0, 0, 1.0, 0, 0], [0.8, 0.2, 0.0, 0.0, 0.0]])
    assert wasserstein(p, q, scale) == pytest.approx([1, 1 / 3, 0])


def test_nobody_on_the_scale_has_no_distance() -> None:
    found = wasserstein(
        np.array([[0.0, 0, 1]]), np.array([[0.5, 0.5, 0]]), np.array([[1, 2, -1.0]])
    )
    assert np.isnan(found).all()


def test_uniform_counts_options_not_padding() -> None:
    ordinal = np.array([[1.0, 2.0, np.nan], [1.0, -1.0, 2.0]])
    assert uniform(ordinal) == pytest.approx(np.array([[0.5, 0.5, 0], [1 / 3] * 3]))


def test_total_variation() -> None:
    assert total_variation(np.array([[0.7, 0.3]]), np.array([[0.2, 0.8]])) == pytest.approx([0.5])


def test_sampling_noise_is_what_resampling_gives() -> None:
    rng = np.random.default_rng(0)
    p = np.array([[0.1, 0.3, 0.4, 0.2]])
    ordinal = np.array([[1.0, 2.0, 3.0, 4.0]])
    n = 200
    draws = rng.multinomial(n, p[0], size=20_000) / n
    simulated = wasserstein(np.repeat(p, len(draws), 0), draws, np.repeat(ordinal, len(draws), 0))
    expected = sampling_noise(p, ordinal, np.array([float(n)]))[0]
    assert expected == pytest.approx(simulated.mean(), rel=0.02)


def test_no_base_no_noise() -> None:
    p, ordinal = np.array([[0.5, 0.5]] * 2), np.array([[1.0, 2.0]] * 2)
    assert np.isnan(sampling_noise(p, ordinal, np.array([np.nan, 0.0]))).all()
