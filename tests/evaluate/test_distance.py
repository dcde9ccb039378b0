"""Distances against SciPy and hand-worked values."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from opinioncast.evaluate.distance import (
    entropy,
    jensen_shannon,
    kendall,
    kl,
    one_hot_accuracy,
    pad,
    pad_column,
    sampling_noise,
    scale_variance,
    smooth,
    spearman,
    top_choice_agreement,
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


@pytest.mark.slow
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


@pytest.mark.slow
@given(st.lists(cells(), min_size=1, max_size=5))
def test_scale_free_ones_equal_scipy(
    rows: list[tuple[list[float], list[float], list[float]]],
) -> None:
    p, q = (pad([r[i] for r in rows], 0.0) for i in range(2))
    found = {
        "kl": kl(p, q),
        "back": kl(q, p),
        "js": jensen_shannon(p, q),
        "entropy": entropy(p),
    }
    for i, (a, b, _) in enumerate(rows):
        assert found["kl"][i] == pytest.approx(scipy.stats.entropy(a, b), abs=1e-12)
        assert found["back"][i] == pytest.approx(scipy.stats.entropy(b, a), abs=1e-12)
        # SciPy takes the root of a rounding error below zero where the two are all but equal.
        expected = np.nan_to_num(jensenshannon(a, b, base=2), nan=0.0)
        assert found["js"][i] == pytest.approx(expected, abs=1e-6)
        assert found["entropy"][i] == pytest.approx(scipy.stats.entropy(a), abs=1e-12)


@pytest.mark.slow
@given(
    st.lists(
        st.integers(2, 7).flatmap(
            lambda k: st.tuples(*[st.lists(st.integers(0, 4), min_size=k, max_size=k)] * 2)
        ),
        min_size=1,
        max_size=5,
    )
)
def test_rank_correlations_equal_scipy_with_ties(rows: list[tuple[list[int], list[int]]]) -> None:
    p, q = (pad([np.divide(r[i], 10).tolist() for r in rows], 0.0) for i in range(2))
    ordinal = pad([[1.0] * len(r[0]) for r in rows], np.nan)
    tau, rho = kendall(p, q, ordinal), spearman(p, q, ordinal)
    for (a, b), t, r in zip(rows, tau, rho, strict=True):
        if len(set(a)) == 1 or len(set(b)) == 1:
            assert np.isnan(t)
            assert np.isnan(r)
            continue
        assert t == pytest.approx(scipy.stats.kendalltau(a, b).statistic, abs=1e-12)
        assert r == pytest.approx(scipy.stats.spearmanr(a, b).statistic, abs=1e-12)


def test_zeros_in_kl_are_infinite_or_smoothed() -> None:
    p, q = np.array([[0.5, 0.5, 0.0]]), np.array([[1.0, 0.0, 0.0]])
    ordinal = np.array([[1.0, 2.0, np.nan]])
    assert kl(p, q) == pytest.approx([np.inf])
    assert kl(q, p) == pytest.approx([np.log(2)])
    # (1 - e) q + e / 2 with e = 0.1: 0.95 and 0.05; padding stays at 0
    near = smooth(q, ordinal, 0.1)
    assert near == pytest.approx(np.array([[0.95, 0.05, 0.0]]))
    by_hand = 0.5 * np.log(0.5 / 0.95) + 0.5 * np.log(0.5 / 0.05)
    assert kl(smooth(p, ordinal, 0.1), near) == pytest.approx([by_hand])
    assert kl(near, near) == pytest.approx([0.0])


def test_first_choices_and_their_ties() -> None:
    people = np.array([[0.6, 0.4, 0.0], [0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.2, 0.5, 0.3]])
    model = np.array([[0.9, 0.1, 0.0], [0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [1 / 3] * 3])
    # people undecided: either of theirs is right; model undecided: its chance of being right
    assert one_hot_accuracy(people, model) == pytest.approx([1, 1, 1, 1 / 3])
    assert top_choice_agreement(people, model) == pytest.approx([1, 1 / 2, 1 / 2, 1 / 3])
    assert one_hot_accuracy(people, 1 - model)[0] == 0


def test_the_papers_example_tells_what_accuracy_does_not() -> None:
    """Section 3.3: people say B; a model that says A and one that says D are equally wrong."""
    people = np.array([[0.2, 0.5, 0.2, 0.1]] * 2)
    model = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7]])
    scale = np.array([[1.0, 2.0, 3.0, 4.0]] * 2)
    assert one_hot_accuracy(people, model) == pytest.approx([0, 0])
    near, far = wasserstein(people, model, scale)
    assert (near, far) == pytest.approx(((0.5 + 0.1 + 0) / 3, (0.1 + 0.5 + 0.6) / 3))


def test_scale_variance_by_hand() -> None:
    ordinal = np.array([[1.0, 2.0, 3.0, -1.0], [5.0, 5.0, 5.0, np.nan], [0.0, 4.0, -1.0, np.nan]])
    shares = np.array([[0.25, 0.0, 0.25, 0.5], [0.3, 0.3, 0.4, 0.0], [0.0, 0.0, 1.0, 0.0]])
    found = scale_variance(shares, ordinal)
    assert found[0] == pytest.approx(0.25)  # half at each end
    assert np.isnan(found[1:]).all()


def test_padding_a_column_is_padding_its_lists() -> None:
    lists = [[0.5, 0.5], [1.0], [0.1, 0.2, 0.7]]
    column = pl.Series(lists, dtype=pl.List(pl.Float64))
    np.testing.assert_array_equal(pad_column(column, np.nan), pad(lists, np.nan))
    assert pad_column(column[:0], 0.0).shape == (0, 0)
