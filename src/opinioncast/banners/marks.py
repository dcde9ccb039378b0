"""Which figures of a line differ: letters of the columns below, or arrows against the whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from opinioncast.banners.settings import BannerSettings
from opinioncast.banners.significance import adjusted
from opinioncast.banners.table import Array, Column

UP, DOWN = "↑", "↓"
_PART = (0.05, 0.95)
"""A part that is nearly nothing or nearly all of the whole is not tested against it."""

PValue = Callable[[int, int], float]
"""Of two columns, by place."""


def marks(
    columns: Sequence[Column],
    values: Array,
    effective: Array,
    tested: Sequence[bool],
    p_value: PValue,
    settings: BannerSettings,
) -> tuple[str, ...]:
    """The marks of a line's columns.

    Args:
        effective: bases.
        tested: whether each column's base allows it.
        p_value: of the difference of two columns.
    """
    found = [""] * len(columns)
    if settings.compare == "nothing":
        return tuple(found)
    total = next((i for i, c in enumerate(columns) if c.is_total), None)
    for family in _families(columns, settings, total):
        pairs = [
            (i, j)
            for i, j in family
            if tested[i] and tested[j] and not (math.isnan(values[i]) or math.isnan(values[j]))
        ]
        if settings.compare == "total":
            pairs = [(i, j) for i, j in pairs if _is_part(effective[i], effective[j])]
        ps = adjusted([p_value(i, j) for i, j in pairs], settings.correction)
        for (i, j), p in zip(pairs, ps, strict=True):
            if math.isnan(p):
                continue
            high, low = (i, j) if values[i] > values[j] else (j, i)
            strong = p < 1 - settings.level + 1e-12
            weak = settings.low_level is not None and p < 1 - settings.low_level + 1e-12
            if not (strong or weak):
                continue
            if settings.compare == "total":
                arrow = UP if high == i else DOWN
                found[i] = arrow if strong else f"({arrow})"
            else:
                letter = columns[low].letter
                found[high] += _joined(found[high], letter if strong else letter.lower())
    return tuple(found)


def _families(
    columns: Sequence[Column], settings: BannerSettings, total: int | None
) -> list[list[tuple[int, int]]]:
    """Pairs of columns by attribute: what a correction is over."""
    runs: dict[str, list[int]] = {}
    for i, column in enumerate(columns):
        if not column.is_total:
            runs.setdefault(column.subpopulation.attribute, []).append(i)
    if settings.compare == "total":
        return [] if total is None else [[(i, total) for i in run] for run in runs.values()]
    return [[(i, j) for a, i in enumerate(run) for j in run[a + 1 :]] for run in runs.values()]


def _is_part(part: float, whole: float) -> bool:
    share = part / whole if whole > 0 else np.nan
    return bool(_PART[0] <= share <= _PART[1])


def _joined(before: str, letter: str) -> str:
    """Letters of one sign stand side by side; longer names need a space between."""
    return f" {letter}" if before and len(letter) > 1 else letter
