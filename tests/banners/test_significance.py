"""Against examples worked by hand and an independent computation with SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from opinioncast.banners.distributions import chi_square_tail, student_two_sided
from opinioncast.banners.significance import (
    adjusted,
    column_letters,
    mean_p_value,
    share_p_value,
)


def test_tails_are_scipys() -> None:
    for df in (1.5, 2, 3.7, 10, 61.25, 398, 5000.5):
        for t in (0.0, 0.01, 0.7, 1.0, 1.96, 3.3, 8.0, 40.0):
            expected = 2 * stats.t.sf(t, df)
            assert student_two_sided(t, df) == pytest.approx(expected, rel=1e-9, abs=1e-14)
    for k in (1, 2, 3, 4, 7, 20, 55):
        for x in (0.0, 0.1, 1.0, 3.84, 20.0, 60.0, 300.0):
            assert chi_square_tail(x, k) == pytest.approx(stats.chi2.sf(x, k), rel=1e-9, abs=1e-16)


def test_a_hand_worked_pair() -> None:
    """60 of 100 against 45 of 100, no weights, nobody in both.

    p = 0.525, p(1 - p) = 0.249375, 1/100 + 1/100 = 0.02, root of the product 0.0706223;
    t = 0.15 / 0.0706223 = 2.12397 with 198 degrees of freedom: p = 0.0349.
    """
    found = share_p_value((0.60, 0.45), (100, 100), (100, 100))
    assert found == pytest.approx(0.0349, abs=5e-5)


def test_effective_bases_and_overlap_by_hand() -> None:
    """b 120 and 80, e 90 and 50, e0 20.

    p = (120 x 0.5 + 80 x 0.3) / 200 = 0.42; p(1 - p) = 0.2436;
    1/90 + 1/50 - 2 x 20 / 4500 = 0.0111111 + 0.02 - 0.0088889 = 0.0222222;
    t = 0.2 / sqrt(0.2436 x 0.0222222) = 0.2 / 0.0735754 = 2.71830; df = 90 + 50 - 20 - 2 = 118.
    """
    found = share_p_value((0.5, 0.3), (120, 80), (90, 50), 20)
    assert found == pytest.approx(2 * stats.t.sf(2.71830, 118), rel=1e-4)


def test_a_part_against_the_whole_is_the_part_against_the_rest() -> None:
    """Unweighted, the formula with e0 = the part's base leaves 1/part - 1/whole."""
    part, whole = 200, 500
    found = share_p_value((0.5, 0.42), (part, whole), (part, whole), part)
    pooled = (part * 0.5 + whole * 0.42) / (part + whole)
    t = 0.08 / math.sqrt(pooled * (1 - pooled) * (1 / part - 1 / whole))
    assert found == pytest.approx(2 * stats.t.sf(t, whole - 2))


def test_means_are_scipys_pooled_t() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(2, 1, 40), rng.normal(2.4, 1.3, 55)
    found = mean_p_value((a.mean(), b.mean()), (a.var(), b.var()), (40, 55), (40, 55))
    assert found == pytest.approx(stats.ttest_ind(a, b).pvalue, rel=1e-9)


@pytest.mark.parametrize(
    ("shares", "bases", "effective", "overlap"),
    [
        ((0.4, 0.4), (50, 60), (50, 60), 0),  # equal
        ((1.0, 1.0), (50, 60), (50, 60), 0),
        ((0.4, 0.5), (0, 60), (0, 60), 0),  # nobody
        ((0.4, 0.5), (math.nan, 60), (50, 60), 0),  # not known
        ((0.4, 0.5), (50, 60), (math.nan, 60), 0),
        ((0.4, 0.5), (1, 1), (1, 1), 0),  # no degree of freedom
        ((0.4, 0.5), (60, 60), (60, 60), 60),  # the same people
    ],
)
def test_what_cannot_be_tested_is_not(shares, bases, effective, overlap) -> None:
    assert math.isnan(share_p_value(shares, bases, effective, overlap))


def test_corrections_are_scipys_and_by_hand() -> None:
    ps = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216, 0.222, 0.251]
    assert adjusted(ps, "benjamini-hochberg") == pytest.approx(stats.false_discovery_control(ps))
    assert adjusted(ps, "none") == ps
    assert adjusted([0.2, 0.9], "bonferroni") == [0.4, 1.0]
    # Holm: 3 x 0.01, max of that and 2 x 0.02, max of that and 1 x 0.03
    assert adjusted([0.02, 0.01, 0.03], "holm") == pytest.approx([0.04, 0.03, 0.04])
    left = adjusted([0.01, math.nan, 0.02], "bonferroni")
    assert left[0] == 0.02
    assert math.isnan(left[1])
    assert left[2] == 0.04


def test_letters_go_on_after_z() -> None:
    letters = column_letters(60)
    assert letters[:2] == ["A", "B"]
    assert letters[25:28] == ["Z", "AA", "AB"]
    assert letters[52] == "BA"
    assert len(set(letters)) == 60
