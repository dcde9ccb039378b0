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
    steps, from_p, from_q = _cumulative(ordinal, p, q)
    length = steps.sum(axis=1)
    cost = (np.abs(from_p - from_q)[:, :-1] * steps).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(length > 0, cost / length, np.nan))


def _cumulative(ordinal: Array, *shares: Array) -> tuple[Array, ...]:
    """Steps between neighbouring positions, shape (rows, options - 1), then each side's CDF.

    Options are sorted by position, those off the scale last with share and step 0; the CDFs have
    shape (rows, options) and are NaN where a side has no share on the scale.
    """
    ordinal = np.asarray(ordinal, dtype=float)
    on = ~np.isnan(ordinal) & (ordinal != OFF_SCALE)
    position = np.where(on, ordinal, np.inf)
    order = np.argsort(position, axis=1, kind="stable")
    position = np.take_along_axis(position, order, axis=1)
    kept = np.take_along_axis(on, order, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = np.diff(position, axis=1)
        cdfs = []
        for side in shares:
            ordered = np.take_along_axis(np.asarray(side, dtype=float), order, axis=1)
            ordered = np.where(kept, ordered, 0.0)
            cdfs.append(np.cumsum(ordered / ordered.sum(axis=1, keepdims=True), axis=1))
    return np.where(np.isfinite(steps), steps, 0.0), *cdfs


def uniform(ordinal: Array) -> Array:
    """The uniform distribution over each row's options, padding excluded (the upper bound)."""
    inside = ~np.isnan(ordinal)
    return np.asarray(inside / inside.sum(axis=1, keepdims=True))


def total_variation(p: Array, q: Array) -> Array:
    """Half the L1 distance, shape (rows,), between 0 and 1; needs no scale."""
    return np.asarray(0.5 * np.abs(np.asarray(p) - np.asarray(q)).sum(axis=1))


def sampling_noise(p: Array, ordinal: Array, n_eff: Array) -> Array:
    """Wasserstein distance to expect by chance between a group's answers and its true shares.

    With n_eff independent answers the cumulative share F at a step of the scale varies with
    variance F (1 - F) / n_eff; a normal variable's mean absolute value is sqrt(2 / pi) times its
    standard deviation. Summed over the steps and divided by the range like :func:`wasserstein`.
    The floor below which no predictor can be told from the truth; it understates a little for cells
    of a few dozen people, where counts are far from normal.

    Args:
        p: observed shares, shape (rows, options).
        n_eff: effective base of each row, shape (rows,).

    Returns:
        Shape (rows,); NaN without a scale or a base.
    """
    steps, cumulative = _cumulative(ordinal, p)
    length = steps.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        base = np.where(np.asarray(n_eff, dtype=float) > 0, n_eff, np.nan)
        spread = np.sqrt(np.clip(cumulative * (1 - cumulative), 0, None) / base[:, None])
        cost = (spread[:, :-1] * steps).sum(axis=1) * np.sqrt(2 / np.pi)
        return np.asarray(np.where(length > 0, cost / length, np.nan))
