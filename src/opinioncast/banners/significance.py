"""The survey industry's column test: effective bases, shared respondents, Student's t.

As in SPSS Dimensions and Quantum (UNICOM's documentation of column tests; the same formulas stand
in the open quantipy3). Two columns with weighted bases b, effective bases e = (sum w)^2 / sum w^2
and shares p differ by

    t = (p1 - p2) / sqrt(p (1 - p) (1/e1 + 1/e2 - 2 e0 / (e1 e2)))
    p = (b1 p1 + b2 p2) / (b1 + b2)

with e1 + e2 - e0 - 2 degrees of freedom; e0 is the effective base of those in both columns: 0 for
groups that exclude each other, the part's own for a part against the whole. Means: the same with
the pooled variance (b1 v1 + b2 v2) / (b1 (1 - 1/e1) + b2 (1 - 1/e2)) in place of p (1 - p).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from opinioncast.banners.distributions import student_two_sided
from opinioncast.banners.settings import Correction

Array = npt.NDArray[np.float64]


def share_p_value(
    shares: tuple[float, float],
    bases: tuple[float, float],
    effective: tuple[float, float],
    overlap: float = 0.0,
) -> float:
    """Two-sided probability of so large a difference between two columns' shares, if there is none.

    Args:
        bases: weighted.
        overlap: e0.

    Returns:
        NaN where nothing can be tested: a base of nothing or not known, equal shares, both 0 or
        both 1, no degree of freedom.

    >>> round(share_p_value((0.5, 0.4), (200, 200), (200, 200)), 4)  # z 2.01
    0.0451
    """
    p1, p2 = shares
    b1, b2 = bases
    if not (b1 > 0 and b2 > 0):
        return math.nan
    pooled = (b1 * p1 + b2 * p2) / (b1 + b2)
    return _p_value(p1 - p2, pooled * (1 - pooled), effective, overlap)


def mean_p_value(
    means: tuple[float, float],
    variances: tuple[float, float],
    bases: tuple[float, float],
    effective: tuple[float, float],
    overlap: float = 0.0,
) -> float:
    """The same for means of a scale.

    Args:
        variances: mean squared distance from the mean in each column.
    """
    b1, b2 = bases
    e1, e2 = effective
    if not (b1 > 0 and b2 > 0 and e1 > 1 and e2 > 1):
        return math.nan
    within = b1 * variances[0] + b2 * variances[1]
    pooled = within / (b1 * (1 - 1 / e1) + b2 * (1 - 1 / e2))
    return _p_value(means[0] - means[1], pooled, effective, overlap)


def _p_value(
    difference: float, variance: float, effective: tuple[float, float], overlap: float
) -> float:
    e1, e2 = effective
    if not (e1 > 0 and e2 > 0) or difference == 0:
        return math.nan
    spread = variance * (1 / e1 + 1 / e2 - 2 * overlap / (e1 * e2))
    df = e1 + e2 - overlap - 2
    if not (spread > 1e-15 and df > 1):  # a column tested against all of itself has no spread
        return math.nan
    return student_two_sided(difference / math.sqrt(spread), df)


def adjusted(p_values: Sequence[float], correction: Correction) -> list[float]:
    """p-values of one family, for how many there are; NaN (not tested) stays and does not count.

    >>> adjusted([0.01, 0.04, float("nan")], "bonferroni")
    [0.02, 0.08, nan]
    >>> adjusted([0.01, 0.04, 0.03], "benjamini-hochberg")
    [0.03, 0.04, 0.04]
    >>> adjusted([0.01, 0.04, 0.03], "holm")
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=float)
    tested = np.flatnonzero(~np.isnan(values))
    m = len(tested)
    out = values.copy()
    if not m or correction == "none":
        return [float(v) for v in out]
    order = tested[np.argsort(values[tested], kind="stable")]
    ranked = values[order]
    if correction == "bonferroni":
        new = ranked * m
    elif correction == "holm":
        new = np.maximum.accumulate(ranked * np.arange(m, 0, -1))
    else:
        new = np.minimum.accumulate((ranked * m / np.arange(1, m + 1))[::-1])[::-1]
    out[order] = np.minimum(new, 1.0)
    return [float(v) for v in out]


def column_letters(count: int) -> list[str]:
    """A, B, ..., Z, AA, AB, ...

    >>> column_letters(28)[-3:]
    ['Z', 'AA', 'AB']
    """
    letters = []
    for i in range(count):
        text, left = "", i
        while left >= 0:
            text = chr(ord("A") + left % 26) + text
            left = left // 26 - 1
        letters.append(text)
    return letters
