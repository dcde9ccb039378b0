"""Plan a sample from predictions: expected errors, what to ask where, differences it will see."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.csv_files import write_csv
from opinioncast.errors import InputError
from opinioncast.evidence.plan_design import (
    DEFAULT_TARGET,
    PlanDesign,
    Share,
    Strata,
    coefficients,
    strata_of,
)
from opinioncast.evidence.planning import (
    Allocation,
    allocate,
    detectable_difference,
    margin_of_error,
    oversampling_effect,
    worst_variance,
)
from opinioncast.files import atomic_path
from opinioncast.jobs.manifest import write_manifest
from opinioncast.json_text import json_text
from opinioncast.output_folder import holds_folder
from opinioncast.report.figure_files import write_figure
from opinioncast.report.plan_chart import plan_chart
from opinioncast.survey import PredictionTable, Subpopulation
from opinioncast.survey.groups import TOTAL_ATTRIBUTE, TOTAL_GROUP
from opinioncast.survey.tables import ORIGIN

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """A sample, planned.

    Attributes:
        groups: one row a predicted group: ``attribute, group, population, interviews, base`` (the
            effective one), ``moe_half`` (at a share of 50%), ``moe`` (the largest of all questions
            and options, at the shares that the design assumes), ``question, option`` (whose that
            is), ``target, short``; then ``interviews_needed, base_needed, moe_needed`` of the
            cheapest sample that meets the targets. Errors in points; null where not known.
        strata: ``stratum, population, cost, interviews, interviews_needed``.
        differences: one row a question x pair of groups: the option whose predicted shares differ
            most, ``share, other_share, difference`` and its interval ``low, high`` at the widest,
            ``detectable`` (the smallest seen with the design's power) and ``seen``; the same with
            ``_needed``. In points.
        summary: sample size, cost, total's effective base, before and after.
        notes: what was assumed.
    """

    design: PlanDesign
    groups: pl.DataFrame
    strata: pl.DataFrame
    differences: pl.DataFrame
    summary: Mapping[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PlanRun:
    """What :func:`plan_to_files` made."""

    plan: Plan
    files: tuple[Path, ...]


@holds_folder("plan", plan=("plan.json",))
def plan_to_files(
    predictions: PredictionTable, design: PlanDesign, share: Share, out: Path
) -> PlanRun:
    """Plan, and write ``groups.csv``, ``strata.csv``, ``differences.csv``, ``plan.json``,
    ``plan.png`` and ``manifest.json`` to ``out``.

    Args:
        share: of the population, for what the design's ``population`` does not say.
    """
    started = time.monotonic()
    plan = plan_sample(predictions, design, share)
    files = []
    for name in ("groups", "strata", "differences"):
        path = out / f"{name}.csv"
        frame: pl.DataFrame = getattr(plan, name)
        if name != "strata":
            frame = frame.with_columns(source=pl.lit(f"planned from predictions: {ORIGIN}"))
        files.append(write_csv(frame, path, decimals=4))
    record = {
        "origin": ORIGIN,
        "design": design.model_dump(),
        "summary": dict(plan.summary),
        "notes": list(plan.notes),
    }
    path = out / "plan.json"
    tables = {n: getattr(plan, n).to_dicts() for n in ("groups", "strata", "differences")}
    with atomic_path(path) as temporary:
        temporary.write_text(json_text(record | tables, indent=2), "utf-8")
    files.append(path)
    figure = plan_chart(plan.groups, title=f"Expected errors: {design.name}", notes=plan.notes)
    files.append(write_figure(figure, out / "plan.png", dpi=110))
    seconds = round(time.monotonic() - started, 2)
    about = {"predictions": predictions.content_hash, "seconds": seconds}
    files.append(write_manifest(out, record | about, files))
    return PlanRun(plan, tuple(files))


def plan_sample(predictions: PredictionTable, design: PlanDesign, share: Share) -> Plan:
    """Plan a sample for the questions and groups of ``predictions``.

    Raises:
        InputError: neither a sample nor targets; targets or pairs of groups that are not
            predicted; what :func:`opinioncast.evidence.plan_design.strata_of` refuses.
    """
    if design.sample is None and not design.targets:
        raise InputError(
            "There is nothing to plan",
            expected="a sample (--sample 1000), targets (--target TOTAL:3), or both",
        )
    told = _told(design, share)
    groups = predictions.subpopulations()
    strata = strata_of(design, groups, told)
    worst = _worst(predictions, design)
    at_half = []
    if Subpopulation() not in groups:
        groups = [Subpopulation(), *groups]
        worst[Subpopulation()] = (0.25, "", "")
        at_half = [f"{TOTAL_ATTRIBUTE} is not predicted: its errors are those of a share of 50%"]
    parts = [coefficients(g, strata, told) for g in groups]
    a = np.array([p[0] for p in parts])
    target = _targets(design, groups)
    notes = [*at_half, *strata.notes, *dict.fromkeys(n for *_, n in parts if n)]
    needed = _cheapest(groups, a, worst, target, strata, design)
    rows = []
    for i, group in enumerate(groups):
        variance, question, option = worst[group]
        now = _of_group(a[i], variance, strata.sample, parts[i][1], strata, design)
        then = _of_group(
            a[i], variance, None if needed is None else needed.sample, parts[i][1], strata, design
        )
        goal = target[i]
        rows.append(
            (
                *group.key,
                parts[i][1],
                *now,
                question,
                option,
                None if math.isnan(goal) else goal,
                None if math.isnan(goal) or now[-1] is None else now[-1] > goal + 1e-9,
                then[0],
                then[1],
                then[3],
            )
        )
    frame = pl.DataFrame(rows, schema=_GROUPS, orient="row")
    bases = {
        name: {g: b for g, b in zip(groups, frame[name], strict=True) if b is not None}
        for name in ("base", "base_needed")
    }
    differences = _differences(predictions, design, groups, bases)
    return Plan(
        design,
        frame,
        _strata_frame(strata, needed),
        differences,
        _summary(frame, differences, strata, needed, design),
        tuple(notes),
    )


_GROUPS: dict[str, Any] = {
    "attribute": pl.String,
    "group": pl.String,
    "population": pl.Float64,
    "interviews": pl.Float64,
    "base": pl.Float64,
    "moe_half": pl.Float64,
    "moe": pl.Float64,
    "question": pl.String,
    "option": pl.String,
    "target": pl.Float64,
    "short": pl.Boolean,
    "interviews_needed": pl.Float64,
    "base_needed": pl.Float64,
    "moe_needed": pl.Float64,
}


def parse_group(expression: str) -> Subpopulation:
    """``RACE=Black``, ``SEX=Female & RACE=Black`` or ``TOTAL`` of any attributes.

    Raises:
        InputError: anything else.
    """
    text = expression.strip()
    if text.casefold() in {TOTAL_ATTRIBUTE.casefold(), TOTAL_GROUP.casefold()}:
        return Subpopulation()
    conditions = []
    for part in text.split("&"):
        attribute, equals, group = (p.strip() for p in part.partition("="))
        if not (attribute and equals and group):
            raise InputError(
                "A group of the sample design cannot be read",
                expected="ATTRIBUTE=group, several joined with &, or TOTAL",
                found=expression,
            )
        conditions.append((attribute, group))
    return Subpopulation(tuple(conditions))


def _told(design: PlanDesign, share: Share) -> Share:
    """Population shares: the design's before the frame's."""
    own = {frozenset(parse_group(k).conditions): v for k, v in design.population.items()}
    wrong = {k: v for k, v in design.population.items() if not 0 < v <= 1}
    if wrong:
        raise InputError(
            "A population share is out of range",
            where="population",
            expected="shares above 0, at most 1",
            found=wrong,
        )

    def told(group: Subpopulation) -> float | None:
        return own.get(frozenset(group.conditions)) or share(group)

    return told


def _targets(design: PlanDesign, groups: Sequence[Subpopulation]) -> Array:
    """Target of each group in points, NaN where it has none."""
    own = {
        frozenset(parse_group(k).conditions): v
        for k, v in design.targets.items()
        if k != DEFAULT_TARGET
    }
    unknown = own.keys() - {frozenset(g.conditions) for g in groups}
    if unknown or any(not 0 < v < 100 for v in design.targets.values()):
        raise InputError(
            "A target does not fit the predictions",
            where="targets",
            expected="a predicted group or TOTAL, and points above 0",
            found=", ".join(str(Subpopulation(tuple(sorted(u)))) for u in unknown)
            or dict(design.targets),
        )
    default = design.targets.get(DEFAULT_TARGET, math.nan)
    return np.array([own.get(frozenset(g.conditions), default) for g in groups], dtype=float)


_Worst = tuple[float, str, str]


def _worst(predictions: PredictionTable, design: PlanDesign) -> dict[Subpopulation, _Worst]:
    """Per group: the largest p (1 - p) of all shares, and whose that is."""
    found: dict[Subpopulation, _Worst] = {}
    for row in predictions.frame.iter_rows(named=True):
        if design.assume == "half":
            values = np.full(len(row["options"]), 0.25)
        elif design.assume == "predicted" or row["low"] is None:
            values = worst_variance(row["distribution"])
        else:
            values = worst_variance(row["distribution"], row["low"], row["high"])
        at = int(np.argmax(values))
        group = Subpopulation.from_key(row["attribute"], row["group"])
        if group not in found or values[at] > found[group][0]:
            found[group] = (float(values[at]), row["question_id"], row["options"][at])
    return found


def _cheapest(
    groups: Sequence[Subpopulation],
    a: Array,
    worst: Mapping[Subpopulation, _Worst],
    target: Array,
    strata: Strata,
    design: PlanDesign,
) -> Allocation | None:
    wanted = [int(i) for i in np.flatnonzero(~np.isnan(target))]
    if not wanted:
        return None
    unknown = [str(groups[i]) for i in wanted if np.isnan(a[i]).any()]
    if unknown:
        raise InputError(
            "A target is of a group whose population share is not known",
            expected="each in the population frame (--frame), or under `population`",
            found=", ".join(unknown),
        )
    variance = np.array([worst[groups[i]][0] for i in wanted])
    z = float(margin_of_error(0.5, 0.25, confidence=design.confidence))
    allowed = (target[wanted] / 100 / z) ** 2
    return allocate(
        a[wanted] * variance[:, None], allowed, strata.costs, least=np.maximum(strata.least, 1)
    )


def _of_group(
    a: Array,
    variance: float,
    sample: Array | None,
    size: float | None,
    strata: Strata,
    design: PlanDesign,
) -> tuple[float | None, float | None, float | None, float | None]:
    """Interviews, effective base, margins of error at 50% and at the worst share, in points."""
    if sample is None or size is None:
        return (None,) * 4
    # a / effects = P(h | g) W_h / P(g), and P(g | h) = P(h | g) P(g) / W_h
    inside = a / strata.effects / strata.population**2 * size**2
    base = 1 / float((a / sample).sum())
    half, at_worst = (
        100 * float(margin_of_error(0.5, base, confidence=design.confidence)) * 2 * math.sqrt(v)
        for v in (0.25, variance)
    )
    return float((inside * sample).sum()), base, half, at_worst


def _differences(
    predictions: PredictionTable,
    design: PlanDesign,
    groups: Sequence[Subpopulation],
    bases: Mapping[str, Mapping[Subpopulation, float]],
) -> pl.DataFrame:
    rows = []
    pairs = _pairs(design, groups)
    for _, cells in predictions.frame.group_by(
        "family", "wave", "question_id", maintain_order=True
    ):
        named = {
            Subpopulation.from_key(r["attribute"], r["group"]): r
            for r in cells.iter_rows(named=True)
        }
        for one, other in pairs:
            if one not in named or other not in named:
                continue
            first, second = named[one], named[other]
            p, q = (np.asarray(r["distribution"], dtype=float) for r in (first, second))
            at = int(np.argmax(np.abs(p - q)))
            low = high = None
            if first["low"] is not None and second["low"] is not None:
                low = first["low"][at] - second["high"][at]
                high = first["high"][at] - second["low"][at]
            seen: list[Any] = []
            for known in bases.values():
                least = (
                    detectable_difference(
                        p[at],
                        known[one],
                        known[other],
                        confidence=design.confidence,
                        power=design.power,
                    )
                    if one in known and other in known
                    else None
                )
                told = one in known and other in known
                larger = None if not told else least is not None and abs(p[at] - q[at]) >= least
                seen += [_points(least), larger]
            rows.append(
                (
                    first["question_id"],
                    first["options"][at],
                    str(one),
                    str(other),
                    *map(_points, (p[at], q[at], p[at] - q[at], low, high)),
                    *seen,
                )
            )
    schema: dict[str, Any] = dict.fromkeys(("question", "option", "group", "other"), pl.String)
    schema |= dict.fromkeys(("share", "other_share", "difference", "low", "high"), pl.Float64)
    for end in ("", "_needed"):
        schema |= {f"detectable{end}": pl.Float64, f"seen{end}": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * float(share)


def _pairs(
    design: PlanDesign, groups: Sequence[Subpopulation]
) -> list[tuple[Subpopulation, Subpopulation]]:
    if not design.compare:
        return [
            (a, b)
            for a, b in itertools.combinations(groups, 2)
            if a.attribute == b.attribute and a.conditions
        ]
    known = {frozenset(g.conditions): g for g in groups}
    pairs = []
    for names in design.compare:
        a, b = (known.get(frozenset(parse_group(n).conditions)) for n in names)
        if a is None or b is None or a == b or not _apart(a, b):
            raise InputError(
                "Two groups cannot be compared",
                where="compare",
                expected="two predicted groups that share nobody (two of one attribute)",
                found=" and ".join(names),
            )
        pairs.append((a, b))
    return pairs


def _apart(one: Subpopulation, other: Subpopulation) -> bool:
    """Whether the groups differ in an attribute that both name: nobody is in both."""
    theirs = dict(other.conditions)
    return any(theirs.get(a, g) != g for a, g in one.conditions)


def _strata_frame(strata: Strata, needed: Allocation | None) -> pl.DataFrame:
    count = len(strata.groups)
    return pl.DataFrame(
        {
            "stratum": [str(g) for g in strata.groups],
            "population": strata.population,
            "cost": strata.costs,
            "interviews": [None] * count if strata.sample is None else strata.sample,
            "interviews_needed": [None] * count
            if needed is None
            else np.ceil(needed.sample - 1e-6),
        },
        schema_overrides={"interviews": pl.Float64, "interviews_needed": pl.Float64},
    )


def _summary(
    groups: pl.DataFrame,
    differences: pl.DataFrame,
    strata: Strata,
    needed: Allocation | None,
    design: PlanDesign,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    samples = {"design": strata.sample, "needed": None if needed is None else needed.sample}
    for name, sample in samples.items():
        if sample is None:
            continue
        n = float(sample.sum())
        effect = oversampling_effect(strata.population, sample)
        variance = float((strata.effects * strata.population**2 / sample).sum())
        by_size = float((strata.effects * strata.population).sum()) / n
        found[name] = {
            "interviews": n,
            "cost": float(strata.costs @ sample),
            "oversampling_effect": effect,
            "total_base": 1 / variance,
            "total_base_by_population": 1 / by_size,
            "total_base_lost": 1 - by_size / variance,
            "total_moe": 100
            * float(margin_of_error(0.5, 1 / variance, confidence=design.confidence)),
        }
    short = groups.filter(pl.col("short").fill_null(False))
    found["groups_short_of_target"] = [
        str(Subpopulation.from_key(*k)) for k in short.select("attribute", "group").iter_rows()
    ]
    if needed is not None and design.budget is not None:
        found["budget"] = design.budget
        found["targets_times"] = math.sqrt(needed.cost / design.budget)
    for end in ("", "_needed"):
        known = differences.drop_nulls(f"seen{end}")
        if known.height:
            found[f"differences{end}"] = {
                "pairs": known.height,
                "seen": int(known[f"seen{end}"].sum()),
            }
    return found
