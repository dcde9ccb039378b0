"""What a row is trained towards, and how much it counts (paper, sections 3.1 and C.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from opinioncast.errors import DataError, InputError
from opinioncast.survey import GroupScheme, OpinionTable, Question, Subpopulation

RowWeight = Literal["equal", "n_eff", "group"]


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One question x subpopulation.

    Attributes:
        target: shares of the substantive options in the order given and, where the refusal rate is
            known and shown, the refusal last; sums to one. Where the rate is unknown the refusal
            is left out and the model is trained on the shares among those who answered.
        weight: how much the row counts; the mean over a table is one.
    """

    question: Question
    subpopulation: Subpopulation
    target: tuple[float, ...]
    weight: float = 1.0


def explicit(shares: Sequence[float], refusal_rate: float | None) -> tuple[float, ...]:
    """The substantive shares times (1 - refusal rate), then the refusal rate; sums to one."""
    total = math.fsum(shares)
    if refusal_rate is None:
        return tuple(s / total for s in shares)
    return (*(s / total * (1 - refusal_rate) for s in shares), refusal_rate)


def one_hot(target: Sequence[float]) -> tuple[float, ...]:
    """Everything on the likeliest option, the first of them where several are (section 3.1)."""
    best = max(range(len(target)), key=lambda i: target[i])
    return tuple(float(i == best) for i in range(len(target)))


def replicas(target: Sequence[float], n: int) -> list[tuple[float, ...]]:
    """``n`` one-hot targets, each option in proportion to its share (C.1, "augment by N").

    Counts are rounded by largest remainder, so that they sum to ``n`` and no share is off by more
    than 1 / n.
    """
    counts = [math.floor(t * n + 1e-9) for t in target]
    by_remainder = sorted(range(len(target)), key=lambda i: counts[i] - target[i] * n)
    for i in by_remainder[: n - sum(counts)]:
        counts[i] += 1
    return [
        tuple(float(j == i) for j in range(len(target)))
        for i, count in enumerate(counts)
        for _ in range(count)
    ]


def training_rows(
    table: OpinionTable,
    groups: GroupScheme,
    *,
    refusal: bool,
    row_weight: RowWeight = "equal",
) -> list[TrainingRow]:
    """The table's rows for ``groups``, question by question, with explicit targets.

    Args:
        refusal: the prompts show a refusal option.
        row_weight: ``equal``; ``n_eff``: in proportion to the effective base (the unweighted base
            where that is unknown); ``group``: every group's rows weigh alike in all.

    Raises:
        InputError: a group without rows.
        DataError: targets that are not numbers; ``n_eff`` where a base is unknown or zero.
    """
    keys = [g.key for g in groups]
    wanted = pl.DataFrame(keys, schema={"attribute": pl.String, "group": pl.String}, orient="row")
    frame = table.frame.join(wanted, on=["attribute", "group"], how="semi", maintain_order="left")
    present = set(frame.select("attribute", "group").unique().iter_rows())
    absent = [f"{a} = {g}" for a, g in keys if (a, g) not in present]
    if absent:
        raise InputError(
            "The training table has no rows for some groups",
            where=", ".join(absent[:5]) + (f" and {len(absent) - 5} more" * (len(absent) > 5)),
            expected="rows for every group of the recipe",
            found=f"{len(present)} of {len(keys)} groups",
            hint="take them out of the recipe's groups, or leave groups out to train on all",
        )
    questions = {(q.family, q.wave, q.question_id): q for q in table.questions()}
    weights = _weights(frame, row_weight)
    rows: dict[tuple[str, str, str], list[TrainingRow]] = {}
    for row, weight in zip(frame.iter_rows(named=True), weights, strict=True):
        key = (row["family"], row["wave"], row["question_id"])
        rate = row["refusal_rate"] if refusal else None
        target = explicit(row["distribution"], rate)
        if not all(math.isfinite(t) and t >= -1e-9 for t in target):
            raise DataError(
                "A training target is not a distribution",
                where=f"question {key}, {row['attribute']} = {row['group']}",
                expected="shares of 0 or more that sum to one",
                found=target,
            )
        subpopulation = Subpopulation.from_key(row["attribute"], row["group"])
        rows.setdefault(key, []).append(
            TrainingRow(questions[key], subpopulation, tuple(max(t, 0.0) for t in target), weight)
        )
    return [r for of_question in rows.values() for r in of_question]


def _weights(frame: pl.DataFrame, row_weight: RowWeight) -> list[float]:
    if row_weight == "equal":
        return [1.0] * frame.height
    if row_weight == "group":
        raw = 1 / frame.select(pl.len().over("attribute", "group")).to_series()
    else:
        raw = frame.select(pl.col("n_eff").fill_null(pl.col("n").cast(pl.Float64))).to_series()
        bad = raw.is_null() | ~(raw > 0) | ~raw.is_finite()
        if bad.any():
            row = frame.filter(bad.fill_null(True)).row(0, named=True)
            raise DataError(
                "A row's base is unknown, so it cannot be weighted by it",
                where=f"question {row['question_id']}, {row['attribute']} = {row['group']}",
                expected="n_eff or n above 0 in every row",
                found=f"n_eff {row['n_eff']}, n {row['n']}",
                hint="use row_weight: equal or group",
            )
    return [float(w) for w in raw / raw.mean()]
