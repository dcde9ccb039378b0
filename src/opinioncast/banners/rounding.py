"""Percentages as survey books print them: half up, after netting."""

from __future__ import annotations

import math

_SLACK = 1e-9
"""0.285 is stored a little below itself; it is a half all the same."""


def half_up(value: float, decimals: int = 0) -> float:
    """``value`` rounded so that a half goes up (away from zero where it is below).

    >>> half_up(28.5), half_up(0.285 * 100), half_up(-0.5), half_up(12.25, 1)
    (29.0, 29.0, -1.0, 12.3)
    >>> round(28.5)  # what Python does: to the even one
    28
    """
    if not math.isfinite(value):
        return value
    unit = 10.0**decimals
    whole = math.floor(abs(value) * unit + 0.5 + _SLACK)
    return math.copysign(whole / unit, value) if whole else 0.0


def shown_share(share: float, decimals: int = 0) -> float:
    """A share as it is printed: rounded half up in percent; what is above zero and would round to
    nothing stays as it is, so that it can be shown as such.

    >>> shown_share(0.285), shown_share(0.003), shown_share(0.0)
    (0.29, 0.003, 0.0)
    """
    rounded = half_up(100 * share, decimals) / 100
    return rounded if rounded or not share > 0 else share


def share_text(share: float | None, decimals: int = 0) -> str:
    """A share in percent without a sign; ``-`` for none, ``<0.5`` for what rounds to nothing.

    >>> [share_text(share) for share in (0.285, 0.003, 0.0, None)], share_text(0.1234, 1)
    (['29', '<0.5', '-', ''], '12.3')
    """
    if share is None or not math.isfinite(share):
        return ""
    if share <= 0:
        return "-"
    if half_up(100 * share, decimals) == 0:
        return f"<{0.5 / 10**decimals:.{decimals + 1}f}"
    return f"{half_up(100 * share, decimals):.{decimals}f}"


def points_text(difference: float | None, decimals: int = 0) -> str:
    """A difference of two shares in points, with its sign.

    >>> points_text(0.0349), points_text(-0.035), points_text(0.0), points_text(None)
    ('+3', '-4', '0', '')
    """
    if difference is None or not math.isfinite(difference):
        return ""
    rounded = half_up(100 * difference, decimals)
    return f"{rounded:+.{decimals}f}" if rounded else f"{0:.{decimals}f}"
