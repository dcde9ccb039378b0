"""Contrasts between the options of one question: along its scale, its bend, and the rest.

How groups differ, and how far a prediction's level is off, is mostly a matter of more or less:
along the scale. A covariance that is the same for every contrast takes the noise of the others for
differences. So each question has contrasts of its own, orthonormal: polynomials of the positions
of the options on its scale, then what tells the options off the scale from the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from opinioncast.evidence.logit import contrasts
from opinioncast.evidence.people import Array, Ints
from opinioncast.survey.question import OFF_SCALE

ALONG, BEND, REST, OFF, NO_SCALE = (
    "along the scale",
    "its bend",
    "beyond the bend",
    "off the scale",
    "no scale",
)
KINDS = (ALONG, BEND, REST, OFF, NO_SCALE)
"""Kinds of contrasts with a variance of the level of their own."""
_SAME = 1e-6


@dataclass(frozen=True)
class OptionContrasts:
    """Contrasts of one question.

    Attributes:
        basis: orthonormal, each column sums to zero, shape (options, options - 1).
        kinds: of each column.
    """

    basis: Array
    kinds: tuple[str, ...]

    @cached_property
    def rotation(self) -> Array:
        """From coefficients of :func:`contrasts` to those of these, (options - 1, options - 1)."""
        return np.asarray(self.basis.T @ contrasts(len(self.basis)))

    def across(self, values: Array) -> Array:
        """A matrix over theta that is diagonal in these contrasts and in the features.

        Args:
            values: its diagonal, by contrast and feature, shape (options - 1, features).

        Returns:
            the matrix for theta in :func:`contrasts`, theta's size squared.
        """
        turned = np.einsum("kd,kf,ke->fde", self.rotation, values, self.rotation, optimize=True)
        d, f = values.shape
        out = np.zeros((d, f, d, f))
        out[:, range(f), :, range(f)] = turned
        return out.reshape(d * f, d * f)


def contrasts_of(ordinal: Sequence[float]) -> OptionContrasts:
    """The contrasts of a question with these positions of options (-1: off the scale)."""
    return _contrasts_of(tuple(float(v) for v in ordinal))


@cache
def _contrasts_of(ordinal: tuple[float, ...]) -> OptionContrasts:
    positions = np.array(ordinal)
    on = np.flatnonzero(positions != OFF_SCALE)
    if len(set(positions[on])) < 2:
        return OptionContrasts(contrasts(len(positions)), (NO_SCALE,) * (len(positions) - 1))
    at = positions[on] - positions[on].mean()
    at /= np.abs(at).max()
    # options of one position leave polynomials of too low a rank: what tells them apart comes after
    inside = [_placed(at**i, on, len(positions)) for i in range(1, len(on))]
    inside += [_placed(row, on, len(positions)) for row in np.eye(len(on))]
    found = [_placed(np.ones(len(on)), on, len(positions)) / np.sqrt(len(on))]
    for column in inside:
        _add(found, column)
    count = len(found) - 1
    kinds = [ALONG, BEND, *[REST] * len(on)][:count]
    found[0] = np.ones(len(positions)) / np.sqrt(len(positions))
    for row in np.eye(len(positions))[positions == OFF_SCALE]:
        _add(found, row)
    kinds += [OFF] * (len(positions) - 1 - count)
    basis = np.array(found[1:]).T
    basis.flags.writeable = False
    return OptionContrasts(basis, tuple(kinds))


def _placed(values: Array, on: Ints, options: int) -> Array:
    out = np.zeros(options)
    out[on] = values
    return out


def _add(found: list[Array], column: Array) -> None:
    """Add what of ``column`` is orthogonal to those found (Gram-Schmidt, twice for rounding)."""
    rest = column / max(float(np.linalg.norm(column)), 1e-12)
    for _ in range(2):
        for other in found:
            rest = rest - other * (other @ rest)
    size = float(np.linalg.norm(rest))
    if size > _SAME:
        found.append(rest / size)
