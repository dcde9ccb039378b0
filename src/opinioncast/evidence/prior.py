"""What surveys teach about how groups differ: the covariance of a logit's coefficients.

Along a question's scale groups differ far more than in other contrasts between its options, so each
has a covariance. :mod:`opinioncast.evidence.prior_learning` learns them from microdata.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from opinioncast.documents import parse_json
from opinioncast.errors import InputError
from opinioncast.evidence.frame import Frame
from opinioncast.evidence.option_contrasts import ALONG, KINDS
from opinioncast.evidence.people import Array, Bools, Groups
from opinioncast.files import atomic_path

_KEPT = 0.999
"""Share of the variance that the directions kept explain."""
_LEAST = 1e-4
"""Least share of a direction's variance, so that none is known to be nothing."""
SHIPPED_PRIOR = "prior.npz"


@dataclass(frozen=True)
class Directions:
    """Directions of coefficients in which two covariances are both diagonal.

    Attributes:
        columns: shape (groups, directions).
        along: variance of each direction in contrasts along a scale.
        other: the same in every other contrast.
    """

    columns: Array
    along: Array
    other: Array

    def variances(self, kinds: Sequence[str]) -> Array:
        """Of each direction, by kind of contrast, shape (contrasts, directions)."""
        return np.array([self.along if kind == ALONG else self.other for kind in kinds])


def directions_of(covariance: Array, other: Array, kept: float = 1.0) -> Directions:
    """Simultaneous diagonalisation of two covariances.

    Args:
        covariance: along a scale, shape (groups, groups).
        other: of every other contrast.
        kept: share of their variance to keep.
    """
    # both count alike, so that small directions are small in both
    weight = np.trace(covariance) / max(float(np.trace(other)), 1e-12)
    values, vectors = np.linalg.eigh(covariance + weight * other)
    order = np.argsort(values)[::-1]
    values, vectors = np.maximum(values[order], 0), vectors[:, order]
    count = len(values)
    if kept < 1:
        count = min(int(np.searchsorted(np.cumsum(values) / values.sum(), kept)) + 1, count)
    values, vectors = np.maximum(values[:count], 1e-9), vectors[:, :count]
    root = vectors * np.sqrt(values)
    white = vectors / np.sqrt(values)
    share, turn = np.linalg.eigh(white.T @ covariance @ white)
    share = np.clip(share, _LEAST, 1 - _LEAST)
    return Directions(root @ turn, share, (1 - share) / weight)


@dataclass(frozen=True)
class Prior:
    """A prior of the coefficients of one question's logit.

    Attributes:
        groups: what the coefficients belong to.
        center: share of each group, taken off its column, so that the level is an average
            person's; shape (groups,).
        covariance: of the coefficients of a contrast along a scale, shape (groups, groups).
        other: the same of every other contrast between options.
        level: variance of the level about the method's total, by kind of contrast
            (:data:`~opinioncast.evidence.option_contrasts.KINDS`).
        spread: variance of a group's predicted contrast to the total about the true one, on the
            logit scale: how far contrasts of the method are believed.
        card: where it was learned.
    """

    groups: Groups
    center: Array
    covariance: Array
    other: Array
    level: Mapping[str, float]
    spread: float
    card: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def directions(self) -> Directions:
        """What both covariances are diagonal in, small directions left out."""
        return directions_of(self.covariance, self.other, _KEPT)

    def with_frame(self, frame: Frame) -> Prior:
        """The same prior for a population with other attributes or shares.

        An attribute no survey taught of gets coefficients of its own, independent, of the middle
        variance of those that were learned. The columns are centred on the population's shares, so
        that the level is its average person's.
        """
        new = [c for c in frame.groups.columns if c not in self.groups.place]
        groups = Groups((*self.groups.columns, *new))
        size, old = len(groups), len(self.groups)
        covariance = np.zeros((size, size))
        covariance[:old, :old] = self.covariance
        covariance[range(old, size), range(old, size)] = np.median(np.diag(self.covariance))
        other = np.zeros((size, size))
        other[:old, :old] = self.other
        other[range(old, size), range(old, size)] = np.median(np.diag(self.other))
        shares = frame.proportions(groups)
        known = np.array([a in frame.groups.attributes for a, _ in groups.columns])
        center = np.where(known, shares, np.append(self.center, np.zeros(len(new))))
        return replace(self, groups=groups, center=center, covariance=covariance, other=other)

    def design(self, groups: Groups, members: Bools) -> Array:
        """People's columns: 1 - share where they are in the group, 0 where nobody can tell."""
        own = self.groups.spread(members, groups)
        told = self.groups.told(own)
        return np.where(told, own - self.center, 0.0)

    def features(self, groups: Groups, members: Bools) -> Array:
        """Features: one for the level, then the directions; (people, F)."""
        along = self.design(groups, members) @ self.directions.columns
        return np.hstack([np.ones((len(members), 1)), along])

    def variances(self, kinds: Sequence[str]) -> Array:
        """Of the coefficients of :meth:`features`, by kind of contrast, (contrasts, F)."""
        level = np.array([[self.level[kind]] for kind in kinds])
        return np.hstack([level, self.directions.variances(kinds)])

    def write(self, path: Path) -> Path:
        card = dict(self.card) | {
            "columns": [list(c) for c in self.groups.columns],
            "level": dict(self.level),
            "spread": self.spread,
        }
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                covariance=self.covariance.astype(np.float32),
                other=self.other.astype(np.float32),
                center=self.center.astype(np.float64),
                card=np.array(json.dumps(card)),
            )
        with atomic_path(path.with_name(path.name + ".json")) as temporary:
            temporary.write_text(json.dumps(card, indent=1) + "\n", "utf-8")
        return path


_UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, MemoryError, InputError),
    *(EOFError, BadZipFile, zlib.error, NotImplementedError, RuntimeError, struct.error),
)
"""What NumPy and zipfile raise of a damaged .npz."""


def read_prior(path: str | Path | None = None) -> Prior:
    """Read a prior; the package's own when left out.

    Raises:
        InputError: not such a file.
    """
    if path is None:
        path = Path(str(resources.files("opinioncast.models") / "evidence" / SHIPPED_PRIOR))
    try:
        with np.load(path, allow_pickle=False) as held:
            card = dict(parse_json(str(held["card"]), where=str(path), what="A prior's card"))
            covariance, other = (held[name].astype(float) for name in ("covariance", "other"))
            center = held["center"].astype(float)
        groups = Groups(tuple((str(a), str(g)) for a, g in card.pop("columns")))
        for each in (covariance, other):
            _check_numbers(len(groups), center, each)
        told, spread = card.pop("level"), float(card.pop("spread"))
        level = {kind: float(told[kind]) for kind in KINDS}
        if not all(0 < v < np.inf for v in (*level.values(), spread)):
            raise ValueError(f"level {level}, spread {spread}")
        return Prior(groups, center, covariance, other, level, spread, card)
    except _UNREADABLE as error:
        raise InputError(
            "A prior cannot be read",
            where=str(path),
            expected="a file written by `opinioncast learn-prior`",
            found=error,
        ) from error


def _check_numbers(size: int, center: Array, covariance: Array) -> None:
    """Raises ValueError for what is no mean and covariance of so many coefficients."""
    if center.shape != (size,) or covariance.shape != (size, size):
        raise ValueError(f"{size} groups, center {center.shape}, covariance {covariance.shape}")
    if not (np.isfinite(center).all() and np.isfinite(covariance).all()):
        raise ValueError("numbers that are none (NaN or infinite)")
    if np.abs(covariance - covariance.T).max(initial=0) > 1e-4 * np.abs(covariance).max(initial=1):
        raise ValueError("a covariance that is not symmetric")
    if np.linalg.eigvalsh(covariance).min(initial=0) < -1e-4 * np.abs(covariance).max(initial=1):
        raise ValueError("a covariance with a negative variance")
