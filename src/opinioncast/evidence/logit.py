"""Multinomial logit with a Gaussian prior: its mode, and the normal curve around it (Laplace).

One question with K options; a person with features z answers k with probability
softmax(C theta z)_k, theta of shape (K - 1, features), C an orthonormal basis of contrasts between
options, so that a prior that is the same for every option stays so. Evidence comes in pieces that
say for theta how likely it is, with gradient and expected information (Fisher scoring):

* :class:`Counts`: answers of people, each of them one of several rows of features (one row where
  everything about them is known);
* :class:`Shares`: published shares of cells, as Gaussian observations with a joint covariance;
* :class:`Message`: a Gaussian in theta itself, from past waves and near questions.

NumPy only. Source of the model: multilevel regression and poststratification (Gelman and Little,
1997; Park, Gelman and Bafumi, 2004) with a full covariance of the coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from opinioncast.errors import DataError
from opinioncast.evidence.people import Array

_STEPS = 60
_SMALL = 1e-6
_FLOOR = 1e-10
_REACH = 40.0
"""Logits up to this need no care in float32."""


@cache
def contrasts(options: int) -> Array:
    """Orthonormal contrasts between options (Helmert), shape (options, options - 1)."""
    out = np.zeros((options, options - 1))
    for j in range(1, options):
        out[:j, j - 1] = 1 / np.sqrt(j * (j + 1))
        out[j, j - 1] = -j / np.sqrt(j * (j + 1))
    out.flags.writeable = False
    return out


def probabilities(features: Array, theta: Array) -> Array:
    """Shares of each row of features, shape (..., rows, options).

    Args:
        features: shape (rows, F).
        theta: shape (..., K - 1, F).
    """
    basis = contrasts(theta.shape[-2] + 1).astype(features.dtype)
    eta = np.einsum("rf,...df->...rd", features, theta, optimize=True) @ basis.T
    eta -= eta.max(axis=-1, keepdims=True)
    np.exp(eta, out=eta)
    eta /= eta.sum(axis=-1, keepdims=True)
    return np.asarray(eta)


def slopes(shares: Array) -> Array:
    """d share / d (contrast of eta), shape (rows, options, options - 1)."""
    basis = contrasts(shares.shape[-1])
    return np.asarray(shares[:, :, None] * (basis - (shares @ basis)[:, None, :]))


def drawn_cells(features: Any, cells: Any, thetas: Any) -> Array:
    """Shares of cells under many thetas, shape (draws, cells, K).

    Options are looped over, so that every array in work is one of rows x draws: an axis of three or
    four options last is what NumPy is slowest at.

    Args:
        features: shape (rows, F).
        cells: weights of rows, each row summing to one, shape (cells, rows).
        thetas: shape (draws, K - 1, F).
    """
    draws, d, _ = thetas.shape
    basis = contrasts(d + 1).astype(features.dtype)
    by_option = np.einsum("kd,sdf->ksf", basis, thetas)
    parts = [features @ each.T for each in by_option]
    reach = np.linalg.norm(features, axis=1).max() * np.linalg.norm(by_option, axis=2).max()
    if reach > _REACH:  # an exponential might overflow
        highest = np.maximum.reduce(parts)
        for part in parts:
            part -= highest
    total = np.zeros_like(parts[0])
    for part in parts:
        np.exp(part, out=part)
        total += part
    out = np.empty((draws, len(cells), d + 1))
    for k, part in enumerate(parts):
        part /= total
        out[:, :, k] = (cells @ part).T
    return out


def told_cells(
    features: Array, cells: Array, normal: Normal, draws: int, seed: int
) -> tuple[Array, Array]:
    """Shares of cells and draws about them, (cells, K) and (draws, cells, K).

    The shares are those at the mode, which lie nearer to the true posterior mean than the mean of
    the normal curve's draws: a softmax pulls the latter to even shares. Draws keep their spread on
    the logit scale and are moved to where the shares are.
    """
    shares = cells @ probabilities(features, normal.mean)
    thetas = normal.draws(draws, seed).astype(np.float32)
    drawn = drawn_cells(features.astype(np.float32), cells.astype(np.float32), thetas)
    drawn *= np.maximum(shares, _FLOOR) / np.maximum(drawn.mean(axis=0), _FLOOR)
    drawn /= drawn.sum(axis=-1, keepdims=True)
    return shares, drawn


class Piece(Protocol):
    """One piece of evidence on a question."""

    def value(self, theta: Array) -> float:
        """Minus the log-likelihood, up to a constant."""

    def step(self, theta: Array) -> tuple[float, Array, Array]:
        """Value, gradient (theta's size,) and expected information (size, size)."""


@dataclass(frozen=True)
class Counts:
    """Answers of people.

    Attributes:
        features: shape (people x rows each, F); the rows of one person stand together.
        chance: how likely each of a person's rows is, shape (people, rows each).
        counts: (weighted) answers per person, or kind of person, shape (people, K).
    """

    features: Array
    chance: Array
    counts: Array

    def _shares(self, theta: Array) -> tuple[Array, Array]:
        each = probabilities(self.features, theta)
        if self.chance.shape[1] == 1:
            return each, each
        blocks = each.reshape(*self.chance.shape, -1)
        return each, np.einsum("jm,jmk->jk", self.chance, blocks)

    def value(self, theta: Array) -> float:
        _, shares = self._shares(theta)
        return -float((self.counts * np.log(np.maximum(shares, _FLOOR))).sum())

    def step(self, theta: Array) -> tuple[float, Array, Array]:
        each, shares = self._shares(theta)
        shares = np.maximum(shares, _FLOOR)
        value = -float((self.counts * np.log(shares)).sum())
        total = self.counts.sum(axis=1)
        if self.chance.shape[1] == 1:
            basis = contrasts(shares.shape[1])
            left = (shares * total[:, None] - self.counts) @ basis
            gradient = left.T @ self.features
            d, f = theta.shape
            information = np.empty((d, f, d, f))
            scaled = shares @ basis
            for a in range(d):
                for b in range(a, d):
                    weight = (shares * basis[:, a] * basis[:, b]).sum(axis=1)
                    weight = (weight - scaled[:, a] * scaled[:, b]) * total
                    block = self.features.T @ (self.features * weight[:, None])
                    information[a, :, b, :] = information[b, :, a, :] = block
            return value, gradient.ravel(), information.reshape(d * f, d * f)
        blocks = self.features.reshape(*self.chance.shape, -1)
        slope = slopes(each).reshape(*self.chance.shape, *contrasts(shares.shape[1]).shape)
        jacobian = np.einsum("jm,jmkd,jmf->jkdf", self.chance, slope, blocks, optimize=True)
        jacobian = jacobian.reshape(*shares.shape, -1)
        gradient = -np.einsum("jk,jkt->t", self.counts / shares, jacobian)
        root = jacobian * np.sqrt(total[:, None] / shares)[:, :, None]
        flat = root.reshape(-1, root.shape[-1])
        return value, gradient, flat.T @ flat


@dataclass(frozen=True)
class Shares:
    """Published shares of cells.

    Attributes:
        features: of the population frame, shape (rows, F).
        cells: weights of the frame's rows in each cell, each summing to one, shape (cells, rows).
        shares: shape (cells, K).
        precision: of the cells' contrasts, shape (cells (K - 1), cells (K - 1)): the inverse of
            their joint covariance.
    """

    features: Array
    cells: Array
    shares: Array
    precision: Array

    def _residual(self, shares: Array) -> Array:
        return ((self.cells @ shares - self.shares) @ contrasts(shares.shape[1])).ravel()

    def value(self, theta: Array) -> float:
        residual = self._residual(probabilities(self.features, theta))
        return 0.5 * float(residual @ self.precision @ residual)

    def step(self, theta: Array) -> tuple[float, Array, Array]:
        each = probabilities(self.features, theta)
        residual = self._residual(each)
        jacobian = cell_slopes(self.features, self.cells, each)
        weighted = self.precision @ jacobian
        return (
            0.5 * float(residual @ self.precision @ residual),
            weighted.T @ residual,
            jacobian.T @ weighted,
        )


def cell_slopes(features: Array, cells: Array, each: Array) -> Array:
    """d contrast of a cell's shares / d theta, shape (cells x (K - 1), theta's size).

    A row's slope between two contrasts is the same in both directions, so that half of the pairs
    are computed; one at a time, for what all of them hold of a frame's rows fits no cache.

    Args:
        features: shape (rows, F).
        cells: weights of rows, shape (cells, rows).
        each: shares of each row, shape (rows, K).
    """
    basis = contrasts(each.shape[1])
    scaled = each @ basis
    d, f = basis.shape[1], features.shape[1]
    out = np.empty((len(cells), d, d, f))
    for a in range(d):
        for b in range(a, d):
            slope = each @ (basis[:, a] * basis[:, b]) - scaled[:, a] * scaled[:, b]
            out[:, a, b] = out[:, b, a] = cells @ (features * slope[:, None])
    return out.reshape(len(cells) * d, d * f)


@dataclass(frozen=True)
class Message:
    """A Gaussian factor of theta in natural form: the log is h theta - theta P theta / 2.

    Attributes:
        information: precision times mean, theta's size.
        precision: theta's size, squared; it may be singular (a source that tells some directions).
    """

    information: Array
    precision: Array

    def value(self, theta: Array) -> float:
        flat = theta.ravel()
        return float(flat @ (0.5 * self.precision @ flat - self.information))

    def step(self, theta: Array) -> tuple[float, Array, Array]:
        flat = theta.ravel()
        pull = self.precision @ flat
        value = float(flat @ (0.5 * pull - self.information))
        return value, pull - self.information, self.precision


@dataclass(frozen=True)
class Normal:
    """A normal distribution of theta: its mean and the Cholesky factor of its precision."""

    mean: Array
    factor: Array

    @property
    def precision(self) -> Array:
        return self.factor @ self.factor.T

    @property
    def covariance(self) -> Array:
        inverse = np.linalg.inv(self.factor)
        return inverse.T @ inverse

    def draws(self, count: int, seed: int) -> Array:
        """Draws in pairs about the mean, shape (count, K - 1, F)."""
        size = self.mean.size
        half = np.random.default_rng(seed).standard_normal((size, (count + 1) // 2))
        off = np.linalg.solve(self.factor.T, half).T
        both = np.concatenate([off, -off])[:count]
        return np.asarray(self.mean + both.reshape(-1, *self.mean.shape))


def posterior(
    mean: Array,
    pieces: Sequence[Piece],
    start: Array | None = None,
    tolerance: float = _SMALL,
    precision: Array | None = None,
) -> Normal:
    """Mode and Laplace covariance under a normal prior of ``mean``.

    Args:
        mean: of theta, shape (K - 1, F).
        pieces: evidence; none gives the prior.
        start: where to begin.
        tolerance: by how much the log-posterior may still be expected to rise at the end.
        precision: of the prior, theta's size squared; None: one everywhere.

    Raises:
        DataError: no mode is found (evidence that is not finite).
    """
    known = np.eye(mean.size) if precision is None else precision
    prior = Message(known @ mean.ravel(), known)
    parts = [prior, *pieces]
    theta = np.array(mean if start is None else start)
    damping = 0.0
    for _ in range(_STEPS):
        sums = [part.step(theta) for part in parts]
        value = sum(s[0] for s in sums)
        gradient = np.sum([s[1] for s in sums], axis=0)
        information = np.sum([s[2] for s in sums], axis=0)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            raise DataError(
                "Evidence on a question cannot be read",
                expected="finite shares, weights and variances",
                found=f"value {value}",
            )
        moved, shift, damping = _moved(parts, theta, value, gradient, information, damping)
        theta = moved
        if shift < tolerance:
            break
    information = np.sum([part.step(theta)[2] for part in parts], axis=0)
    return Normal(theta, np.linalg.cholesky(information))


def _moved(
    parts: Sequence[Piece],
    theta: Array,
    value: float,
    gradient: Array,
    information: Array,
    damping: float,
) -> tuple[Array, float, float]:
    """The next theta, by how much the value is expected to fall, and the damping that worked."""
    diagonal = np.diag(np.diag(information))
    for _ in range(40):
        step = -np.linalg.solve(information + damping * diagonal, gradient)
        fall = -float(gradient @ step)
        moved = theta + step.reshape(theta.shape)
        new = sum(part.value(moved) for part in parts)
        if np.isfinite(new) and new <= value - 1e-4 * fall + 1e-9 * (1 + abs(value)):
            return moved, fall, damping / 4 if damping > 1e-3 else 0.0
        damping = max(4 * damping, 0.05)
    return theta, 0.0, damping
