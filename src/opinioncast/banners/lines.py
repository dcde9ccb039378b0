"""Nets and means of a question's options, and how far intervals of the options let them go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opinioncast.survey.question import OFF_SCALE, Question

Array = npt.NDArray[np.float64]

_HALVINGS = 60


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
    within their intervals and sum to one, is at most 0: found by halving.
    """
    on = ordinal != OFF_SCALE
    ends = float(ordinal[on].min()), float(ordinal[on].max())
    least, most = (np.empty(len(low)) for _ in range(2))
    for row in range(len(low)):
        most[row] = _largest_mean(low[row], high[row], ordinal, on, *ends)
        least[row] = -_largest_mean(low[row], high[row], -ordinal, on, -ends[1], -ends[0])
    return least, most


def _largest_mean(
    low: Array, high: Array, position: Array, on: npt.NDArray[np.bool_], first: float, last: float
) -> float:
    if np.isnan(low).any() or np.isnan(high).any():
        return float("nan")
    for _ in range(_HALVINGS):
        middle = (first + last) / 2
        if _largest_sum(np.where(on, position - middle, 0.0), low, high) > 0:
            first = middle
        else:
            last = middle
    return last


def _largest_sum(gain: Array, low: Array, high: Array) -> float:
    """The most that gains can add up to: what is left over goes where it gains most."""
    left = max(1 - float(low.sum()), 0.0)
    total = float(low @ gain)
    for i in np.argsort(-gain, kind="stable"):
        more = min(left, float(high[i] - low[i]))
        total += more * float(gain[i])
        left -= more
    return total
