"""What a prediction is worth: the size of the sample whose plain result would be as near.

A distance says little to a person who plans surveys; a number of respondents does. Two are given:

* ``respondents``: the k for which a simple random sample of k answers would be expected to lie as
  far from what people answered as the predictions lay, in mean Wasserstein distance over the same
  cells. The yardstick is an estimate too: its own sampling error is in both distances.
* ``k_hat``: the published one (Huang, Wu and Wang, arXiv:2502.17773): the most answers that one may
  pretend to have, so that the confidence intervals drawn around predictions still hold what people
  answered, for as many questions as they promise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.errors import InputError
from opinioncast.evaluate.clusters import CLUSTER
from opinioncast.evaluate.distance import cumulative_shares, pad_column
from opinioncast.evaluate.scores import CellScores
from opinioncast.survey import Subpopulation
from opinioncast.survey.question import OFF_SCALE

Array = npt.NDArray[np.float64]

SIZES = np.unique(np.concatenate([np.arange(1, 21), np.geomspace(20, 10_000, 80).round()])).astype(
    int
)
"""Sample sizes that distances are computed for; between them they are interpolated."""

OVERALL = "all cells"
REPLICATES = 1000

SPLITS = 100
ALPHA = 0.1
GAMMA = 0.5
DILATION = 3.0
K_MAX = 200
_TRAINING = 0.6
_MIN_QUESTIONS = 10  # k-hat of a handful of questions is that of the worst of them


@dataclass(frozen=True, slots=True)
class Worth:
    """What the predictions of one group, or of all, are worth.

    Attributes:
        respondents: see the module's text; 0 where the predictions lie further away than one
            answer would, infinite where they lie as near as the yardstick can tell.
        low, high: 95% interval over questions (bootstrap); None of fewer than two questions.
        k_hat: median over random splits of the questions; None where there are fewer than ten, or
            bases are not known.
        k_hat_low, k_hat_high: 5th and 95th percentile over the splits.
        cells, questions: what it was measured on.
    """

    respondents: float
    low: float | None
    high: float | None
    k_hat: float | None
    k_hat_low: float | None
    k_hat_high: float | None
    cells: int
    questions: int

    def __str__(self) -> str:
        return f"worth {respondents_words(self.respondents)}" + (
            ""
            if self.low is None or self.high is None
            else f" (95% over questions {number_words(self.low)} to {number_words(self.high)})"
        )

    def record(self) -> dict[str, Any]:
        """For JSON: an infinite number is null there, as every figure that is not known."""
        return {
            k: None if isinstance(v, float) and not np.isfinite(v) else _rounded(v)
            for k, v in asdict(self).items()
        } | {"words": respondents_words(self.respondents)}


def respondents_words(k: float) -> str:
    """``about 3.5 respondents``, as a person says it."""
    if k < 1:
        return "less than 1 respondent"
    if not np.isfinite(k):
        return "more respondents than this survey can tell"
    return f"about {number_words(k)} respondent{'s' * (number_words(k) != '1')}"


def number_words(k: float | None) -> str:
    """A number of respondents alone, to two figures; a dash where nothing was measured."""
    if k is None:
        return "-"
    if not np.isfinite(k):
        return "as near as can be told"
    return "<1" if k < 1 else f"{float(f'{k:.2g}'):,g}"


def _rounded(value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value


def expected_distance(
    shares: Array, ordinal: Array, sizes: npt.ArrayLike, n_eff: Array | None = None
) -> Array:
    """Mean Wasserstein distance between a simple random sample and the shares it is drawn from.

    With k answers, the number at or below a step of the scale is binomial, with mean absolute
    deviation 2 m C(k, m) F^m (1 - F)^(k - m + 1), m = floor(k F) + 1 (De Moivre); the distance is
    the sum of these over the steps, divided by k and the range. Exact for every k.

    Args:
        shares: per cell, shape (cells, options).
        ordinal: scale positions, same shape; options off the scale are left out, and k counts the
            answers on it.
        sizes: sample sizes k, whole numbers, shape (sizes,).
        n_eff: effective base of the shares themselves, shape (cells,): the distance is then to
            another sample's result, of this size (its deviation is added in quadrature, as that of
            two normal variables; within 4% of simulations, see the tests).

    Returns:
        Shape (cells, sizes); NaN without a scale.
    """
    steps, cumulative = cumulative_shares(ordinal, shares)
    length = steps.sum(axis=1)
    at = np.clip(cumulative[:, :-1], 0, 1)
    out = np.empty((len(shares), np.size(sizes)))
    base = np.full(len(shares), np.inf) if n_eff is None else np.asarray(n_eff, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        own = 2 / np.pi * at * (1 - at) / np.where(base > 0, base, np.nan)[:, None]
        for i, k in enumerate(np.asarray(sizes, dtype=int)):
            deviation = np.sqrt(_binomial_deviation(at, int(k)) ** 2 + own)
            out[:, i] = np.where(length > 0, (deviation * steps).sum(axis=1) / length, np.nan)
    return out


def _binomial_deviation(p: Array, k: int) -> Array:
    """E|X / k - p| of a binomial X of k trials, elementwise."""
    m = np.floor(k * p) + 1
    inside = (p > 0) & (p < 1)
    q = np.where(inside, p, 0.5)
    m = np.where(inside, np.minimum(m, k), 1)
    choose = _log_factorial(k) - _log_factorial_of(m, k) - _log_factorial_of(k - m, k)
    log = np.log(2 * m / k) + choose + m * np.log(q) + (k - m + 1) * np.log1p(-q)
    return np.where(inside, np.exp(log), 0.0)


def _log_factorial(k: int) -> float:
    return float(np.log(np.arange(1, k + 1)).sum())


def _log_factorial_of(values: Array, most: int) -> Array:
    table = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])
    return np.asarray(table[values.astype(int)])


def size_as_near(distance: Array, expected: Array, sizes: Array) -> Array:
    """The sample size whose expected distance is ``distance``.

    Args:
        distance: shape (...).
        expected: at each of ``sizes``, falling, shape (..., sizes).

    Returns:
        Shape (...): interpolated between neighbouring sizes, on log scales; 0 where the distance
        is larger than the first, infinite where it is smaller than the last. NaN stays NaN.
    """
    distance, expected = np.asarray(distance, float), np.asarray(expected, float)
    # rises at small sizes (a sample of 2 can be as far as one of 1) must not make two answers
    falling = np.minimum.accumulate(expected, axis=-1)
    above = (falling >= distance[..., None]).sum(axis=-1)
    right = np.clip(above, 1, len(sizes) - 1)
    left = right - 1
    near, far = (np.take_along_axis(falling, i[..., None], -1)[..., 0] for i in (right, left))
    with np.errstate(divide="ignore", invalid="ignore"):
        span = np.log(far) - np.log(near)
        part = np.where(span > 0, (np.log(far) - np.log(distance)) / span, 0.0)
    log = np.log(sizes)
    found = np.exp(log[left] + np.clip(part, 0, 1) * (log[right] - log[left]))
    found = np.where(above == 0, 0.0, np.where(above == len(sizes), np.inf, found))
    return np.asarray(np.where(np.isnan(distance), np.nan, found))


def measure_worth(scores: CellScores, *, seed: int = 0) -> dict[str, Worth]:
    """What predictions are worth, over all cells (:data:`OVERALL`) and by group.

    Cells without a Wasserstein distance are left out. Where the opinion table tells no base, its
    shares are taken for the truth.

    Returns:
        Keys as ``str(Subpopulation)``, in the order of the table, :data:`OVERALL` first; empty
        where no cell has a distance.
    """
    cells = scores.frame.filter(pl.col("wd").is_not_null())
    if cells.height == 0:
        return {}
    shares, ordinal = pad_column(cells["observed"], 0.0), pad_column(cells["ordinal"], np.nan)
    base = cells["n_eff"].fill_null(cells["n"].cast(pl.Float64)).fill_null(np.inf).to_numpy()
    expected = expected_distance(shares, ordinal, SIZES, base)
    table = np.column_stack([cells["wd"].to_numpy(), expected, np.ones(cells.height)])
    cluster = cells[CLUSTER].to_numpy()
    keys = [str(Subpopulation.from_key(*k)) for k in cells.select("attribute", "group").iter_rows()]
    names = np.array(keys)
    groups = {OVERALL: np.ones(len(keys), dtype=bool)}
    groups |= {name: names == name for name in dict.fromkeys(keys)}
    items = _items(cells, shares, ordinal, base)
    return {
        name: _worth(table[inside], cluster[inside], items.filter(inside), seed)
        for name, inside in groups.items()
    }


def _worth(table: Array, cluster: npt.NDArray[Any], items: pl.DataFrame, seed: int) -> Worth:
    """Columns of ``table``: distance, expected distance at each size, 1."""
    _, question = np.unique(cluster, return_inverse=True)
    questions = int(question.max()) + 1
    sums = np.zeros((questions, table.shape[1]))
    np.add.at(sums, question, table)
    total = sums.sum(axis=0)
    respondents = float(size_as_near(total[0] / total[-1], total[1:-1] / total[-1], SIZES))
    low = high = None
    if questions > 1:
        rng = np.random.default_rng(seed)
        times = rng.multinomial(questions, np.full(questions, 1 / questions), REPLICATES)
        drawn = times @ sums
        found = size_as_near(drawn[:, 0] / drawn[:, -1], drawn[:, 1:-1] / drawn[:, -1:], SIZES)
        low, high = (float(np.quantile(found, q, method="inverted_cdf")) for q in (0.025, 0.975))
    middle: float | None = None
    bottom: float | None = None
    top: float | None = None
    items = items.filter("known")
    if items["question"].n_unique() >= _MIN_QUESTIONS:
        middle, bottom, top = map(float, np.quantile(k_hat(items, seed=seed), (0.5, 0.05, 0.95)))
    return Worth(respondents, low, high, middle, bottom, top, len(table), questions)


def _items(cells: pl.DataFrame, shares: Array, ordinal: Array, base: Array) -> pl.DataFrame:
    """What :func:`k_hat` takes, of each cell with a base."""
    on = ~np.isnan(ordinal) & (ordinal != OFF_SCALE)
    low = np.where(on, ordinal, np.inf).min(axis=1, keepdims=True)
    high = np.where(on, ordinal, -np.inf).max(axis=1, keepdims=True)
    position = np.where(on, (ordinal - low) / (high - low), 0.0)

    def moments(side: Array) -> tuple[Array, Array]:
        p = np.where(on, side, 0.0)
        p = p / p.sum(axis=1, keepdims=True)
        mean = (p * position).sum(axis=1)
        spread = (p * (position - mean[:, None]) ** 2).sum(axis=1)
        return mean, np.sqrt(np.maximum(spread, 0))

    mean, sd = moments(shares)
    predicted, predicted_sd = moments(pad_column(cells["predicted"], 0.0))
    known = np.isfinite(base) & (base > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = sd / np.sqrt(base)
    return pl.DataFrame(
        {
            "question": cells[CLUSTER],
            "known": known,
            "mean": mean,
            "se": se,
            "predicted": predicted,
            "predicted_sd": predicted_sd,
        }
    )


def k_hat(
    items: pl.DataFrame,
    *,
    alpha: float = ALPHA,
    gamma: float = GAMMA,
    dilation: float = DILATION,
    k_max: int = K_MAX,
    splits: int = SPLITS,
    seed: int = 0,
) -> Array:
    """The published number of respondents, on random 60% of the questions each time.

    People's mean on an item's scale has the interval mean +- z_{(1 + gamma) / 2} se; k answers
    drawn from the prediction would have the interval predicted mean +- sqrt(C) z_{1 - alpha / 2}
    sd / sqrt(k), everything where k is 2 or less, C being the dilation. G(k) is the share of items
    whose first interval is not inside the second; k-hat is the last k before G first exceeds
    alpha gamma, and k-hat / C is what is given. No sampling is needed: the predicted distribution
    has its standard deviation in closed form.

    Args:
        items: ``question, mean, se, predicted, predicted_sd``, one row a question of a group; means
            on scales from 0 to 1.

    Returns:
        k-hat / C, shape (splits,).
    """
    if not (0 < alpha < 1 and 0 < gamma < 1 and dilation > 0 and k_max >= 2):
        raise InputError(
            "k-hat cannot be computed",
            expected="alpha and gamma between 0 and 1, a dilation above 0, k_max of 2 or more",
            found=f"alpha {alpha}, gamma {gamma}, dilation {dilation}, k_max {k_max}",
        )
    normal = NormalDist()
    mean, se, predicted, sd = (
        items[c].to_numpy() for c in ("mean", "se", "predicted", "predicted_sd")
    )
    apart = np.abs(predicted - mean) + normal.inv_cdf((1 + gamma) / 2) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        most = dilation * (normal.inv_cdf(1 - alpha / 2) * sd / apart) ** 2
    most = np.where(apart == 0, k_max, most)
    most = np.clip(np.floor(most), 2, k_max)  # the largest k whose interval still holds the item's
    _, question = np.unique(items["question"].to_numpy(), return_inverse=True)
    questions = int(question.max()) + 1
    rng = np.random.default_rng(seed)
    found = np.empty(splits)
    for i in range(splits):
        chosen = rng.permutation(questions)[: max(1, round(_TRAINING * questions))]
        of_training = np.sort(most[np.isin(question, chosen)])
        found[i] = of_training[int(alpha * gamma * len(of_training) + 1e-9)] / dilation
    return found
