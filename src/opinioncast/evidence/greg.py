"""The unbiased estimate: a pilot's shares, made more precise by predictions.

The generalised regression estimator (Cassel, Sarndal and Wretman, 1976), which is
prediction-powered inference (Angelopoulos and others, 2023) for a sample with a design. Every
respondent i of a pilot gets the prediction f_i of the groups he is in, the population frame gives
the mean F of the same prediction over everyone, and

    theta = lambda F + sum_i w_i (y_i - lambda f_i) / sum_i w_i

is the share of an option, y_i whether i chose it. Whatever the predictions are worth, it is as
unbiased as the pilot's own weighted share (lambda = 0); good predictions make its standard error
smaller, bad ones leave lambda near 0. Its error is that of the residuals y - lambda f, linearised
with the design's strata and PSUs. What it does not do is what informed MRP does: borrow strength
for groups in which few were asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opinioncast.curate.design import SampleDesign, taylor_errors
from opinioncast.errors import InputError

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """One question in one group.

    Attributes:
        shares, errors: of the options, with standard errors; the shares sum to 1. One can be a
            little below 0 or above 1: cutting it off would make it biased.
        plain, plain_errors: of the pilot alone: the weighted shares and their standard errors.
        n: respondents with an answer and a weight, in the group.
    """

    shares: Array
    errors: Array
    plain: Array
    plain_errors: Array
    n: int

    @property
    def gain(self) -> float:
        """How many more respondents the pilot alone would need for the same error, as a part of its
        own (0.1: 10% more); negative where the predictions did harm. NaN without an error."""
        ours, theirs = (self.errors**2).sum(), (self.plain_errors**2).sum()
        return float(theirs / ours - 1) if ours > 0 else float("nan")


@dataclass(frozen=True)
class Answered:
    """A question's answers in a pilot, with what was predicted for those who gave them.

    Attributes:
        choice: option of each respondent, -1 without an answer; shape (respondents,).
        weights: 0 for those who do not count; shape (respondents,).
        predicted: shares predicted for each respondent, shape (respondents, options).
        design: strata and PSUs; None where each respondent is drawn by himself.

    Raises:
        InputError: shapes that do not fit, predictions that are no shares, nobody who answered.
    """

    choice: npt.NDArray[np.integer]
    weights: Array
    predicted: Array
    design: SampleDesign | None = None

    def __post_init__(self) -> None:
        n, options = self.predicted.shape
        fits = self.choice.shape == self.weights.shape == (n,) and self.choice.max() < options
        if not fits or (self.design is not None and self.design.psu.shape != (n,)):
            raise InputError(
                "Answers and predictions do not fit together",
                expected="one answer, weight, prediction and PSU per respondent",
                found=f"{self.choice.shape}, {self.weights.shape}, {self.predicted.shape}",
            )
        sums = self.predicted[self.counted].sum(axis=1)
        if not np.allclose(sums, 1, atol=1e-6):
            raise InputError(
                "A respondent's prediction is no distribution",
                expected="shares that sum to 1",
                found=sums[~np.isclose(sums, 1, atol=1e-6)][:3].tolist(),
            )
        if not self.counted.any():
            raise InputError(
                "Nobody answered the question", expected="one answer with a weight above 0"
            )

    @property
    def counted(self) -> Bools:
        return np.asarray((self.choice >= 0) & (self.weights > 0))

    @property
    def chosen(self) -> Array:
        """Indicators of the options, shape (respondents, options); 0 without an answer."""
        return np.asarray(self.choice[:, None] == np.arange(self.predicted.shape[1]), dtype=float)

    def power(self) -> float:
        """lambda: the sum over options of Cov(y, f) over that of Var(f), weighted.

        One number for all options, so that the shares still sum to 1. 0 where the predictions do
        not differ between respondents.
        """
        weights = np.where(self.counted, self.weights, 0.0)
        weights = weights / weights.sum()
        f = self.predicted - weights @ self.predicted
        y = self.chosen - weights @ self.chosen
        spread = float((weights @ f**2).sum())
        return float((weights @ (y * f)).sum()) / spread if spread > 1e-15 else 0.0

    def estimate(self, population: Array, group: Bools, power: float | None = None) -> Estimate:
        """Shares of a group.

        Args:
            population: mean over the group's part of the population of what is predicted for its
                people, shape (options,).
            group: who of the respondents is in it, shape (respondents,).
            power: lambda; that of all respondents where left out.

        Raises:
            InputError: nobody in the group answered.
        """
        inside = self.counted & group
        if not inside.any():
            raise InputError("Nobody in the group answered", expected="at least one respondent")
        factor = self.power() if power is None else power
        residual = self.chosen - factor * self.predicted
        plain, plain_errors = self._mean(self.chosen, inside)
        mean, errors = self._mean(residual, inside)
        shares = factor * np.asarray(population, dtype=float) + mean
        return Estimate(shares, errors, plain, plain_errors, int(inside.sum()))

    def _mean(self, values: Array, inside: Bools) -> tuple[Array, Array]:
        """Weighted mean and its linearised standard error, of the members as a domain."""
        design = self.design
        if design is None:
            psu = np.where(self.weights > 0, np.cumsum(self.weights > 0) - 1, -1)
            unit = np.zeros(int(psu.max()) + 1, dtype=np.intp)
            design = SampleDesign(psu.astype(np.intp), unit, ("all",), "certainty", np.ones(1))
        weights = np.where(inside, self.weights, 0.0)
        units, options = len(design.stratum), values.shape[1]
        place = np.where(inside, design.psu, 0)
        if (design.psu[inside] < 0).any():
            raise InputError(
                "A respondent who answered is outside the design",
                expected="a stratum and PSU for each respondent with a weight",
            )
        total = np.zeros((units, options))
        np.add.at(total, place, weights[:, None] * values)
        base = np.asarray(np.bincount(place, weights, units)[:, None], dtype=np.float64)
        errors = taylor_errors(design, total, base, np.array([options]))
        return total.sum(axis=0) / base.sum(), errors


def mean_prediction(predicted: Array, told: Bools, total: Array) -> tuple[Array, int]:
    """One prediction for each person from those of the groups he is in: their mean.

    Any function of the groups serves, as long as it is the same for the pilot and for the
    population; lambda does the scaling.

    Args:
        predicted: shape (people, attributes, options).
        told: whether each person's group is known and predicted, shape (people, attributes).
        total: prediction for the whole population, which stands in where it is not.

    Returns:
        Shape (people, options), and in how many places the total stood in.
    """
    filled = np.where(told[..., None], predicted, total)
    return np.asarray(filled.mean(axis=1)), int((~told).sum())
