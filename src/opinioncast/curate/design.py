"""The sampling design: weights, effective sample sizes, Taylor-linearised standard errors.

The variance code is our own because one wave has thousands of question x group cells: the PyPI
package ``svy`` (0.35) takes about 4 ms per question and attribute, several seconds for a General
Social Survey where this takes a fraction of one, and brings pyarrow and scipy, 360 MB more on
disk. The results are pinned to R's ``survey`` package in ``tests/curate/r_survey``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.errors import DataError
from opinioncast.survey.wave import Wave

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]

LonelyPsu = Literal["fail", "certainty", "adjust", "average"]
"""What to do with a stratum that has a single PSU, as R's ``options(survey.lonely.psu=)``.

``fail`` (default): an error that names the strata; ``certainty``: the stratum adds no variance;
``adjust``: its total is taken about the mean over all PSUs; ``average``: it adds the mean variance
of the other strata. Only strata with one PSU in the *full* sample are lonely; a stratum of which
one PSU has members of a group is not.
"""


_NOTHING = 1e-12
"""A variance of shares below this is a rounding error: all answers, or all PSUs, are alike."""


@dataclass(frozen=True)
class Weights:
    """One weight variable, checked.

    Attributes:
        name: the variable; None where the wave has no weights and every respondent counts 1.
        values: weight of each respondent, 0 where the file has none; shape (respondents,).
        sampled: True where the file has a weight (0 included): who belongs to the design.
    """

    name: str | None
    values: Array
    sampled: Bools

    @property
    def zero(self) -> int:
        return int((self.sampled & (self.values == 0)).sum())

    @property
    def absent(self) -> int:
        return int((~self.sampled).sum())


def read_weights(wave: Wave, name: str | None, needed: Bools) -> Weights:
    """Check a weight variable of the wave and return it.

    Args:
        name: the variable, or None for equal weights.
        needed: True where a respondent's weight enters an estimate, shape (respondents,). Others
            may lack one: people without a post-election interview have no post-election weight.

    Raises:
        DataError: the variable is absent, not numeric, empty, infinite, negative, all zero, the
            same for everyone, or missing where it is needed.
    """
    if name is None:
        return Weights(None, np.ones(len(wave)), np.ones(len(wave), dtype=bool))
    where = f"{wave.family} {wave.wave}, weight variable {name}"
    if name not in wave.respondents.columns:
        raise DataError(
            "The weight variable is absent",
            where=where,
            expected=f"a column among the file's {len(wave.respondents.columns)}",
            hint="check the spelling; names are case sensitive",
        )
    column = wave.respondents[name]
    if not (column.dtype.is_numeric() or column.dtype == pl.Null):
        raise DataError(
            "The weight variable is not numeric",
            where=where,
            expected="numbers",
            found=f"{column.dtype}: {column.drop_nulls().head(3).to_list()}",
            hint="if its commas or points may be decimal or thousands signs, say which: "
            '`decimal: ","` or `decimal: "."` in the wave of the recipe',
        )
    values = column.cast(pl.Float64).to_numpy().copy()
    sampled = ~np.isnan(values)
    for title, bad in (
        ("A weight is negative", values < 0),
        ("A weight is infinite", np.isinf(values)),
        ("A respondent whose answers count has no weight", needed & ~sampled),
    ):
        if bad.any():
            raise DataError(
                title,
                where=f"{where}, {_rows(bad)}",
                expected="a number of 0 or more for each respondent who answered or refused",
                found=f"{int(bad.sum())} of {len(values)}: {values[bad][:5].tolist()}",
                hint="several weights may be in the file: check which belongs to these questions",
            )
    present = values[sampled]
    if not present.any():
        raise DataError(
            "All weights are zero or missing",
            where=where,
            expected="at least one weight above 0",
            found=f"{len(present)} zero, {int((~sampled).sum())} missing",
        )
    if len(present) > 1 and present.min() == present.max():
        raise DataError(
            "The weight variable is the same for everyone",
            where=where,
            expected="weights that differ",
            found=f"{len(present)} times {present[0]:g}",
            hint="if everyone counts the same, leave the weight variable out",
        )
    return Weights(name, np.where(sampled, values, 0.0), sampled)


def product_of_weights(wave: Wave, names: Sequence[str]) -> Wave:
    """The wave with the product of several weight variables as its weight.

    Country files of the European Social Survey have a design, a post-stratification and a
    population weight that only together weight a comparison.

    Raises:
        DataError: a factor that is absent, not numeric or negative.
    """
    product = pl.lit(1.0)
    for name in names:
        where = f"{wave.family} {wave.wave}, weight variable {name}"
        if name not in wave.respondents.columns:
            raise DataError(
                "A factor of the weight is absent",
                where=where,
                expected=f"a column among the file's {len(wave.respondents.columns)}",
                hint="check the spelling; names are case sensitive",
            )
        column = wave.respondents[name]
        negative = int((column < 0).sum()) if column.dtype.is_numeric() else 0
        if negative or not column.dtype.is_numeric():
            raise DataError(
                "A factor of the weight is no weight",
                where=where,
                expected="numbers of 0 or more",
                found=f"{negative} below 0" if negative else str(column.dtype),
            )
        product = product * pl.col(name).cast(pl.Float64)
    name = " x ".join(names)
    respondents = wave.respondents.with_columns(product.alias(name))
    return replace(wave, respondents=respondents, design=replace(wave.design, weight=name))


@dataclass(frozen=True)
class SampleDesign:
    """Primary sampling units (PSUs) nested in strata, drawn with replacement.

    Attributes:
        psu: PSU of each respondent, -1 for one outside the design; shape (respondents,).
        stratum: stratum of each PSU, non-decreasing; shape (PSUs,).
        strata: what each stratum is called in the file.
        lonely_psu: the policy for strata with one PSU.
        unsampled: fraction of each stratum's PSUs that was not drawn, the finite population
            correction of its variance; shape (strata,), 1 where the file does not say.
    """

    psu: Ints
    stratum: Ints
    strata: tuple[str, ...]
    lonely_psu: LonelyPsu
    unsampled: Array

    @property
    def sizes(self) -> Ints:
        """Number of PSUs of each stratum in the full sample, shape (strata,)."""
        return np.bincount(self.stratum, minlength=len(self.strata))

    @property
    def alone(self) -> Bools:
        """True for strata with a single PSU of several in the population, shape (strata,)."""
        return np.asarray((self.sizes == 1) & (self.unsampled > _NOTHING))

    @property
    def lonely(self) -> tuple[str, ...]:
        """The strata that have a single PSU and are not a census of it."""
        return tuple(s for s, alone in zip(self.strata, self.alone, strict=True) if alone)


def sample_design(
    wave: Wave, sampled: Bools, lonely_psu: LonelyPsu = "fail"
) -> SampleDesign | None:
    """The design of the respondents in ``sampled``; None where the wave has no strata and no PSUs.

    PSU codes are read as nested in strata (1, 2 in each). Without strata the sample is one stratum;
    without PSUs each respondent is one.

    Raises:
        DataError: a sampled respondent without stratum or PSU; lonely PSUs under ``fail``; a
            sample that is one single PSU.
    """
    names = [n for n in (wave.design.strata, wave.design.psu) if n]
    if not names:
        return None
    place = f"{wave.family} {wave.wave}"
    values, codes = [], []
    for name in names:
        column = wave.respondents[name]
        if column.dtype.is_float():
            column = column.fill_nan(None)
        missing = column.is_null().to_numpy()
        if (missing & sampled).any():
            raise DataError(
                "A respondent has no stratum or PSU",
                where=f"{place}, variable {name}, {_rows(missing & sampled)}",
                expected="a value for each respondent with a weight",
                found=f"{int((missing & sampled).sum())} of {int(sampled.sum())} without",
            )
        distinct, code = np.unique(column.filter(sampled).to_numpy(), return_inverse=True)
        values.append(distinct)
        codes.append(code)
    stratum = codes[0] if wave.design.strata else np.zeros(int(sampled.sum()), np.intp)
    unit = codes[-1] if wave.design.psu else np.arange(int(sampled.sum()))
    pairs, position = np.unique(stratum * (unit.max() + 1) + unit, return_inverse=True)
    psu = np.full(len(wave), -1, np.intp)
    psu[sampled] = position
    of_psu = (pairs // (unit.max() + 1)).astype(np.intp)
    design = SampleDesign(
        psu,
        of_psu,
        tuple(_label(v) for v in values[0]) if wave.design.strata else ("all",),
        lonely_psu,
        unsampled_fraction(wave, sampled, stratum, np.bincount(of_psu)),
    )
    if len(pairs) < 2:
        raise DataError(
            "The sample is a single PSU",
            where=f"{place}, {' and '.join(names)}",
            expected="at least 2 PSUs, else nothing can be said about sampling error",
            found=f"{int(sampled.sum())} respondents in one PSU",
            hint="leave strata and PSU out of the design if the variables are not what they seem",
        )
    if design.lonely and lonely_psu == "fail":
        raise DataError(
            f"{len(design.lonely)} stratum or strata have a single PSU",
            where=f"{place}, variable {wave.design.strata}",
            expected="at least 2 PSUs in each stratum",
            found=", ".join(design.lonely),
            hint="choose lonely_psu: certainty, adjust or average (as R's survey.lonely.psu)",
        )
    return design


def unsampled_fraction(wave: Wave, sampled: Bools, stratum: Ints, drawn: Ints) -> Array:
    """The finite population correction of each stratum, 1 - n_h / N_h; shape (strata,).

    Args:
        stratum: of each sampled respondent.
        drawn: primary units in the sample per stratum.

    Raises:
        DataError: the design's ``fpc`` is not numeric, missing, not positive, differs within a
            stratum, or says that the population has fewer units than the sample.
    """
    fpc = wave.design.fpc
    if fpc is None:
        return np.ones(len(drawn))
    place = f"{wave.family} {wave.wave}, finite population correction {fpc}"
    if isinstance(fpc, str):
        column = wave.respondents[fpc]
        if not column.dtype.is_numeric():
            raise DataError("It is not numeric", where=place, expected="numbers", found=column[:3])
        values = column.cast(pl.Float64).to_numpy()[sampled]
    else:
        values = np.full(int(sampled.sum()), float(fpc))
    if not (values > 0).all() or not np.isfinite(values).all():
        raise DataError(
            "A respondent has no population size",
            where=place,
            expected="a positive number for each respondent with a weight",
            found=f"{int((~(values > 0) | ~np.isfinite(values)).sum())} of {len(values)} without",
        )
    if (values > 1).any() != (values >= 1).all():
        raise DataError(
            "It mixes population sizes and sampling fractions",
            where=place,
            expected="all at least 1 (how many units) or all at most 1 (which fraction)",
            found=f"{values.min():g} to {values.max():g}",
        )
    low = np.full(len(drawn), np.inf)
    high = np.zeros(len(drawn))
    np.minimum.at(low, stratum, values)
    np.maximum.at(high, stratum, values)
    if (low != high).any():
        raise DataError(
            "It differs within a stratum",
            where=place,
            expected="one number per stratum",
            found=f"{int((low != high).sum())} strata with several",
        )
    fraction = drawn / high if (values > 1).any() else high
    if (fraction > 1).any():
        raise DataError(
            "The sample has more units than the population",
            where=place,
            expected="how many primary units (PSUs, or respondents without `psu`) each stratum has",
            found=f"{int((fraction > 1).sum())} strata with more in the sample",
        )
    return np.asarray(1 - fraction)


def taylor_errors(design: SampleDesign, chosen: Array, answered: Array, sizes: Ints) -> Array:
    """Standard errors of one group's shares by Taylor linearisation (as R ``svymean``).

    A share is a ratio of two weighted totals. Its linearised contribution per PSU is (total of the
    option - share x total of the question) / base; the variance is the sum over strata of
    (1 - n_h / N_h) x n_h / (n_h - 1) x the squared deviations of the PSU contributions from their
    stratum mean. PSUs without members of the group count with contribution 0.

    Args:
        chosen: sum of weights per PSU and flat option, shape (PSUs, options).
        answered: sum of weights per PSU and question, shape (PSUs, questions).
        sizes: options of each question, shape (questions,).

    Returns:
        Shape (options,); NaN where nobody answered, and under ``average`` where every stratum with
        answers is lonely.
    """
    # PSUs without members differ from their stratum's mean by the mean: counting them is enough
    held = np.flatnonzero((answered > 0).any(axis=1))
    if not len(held):
        return np.full(chosen.shape[1], np.nan)
    chosen, answered, stratum = chosen[held], answered[held], design.stratum[held]
    base = np.repeat(answered.sum(axis=0), sizes)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = chosen.sum(axis=0) / base
        contribution = (chosen - share * np.repeat(answered, sizes, axis=1)) / base
    first = np.flatnonzero(np.diff(stratum, prepend=-1))
    strata, members = stratum[first], np.diff(first, append=len(stratum))
    n, alone = design.sizes[strata], design.alone[strata]
    means = np.add.reduceat(contribution, first, axis=0) / n[:, None]
    if design.lonely_psu == "adjust":
        means[alone] = 0.0
    scale = design.unsampled[strata] * np.where(n == 1, 1.0, n / np.maximum(n - 1, 1))
    contribution -= np.repeat(means, members, axis=0)
    squares = np.square(contribution, out=contribution)
    variance = np.repeat(scale, members) @ squares + (scale * (n - members)) @ means**2
    if design.lonely_psu == "average" and alone.any():
        present = np.add.reduceat(answered > 0, first, axis=0, dtype=np.intp) > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = present.sum(axis=0) / present[~alone].sum(axis=0)
            variance = variance * np.repeat(factor, sizes)
    return np.asarray(np.sqrt(variance))


def unclustered_errors(
    weighted: Array, squared: Array, starts: Ints, respondents: int, unsampled: float = 1.0
) -> Array:
    """Linearised standard errors where each respondent is a PSU (R ``svydesign(ids = ~1)``).

    Args:
        weighted: sums of weights per flat option, shape (groups, options).
        squared: sums of squared weights, same shape.
        starts: see :class:`opinioncast.curate.coding.CodedAnswers`.
        respondents: size of the whole sample, of which each group is a domain.
        unsampled: fraction of the population that was not drawn.

    Returns:
        Shape (groups, options); NaN where nobody answered.
    """
    sizes = np.diff(starts)
    base, squares = (
        np.repeat(np.add.reduceat(sums, starts[:-1], axis=1), sizes, axis=1)
        for sums in (weighted, squared)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        share = weighted / base
        others = np.maximum(squares - squared, 0)
        variance = ((1 - share) ** 2 * squared + share**2 * others) / base**2
    return np.asarray(np.sqrt(variance * unsampled * respondents / max(respondents - 1, 1)))


def kish(weights: npt.ArrayLike) -> float:
    """Effective number of respondents, (sum w)^2 / sum w^2; 0 without any weight."""
    w = np.asarray(weights, dtype=float)
    squares = float((w**2).sum())
    return float(w.sum()) ** 2 / squares if squares else 0.0


def design_effect(shares: Array, errors: Array, n: Array, starts: Ints) -> Array:
    """Variance of a question's shares relative to a simple random sample of the same size.

    The sum over options of se^2, divided by the sum of p (1 - p) / n: one number per question, the
    design effects of its options averaged with weights p (1 - p).

    Args:
        shares, errors: shape (groups, options).
        n: unweighted bases, shape (groups, questions).

    Returns:
        Shape (groups, questions); NaN where all gave the same answer or nobody answered.
    """
    simple = np.add.reduceat(shares * (1 - shares), starts[:-1], axis=1)
    observed = np.add.reduceat(errors**2, starts[:-1], axis=1)
    observed[observed < _NOTHING] = 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        effect = np.where(simple > _NOTHING, observed * n / simple, np.nan)
    return np.asarray(effect)


def _label(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _rows(bad: Bools) -> str:
    """The first rows in question, counted from 1 as in the file."""
    rows = (np.flatnonzero(bad) + 1).tolist()
    return "row(s) " + ", ".join(map(str, rows[:5])) + (" ..." if len(rows) > 5 else "")
