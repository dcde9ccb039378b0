"""Nets and means of a question's options, and how far intervals of the options let them go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opinioncast.survey.question import OFF_SCALE, Question

Array = npt.NDArray[np.float64]

_HALVINGS = 45


@dataclass(frozen=True, slots=True)
class Net:
    """Options added up.

    Attributes:
        label: which, in words.
        options: their places.
    """

    label: str
    options: tuple[int, ...]


def nets(question: Question, size: int) -> tuple[Net, ...]:
    """The first and the last ``size`` positions of a scale, in the order the options are listed.

    None where ``size`` is 0, there is no scale, or the two would share a position.

    >>> q = Question("a", "Agree?", ("Fully", "Partly", "Hardly", "Not", "?"), (1, 2, 3, 4, -1))
    >>> [(n.label, n.options) for n in nets(q, 2)]
    [('Top 2: Fully / Partly', (0, 1)), ('Bottom 2: Hardly / Not', (2, 3))]
    """
    if not size or not question.has_scale:
        return ()
    on = [i for i, v in enumerate(question.ordinal) if v != OFF_SCALE]
    positions = sorted({question.ordinal[i] for i in on})
    if len(positions) < 2 * size:
        return ()
    if question.ordinal[on[0]] > question.ordinal[on[-1]]:  # listed from the high end
        positions.reverse()
    out = []
    for word, chosen in (("Top", positions[:size]), ("Bottom", positions[-size:])):
        places = tuple(i for i in on if question.ordinal[i] in chosen)
        words = " / ".join(question.options[i] for i in places)
        out.append(Net(f"{word} {size}: {words}", places))
    return tuple(out)


def mean_label(question: Question) -> str:
    """What the mean of a question's scale is of: its ends."""
    on = [i for i, v in enumerate(question.ordinal) if v != OFF_SCALE]
    low = min(on, key=lambda i: question.ordinal[i])
    high = max(on, key=lambda i: question.ordinal[i])
    ends = (f"{question.ordinal[i]:g} = {question.options[i]}" for i in (low, high))
    return f"Mean ({', '.join(ends)})"


def scale_moments(shares: Array, ordinal: Array) -> tuple[Array, Array, Array]:
    """Mean and variance of a scale, and the share of people on it; of each row of shares.

    Args:
        shares: shape (columns, options).

    Returns:
        NaN for mean and variance where nobody is on the scale.
    """
    on = ordinal != OFF_SCALE
    there = shares[:, on]
    size = there.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = there / size[:, None]
    mean = parts @ ordinal[on]
    variance = parts @ ordinal[on] ** 2 - mean**2
    return mean, np.maximum(variance, 0.0), size


def net_range(low: Array, high: Array, options: tuple[int, ...]) -> tuple[Array, Array]:
    """The least and the most that a net can be if every option is within its interval.

    Args:
        low, high: shape (columns, options).
    """
    inside = np.zeros(low.shape[1], dtype=bool)
    inside[list(options)] = True
    least = np.maximum(low[:, inside].sum(axis=1), 1 - high[:, ~inside].sum(axis=1))
    most = np.minimum(high[:, inside].sum(axis=1), 1 - low[:, ~inside].sum(axis=1))
    return np.clip(least, 0, 1), np.clip(most, 0, 1)


def mean_range(low: Array, high: Array, ordinal: Array) -> tuple[Array, Array]:
    """The least and the most that the mean of a scale can be, in the same way.

    The mean is at most m where the largest sum of (position - m) x share, over shares that are
    within their intervals and sum to one, is at most 0: found by halving, or at once where every
    option is on the scale.
    """
    on = ordinal != OFF_SCALE
    return -_largest_mean(low, high, np.where(on, -ordinal, 0.0), on), _largest_mean(
        low, high, np.where(on, ordinal, 0.0), on
    )


def _largest_mean(low: Array, high: Array, position: Array, on: npt.NDArray[np.bool_]) -> Array:
    """Of each row of intervals; NaN where a row has none."""
    if on.all():
        return _largest_sum(np.broadcast_to(position, low.shape), low, high)
    unknown = np.isnan(low).any(axis=1) | np.isnan(high).any(axis=1)
    first = np.full(len(low), position[on].min())
    last = np.full(len(low), position[on].max())
    for _ in range(_HALVINGS):
        middle = (first + last) / 2
        above = _largest_sum(np.where(on, position - middle[:, None], 0.0), low, high) > 0
        first, last = np.where(above, middle, first), np.where(above, last, middle)
    return np.where(unknown, np.nan, last)


def _largest_sum(gain: Array, low: Array, high: Array) -> Array:
    """The most that gains can add up to: what is left over goes where it gains most; (rows,)."""
    order = np.argsort(-gain, axis=1, kind="stable")
    gains, room = (np.take_along_axis(v, order, axis=1) for v in (gain, high - low))
    left = np.maximum(1 - low.sum(axis=1), 0.0)[:, None]
    filled = np.minimum(np.cumsum(room, axis=1), left)  # what the first of them take of it
    more = np.diff(filled, axis=1, prepend=0.0)
    return np.asarray((low * gain).sum(axis=1) + (more * gains).sum(axis=1))
