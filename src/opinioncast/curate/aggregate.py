"""From a wave to an OpinionTable: weighted shares of every question in every subpopulation.

Each group adds up the answers of its members to each question per option, or per PSU and option,
with one ``bincount``: seconds grow with members x questions, and memory beside the answers
themselves (two bytes each) not at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from opinioncast.curate.coding import (
    REASONS,
    Bools,
    CodedAnswers,
    Ints,
    check_masks,
    code_answers,
)
from opinioncast.curate.design import (
    Array,
    LonelyPsu,
    SampleDesign,
    Weights,
    design_effect,
    read_weights,
    sample_design,
    taylor_errors,
    unclustered_errors,
    unsampled_fraction,
)
from opinioncast.curate.disclosure import WORKED_OUT, complementary, counted
from opinioncast.curate.replicates import (
    Replication,
    describe_replicates,
    read_replicates,
    replicate_errors,
)
from opinioncast.errors import DataError, InputError
from opinioncast.survey.groups import Subpopulation
from opinioncast.survey.question import Question
from opinioncast.survey.tables import OpinionTable
from opinioncast.survey.wave import Missing, Wave

_REFUSED = REASONS.index(Missing.REFUSED.value)
_CELL = ("question_id", "variable", "attribute", "group")
_BLOCK_ANSWERS = 2_000_000
"""Respondents x questions worked on at a time; bounds memory to a few hundred MB."""


@dataclass(frozen=True)
class AggregateResult:
    """An opinion table, and what became of every cell asked for.

    Attributes:
        table: one row per question x subpopulation with an estimate.
        bases: one row per question x subpopulation asked for, with unweighted counts: ``n_group``
            members of the group in the wave; of these ``n`` answered with a positive weight,
            ``zero_weight`` answered but weigh nothing, and the rest by reason (``refused``,
            ``don't know``, ``no answer``, ``not asked``, ``not in wave``, ``unknown``,
            ``unlisted`` = a code without meaning in the codebook); these add up to ``n_group``.
            Then ``weight`` (variable), ``weighted_n`` (sum of weights of the answers), ``n_kish``
            and ``deff`` (design effect, null where undefined).
        dropped: the cells of ``bases`` that are not in ``table``, with ``reason``.
    """

    table: OpinionTable
    bases: pl.DataFrame
    dropped: pl.DataFrame


@dataclass(frozen=True)
class _Sums:
    """Sums over the members of each group; flat options or questions in the second dimension."""

    weighted: Array
    squared: Array
    se: Array
    n: Array
    zero_weight: Array
    refused: Array
    reasons: Array


def aggregate(
    wave: Wave,
    questions: Sequence[tuple[Question, str]],
    subpopulations: Sequence[Subpopulation],
    masks: Bools,
    *,
    min_n: int = 1,
    lonely_psu: LonelyPsu = "fail",
    domain: Bools | None = None,
    empty: bool = False,
) -> AggregateResult:
    """Weighted answer distributions per subpopulation (paper, Appendix D) with standard errors.

    * ``distribution``: sum of weights of those who chose an option over the sum of weights of those
      who gave a substantive answer. Don't know, not asked and no answer are in neither.
    * ``refusal_rate``: weighted share that refused among those who answered or refused; null where
      the source has no code for refusals.
    * ``n``: respondents with a substantive answer and a positive weight.
    * ``se``: Taylor-linearised, PSUs within strata taken as drawn with replacement (or from the
      finite population that the design names), groups as domains of the full design; without
      strata and PSUs each respondent is a PSU. With replicate weights, theirs.
    * ``n_eff``: n / design effect where the design has strata, PSUs or replicates, at most n (a
      small domain can show a variance below that of a simple random sample by chance); Kish's
      effective number without them, and where the design effect is undefined because all answers
      are the same or no variance is left.

    Args:
        questions: each question with the variable of the wave that holds its answers.
        masks: True where a respondent belongs to a group, shape (respondents, groups); a group
            such as the total population is one that is True throughout.
        domain: respondents the table is about, shape (respondents,); None: all. The others are
            part of the design and need no weight of their own; ``masks`` hold none of them.
        min_n: cells with a smaller ``n`` are dropped, with the reason, and so are those that would
            give one away (:mod:`opinioncast.curate.disclosure`).
        empty: return a table without a cell instead of raising.
        lonely_psu: see :data:`opinioncast.curate.design.LonelyPsu`.

    Raises:
        InputError: masks, questions or ``min_n`` that do not fit.
        DataError: a weight, stratum, PSU or answer variable that cannot be used; no cell left.
    """
    if min_n < 1:
        raise InputError("min_n is too small", expected="1 or more respondents", found=min_n)
    masks = check_masks(wave, subpopulations, masks)
    coded = code_answers(wave, questions)
    names = [wave.variables[v].weight or wave.design.weight for _, v in questions]
    sizes = np.diff(coded.starts)
    shape = (len(subpopulations), len(questions))
    flat = (len(subpopulations), int(coded.starts[-1]))
    total = _Sums(
        weighted=np.zeros(flat),
        squared=np.zeros(flat),
        se=np.full(flat, np.nan),
        n=np.zeros(shape),
        zero_weight=np.zeros(shape),
        refused=np.zeros(shape),
        reasons=np.zeros((*shape, len(REASONS))),
    )
    everyone = np.zeros(len(questions))
    weights: dict[str | None, Weights] = {}
    lonely: dict[str, None] = {}
    clustered = False
    for name in dict.fromkeys(names):
        mine = [q for q, n in enumerate(names) if n == name]
        needed = np.zeros(len(wave), dtype=bool)
        for q in mine:
            needed |= (coded.choice[:, q] >= 0) | (coded.reason[:, q] == _REFUSED)
        if domain is not None:
            needed &= domain
        weights[name] = weight = read_weights(wave, name, needed)
        counts = weight.values > 0 if domain is None else (weight.values > 0) & domain
        everyone[mine] = [np.count_nonzero(counts & (coded.choice[:, q] >= 0)) for q in mine]
        replication = read_replicates(wave, weight)
        design = None if replication else sample_design(wave, weight.sampled, lonely_psu)
        clustered |= replication is not None or design is not None
        if design is not None:
            lonely |= dict.fromkeys(design.lonely)
        unsampled = 1.0
        if design is None and replication is None:
            people = np.zeros(int(weight.sampled.sum()), np.intp)
            drawn = np.array([len(people)])
            unsampled = float(unsampled_fraction(wave, weight.sampled, people, drawn)[0])
        for block in _blocks(mine, len(wave)):
            errors = design or replication or unsampled
            part = _sum_block(coded.take(block), weight, errors, masks)
            places = np.concatenate([np.arange(*coded.starts[q : q + 2]) for q in block])
            for field in ("weighted", "squared", "se"):
                getattr(total, field)[:, places] = getattr(part, field)
            for field in ("n", "zero_weight", "refused", "reasons"):
                getattr(total, field)[:, block] = getattr(part, field)

    base = np.add.reduceat(total.weighted, coded.starts[:-1], axis=1)
    squares = np.add.reduceat(total.squared, coded.starts[:-1], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = total.weighted / np.repeat(base, sizes, axis=1)
        kish = base**2 / squares
        deff = design_effect(shares, total.se, total.n, coded.starts)
        refusal = total.refused / (base + total.refused)
        n_eff = np.where(deff > 0, np.minimum(total.n, total.n / deff), kish) if clustered else kish
    unknown = [not _tells_refusals(wave, v) for _, v in questions]
    refusal[:, unknown] = np.nan

    keys = _keys(wave, questions, subpopulations)
    bases = keys.select(_CELL).with_columns(
        _column("n_group", np.broadcast_to(masks.sum(axis=0)[:, None], shape), pl.Int64),
        _column("n", total.n, pl.Int64),
        _column("zero_weight", total.zero_weight, pl.Int64),
        *(_column(r, total.reasons[:, :, i], pl.Int64) for i, r in enumerate(REASONS)),
        pl.Series("weight", np.repeat(np.array(names, object), shape[0]), dtype=pl.String),
        _column("weighted_n", base),
        _column("n_kish", kish),
        _column("deff", deff),
    )
    reason = (
        pl.when(pl.col("n_group") == 0)
        .then(pl.lit("the group has no respondents in this wave"))
        .when((pl.col("n") == 0) & (pl.col("zero_weight") > 0))
        .then(pl.lit("all who answered have weight zero"))
        .when(pl.col("n") == 0)
        .then(pl.lit("nobody in the group answered"))
        .when(pl.col("n") < min_n)
        .then(pl.lit(f"fewer than {min_n} respondents answered"))
        .when(pl.Series(complementary(total.n, everyone, subpopulations, min_n).T.ravel()))
        .then(pl.lit(WORKED_OUT))
    )
    reasons = bases.select(reason=reason)["reason"]
    kept = reasons.is_null().to_numpy()
    if not kept.any() and not empty:
        raise DataError(
            "No question has an answer in any group",
            where=f"{wave.family} {wave.wave}",
            expected=f"at least one cell with {min_n} respondents",
            found=f"{len(kept)} cells: {dict(reasons.value_counts().iter_rows())}",
        )
    frame = (
        keys.drop("variable")
        .with_columns(_column("refusal_rate", refusal), _column("n_eff", n_eff), bases["n"])
        .with_columns(_lists("distribution", shares, sizes), _lists("se", total.se, sizes))
        .filter(kept)
    )
    meta = dict(wave.meta) | {
        "weights": {
            w.name or "none": {"zero": w.zero, "absent": w.absent} for w in weights.values()
        },
        "missing_codes": "substantive answers only; refusal_rate among answered or refused",
        "standard_errors": _describe(wave),
        "lonely_psu": {"policy": lonely_psu, "strata": list(lonely)},
        "min_n": min_n,
    }
    dropped = (
        bases.with_columns(reason=reasons).filter(~kept).select(*_CELL, "n_group", "n", "reason")
    )
    meta["held_back"] = counted(dropped)
    return AggregateResult(OpinionTable(frame, meta), bases, dropped)


def empty_result(wave: Wave) -> AggregateResult:
    """Of a wave of which no question is left."""
    names = pl.DataFrame(schema=dict.fromkeys(_CELL, pl.String))
    counts = dict.fromkeys(("n_group", "n", "zero_weight", *REASONS), pl.Int64)
    sizes = dict.fromkeys(("weighted_n", "n_kish", "deff"), pl.Float64)
    bases = names.hstack(pl.DataFrame(schema={**counts, "weight": pl.String, **sizes}))
    dropped = names.hstack(
        pl.DataFrame(schema={"n_group": pl.Int64, "n": pl.Int64, "reason": pl.String})
    )
    table = OpinionTable(pl.DataFrame(schema=OpinionTable.schema), dict(wave.meta))
    return AggregateResult(table, bases, dropped)


def _blocks(questions: list[int], respondents: int) -> Iterator[list[int]]:
    size = max(1, _BLOCK_ANSWERS // max(respondents, 1))
    for at in range(0, len(questions), size):
        yield questions[at : at + size]


def _sum_block(
    coded: CodedAnswers,
    weight: Weights,
    errors: SampleDesign | Replication | float,
    masks: Bools,
) -> _Sums:
    """Everything that is a sum over respondents, for some questions and all groups.

    Args:
        errors: what standard errors come from: strata and PSUs, replicate weights, or neither: then
            the fraction of the population that was not drawn.
    """
    design = errors if isinstance(errors, SampleDesign) else None
    replication = errors if isinstance(errors, Replication) else None
    starts, sizes = coded.starts, np.diff(coded.starts)
    width, questions, groups = int(starts[-1]), len(sizes), masks.shape[1]
    w = weight.values
    # a replicate may weigh those whose weight is zero
    onehot = np.zeros((0, 0)) if replication is None else coded.chosen()
    places = coded.choice.astype(np.intp, order="F") + 1  # 0: no answer
    refused = (coded.reason == _REFUSED).nonzero()
    units = 1 if design is None else len(design.stratum)

    sums = _Sums(
        weighted=np.empty((groups, width)),
        squared=np.empty((groups, width)),
        se=np.empty((groups, width)),
        n=np.empty((groups, questions)),
        zero_weight=np.empty((groups, questions)),
        refused=np.empty((groups, questions)),
        reasons=np.stack([_count(masks, coded.reason == r) for r in range(len(REASONS))], axis=-1),
    )
    for g, members in enumerate(np.ascontiguousarray(masks.T)):
        inside = np.flatnonzero(members & (w > 0))
        weightless = np.flatnonzero(members & ~(w > 0))
        weights, squares = w[inside], w[inside] ** 2
        psu = None if design is None else design.psu[inside]
        chosen, answered = np.empty((units, width)), np.empty((units, questions))
        for q, (at, end) in enumerate(itertools.pairwise(starts)):
            options = int(end - at) + 1
            place = places[inside, q]
            sums.squared[g, at:end] = _add(place, squares, options)[1:]
            sums.n[g, q] = np.count_nonzero(place)
            sums.zero_weight[g, q] = np.count_nonzero(places[weightless, q])
            if psu is None:
                sums.weighted[g, at:end] = _add(place, weights, options)[1:]
                continue
            by_option = _add(psu * options + place, weights, units * options)
            chosen[:, at:end] = by_option.reshape(units, options)[:, 1:]
            held = place > 0
            answered[:, q] = _add(psu[held], weights[held], units)
        if design is not None:
            sums.weighted[g] = chosen.sum(axis=0)
            sums.se[g] = taylor_errors(design, chosen, answered, sizes)
        if replication is not None:
            base = np.add.reduceat(sums.weighted[g], starts[:-1])
            with np.errstate(invalid="ignore", divide="ignore"):
                shares = sums.weighted[g] / np.repeat(base, sizes)
            sums.se[g] = replicate_errors(replication, members, onehot, starts, shares)
        refusing = members[refused[0]]
        sums.refused[g] = _add(refused[1][refusing], w[refused[0][refusing]], questions)
    if isinstance(errors, float):
        sampled = int(weight.sampled.sum())
        sums.se[:] = unclustered_errors(sums.weighted, sums.squared, starts, sampled, errors)
    return sums


def _count(masks: Bools, condition: Bools) -> Array:
    """How many members of each group meet a condition, shape (groups, questions)."""
    if not condition.any():
        return np.zeros((masks.shape[1], condition.shape[1]))
    counted = masks.T.astype(np.float32) @ condition.astype(np.float32)  # exact up to 2^24
    return counted.astype(np.float64)


def _add(places: Ints, weights: Array, size: int) -> Array:
    """Sums of weights per place, shape (size,)."""
    return np.asarray(np.bincount(places, weights, size), dtype=np.float64)


def _keys(
    wave: Wave, questions: Sequence[tuple[Question, str]], subpopulations: Sequence[Subpopulation]
) -> pl.DataFrame:
    """One row per question x subpopulation, question by question."""
    asked = pl.DataFrame(
        {
            "family": [wave.family] * len(questions),
            "wave": [wave.wave] * len(questions),
            "question_id": [q.question_id for q, _ in questions],
            "question": [q.text for q, _ in questions],
            "options": [list(q.options) for q, _ in questions],
            "ordinal": [list(q.ordinal) for q, _ in questions],
            "variable": [v for _, v in questions],
        }
    )
    groups = pl.DataFrame(
        {
            "attribute": [s.attribute for s in subpopulations],
            "group": [s.group for s in subpopulations],
        }
    )
    return asked.join(groups, how="cross", maintain_order="left_right")


def _column(name: str, cells: Any, dtype: Any = pl.Float64) -> pl.Series:
    """A (groups, questions) array as a column of :func:`_keys`; NaN is null."""
    values = np.asarray(cells, dtype=float).T.ravel()
    return pl.Series(name, values).fill_nan(None).cast(dtype)


def _lists(name: str, flat: Array, sizes: Ints) -> pl.Series:
    """A (groups, options) array as lists in the order of :func:`_keys`."""
    groups = flat.shape[0]
    lengths = np.repeat(sizes, groups)
    ends = np.cumsum(sizes)
    order = np.concatenate(
        [
            np.arange(end - size, end) + np.arange(groups)[:, None] * flat.shape[1]
            for end, size in zip(ends, sizes, strict=True)
        ],
        axis=None,
    )
    long = pl.DataFrame(
        {"cell": np.repeat(np.arange(len(lengths)), lengths), name: flat.ravel()[order]}
    )
    return long.group_by("cell", maintain_order=True).agg(name)[name]


def _tells_refusals(wave: Wave, name: str) -> bool:
    variable = wave.variables[name]
    return Missing.REFUSED in {*variable.missing.values(), variable.system_missing}


def _describe(wave: Wave) -> str:
    if wave.design.replicates:
        return describe_replicates(wave.design.replicates)
    drawn = "drawn with replacement"
    if wave.design.fpc is not None:
        drawn = f"finite population correction {wave.design.fpc}"
    if wave.design.strata or wave.design.psu:
        return (
            f"Taylor linearisation, strata {wave.design.strata or 'none'}, "
            f"PSU {wave.design.psu or 'each respondent'}, {drawn}"
        )
    seen = wave.meta.get("design_in_file") or {}
    names = [*seen.get("strata", ()), *seen.get("psu", ())]
    known = f"the file seems to have {', '.join(names)}" if names else "none seen in the file"
    return (
        f"Taylor linearisation, each respondent a PSU, {drawn} (no strata, PSUs or replicate "
        f"weights named; {known})"
    )
