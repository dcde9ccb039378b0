"""Standard errors from replicate weights: BRR, Fay, jackknife, bootstrap, successive differences.

Every share is computed again with each replicate's weights; the variance is the scaled sum of the
squared deviations. Scales are those of R's ``survey::svrepdesign``, to which the results are pinned
(tests/curate/r_survey). Our own page of code: the package ``svy`` brings pyarrow, scipy and a newer
polars, and takes each question by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from opinioncast.curate.design import Array, Bools, Ints, Weights
from opinioncast.errors import DataError, InputError
from opinioncast.survey.wave import ReplicateWeights, Wave

_LIKE_WEIGHTS = (0.5, 2.0)
"""Mean of the replicates over the mean of what they replicate: about 1 in every method."""


@dataclass(frozen=True)
class Replication:
    """Replicate weights, checked.

    Attributes:
        values: weight of each respondent in each replicate, 0 for one without a weight; shape
            (respondents, replicates).
        factors: what each replicate's squared deviation counts, shape (replicates,).
        about_estimate: deviations from the full-sample estimate, not from the replicates' mean.
    """

    values: Array
    factors: Array
    about_estimate: bool


def read_replicates(wave: Wave, weight: Weights) -> Replication | None:
    """The replicate weights of a wave; None where it has none.

    Raises:
        DataError: they belong to another weight than ``weight``; a column that is absent, not
            numeric, infinite or empty for a respondent with a weight; values that are not weights
            (or factors, where the design says so) of this sample.
    """
    design = wave.design.replicates
    if design is None:
        return None
    where = f"{wave.family} {wave.wave}, replicate weights {_range(design.columns)}"
    if weight.name is None or weight.name != wave.design.weight:
        raise DataError(
            "Replicate weights replicate one weight, and a question has another",
            where=where,
            expected=wave.design.weight or "a `weight` beside the replicate weights",
            found=weight.name or "no weight",
            hint="curate the questions of each weight as a wave of its own",
        )
    text = [c for c in design.columns if not wave.respondents[c].dtype.is_numeric()]
    if text:
        raise DataError(
            "Replicate weights are not numeric", where=where, expected="numbers", found=text[:5]
        )
    values = wave.respondents.select(pl.col(design.columns).cast(pl.Float64)).to_numpy()
    bad = ~np.isfinite(values).all(axis=1) & weight.sampled
    if bad.any():
        raise DataError(
            "A respondent with a weight lacks a replicate weight",
            where=where,
            expected="a finite number in every replicate",
            found=f"{int(bad.sum())} of {int(weight.sampled.sum())} respondents without",
        )
    values = np.where(weight.sampled[:, None], values, 0.0)
    base = weight.values if design.combined else weight.sampled.astype(float)
    ratio = values.mean() / base.mean()
    if not _LIKE_WEIGHTS[0] <= ratio <= _LIKE_WEIGHTS[1]:
        raise DataError(
            "Replicate weights do not look like what the recipe says they are",
            where=where,
            expected=f"{'weights' if design.combined else 'factors of the weight'}, on average "
            f"about {base.mean():.3g}",
            found=f"on average {values.mean():.3g}",
            hint=f"try `combined: {'false' if design.combined else 'true'}`, or check the columns",
        )
    if not design.combined:
        values = values * weight.values[:, None]
    return Replication(values, _factors(design), design.centre == "estimate")


def replicate_errors(
    replication: Replication, members: Bools, onehot: Array, starts: Ints, shares: Array
) -> Array:
    """Standard errors of one group's shares.

    Args:
        members: True for respondents in the group, shape (respondents,).
        onehot: 1 where a respondent chose an option, shape (respondents, options).
        starts: see :class:`opinioncast.curate.coding.CodedAnswers`.
        shares: full-sample estimates, shape (options,).

    Returns:
        Shape (options,); NaN where in some replicate nobody who answered has a weight.
    """
    sums = replication.values[members].T @ onehot[members]
    with np.errstate(invalid="ignore", divide="ignore"):
        bases = np.repeat(np.add.reduceat(sums, starts[:-1], axis=1), np.diff(starts), axis=1)
        replicates = sums / bases
    used = replication.factors > 0
    centre = shares if replication.about_estimate else replicates[used].mean(axis=0)
    return np.asarray(np.sqrt(replication.factors @ (replicates - centre) ** 2))


def describe_replicates(design: ReplicateWeights) -> str:
    """The variance estimator in words, for a table's provenance."""
    fay = f" (factor {design.fay:g})" if design.fay is not None else ""
    about = "the full-sample estimate" if design.centre == "estimate" else "the replicates' mean"
    return (
        f"{design.method}{fay}, {len(design.columns)} replicate weights "
        f"{_range(design.columns)}, deviations from {about}"
    )


def find_columns(wanted: str | Sequence[str], available: Sequence[str], where: str) -> list[str]:
    """The columns of ``wanted``: a list of names, ``W1-W80``, or ``W*`` (W and a number).

    Raises:
        InputError: fewer than two columns, or some of them not in the file.
    """
    if not isinstance(wanted, str):
        names = list(wanted)
    elif wanted.endswith("*"):
        shape = re.compile(re.escape(wanted[:-1]) + r"(\d{1,6})", re.IGNORECASE)
        found = [(int(m.group(1)), c) for c in available if (m := shape.fullmatch(c))]
        names = [name for _, name in sorted(found)]
    elif span := re.fullmatch(r"(.*?)(\d{1,6})\s*-\s*(.*?)(\d{1,6})", wanted):
        stem, first, _, last = span.groups()
        width = len(first) if first.startswith("0") else 0
        names = [f"{stem}{i:0{width}d}" for i in range(int(first), int(last) + 1)]
    else:
        names = [wanted]
    spelled = {c.casefold(): c for c in available}
    absent = [n for n in names if n not in available and n.casefold() not in spelled]
    if absent or len(names) < 2:
        raise InputError(
            "The replicate weights are not in the file",
            where=where,
            expected=f"columns for `{wanted}`: a list of names, W1-W80, or W* (W and a number)",
            found=f"absent: {', '.join(absent[:5])}" if absent else f"{len(names)} column(s)",
            hint="check the spelling against the file's variables",
        )
    return [n if n in available else spelled[n.casefold()] for n in names]


def _factors(design: ReplicateWeights) -> Array:
    r = len(design.columns)
    fay = design.fay or 0.0
    own = {
        "brr": 1 / r,
        "fay": 1 / (r * (1 - fay) ** 2),
        "jk1": (r - 1) / r,
        "bootstrap": 1 / (r - 1),
        "sdr": 4 / r,
    }
    scale = own.get(design.method, 1.0) if design.scale is None else design.scale
    rscales: Any = design.rscales or (1.0,)
    return np.broadcast_to(scale * np.asarray(rscales, float), (r,)).copy()


def _range(columns: Sequence[str]) -> str:
    return f"{columns[0]} to {columns[-1]}"
