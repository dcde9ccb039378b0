"""What each person of a population would answer, so that groups answer as they were predicted.

Of a question, every row of the frame gets its own shares. They begin as the evidence room's model
of the predictions has them (the method's contrasts between groups, over the frame), and are then
moved as little as can be (in relative entropy) until every predicted cell's mean over the frame is
its predicted share: a multinomial logit with a coefficient for each cell and option, which is
raking to all cells at once.

Predictions of different attributes need not agree: men and women may add up to another whole than
the age groups do. No file can give both back. Cells of an attribute are then shifted together, by
raking their attribute's table to the whole (:func:`reconciled`), and the shift is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from opinioncast.evidence.frame import Frame
from opinioncast.evidence.logit import probabilities
from opinioncast.evidence.people import Array
from opinioncast.evidence.posterior import Model
from opinioncast.survey import Subpopulation

_FLOOR = 1e-6
"""Smallest share a prediction is taken to mean: a logit has no zero."""
_WHOLE = 0.995
"""An attribute's groups that hold so much of the population are all of it."""
_REST = 0.002
"""Least share of an answer among those whose group was not predicted."""
_RAKING, _CLOSE = 2000, 1e-10
_STEPS, _NEAR = 60, 1e-9
_RIDGES = (1e-9, 1e-5, 1e-3)
"""Tried in turn: the next where the one before does not reach the cells."""
_REACHED = 2e-4


@dataclass(frozen=True)
class Plan:
    """Answers of one question.

    Attributes:
        shares: of each row of the frame, shape (rows, options).
        cells: predicted subpopulations that the frame tells.
        predicted: as the table has them, shape (cells, options).
        planned: what the frame's rows give; shape (cells, options).
        untold: other cells, and why the frame does not tell them.
    """

    shares: Array
    cells: tuple[Subpopulation, ...]
    predicted: Array
    planned: Array
    untold: Mapping[Subpopulation, str]

    @property
    def shift(self) -> float:
        """The largest difference between a planned and a predicted share."""
        return float(np.abs(self.planned - self.predicted).max()) if len(self.cells) else 0.0


def plan_answers(
    model: Model, predicted: Mapping[Subpopulation, Sequence[float]], options: int
) -> Plan:
    """Shares of every row of the frame.

    Args:
        model: prior and frame; the frame's rows are in one group of an attribute at most.
        predicted: shares of each subpopulation; one that the frame does not tell is left out.
    """
    frame = model.frame
    weights, places, untold = frame.cells(list(predicted))
    names = list(predicted)
    cells = tuple(names[i] for i in places)
    wanted = np.array([list(map(float, predicted[s])) for s in cells]).reshape(-1, options)
    start = probabilities(
        model.features, model.mean({s: np.asarray(p, float) for s, p in predicted.items()}, options)
    )
    if not cells:
        return Plan(start, (), wanted, wanted, untold)
    targets = reconciled(frame, cells, wanted)
    members = weights > 0
    shares = _reached(start, members.astype(float), frame.weights, targets)
    return Plan(shares, cells, wanted, weights @ shares, untold)


def reconciled(frame: Frame, cells: Sequence[Subpopulation], wanted: Array) -> Array:
    """Shares of cells that one population can have, as near to ``wanted`` as raking leaves them.

    The whole is the predicted one; where none was predicted, the mean of the wholes that attributes
    add up to. Groups of an attribute that are not all of it move only where the rest could not make
    up the whole.
    """
    shares = np.maximum(wanted, _FLOOR)
    shares = shares / shares.sum(axis=1, keepdims=True)
    sizes = np.array([frame.share(s) or 0.0 for s in cells])
    families: dict[str, list[int]] = {}
    for i, cell in enumerate(cells):
        if cell.conditions:
            families.setdefault(cell.attribute, []).append(i)
    whole = next((shares[i] for i, c in enumerate(cells) if not c.conditions), None)
    if whole is None:
        full = [f for f in families.values() if sizes[f].sum() >= _WHOLE]
        if not full:
            return shares
        sums = [sizes[f] @ shares[f] / sizes[f].sum() for f in full]
        whole = np.mean(sums, axis=0)
    out = shares.copy()
    for family in families.values():
        own, size = shares[family], sizes[family]
        rest = 1 - size.sum()
        if rest <= 1 - _WHOLE:
            out[family] = _raked(own, size / size.sum(), whole)
            continue
        left = (whole - size @ own) / rest
        if left.min() < _REST * min(1.0, float(whole.min()) / _REST):
            out[family] = _raked(np.vstack([own, whole]), np.append(size, rest), whole)[:-1]
    return out


def _raked(shares: Array, sizes: Array, whole: Array) -> Array:
    """Rows of a table (groups, options) whose columns are raked to ``whole``."""
    table = sizes[:, None] * shares
    for _ in range(_RAKING):
        before = table
        table = table * (whole / table.sum(axis=0))
        table = table * (sizes / table.sum(axis=1))[:, None]
        if np.abs(table - before).max() < _CLOSE:
            break
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def _reached(start: Array, members: Array, weights: Array, targets: Array) -> Array:
    """Shares of rows whose means over cells are ``targets``, or as near as no extreme shares are.

    Args:
        start: shares of rows, shape (rows, options).
        members: of cells, shape (cells, rows).
    """
    sizes = members @ weights
    best, nearest = start, np.inf
    for ridge in _RIDGES:
        shares = _fitted(start, members, weights, targets, ridge)
        means = (members * weights) @ shares / sizes[:, None]
        gap = float(np.abs(means - targets).max())
        if gap < nearest or ridge == _RIDGES[-1]:
            best, nearest = shares, gap
        if gap < _REACHED:
            break
    return best


def _fitted(start: Array, members: Array, weights: Array, targets: Array, ridge: float) -> Array:
    """Newton's method with halved steps on the logit of the cells' coefficients."""
    base = np.log(np.maximum(start, 1e-12))
    cells, options = targets.shape
    sizes = members @ weights
    coefficients = np.zeros((cells, options))

    def shares_of(values: Array) -> Array:
        eta = base + members.T @ values
        eta -= eta.max(axis=1, keepdims=True)
        each = np.exp(eta)
        return np.asarray(each / each.sum(axis=1, keepdims=True))

    def height(values: Array) -> float:
        eta = base + members.T @ values
        top = eta.max(axis=1)
        total = top + np.log(np.exp(eta - top[:, None]).sum(axis=1))
        gain = float((sizes[:, None] * targets * values).sum()) - float(weights @ total)
        return gain - ridge / 2 * float((values**2).sum())

    now = height(coefficients)
    for _ in range(_STEPS):
        each = shares_of(coefficients)
        slope = sizes[:, None] * targets - (members * weights) @ each - ridge * coefficients
        if np.abs(slope).max() < _NEAR:
            break
        curve = np.zeros((options, cells, options, cells))
        for k in range(options):
            for j in range(k, options):
                both = weights * each[:, k] * ((k == j) - each[:, j])
                block = (members * both) @ members.T
                curve[k, :, j, :] = block
                curve[j, :, k, :] = block.T
        flat = curve.reshape(options * cells, options * cells)
        flat[np.diag_indices_from(flat)] += max(ridge, 1e-9)
        step = np.linalg.solve(flat, slope.T.ravel()).reshape(options, cells).T
        length = 1.0
        while length > 1e-4:
            tried = coefficients + length * step
            value = height(tried)
            if value > now:
                coefficients, now = tried, value
                break
            length /= 2
        else:
            break
    return shares_of(coefficients)
