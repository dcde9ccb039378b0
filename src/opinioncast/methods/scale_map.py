"""One question's distribution put onto another question's options.

Scale to scale: each option owns an interval of [0, 1] (up to the middle between it and its
neighbours; the ends reach as far out as in, then all is stretched to [0, 1]). The distribution is
spread evenly inside the intervals and cut at the other question's boundaries: its cumulative
distribution is interpolated linearly. Mass is kept, equal scales map onto themselves, the uniform
distribution over evenly spaced options onto the uniform one. Which end is which is told by the
meaning of the two end options. Mass off the scale is returned apart.

Without scales, an option's share goes to the options that mean most alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opinioncast.methods.embedding.features import Vectors
from opinioncast.survey.question import OFF_SCALE

Array = npt.NDArray[np.float64]

SHARPNESS = 0.1
"""Temperature of softmax(cosine / temperature) by which nominal options share a neighbour's mass:
at equal wording (cosine 1) against unlike wording (0.3) it leaves a thousandth."""


@dataclass(frozen=True)
class OptionVectors:
    """Options with their scale and embeddings, shape (options, dimensions)."""

    options: Sequence[str]
    ordinal: Sequence[float]
    vectors: Vectors

    @property
    def off(self) -> npt.NDArray[np.bool_]:
        """Which options are off the scale; all positions equal means no scale, so none are."""
        positions = np.array(self.ordinal)
        outside = positions == OFF_SCALE
        return outside if not outside.all() else np.zeros(len(positions), dtype=bool)

    @property
    def has_scale(self) -> bool:
        return len(np.unique(np.array(self.ordinal)[~self.off])) > 1


def apply_map(
    shares: Sequence[float], source: OptionVectors, matrix: Array
) -> tuple[Array, float | None]:
    """``shares`` of ``source``'s options as shares of another question's.

    Args:
        matrix: the :func:`option_map` from ``source`` to that question; both have a scale, or
            neither has.

    Returns:
        Shares over all options of the other that sum to one; with scales, those off it have 0.
        And the share off the source's scale; None where the source offers no such option.
    """
    p = np.asarray(shares, dtype=float)
    off = source.off
    outside = float(p[off].sum()) if off.any() else None
    on = np.where(off, 0.0, p)
    if on.sum() == 0:  # nobody answered on the scale: nothing is known about it
        on = np.where(off, 0.0, 1.0)
    result = on @ matrix
    return np.asarray(result / result.sum()), outside


def option_map(source: OptionVectors, target: OptionVectors) -> Array:
    """Where each option's share goes: rows sum to one, off-scale ones to 0.

    Shape (source options, target options).
    """
    if not source.has_scale:
        return _by_meaning(source.vectors, target.vectors)
    edges, levels = _intervals(np.array(source.ordinal)[~source.off])
    wanted, places = _intervals(np.array(target.ordinal)[~target.off])
    if _turned(source, target):
        edges, levels = 1 - edges[::-1], levels.max() - levels
    low = np.maximum(edges[:-1, None], wanted[None, :-1])
    high = np.minimum(edges[1:, None], wanted[None, 1:])
    by_place = np.clip(high - low, 0, None) / np.diff(edges)[:, None]  # (levels, places)
    by_place = by_place / np.bincount(places)  # options at one place share it
    matrix = np.zeros((len(source.ordinal), len(target.ordinal)))
    matrix[np.ix_(~source.off, ~target.off)] = by_place[np.ix_(levels, places)]
    return matrix


def _intervals(positions: Array) -> tuple[Array, npt.NDArray[np.intp]]:
    """Boundaries in [0, 1] of the places of a scale, and the place of each option."""
    places, index = np.unique(positions, return_inverse=True)
    middle = (places[1:] + places[:-1]) / 2
    edges = np.concatenate([[2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]])
    return (edges - edges[0]) / (edges[-1] - edges[0]), index.ravel()


def _turned(source: OptionVectors, target: OptionVectors) -> bool:
    """Whether the scales run in opposite directions, by the meaning of their end options."""
    ends = []
    for side in (source, target):
        positions = np.where(side.off, np.nan, np.array(side.ordinal))
        ends.append((side.vectors[np.nanargmin(positions)], side.vectors[np.nanargmax(positions)]))
    (low, high), (to_low, to_high) = ends
    return bool(low @ to_high + high @ to_low > low @ to_low + high @ to_high + 1e-6)


def _by_meaning(source: Vectors, target: Vectors) -> Array:
    cosine = (source @ target.T).astype(float)
    weights = np.exp((cosine - cosine.max(axis=1, keepdims=True)) / SHARPNESS)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
