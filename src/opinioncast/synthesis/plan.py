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
from functools import cached_property

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
_STEPS, _NEAR, _GAIN = 40, 1e-9, 1e-11
_LOOSE, _TIGHT, _MORE_STEPS = 1e-3, 1e-7, 15
"""How far coefficients are held back, by the size of their cell: first so that cells which no
population can have together are met halfway, then so that those it can have are reached."""
_REACHED = 2e-4
"""Largest gap of a share that counts as reached."""


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
    model: Model, predicted: Mapping[Subpopulation, Sequence[float]], ordinal: Sequence[float]
) -> Plan:
    """Shares of every row of the frame.

    Args:
        model: prior and frame; the frame's rows are in one group of an attribute at most.
        predicted: shares of each subpopulation; one that the frame does not tell is left out.
        ordinal: positions of the options on the question's scale.
    """
    frame = model.frame
    weights, places, untold = frame.cells(list(predicted))
    names = list(predicted)
    cells = tuple(names[i] for i in places)
    wanted = np.array([list(map(float, predicted[s])) for s in cells]).reshape(-1, len(ordinal))
    shares_of = {s: np.asarray(p, float) for s, p in predicted.items()}
    start = probabilities(model.features, model.expected(shares_of, ordinal).mean)
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
    floored = np.maximum(wanted, _FLOOR)
    shares: Array = floored / floored.sum(axis=1, keepdims=True)
    sizes = np.array([frame.share(s) or 0.0 for s in cells])
    families: dict[str, list[int]] = {}
    for i, cell in enumerate(cells):
        if cell.conditions:
            families.setdefault(cell.attribute, []).append(i)
    whole: Array | None = next((shares[i] for i, c in enumerate(cells) if not c.conditions), None)
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
    fit = _Fit(np.log(np.maximum(start, 1e-12)), members, weights, targets)
    loose = fit.coefficients(np.zeros(targets.shape), _LOOSE, _STEPS)
    tight = fit.coefficients(loose, _TIGHT, _MORE_STEPS)
    reached = fit.gap(tight) < _REACHED
    return fit.shares(tight if reached else loose)


@dataclass(frozen=True)
class _Fit:
    """A multinomial logit with a coefficient for each cell and option.

    Attributes:
        base: logarithms of the shares it starts from, shape (rows, options).
        members: of cells, shape (cells, rows).
    """

    base: Array
    members: Array
    weights: Array
    targets: Array

    @cached_property
    def sizes(self) -> Array:
        """Of the cells, shape (cells, 1)."""
        return np.asarray((self.members @ self.weights)[:, None])

    def shares(self, coefficients: Array) -> Array:
        """Of each row."""
        eta = self.base + self.members.T @ coefficients
        eta -= eta.max(axis=1, keepdims=True)
        np.exp(eta, out=eta)
        return np.asarray(eta / eta.sum(axis=1, keepdims=True))

    def gap(self, coefficients: Array) -> float:
        """The largest difference between a cell's mean share and its target."""
        means = (self.members * self.weights) @ self.shares(coefficients) / self.sizes
        return float(np.abs(means - self.targets).max())

    def coefficients(self, start: Array, ridge: float, steps: int) -> Array:
        """By Newton's method, with steps halved where they lead down; shape (cells, options)."""
        held = ridge * self.sizes
        found, now = start, self._height(start, held)
        for _ in range(steps):
            each = self.shares(found)
            slope = self.sizes * self.targets - (self.members * self.weights) @ each - held * found
            if np.abs(slope).max() < _NEAR:
                break
            step = np.linalg.solve(self._curve(each, held), slope.T.ravel())
            step = step.reshape(slope.shape[::-1]).T
            length, gained = 1.0, 0.0
            while length > 1e-3 and gained <= 0:
                tried = found + length * step
                gained = self._height(tried, held) - now
                length /= 2
            if gained <= 0:
                break
            found, now = tried, now + gained
            if gained < _GAIN:
                break
        return found

    def _height(self, coefficients: Array, held: Array) -> float:
        eta = self.base + self.members.T @ coefficients
        top = eta.max(axis=1)
        total = top + np.log(np.exp(eta - top[:, None]).sum(axis=1))
        gain = float((self.sizes * self.targets * coefficients).sum())
        return gain - float(self.weights @ total) - float((held * coefficients**2).sum()) / 2

    def _curve(self, each: Array, held: Array) -> Array:
        """Minus the second derivative, by option and cell."""
        cells, options = self.targets.shape
        curve = np.zeros((options, cells, options, cells))
        for k in range(options):
            for j in range(k, options):
                both = self.weights * each[:, k] * ((k == j) - each[:, j])
                block = (self.members * both) @ self.members.T
                curve[k, :, j, :] = block
                curve[j, :, k, :] = block.T
        flat = curve.reshape(options * cells, options * cells)
        flat[np.diag_indices_from(flat)] += np.tile(held[:, 0], options) + 1e-10
        return flat
