"""One question's posterior: from the method's prediction and evidence to shares of every cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from opinioncast.evidence.frame import Frame
from opinioncast.evidence.logit import (
    Counts,
    Normal,
    Piece,
    Shares,
    contrasts,
    posterior,
    probabilities,
    slopes,
    told_cells,
)
from opinioncast.evidence.option_contrasts import KINDS, OptionContrasts, contrasts_of
from opinioncast.evidence.people import Array, Bools, Groups, merged
from opinioncast.evidence.prior import Prior
from opinioncast.survey import Subpopulation

DRAWS = 300
_FLOOR = 0.005
"""Smallest share a prediction is taken to mean: a method's zero is not knowledge."""
_IGNORANT = 6.25
"""Variance of a level that nothing is known of: a two-option share is between 0.3 and 99.7%."""
_FILLED = 8
"""Rows of the frame that stand in for what is not told about a person."""


@dataclass(frozen=True)
class Model:
    """A prior on a population: what is the same for every question."""

    prior: Prior
    frame: Frame

    def ignorant(self) -> Model:
        """The same where nothing says how near a method's level and contrasts are to the truth."""
        level = dict.fromkeys(KINDS, _IGNORANT)
        return replace(self, prior=replace(self.prior, level=level, spread=1e6))

    @cached_property
    def features(self) -> Array:
        """Of the frame's rows, shape (rows, F)."""
        return self.prior.features(self.frame.groups, self.frame.members)

    @cached_property
    def _average(self) -> Array:
        return np.asarray(self.frame.weights @ self.features)

    def expected(
        self, predicted: Mapping[Subpopulation, Array], ordinal: Sequence[float]
    ) -> Expected:
        """What is expected of the coefficients from a method's prediction.

        The level is such that the population's shares are the method's; contrasts between groups
        are believed as far as ``prior.spread`` says. No prediction: even shares, no contrast.

        Args:
            predicted: the method's shares of cells.
            ordinal: positions of the question's options on its scale.
        """
        own = contrasts_of(ordinal)
        variances = self.prior.variances(own.kinds)
        theta = np.zeros(variances.shape)
        total = self._from(predicted, own, variances, theta)
        theta = own.rotation.T @ theta
        if total is not None:
            self._set_level(theta, total)
        return Expected(theta, own, variances)

    def _from(
        self,
        predicted: Mapping[Subpopulation, Array],
        own: OptionContrasts,
        variances: Array,
        theta: Array,
    ) -> Array | None:
        """The predicted total, None where nothing says it; ``theta`` gets the contrasts."""
        known = {s: np.maximum(p, _FLOOR) for s, p in predicted.items()}
        cells, places, _ = self.frame.cells(list(known))
        shares = np.array([list(known.values())[i] for i in places])
        total = known.get(Subpopulation())
        if total is None:
            if not len(shares):
                return None
            sizes = np.array([self.frame.share(list(known)[i]) or 0.0 for i in places])
            total = sizes @ shares / sizes.sum()
        total = total / total.sum()
        if len(shares):
            away = cells @ self.features[:, 1:] - self._average[1:]
            gap = np.log(shares / shares.sum(axis=1, keepdims=True)) - np.log(total)
            gap = gap @ own.basis
            even = self.prior.spread * np.eye(len(away))
            for kind in dict.fromkeys(own.kinds):
                at = [d for d, each in enumerate(own.kinds) if each == kind]
                scaled = away * variances[at[0], 1:]
                theta[at, 1:] = (scaled.T @ np.linalg.solve(scaled @ away.T + even, gap[:, at])).T
        return np.asarray(total)

    def _set_level(self, theta: Array, total: Array) -> None:
        """Move the level so that the frame's shares are ``total``, by Newton's method."""
        basis = contrasts(len(total))
        root = self.features[0, 0]
        theta[:, 0] = np.log(total) @ basis / root
        for _ in range(20):
            each = probabilities(self.features, theta)
            off = self.frame.weights @ each - total
            if np.abs(off).max() < 1e-12:
                return
            slope = np.tensordot(self.frame.weights, slopes(each), axes=1)
            theta[:, 0] -= np.linalg.lstsq(slope, off, rcond=None)[0] / root

    def people(self, groups: Groups, members: Bools, counts: Array) -> list[Counts]:
        """Answers as evidence; what is not told about a person is averaged over the frame.

        Args:
            groups: columns of ``members``.
            counts: answers per person, shape (people, K), scaled to their effective size.
        """
        used = counts.sum(axis=1) > 0
        if not used.any():
            return []
        rows, sums = merged(members[used], counts[used])
        whole = self._whole(groups, rows)
        pieces = []
        if whole.any():
            features = self.prior.features(groups, rows[whole])
            pieces.append(Counts(features, np.ones((len(features), 1)), sums[whole]))
        if not whole.all():
            pieces.append(self._filled(groups, rows[~whole], sums[~whole]))
        return pieces

    def _whole(self, groups: Groups, rows: Bools) -> Bools:
        """Of whom all is told that the frame tells, in terms the frame has."""
        whole = np.ones(len(rows), dtype=bool)
        mine, theirs = groups.attributes, self.frame.groups.attributes
        for name, places in theirs.items():
            if name not in mine:
                return np.zeros(len(rows), dtype=bool)
            told = rows[:, mine[name]].sum(axis=1)
            several = self.frame.members[:, places].sum(axis=1).max() > 1
            whole &= (told == 1) | ((told > 1) & several)
        return whole

    def _filled(self, groups: Groups, rows: Bools, sums: Array) -> Counts:
        frame = self.frame
        conflicts = np.zeros((len(rows), len(frame)), dtype=np.float32)
        for name, places in frame.groups.attributes.items():
            if name not in groups.attributes:
                continue
            theirs = frame.members[:, places].astype(np.float32)
            columns = Groups(tuple(frame.groups.columns[i] for i in places))
            mine = columns.spread(rows, groups).astype(np.float32)
            both = (mine.sum(axis=1) > 0)[:, None] & (theirs.sum(axis=1) > 0)[None, :]
            conflicts += both & (mine @ theirs.T == 0)
        best = conflicts == conflicts.min(axis=1, keepdims=True)
        heights = np.cumsum(np.where(best, frame.weights, 0.0), axis=1)
        marks = (np.arange(_FILLED) + 0.5) / _FILLED
        chosen = np.array([np.searchsorted(h, marks * h[-1]) for h in heights])
        prior = self.prior
        own = np.repeat(prior.groups.spread(rows, groups), _FILLED, axis=0)
        filler = prior.groups.spread(frame.members, frame.groups)[chosen.ravel()]
        for places in prior.groups.attributes.values():
            told = own[:, places].sum(axis=1)
            # several groups that the frame tells apart: the row of the frame says which it is
            unclear = (told > 1) & (filler[:, places].sum(axis=1) == 1)
            empty = (told == 0) | unclear
            own[np.ix_(empty, places)] = filler[np.ix_(empty, places)]
        features = prior.features(prior.groups, own)
        return Counts(features, np.full((len(rows), _FILLED), 1 / _FILLED), sums)

    def published(
        self, subpopulations: Sequence[Subpopulation], shares: Array, covariance: Array
    ) -> list[Shares]:
        """Shares of cells as evidence; cells the frame cannot tell are no evidence here.

        Args:
            shares: shape (cells, K).
            covariance: of the contrasts of each pair of cells,
                shape (cells, cells, K - 1, K - 1): see :func:`shares_covariance`.
        """
        cells, places, _ = self.frame.cells(subpopulations)
        if not places:
            return []
        chosen = covariance[np.ix_(places, places)].transpose(0, 2, 1, 3)
        size = len(places) * (shares.shape[1] - 1)
        precision = np.asarray(np.linalg.inv(chosen.reshape(size, size)), dtype=np.float64)
        return [Shares(self.features, cells, shares[places], precision)]

    def shares_covariance(
        self,
        subpopulations: Sequence[Subpopulation],
        shares: Array,
        n_eff: Array,
        rounding: float,
    ) -> Array:
        """Joint covariance of one survey's published cells, whose people overlap.

        Two cells share the people of both: their covariance is that of one person's answer times
        the share of their people in common, over the root of both bases.

        Args:
            n_eff: effective base of each cell (infinite: exact), shape (cells,).
            rounding: unit of the published shares (0.01: whole points), as a share.

        Returns:
            shape (cells, cells, K - 1, K - 1); cells the frame cannot tell overlap with nobody.
        """
        count, options = shares.shape
        basis = contrasts(options)
        masks = np.zeros((count, len(self.frame)), dtype=bool)
        for i, subpopulation in enumerate(subpopulations):
            mask = self.frame.groups.mask(self.frame.members, subpopulation)
            if mask is not None:
                masks[i] = mask
        weight = masks * self.frame.weights
        common = weight @ masks.T
        size = np.sqrt(np.maximum(np.diag(common), 1e-12))
        overlap = common / np.outer(size, size)
        np.fill_diagonal(overlap, 1.0)
        # half an answer more: a share of 0 or 1 among n people is not known exactly
        finite = np.where(np.isfinite(n_eff), np.maximum(n_eff, 1.0), 1e12)
        smooth = (shares * finite[:, None] + 0.5) / (finite[:, None] + 0.5 * options)
        root = 1 / np.sqrt(finite)
        pooled = (smooth[:, None] + smooth[None, :]) / 2
        inner = np.einsum("ghk,ka,kb->ghab", pooled, basis, basis, optimize=True)
        inner -= np.einsum("gha,ghb->ghab", pooled @ basis, pooled @ basis)
        joint = inner * (overlap * np.outer(root, root))[:, :, None, None]
        size_of = count * (options - 1)
        flat = joint.transpose(0, 2, 1, 3).reshape(size_of, size_of)
        # cells of different shares make it nearly, not exactly, a covariance: no direction is
        # known better than exactly
        values, vectors = np.linalg.eigh((flat + flat.T) / 2)
        flat = (vectors * np.maximum(values, 0.0)) @ vectors.T
        # a rounded share is off by up to half a unit, evenly; and no frame is the survey's own
        nugget = rounding**2 / 12 + np.where(np.isfinite(n_eff), _FRAME_ERROR**2, 1e-12)
        flat += np.diag(np.repeat(nugget, options - 1))
        out = flat.reshape(count, options - 1, count, options - 1).transpose(0, 2, 1, 3)
        return np.asarray(out)


@dataclass(frozen=True)
class Expected:
    """The prior of one question's coefficients.

    Attributes:
        mean: shape (K - 1, F).
        contrasts: in which it has no covariance between contrasts.
        variances: by contrast of these and feature, shape (K - 1, F).
    """

    mean: Array
    contrasts: OptionContrasts
    variances: Array

    @cached_property
    def covariance(self) -> Array:
        """Of theta laid out in a row, shape ((K - 1) F, (K - 1) F)."""
        return self.contrasts.across(self.variances)

    @cached_property
    def precision(self) -> Array:
        """The inverse of :attr:`covariance`."""
        return self.contrasts.across(1 / self.variances)


_FRAME_ERROR = 0.004
"""What a published cell differs by because its population is not exactly the frame's."""


@dataclass(frozen=True)
class Cells:
    """Shares of cells with their uncertainty.

    Attributes:
        subpopulations: those the frame can tell.
        mean: shares at the posterior's mode, shape (cells, K).
        draws: shape (draws, cells, K).
        missing: other subpopulations, and why.
        normal: the posterior of the coefficients.
    """

    subpopulations: tuple[Subpopulation, ...]
    mean: Array
    draws: Array
    missing: Mapping[Subpopulation, str] = field(default_factory=dict)
    normal: Normal | None = None


def read_cells(
    model: Model,
    expected: Expected,
    pieces: Sequence[Piece],
    subpopulations: Sequence[Subpopulation],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Cells:
    """The posterior of a question's cells.

    Args:
        expected: prior of the coefficients, :meth:`Model.expected`.
        pieces: evidence, in any order.
    """
    normal = posterior(expected.mean, pieces, precision=expected.precision)
    cells, places, why = model.frame.cells(subpopulations)
    shares, drawn = told_cells(model.features, cells, normal, draws, seed)
    return Cells(
        tuple(subpopulations[i] for i in places),
        shares,
        drawn,
        why,
        normal,
    )
