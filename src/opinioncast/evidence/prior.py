"""What surveys teach about how groups differ: the covariance of a logit's coefficients.

Learned from microdata by EM: each question is fitted under the current covariance, the mean of its
coefficients' products plus their posterior covariance is the next one (four rounds, no scale to
tune). A group that some surveys cannot tell is learned from those that can.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from opinioncast.documents import parse_json
from opinioncast.errors import DataError, InputError
from opinioncast.evidence.frame import Frame
from opinioncast.evidence.logit import Counts, Normal, posterior
from opinioncast.evidence.people import Array, Bools, Groups, merged
from opinioncast.evidence.sample import Sample
from opinioncast.files import atomic_path

ROUNDS = 4
_FIRST = 0.1
"""Variance of every coefficient before the first round."""
_KEPT = 0.999
"""Share of the variance that the directions kept explain."""
_FLAT = 4.0
"""Variance of the level while the covariance is learned: nearly no view of it."""
SHIPPED_PRIOR = "prior.npz"


@dataclass(frozen=True)
class Prior:
    """A prior of the coefficients of one question's logit.

    Attributes:
        groups: what the coefficients belong to.
        center: share of each group, taken off its column, so that the level is an average
            person's; shape (groups,).
        covariance: of the coefficients of one contrast between options, shape (groups, groups).
        level: variance of the level about the method's total.
        spread: variance of a group's predicted contrast to the total about the true one, on the
            logit scale: how far contrasts of the method are believed.
        card: where it was learned.
    """

    groups: Groups
    center: Array
    covariance: Array
    level: float
    spread: float
    card: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def directions(self) -> Array:
        """Root of the covariance, its small directions left out, shape (groups, directions)."""
        values, vectors = np.linalg.eigh(self.covariance)
        order = np.argsort(values)[::-1]
        values, vectors = np.maximum(values[order], 0), vectors[:, order]
        kept = int(np.searchsorted(np.cumsum(values) / values.sum(), _KEPT)) + 1
        return np.asarray(vectors[:, :kept] * np.sqrt(values[:kept]))

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
        shares = frame.proportions(groups)
        known = np.array([a in frame.groups.attributes for a, _ in groups.columns])
        center = np.where(known, shares, np.append(self.center, np.zeros(len(new))))
        return Prior(groups, center, covariance, self.level, self.spread, self.card)

    def design(self, groups: Groups, members: Bools) -> Array:
        """People's columns: 1 - share where they are in the group, 0 where nobody can tell."""
        own = self.groups.spread(members, groups)
        told = self.groups.told(own)
        return np.where(told, own - self.center, 0.0)

    def features(self, groups: Groups, members: Bools) -> Array:
        """Features of unit prior variance: the level, then the directions; (people, F)."""
        level = np.full((len(members), 1), np.sqrt(self.level))
        return np.hstack([level, self.design(groups, members) @ self.directions])

    def write(self, path: Path) -> Path:
        card = dict(self.card) | {
            "columns": [list(c) for c in self.groups.columns],
            "level": self.level,
            "spread": self.spread,
        }
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                covariance=self.covariance.astype(np.float32),
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
            covariance = held["covariance"].astype(float)
            center = held["center"].astype(float)
        groups = Groups(tuple((str(a), str(g)) for a, g in card.pop("columns")))
        _check_numbers(len(groups), center, covariance)
        level, spread = float(card.pop("level")), float(card.pop("spread"))
        if not (0 < level < np.inf and 0 < spread < np.inf):
            raise ValueError(f"level {level}, spread {spread}")
        return Prior(groups, center, covariance, level, spread, card)
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


_Fitted = tuple[Array, Array]
_Fit = Callable[[Array, list[Array | None]], Iterable[_Fitted]]


@dataclass(frozen=True)
class _Item:
    """One question of the microdata, ready to be fitted again and again."""

    name: str
    design: Array
    counts: Array


def learn_covariance(
    samples: Sequence[Sample],
    *,
    groups: Groups | None = None,
    rounds: int = ROUNDS,
    min_n: float = 100,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Groups, Array, Array, Mapping[str, Any]]:
    """The covariance of coefficients over the questions of ``samples``, by EM.

    Args:
        groups: columns; None: those of all samples in order of appearance.
        rounds: of EM.
        workers: processes that fit questions side by side.
        min_n: questions answered by fewer (effective) people teach nothing and are left out.

    Returns:
        groups, their shares (the centre), the covariance, and a record of what it rests on.

    Raises:
        DataError: no question is left.
    """
    if groups is None:
        groups = Groups(tuple(dict.fromkeys(c for s in samples for c in s.groups.columns)))
    center = pooled_shares(samples, groups)
    empty = Prior(groups, center, np.eye(len(groups)), _FLAT, 1.0)
    items: list[_Item] = []
    for sample in samples:
        members = groups.spread(sample.members, sample.groups)
        for answers in sample.answers:
            counts = answers.counts()
            used = counts.sum(axis=1) > 0
            if counts.sum() < min_n or (counts.sum(axis=0) > 0).sum() < 2:
                continue
            rows, sums = merged(members[used], counts[used])
            items.append(
                _Item(
                    f"{sample.name} {answers.question.question_id}",
                    empty.design(groups, rows),
                    sums,
                )
            )
    if not items:
        raise DataError(
            "No question to learn a prior from",
            expected=f"questions answered by {min_n:g} people or more",
            found=f"{len(samples)} wave(s)",
        )
    covariance = _FIRST * np.eye(len(groups))
    weight = sum(i.counts.shape[1] - 1 for i in items)
    starts: list[Array | None] = [None] * len(items)
    with _fitting(items, workers) as fitted:
        for turn in range(rounds):
            total = np.zeros_like(covariance)
            # sums in the order of the questions, so that workers change nothing
            for i, (moments, found) in enumerate(fitted(covariance, starts)):
                if progress:
                    progress(turn * len(items) + i, rounds * len(items))
                total += moments
                starts[i] = found
            covariance = total / weight
    if progress:
        progress(rounds * len(items), rounds * len(items))
    record = {
        "questions": len(items),
        "waves": sorted({s.name for s in samples}),
        "answers": round(float(sum(i.counts.sum() for i in items))),
        "rounds": rounds,
    }
    return groups, center, covariance, record


_held: list[_Item] = []
"""The questions in a worker process."""


@contextmanager
def _fitting(items: list[_Item], workers: int) -> Iterator[_Fit]:
    """How a round's questions are fitted: here, or by workers that hold the questions."""
    if workers == 1:
        yield lambda covariance, starts: (
            _moments(item, covariance, start) for item, start in zip(items, starts, strict=True)
        )
        return
    # spawned: a fork would inherit the locks of threads that polars runs
    own = get_context("spawn")
    with ProcessPoolExecutor(workers, own, initializer=_hold, initargs=(items,)) as pool:

        def fitted(covariance: Array, starts: list[Array | None]) -> Iterator[_Fitted]:
            jobs = [(i, covariance, start) for i, start in enumerate(starts)]
            return pool.map(_fit_held, jobs, chunksize=4)

        yield fitted


def _hold(items: list[_Item]) -> None:
    _held[:] = items


def _fit_held(job: tuple[int, Array, Array | None]) -> _Fitted:
    at, covariance, start = job
    return _moments(_held[at], covariance, start)


def pooled_shares(samples: Sequence[Sample], groups: Groups) -> Array:
    """Share of each group among those whose attribute is told, surveys counting alike."""
    shares: list[list[float]] = [[] for _ in groups.columns]
    for sample in samples:
        told = sample.groups.told(sample.members)
        weights = sample.answers[0].weights if sample.answers else np.ones(len(sample))
        for i, column in enumerate(groups.columns):
            at = sample.groups.place.get(column)
            if at is not None and weights[told[:, at]].sum() > 0:
                inside = weights[sample.members[:, at]].sum()
                shares[i].append(float(inside / weights[told[:, at]].sum()))
    return np.array([np.mean(s) if s else 0.0 for s in shares])


def _moments(item: _Item, covariance: Array, last: Array | None) -> tuple[Array, Array]:
    """Sum over contrasts of the coefficients' second moments under ``covariance``.

    ``last``: the coefficients of the round before, to begin from; those found are returned.
    """
    root = np.linalg.cholesky(covariance + 1e-9 * np.eye(len(covariance)))
    level = np.full((len(item.design), 1), np.sqrt(_FLAT))
    features = np.hstack([level, item.design @ root])
    options = item.counts.shape[1]
    start = np.zeros((options - 1, features.shape[1]))
    counts = Counts(features, np.ones((len(features), 1)), item.counts)
    begin = np.zeros_like(start)
    if last is not None:
        begin[:, 0] = last[:, 0]
        begin[:, 1:] = np.linalg.solve(root, last[:, 1:].T).T
    fitted: Normal = posterior(start, [counts], begin, tolerance=1e-3)
    spread = fitted.covariance.reshape(*start.shape, *start.shape)
    inside = np.zeros_like(covariance)
    for d in range(options - 1):
        inside += np.outer(fitted.mean[d, 1:], fitted.mean[d, 1:]) + spread[d, 1:, d, 1:]
    found = np.hstack([fitted.mean[:, :1], fitted.mean[:, 1:] @ root.T])
    return root @ inside @ root.T, found
