"""One method against another, and against what is attainable: improvement, skill, paired tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from opinioncast.errors import DataError
from opinioncast.evaluate.clusters import CLUSTER
from opinioncast.evaluate.scores import (
    CellScores,
    bootstrap_means,
    question_sums,
)
from opinioncast.survey.tables import KEY


def relative_improvement(
    zero_shot: float | None, ours: float | None, lower: float | None
) -> float | None:
    """Share of the gap between zero-shot and the lower bound that is closed (paper, section 4.3).

    (zero-shot - ours) / (zero-shot - lower bound); negative where ours is worse. None where a
    figure is missing or zero-shot is not above the bound: there is no gap to close.
    """
    if zero_shot is None or ours is None or lower is None or zero_shot <= lower:
        return None
    return (zero_shot - ours) / (zero_shot - lower)


def skill_score(upper: float | None, wd: float | None, lower: float | None) -> float | None:
    """(upper - WD) / (upper - lower): 0 at the uniform bound, 1 at the lower one.

    Negative where a uniform guess is nearer to people; None where the bounds are missing or do not
    leave room.
    """
    return relative_improvement(upper, wd, lower)


def skill(means: Mapping[str, float | None]) -> float | None:
    """:func:`skill_score` of a row of :meth:`CellScores.by`, the sampling noise as lower bound."""
    return skill_score(means["wd_uniform"], means["wd"], means["wd_noise"])


@dataclass(frozen=True)
class PairedTest:
    """Two methods on the same cells.

    Attributes:
        first, second: means of the two methods over the shared cells.
        difference: first - second; for a distance, negative where the first is better.
        low, high: 95% interval of the difference, bootstrap over questions; NaN where one question
            is all there is.
        p_value: two-sided, sign-flip permutation over questions.
        cells, questions: shared by both; a question asked in two waves is one.
        left_out: cells that only one of the two has.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    cells: int
    questions: int
    left_out: int


def paired_test(
    first: CellScores,
    second: CellScores,
    *,
    column: str = "wd",
    replicates: int = 10_000,
    seed: int = 0,
) -> PairedTest:
    """Compare two methods cell by cell, whole questions at a time.

    A question's cells rise and fall together, in all its groups and waves, so the question
    (:func:`clusters.with_clusters`) is what is resampled and, under the hypothesis that the methods
    are exchangeable on each question, what changes its sign. With q questions the p-value is at
    least about 2 ** (1 - q): a handful of questions proves nothing.

    Raises:
        DataError: no cell in common.
    """
    keys = list(KEY)
    sides = [
        s.frame.filter(pl.col(column).is_not_null()).select(*KEY, CLUSTER, column)
        for s in (first, second)
    ]
    both = sides[0].join(
        sides[1].drop(CLUSTER), on=keys, how="inner", suffix="_2", maintain_order="left"
    )
    if both.height == 0:
        raise DataError(
            "The two methods have no cell in common",
            expected=f"cells in which both have {column}",
            found=f"{sides[0].height} and {sides[1].height} cells",
        )
    both = both.with_columns(_d=pl.col(column) - pl.col(f"{column}_2"))
    sums, counts = question_sums(both, [], "_d", {(): 0})
    means = bootstrap_means(sums, counts, replicates=replicates, seed=seed)[:, 0]
    low, high = np.percentile(means, [2.5, 97.5]) if len(sums) > 1 else (np.nan, np.nan)
    found = abs(float(sums.sum()))
    rng = np.random.default_rng(seed + 1)
    beyond = 0
    step = max(1, 4_000_000 // len(sums))
    for start in range(0, replicates, step):
        rows = min(step, replicates - start)
        signs = rng.integers(0, 2, (rows, len(sums))) * 2 - 1
        # equal up to rounding counts as equal: flipping every sign must not
        beyond += int((np.abs(signs @ sums[:, 0]) >= found * (1 - 1e-12)).sum())
    return PairedTest(
        first=float(both[column].mean()),  # type: ignore[arg-type]
        second=float(both[f"{column}_2"].mean()),  # type: ignore[arg-type]
        difference=float(sums.sum() / counts.sum()),
        low=float(low),
        high=float(high),
        p_value=(1 + beyond) / (1 + replicates),
        cells=both.height,
        questions=len(sums),
        left_out=sides[0].height + sides[1].height - 2 * both.height,
    )


def improvement_by(
    ours: CellScores,
    zero_shot: CellScores,
    *columns: str,
    lower: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The layout of the paper's Tables 2 and 7: lower bound, zero-shot, ours, improvement.

    Both methods are averaged over the cells that both have, so that the difference is one of
    methods; ``note`` says how many those are where they are fewer than asked.

    Args:
        lower: ``columns`` and ``lower`` (the human bound); sampling noise when left out.

    Returns:
        ``columns``, lower, zero_shot, ours, absolute, relative, cells, asked, note.
    """
    keys = list(KEY)
    has = pl.col("wd").is_not_null()
    shared = ours.frame.filter(has).join(
        zero_shot.frame.filter(has).select(*KEY, _zero_shot="wd"),
        on=keys,
        how="inner",
        maintain_order="left",
    )
    noise = pl.when(pl.col("wd_noise").null_count() == 0).then(pl.col("wd_noise").mean())
    means = shared.group_by(*columns, maintain_order=True).agg(
        lower=noise, zero_shot=pl.col("_zero_shot").mean(), ours=pl.col("wd").mean(), cells=pl.len()
    )
    if lower is not None:
        means = means.drop("lower").join(
            lower.select(*columns, "lower"), on=list(columns), how="left", maintain_order="left"
        )
    asked = ours.asked.group_by(*columns, maintain_order=True).agg(asked=pl.len())
    frame = asked.join(means, on=list(columns), how="left", maintain_order="left")
    gap = pl.col("zero_shot") - pl.col("lower")
    count = pl.col("cells").fill_null(0)
    return frame.select(
        *columns,
        "lower",
        "zero_shot",
        "ours",
        absolute=pl.col("zero_shot") - pl.col("ours"),
        relative=pl.when(gap > 0).then((pl.col("zero_shot") - pl.col("ours")) / gap),
        cells=count,
        asked="asked",
        note=pl.when(count < pl.col("asked"))
        .then(pl.format("{} of {} cells in both methods with a distance", count, "asked"))
        .otherwise(pl.lit("")),
    )
