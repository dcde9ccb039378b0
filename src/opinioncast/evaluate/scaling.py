"""How distance falls with training data (paper, section 4.4, Figure 5), and how much is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from opinioncast.errors import InputError
from opinioncast.evaluate.clusters import CLUSTER
from opinioncast.evaluate.distance import Array
from opinioncast.evaluate.scores import QUESTION, CellScores, bootstrap_means, question_sums
from opinioncast.survey.tables import OpinionTable

FRACTIONS = (0.25, 0.5, 0.75, 0.875, 1.0)
"""The paper's."""

# 97.5th percentile of Student's t by degrees of freedom; 1.96 beyond
_T: tuple[float, ...] = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)


def subsets(
    table: OpinionTable, fractions: Sequence[float] = FRACTIONS, *, seed: int = 0
) -> dict[float, OpinionTable]:
    """Random subsets of a table's questions, each holding the smaller ones.

    Whole questions are drawn, with all their groups; the draw depends on the seed and the keys,
    not on the order of the rows. Nested, because then two sizes differ by data added, not by luck.
    Training counts a question in two waves as two, and so does the draw: a quarter of them holds
    more than a quarter of the different questions (:func:`clusters.question_counts` counts both).

    Raises:
        InputError: a fraction that is not above 0 and at most 1, or that leaves no question.
    """
    keys = table.frame.select(*QUESTION).unique().sort(*QUESTION)
    order = np.random.default_rng(seed).permutation(keys.height)
    found = {}
    for fraction in fractions:
        size = round(fraction * keys.height)
        if not 0 < fraction <= 1 or size == 0:
            raise InputError(
                "A subset of this size cannot be drawn",
                expected="a fraction above 0 and at most 1 that leaves a question",
                found=f"{fraction:g} of {keys.height} questions",
            )
        chosen = keys[np.sort(order[:size])]
        frame = table.frame.join(chosen, on=list(QUESTION), how="semi", maintain_order="left")
        found[fraction] = OpinionTable(frame, {**table.meta, "subset": fraction, "seed": seed})
    return found


@dataclass(frozen=True)
class PowerLaw:
    """distance = exp(intercept) * size ** slope, a line in logarithms.

    Attributes:
        sizes, distances: what was fitted.
        slope, intercept: least squares; the slope is negative where data help.
        slope_low, slope_high: 95% interval; NaN where two sizes leave no residual.
        residual: standard error of log distance about the line.
        draws: bootstrap slopes and intercepts, shape (replicates, 2); None for the interval of
            least squares, which is about scatter around the line.
    """

    sizes: tuple[float, ...]
    distances: tuple[float, ...]
    slope: float
    intercept: float
    slope_low: float
    slope_high: float
    residual: float
    draws: Array | None = None

    def at(self, size: float) -> float:
        """Distance the line gives for ``size``."""
        return math.exp(self.intercept + self.slope * math.log(size))

    def band(self, size: float) -> tuple[float, float]:
        """95% interval of the line at ``size``."""
        x = math.log(size)
        if self.draws is not None:
            low, high = np.percentile(self.draws[:, 1] + self.draws[:, 0] * x, [2.5, 97.5])
            return math.exp(low), math.exp(high)
        mean, spread, t = self._moments()
        half = t * self.residual * math.sqrt(1 / len(self.sizes) + (x - mean) ** 2 / spread)
        middle = self.intercept + self.slope * x
        return math.exp(middle - half), math.exp(middle + half)

    def size_for(self, target: float) -> tuple[float, float, float]:
        """Training size at which the line reaches ``target``: estimate, low, high (95%).

        Infinite where it may never be reached: where data do not help, or not beyond doubt. From
        the least-squares fit by Fieller's theorem: the sizes whose band holds the target.
        An extrapolation: a power law knows nothing of the floor that sampling noise sets.

        Raises:
            InputError: a target of 0 or less.
        """
        if not target > 0:
            raise InputError(
                "No amount of data reaches this distance", expected="above 0", found=target
            )
        y = math.log(target)
        estimate = _exp((y - self.intercept) / self.slope) if self.slope < 0 else math.inf
        if self.draws is not None:
            slope, intercept = self.draws.T
            with np.errstate(divide="ignore", invalid="ignore"):
                x = np.where(slope < 0, (y - intercept) / slope, math.inf)
            low, high = np.percentile(x, [2.5, 97.5], method="nearest")
            return estimate, _exp(float(low)), _exp(float(high))
        mean, spread, t = self._moments()
        tolerance = (t * self.residual) ** 2
        if math.isnan(tolerance):
            return estimate, math.nan, math.nan
        # (y - fit at mean - slope u)^2 <= tolerance (1/n + u^2 / spread), u = log size - mean
        gap = y - self.intercept - self.slope * mean
        a = self.slope**2 - tolerance / spread
        b = -2 * self.slope * gap
        c = gap**2 - tolerance / len(self.sizes)
        root = b * b - 4 * a * c
        if a <= 0 or root < 0:
            return estimate, 0.0, math.inf
        ends = sorted((-b + s * math.sqrt(root)) / (2 * a) for s in (-1, 1))
        if self.slope >= 0:
            return estimate, math.inf, math.inf
        return estimate, _exp(mean + ends[0]), _exp(mean + ends[1])

    def _moments(self) -> tuple[float, float, float]:
        x = np.log(self.sizes)
        return float(x.mean()), float(((x - x.mean()) ** 2).sum()), _t(len(x) - 2)


def fit_power_law(sizes: Sequence[float], distances: Sequence[float]) -> PowerLaw:
    """Least squares of log distance on log size, with the interval of Student's t.

    Args:
        sizes: amounts of training data, in any unit.
        distances: one mean distance per size.

    Raises:
        InputError: fewer than two different sizes, or a value of 0 or less.
    """
    x, y = _logs(sizes, distances)
    slope, intercept = _line(x, y[None])[0]
    freedom = len(x) - 2
    residual = math.nan
    if freedom > 0:
        residual = math.sqrt(float(((y - intercept - slope * x) ** 2).sum()) / freedom)
    half = _t(freedom) * residual / math.sqrt(float(((x - x.mean()) ** 2).sum()))
    return PowerLaw(
        tuple(map(float, sizes)),
        tuple(map(float, distances)),
        float(slope),
        float(intercept),
        float(slope) - half,
        float(slope) + half,
        residual,
    )


def bootstrap_power_law(
    scores: Mapping[float, CellScores], *, replicates: int = 2000, seed: int = 0
) -> PowerLaw:
    """The same line, its interval from a bootstrap over evaluation questions.

    A question asked in several waves is drawn as one (:func:`clusters.with_clusters`).
    Says how far the line would move with other evaluation questions; not with other training
    subsets, for which several seeds of :func:`subsets` are needed.

    Args:
        scores: by training size; averaged over the cells that all sizes have.

    Raises:
        InputError: fewer than two sizes, or no cell in common.
    """
    keys = [*QUESTION, "attribute", "group"]
    joined: pl.DataFrame | None = None
    for i, found in enumerate(scores.values()):
        side = found.frame.filter(pl.col("wd").is_not_null()).select(
            *keys, CLUSTER, pl.col("wd").alias(f"{i}")
        )
        if joined is None:
            joined = side
        else:
            joined = joined.join(side.drop(CLUSTER), on=keys, maintain_order="left")
    if joined is None or joined.height == 0:
        raise InputError(
            "There is nothing to fit",
            expected="scores of at least two sizes with cells in common",
            found=f"{len(scores)} sizes, no shared cell",
        )
    columns = [question_sums(joined, [], f"{i}", {(): 0}) for i in range(len(scores))]
    sums, counts = (np.hstack([c[side] for c in columns]) for side in (0, 1))
    sizes, distances = list(scores), (sums.sum(axis=0) / counts.sum(axis=0)).tolist()
    fit = fit_power_law(sizes, distances)
    means = bootstrap_means(sums, counts, replicates=replicates, seed=seed)
    draws = _line(np.log(sizes), np.log(means))
    low, high = np.percentile(draws[:, 0], [2.5, 97.5])
    return PowerLaw(
        fit.sizes,
        fit.distances,
        fit.slope,
        fit.intercept,
        float(low),
        float(high),
        fit.residual,
        draws,
    )


def _logs(sizes: Sequence[float], distances: Sequence[float]) -> tuple[Array, Array]:
    if len(sizes) != len(distances) or len(set(sizes)) < 2:
        raise InputError(
            "A line needs two sizes",
            expected="one distance per size, at least two different sizes",
            found=f"{len(sizes)} sizes, {len(distances)} distances",
        )
    if not (min(sizes) > 0 and min(distances) > 0):
        raise InputError(
            "Sizes and distances must be above 0 to have a logarithm",
            expected="numbers above 0",
            found=f"{list(sizes)} and {list(distances)}",
        )
    return np.log(np.asarray(sizes, dtype=float)), np.log(np.asarray(distances, dtype=float))


def _line(x: Array, y: Array) -> Array:
    """Slope and intercept of each row of ``y``, shape (rows, 2)."""
    centred = x - x.mean()
    slope = (y * centred).sum(axis=1) / (centred**2).sum()
    return np.stack([slope, y.mean(axis=1) - slope * x.mean()], axis=1)


def _t(freedom: int) -> float:
    if freedom < 1:
        return math.nan
    return _T[freedom - 1] if freedom <= len(_T) else 1.96 + 2.5 / freedom


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
