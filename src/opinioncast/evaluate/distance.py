"""Distances between response distributions, vectorised over rows of unequal option counts.

Rows are padded to a rectangle: ``p`` and ``q`` have shape (rows, options), ``ordinal`` too, and
padding carries ordinal NaN and share 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from opinioncast.survey.question import OFF_SCALE

Array = npt.NDArray[np.float64]


def pad(rows: Sequence[Sequence[float]], fill: float) -> Array:
    """Lists of unequal length as one (rows, longest) array, short rows filled with ``fill``."""
    width = max((len(r) for r in rows), default=0)
    out = np.full((len(rows), width), fill)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def wasserstein(p: Array, q: Array, ordinal: Array) -> Array:
    """One-dimensional Wasserstein distance on each row's scale, divided by the scale's range.

    Options off the scale (ordinal -1) and padding (NaN) are left out and both sides renormalised
    over the rest (paper, section 3.3 and Appendix B; the range as in OpinionQA).

    Args:
        p, q: shares, shape (rows, options).
        ordinal: scale positions, shape (rows, options).

    Returns:
        Shape (rows,), between 0 and 1. NaN where a row has no scale (all positions equal) or one
        side has no share on it: such rows have no distance and must be counted, not averaged.
    """
    p, q, ordinal = (np.asarray(a, dtype=float) for a in (p, q, ordinal))
    on = ~np.isnan(ordinal) & (ordinal != OFF_SCALE)
    position = np.where(on, ordinal, np.inf)
    order = np.argsort(position, axis=1, kind="stable")
    position = np.take_along_axis(position, order, axis=1)
    kept = np.take_along_axis(on, order, axis=1)
    cdfs = []
    for shares in (p, q):
        ordered = np.where(kept, np.take_along_axis(shares, order, axis=1), 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            cdfs.append(np.cumsum(ordered / ordered.sum(axis=1, keepdims=True), axis=1))
    with np.errstate(invalid="ignore"):
        steps = np.diff(position, axis=1)
    steps = np.where(np.isfinite(steps), steps, 0.0)
    length = steps.sum(axis=1)
    cost = (np.abs(cdfs[0] - cdfs[1])[:, :-1] * steps).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(length > 0, cost / length, np.nan))


def uniform(ordinal: Array) -> Array:
    """The uniform distribution over each row's options, padding excluded (the upper bound)."""
    inside = ~np.isnan(ordinal)
    return np.asarray(inside / inside.sum(axis=1, keepdims=True))


def total_variation(p: Array, q: Array) -> Array:
    """Half the L1 distance, shape (rows,), between 0 and 1; needs no scale."""
    return np.asarray(0.5 * np.abs(np.asarray(p) - np.asarray(q)).sum(axis=1))
