"""Tails of Student's t and of chi-square, for the tests of tables: no SciPy in the base.

Pinned to SciPy in the tests.
"""

from __future__ import annotations

import math

_STEPS = 400
_TINY = 1e-300
_ENOUGH = 1e-15


def student_two_sided(t: float, df: float) -> float:
    """Probability of a Student t at least as far from zero as ``t``, both sides.

    Args:
        df: degrees of freedom, above 0, not necessarily whole.

    >>> round(student_two_sided(2.0, 60.0), 4)
    0.05
    """
    if not df > 0 or math.isnan(t):
        return math.nan
    if math.isinf(t):
        return 0.0
    return _incomplete_beta(df / 2, 0.5, df / (df + t * t))


def chi_square_tail(statistic: float, df: int) -> float:
    """Probability of a chi-square of ``df`` (whole, 1 or more) of at least ``statistic``.

    >>> round(chi_square_tail(3.841459, 1), 4), round(chi_square_tail(5.991465, 2), 4)
    (0.05, 0.05)
    """
    if df < 1 or math.isnan(statistic):
        return math.nan
    half = max(statistic, 0.0) / 2
    if half > 700:  # below the smallest number there is
        return 0.0
    if df % 2 == 0:
        term, total = 1.0, 1.0
        for j in range(1, df // 2):
            term *= half / j
            total += term
        return min(1.0, math.exp(-half) * total)
    total = math.erfc(math.sqrt(half))
    if half == 0:
        return 1.0
    term = math.exp(-half) * math.sqrt(half) / math.gamma(1.5)
    for j in range(1, (df - 1) // 2 + 1):
        total += term
        term *= half / (j + 0.5)
    return min(1.0, total)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (Lentz)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    c = 1.0
    d = 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / _away(1 + step * d)
            c = _away(1 + step / c)
            value *= d * c
        if abs(d * c - 1) < _ENOUGH:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
