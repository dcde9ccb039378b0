"""Distances between response distributions, vectorised over rows of unequal option counts.

Rows are padded to a rectangle: ``p`` and ``q`` have shape (rows, options), ``ordinal`` too, and
padding carries ordinal NaN and share 0. Where both appear, ``p`` is what people answered and ``q``
what the model says. Everything but the functions of the scale (:func:`wasserstein`,
:func:`scale_variance`, :func:`sampling_noise`) counts all substantive options, those off the scale
included, and uses ``ordinal``, where it takes one, only to tell options from padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.survey.question import OFF_SCALE

Array = npt.NDArray[np.float64]

_TIE = 1e-9  # shares closer than this are equal: sums of weights differ in the last digits


def pad(rows: Sequence[Sequence[float]], fill: float) -> Array:
    """Lists of unequal length as one (rows, longest) array, short rows filled with ``fill``."""
    width = max((len(r) for r in rows), default=0)
    out = np.full((len(rows), width), fill)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def pad_column(lists: pl.Series, fill: float) -> Array:
    """A polars column of non-empty number lists as :func:`pad` would give it, without a loop."""
    lengths = lists.list.len().to_numpy()
    out = np.full((len(lists), int(lengths.max()) if len(lists) else 0), fill)
    out[np.arange(out.shape[1]) < lengths[:, None]] = lists.explode().to_numpy()
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
    steps, from_p, from_q = cumulative_shares(ordinal, p, q)
    length = steps.sum(axis=1)
    cost = (np.abs(from_p - from_q)[:, :-1] * steps).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(length > 0, cost / length, np.nan))


def cumulative_shares(ordinal: Array, *shares: Array) -> tuple[Array, ...]:
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
    steps, cumulative = cumulative_shares(ordinal, p)
    length = steps.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        base = np.where(np.asarray(n_eff, dtype=float) > 0, n_eff, np.nan)
        spread = np.sqrt(np.clip(cumulative * (1 - cumulative), 0, None) / base[:, None])
        cost = (spread[:, :-1] * steps).sum(axis=1) * np.sqrt(2 / np.pi)
        return np.asarray(np.where(length > 0, cost / length, np.nan))


def smooth(shares: Array, ordinal: Array, epsilon: float) -> Array:
    """Mix each row with the uniform distribution: (1 - epsilon) shares + epsilon / options.

    Small groups leave options that nobody chose; a divergence from such a distribution is infinite.
    Smoothing both sides keeps it finite and zero only between equal rows.
    """
    return np.asarray((1 - epsilon) * np.asarray(shares, dtype=float) + epsilon * uniform(ordinal))


def kl(p: Array, q: Array) -> Array:
    """Kullback-Leibler divergence sum p log(p / q) in nats (paper, Appendix B), shape (rows,).

    Exact about zeros: an option with p = 0 adds nothing, one with q = 0 < p makes it infinite. Swap
    the arguments for the other direction; :func:`smooth` both for a finite value.
    """
    p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / q), 0.0)
    return np.asarray(np.maximum(terms.sum(axis=1), 0.0))


def jensen_shannon(p: Array, q: Array) -> Array:
    """Jensen-Shannon distance: root of the divergence to base 2, shape (rows,), 0 to 1.

    Finite whatever is zero, symmetric, and a metric.
    """
    p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
    middle = (p + q) / 2
    return np.asarray(np.sqrt((kl(p, middle) + kl(q, middle)) / (2 * np.log(2))))


def one_hot_accuracy(p: Array, q: Array) -> Array:
    """Whether the model's first choice is people's (paper, section 3.3; error = 1 - accuracy).

    Where the model is undecided between options, the chance that one of them drawn at random is
    right: a uniform prediction scores 1 / options, not 1. Where people are, any of theirs is right.

    Returns:
        Shape (rows,), 0 to 1.
    """
    people, model = _top(p), _top(q)
    return np.asarray((people & model).sum(axis=1) / model.sum(axis=1))


def top_choice_agreement(p: Array, q: Array) -> Array:
    """Chance that both sides name the same first option when each draws among its ties.

    Symmetric, and stricter than :func:`one_hot_accuracy` where people are undecided; equal to it
    where they are not. Shape (rows,), 0 to 1.
    """
    people, model = _top(p), _top(q)
    return np.asarray((people & model).sum(axis=1) / (people.sum(axis=1) * model.sum(axis=1)))


def _top(shares: Array) -> npt.NDArray[np.bool_]:
    shares = np.asarray(shares, dtype=float)
    return np.asarray(shares >= shares.max(axis=1, keepdims=True) - _TIE)


def spearman(p: Array, q: Array, ordinal: Array) -> Array:
    """Rank correlation of the options' shares, ties at mean rank, shape (rows,), -1 to 1.

    NaN where one side gives all options the same share.
    """
    inside = ~np.isnan(ordinal)
    count = inside.sum(axis=1)
    ranks = []
    for side in (p, q):
        rank = np.zeros(inside.shape, order="F")
        for i, j, sign, _ in _pairs(side, inside):
            rank[:, i] += sign / 2
            rank[:, j] -= sign / 2
        ranks.append(rank)  # centred: half of (options below - options above)
    left, right = ranks
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
        return np.asarray(np.where(count > 1, (left * right).sum(axis=1) / spread, np.nan))


def kendall(p: Array, q: Array, ordinal: Array) -> Array:
    """Kendall's tau-b of the options' shares, shape (rows,), -1 to 1.

    NaN where one side gives all options the same share.
    """
    inside = ~np.isnan(ordinal)
    agree, left, right = (np.zeros(len(inside)) for _ in range(3))
    for (_, _, a, both), (_, _, b, _) in zip(_pairs(p, inside), _pairs(q, inside), strict=True):
        agree += a * b
        left += (a != 0) & both
        right += (b != 0) & both
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(agree / np.sqrt(left * right))


def _pairs(
    shares: Array, inside: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, int, Array, npt.NDArray[np.bool_]]]:
    """Each pair of options with the sign of its difference in every row, 0 for ties and padding.

    A pass over the rows per pair: no (rows, options, options) array is ever made.
    """
    columns = np.asfortranarray(shares, dtype=float)
    for i in range(columns.shape[1]):
        for j in range(i + 1, columns.shape[1]):
            both = inside[:, i] & inside[:, j]
            difference = columns[:, i] - columns[:, j]
            sign = np.where(both & (np.abs(difference) > _TIE), np.sign(difference), 0.0)
            yield i, j, sign, both


def entropy(p: Array) -> Array:
    """Shannon entropy in nats, shape (rows,): 0 when all say the same, log(options) when even."""
    p = np.asarray(p, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-np.where(p > 0, p * np.log(p), 0.0).sum(axis=1) + 0.0)


def scale_variance(p: Array, ordinal: Array) -> Array:
    """Variance of the position on the scale, range taken as 1: 0 to 1/4, shape (rows,).

    Off-scale options are left out as in :func:`wasserstein`; NaN without a scale or a share on it.
    A model whose variance is far below people's has collapsed onto one answer.
    """
    ordinal = np.asarray(ordinal, dtype=float)
    on = ~np.isnan(ordinal) & (ordinal != OFF_SCALE)
    low = np.where(on, ordinal, np.inf).min(axis=1, keepdims=True)
    high = np.where(on, ordinal, -np.inf).max(axis=1, keepdims=True)
    shares = np.where(on, np.asarray(p, dtype=float), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        position = np.where(on, (ordinal - low) / (high - low), 0.0)
        shares = shares / shares.sum(axis=1, keepdims=True)
        mean = (shares * position).sum(axis=1, keepdims=True)
        return np.asarray((shares * (position - mean) ** 2).sum(axis=1))
