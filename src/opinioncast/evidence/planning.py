"""Planning a sample from predictions: expected errors, differences it can see, what to ask where.

A design interviews n_h people in each of a few strata, which divide the population. A group's share
is the mean of its people over the strata, each stratum weighted to its part of the population, so

    Var(group g, share p) = deff p (1 - p) / P(g)  sum_h P(h | g) W_h / n_h

with W_h the stratum's share of the population (Kish, Survey Sampling, 1965, for the total: P(g) =
1, P(h | g) = W_h). It is linear in 1 / n_h, so the cheapest sample that meets several targets at
once is Bethel's (Survey Methodology 15, 1989), found by Chromy's iteration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from opinioncast.errors import InputError

Array = npt.NDArray[np.float64]

CONFIDENCE = 0.95
POWER = 0.8

_GAP = 1e-9  # of the cost above its proven lower bound
_STEPS = 20_000


def margin_of_error(
    p: npt.ArrayLike, base: npt.ArrayLike, *, confidence: float = CONFIDENCE
) -> Array:
    """Half-width of a confidence interval of a share, z sqrt(p (1 - p) / base).

    Args:
        base: effective base: interviews over the design effect.
    """
    share, n = np.asarray(p, dtype=float), np.asarray(base, dtype=float)
    with np.errstate(divide="ignore"):
        return np.asarray(_z(confidence) * np.sqrt(share * (1 - share) / n))


def weighting_effect(weights: npt.ArrayLike) -> float:
    """Kish's design effect of unequal weights, n sum w^2 / (sum w)^2.

    Raises:
        InputError: a negative weight, or none above 0.
    """
    w = np.asarray(weights, dtype=float)
    if not np.isfinite(w).all() or (w < 0).any() or w.sum() <= 0:
        raise InputError(
            "Weights have no design effect",
            expected="numbers of 0 or more, at least one above 0",
            found=f"{len(w)} weights, sum {w.sum() if len(w) else 0}",
        )
    w = w[w > 0]
    return float(len(w) * (w**2).sum() / w.sum() ** 2)


def oversampling_effect(population: npt.ArrayLike, sample: npt.ArrayLike) -> float:
    """Design effect of the total where strata are not sampled by size: sum W_h^2 / a_h, 1 or more.

    Args:
        population: W_h, the strata's shares of the population.
        sample: interviews per stratum; a_h is their share of all.
    """
    w, n = np.asarray(population, dtype=float), np.asarray(sample, dtype=float)
    w = w / w.sum()
    if (n <= 0).any():
        return math.inf
    return float((w**2 / (n / n.sum())).sum())


def detectable_difference(
    p: float,
    first: float,
    second: float,
    *,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> float | None:
    """Smallest difference between two groups' shares that a two-sided test sees with ``power``.

    Solves d = z_{1 - a / 2} sqrt(m (1 - m) (1 / n1 + 1 / n2)) + z_power sqrt(p (1 - p) / n1 +
    p2 (1 - p2) / n2), m the mean of the two shares, weighted by the bases, p2 = p + d or p - d: for
    equal bases the textbook's n = (z_a sqrt(2 m (1 - m)) + z_b sqrt(p1 q1 + p2 q2))^2 / d^2
    (Fleiss, Statistical Methods for Rates and Proportions, 3.2). The other share is on the side
    of p that has more room.

    Args:
        p: the first group's share.
        first, second: effective bases.

    Returns:
        None where no difference could be seen: even 0 or 1 would be too near.
    """
    if not 0 <= p <= 1 or min(first, second) <= 0:
        return None
    side = 1 if p <= 0.5 else -1
    z_alpha, z_power = _z(confidence), NormalDist().inv_cdf(power)

    def excess(d: float) -> float:
        p2 = p + side * d
        m = (p * first + p2 * second) / (first + second)
        null = math.sqrt(max(m * (1 - m), 0) * (1 / first + 1 / second))
        other = math.sqrt(max(p * (1 - p) / first + p2 * (1 - p2) / second, 0))
        return d - z_alpha * null - z_power * other

    low, high = 0.0, p if side < 0 else 1 - p
    if excess(high) < 0:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return high


def worst_variance(
    share: npt.ArrayLike, low: npt.ArrayLike | None = None, high: npt.ArrayLike | None = None
) -> Array:
    """Largest p (1 - p) of any share between ``low`` and ``high``; of ``share`` without them."""
    if low is None or high is None:
        p = np.asarray(share, dtype=float)
    else:
        p = np.clip(0.5, np.asarray(low, dtype=float), np.asarray(high, dtype=float))
    return np.asarray(p * (1 - p))


@dataclass(frozen=True)
class Allocation:
    """Interviews per stratum.

    Attributes:
        sample: not rounded, shape (strata,).
        cost: sum of interviews x cost.
        bound: no sample that meets the targets costs less than this.
        binding: targets met exactly, which decide; shape (targets,).
    """

    sample: Array
    cost: float
    bound: float
    binding: npt.NDArray[np.bool_]


def allocate(
    coefficients: npt.ArrayLike,
    targets: npt.ArrayLike,
    costs: npt.ArrayLike,
    *,
    least: npt.ArrayLike | float = 0.0,
) -> Allocation:
    """The cheapest sample in which sum_h a_jh / n_h <= V_j for every target j.

    Chromy's iteration (ASA Proceedings, 1987): with a multiplier mu_j for each target (scaled to
    V = 1), n_h is sqrt(sum_j mu_j a_jh / c_h), or the stratum's least; each multiplier is taken
    times the square of how far its target is missed. Any multipliers prove that no sample costs
    less than sum_h (c_h n_h + sum_j mu_j a_jh / n_h) - sum_j mu_j, so the result is known to be the
    optimum when the two costs meet.

    Args:
        coefficients: a, shape (targets, strata), 0 or more.
        targets: V, variances, shape (targets,).
        costs: of one interview, shape (strata,).
        least: fewest interviews of each stratum.

    Raises:
        InputError: shapes that do not fit, numbers out of range, or no convergence.
    """
    a = np.atleast_2d(np.asarray(coefficients, dtype=float))
    v, c = np.asarray(targets, dtype=float), np.asarray(costs, dtype=float)
    floor = np.broadcast_to(np.asarray(least, dtype=float), c.shape)
    _check(a, v, c, floor)
    scaled = a / v[:, None]
    # as if each target stood alone: its multiplier is then exact
    mu = (np.sqrt(scaled * c).sum(axis=1) ** 2) / max(len(v), 1)
    best, cost, bound = floor.copy(), math.inf, 0.0
    for _ in range(_STEPS):
        weight = mu @ scaled
        n = np.maximum(np.sqrt(weight / c), floor)
        with np.errstate(divide="ignore", invalid="ignore"):
            used = np.where(scaled > 0, scaled / n, 0.0).sum(axis=1)
            bound = max(bound, float((c * n + np.where(n > 0, weight / n, 0)).sum() - mu.sum()))
        most = float(used.max(initial=0.0))
        if math.isfinite(most):
            sample = np.maximum(n * most, floor)
            if (now := float(c @ sample)) < cost:
                best, cost = sample, now
        if cost <= bound * (1 + _GAP):
            break
        mu = mu * used**2
    if cost > bound * 1.001 and cost > 0:
        raise InputError(
            "The cheapest sample was not found",
            expected=f"a cost within 0.1% of its lower bound in {_STEPS} steps",
            found=f"{cost:g} against {bound:g}",
            hint="targets that differ by orders of magnitude may be why: drop the loose ones",
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        used = np.where(scaled > 0, scaled / best, 0.0).sum(axis=1)
    return Allocation(best, cost, bound, used > 1 - 1e-4)


def _check(a: Array, v: Array, c: Array, floor: Array) -> None:
    fits = a.shape == (len(v), len(c)) and len(c) > 0
    right = fits and (a >= 0).all() and (v > 0).all() and (c > 0).all() and (floor >= 0).all()
    if not right or not (np.isfinite(a).all() and np.isfinite(c).all()):
        raise InputError(
            "A sample cannot be allocated",
            expected="coefficients of 0 or more (targets x strata), targets and costs above 0",
            found=f"coefficients {a.shape}, {len(v)} targets, {len(c)} costs",
        )


def neyman(
    population: Sequence[float], deviations: Sequence[float], costs: Sequence[float], total: float
) -> Array:
    """Interviews per stratum, ``total`` in all, for the least variance of the total per cost.

    n_h is proportional to W_h S_h / sqrt(c_h) (Neyman, 1934).
    """
    share = np.asarray(population) * np.asarray(deviations) / np.sqrt(np.asarray(costs))
    return np.asarray(total * share / share.sum())


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise InputError(
            "No such confidence", expected="a number between 0 and 1", found=confidence
        )
    return NormalDist().inv_cdf((1 + confidence) / 2)
