"""Covariances of a logit's coefficients from microdata, by EM.

Each question is fitted under the current covariances; the mean of its coefficients' products plus
their posterior covariance is the next one (four rounds, no scale to tune). A group that some
surveys cannot tell is learned from those that can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from opinioncast.errors import DataError
from opinioncast.evidence.logit import Counts, Normal, posterior
from opinioncast.evidence.option_contrasts import ALONG, KINDS, OptionContrasts, contrasts_of
from opinioncast.evidence.people import Array, Groups, merged
from opinioncast.evidence.prior import Prior, directions_of
from opinioncast.evidence.sample import Sample

ROUNDS = 4
_FIRST = 0.1
"""Variance of every coefficient before the first round."""
_FLAT = 4.0
"""Variance of the level while the covariance is learned: nearly no view of it."""

_Fitted = tuple[Array, Array]
_Fit = Callable[[Array, list[Array | None]], Iterable[_Fitted]]


@dataclass(frozen=True)
class _Item:
    """One question of the microdata, ready to be fitted again and again."""

    name: str
    design: Array
    counts: Array
    contrasts: OptionContrasts


@dataclass(frozen=True)
class Learned:
    """What surveys teach.

    Attributes:
        groups: columns of the rest.
        center: their shares.
        covariance, other: of coefficients along a scale, and of every other contrast.
        record: what it rests on.
    """

    groups: Groups
    center: Array
    covariance: Array
    other: Array
    record: Mapping[str, Any]


def learn_covariance(
    samples: Sequence[Sample],
    *,
    groups: Groups | None = None,
    rounds: int = ROUNDS,
    min_n: float = 100,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Learned:
    """The covariances of coefficients over the questions of ``samples``, by EM.

    Where no question has a scale (or every one only two options), the one covariance that can be
    learned is taken for both.

    Args:
        groups: columns; None: those of all samples in order of appearance.
        rounds: of EM.
        workers: processes that fit questions side by side.
        min_n: questions answered by fewer (effective) people teach nothing and are left out.

    Raises:
        DataError: no question is left.
    """
    if groups is None:
        groups = Groups(tuple(dict.fromkeys(c for s in samples for c in s.groups.columns)))
    center = pooled_shares(samples, groups)
    even = np.eye(len(groups))
    empty = Prior(groups, center, even, even, dict.fromkeys(KINDS, _FLAT), 1.0)
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
                    contrasts_of(answers.question.ordinal),
                )
            )
    if not items:
        raise DataError(
            "No question to learn a prior from",
            expected=f"questions answered by {min_n:g} people or more",
            found=f"{len(samples)} wave(s)",
        )
    both = np.stack([_FIRST * even, _FIRST * even])
    kinds = [kind == ALONG for i in items for kind in i.contrasts.kinds]
    weight = np.array([sum(kinds), len(kinds) - sum(kinds)])
    starts: list[Array | None] = [None] * len(items)
    with _fitting(items, workers) as fitted:
        for turn in range(rounds):
            total = np.zeros_like(both)
            # sums in the order of the questions, so that workers change nothing
            for i, (moments, found) in enumerate(fitted(both, starts)):
                if progress:
                    progress(turn * len(items) + i, rounds * len(items))
                total += moments
                starts[i] = found
            learned = total / np.maximum(weight, 1)[:, None, None]
            both = np.stack([learned[k] if weight[k] else learned[1 - k] for k in (0, 1)])
    if progress:
        progress(rounds * len(items), rounds * len(items))
    record = {
        "questions": len(items),
        "waves": sorted({s.name for s in samples}),
        "answers": round(float(sum(i.counts.sum() for i in items))),
        "rounds": rounds,
    }
    return Learned(groups, center, both[0], both[1], record)


_held: list[_Item] = []
"""The questions in a worker process."""


@contextmanager
def _fitting(items: list[_Item], workers: int) -> Iterator[_Fit]:
    """How a round's questions are fitted: here, or by workers that hold the questions."""
    if workers == 1:
        yield lambda both, starts: (
            _moments(item, both, start) for item, start in zip(items, starts, strict=True)
        )
        return
    # spawned: a fork would inherit the locks of threads that polars runs
    own = get_context("spawn")
    with ProcessPoolExecutor(workers, own, initializer=_hold, initargs=(items,)) as pool:

        def fitted(both: Array, starts: list[Array | None]) -> Iterator[_Fitted]:
            jobs = [(i, both, start) for i, start in enumerate(starts)]
            return pool.map(_fit_held, jobs, chunksize=4)

        yield fitted


def _hold(items: list[_Item]) -> None:
    _held[:] = items


def _fit_held(job: tuple[int, Array, Array | None]) -> _Fitted:
    at, both, start = job
    return _moments(_held[at], both, start)


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


def _moments(item: _Item, both: Array, last: Array | None) -> _Fitted:
    """Sums over contrasts of the coefficients' second moments, along a scale and of the others.

    Args:
        both: the covariances of the round before, shape (2, groups, groups).
        last: the coefficients of the round before, to begin from.

    Returns:
        moments as ``both``, and the coefficients found, shape (options - 1, 1 + groups).
    """
    axes = directions_of(both[0], both[1])
    columns, own = axes.columns, item.contrasts
    features = np.hstack([np.ones((len(item.design), 1)), item.design @ columns])
    start = np.zeros((item.counts.shape[1] - 1, features.shape[1]))
    counts = Counts(features, np.ones((len(features), 1)), item.counts)
    begin = np.zeros_like(start)
    if last is not None:
        begin[:, 0] = last[:, 0]
        begin[:, 1:] = np.linalg.solve(columns, last[:, 1:].T).T
    level = np.full((len(start), 1), _FLAT)
    known = own.across(1 / np.hstack([level, axes.variances(own.kinds)]))
    fitted: Normal = posterior(start, [counts], begin, tolerance=1e-3, precision=known)
    spread = fitted.covariance.reshape(*start.shape, *start.shape)[:, 1:, :, 1:]
    turned = np.einsum("kd,dfeg,ke->kfg", own.rotation, spread, own.rotation, optimize=True)
    mean = own.rotation @ fitted.mean[:, 1:]
    inside = np.zeros_like(both)
    for kind, coefficients, around in zip(own.kinds, mean, turned, strict=True):
        inside[0 if kind == ALONG else 1] += np.outer(coefficients, coefficients) + around
    found = np.hstack([fitted.mean[:, :1], fitted.mean[:, 1:] @ columns.T])
    return np.array([columns @ each @ columns.T for each in inside]), found
