"""Trainings repeated with other seeds: their mean, cell by cell, and its standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev

import polars as pl

from opinioncast.errors import InputError
from opinioncast.evaluate.scores import ANY_SCALE, INTERVALS, ON_SCALE, CellScores
from opinioncast.survey.tables import KEY

_AVERAGED = (*ON_SCALE, *ANY_SCALE, *INTERVALS, "label_mass", "order_spread")


def mean_of_runs(runs: Sequence[CellScores]) -> CellScores:
    """Scores in which each cell has the mean of its runs: means over cells are then the means over
    runs of the runs' own, and intervals over questions and tests are of that mean.

    A cell that one of the runs has no distance of has none. Predicted shares are averaged too.

    Raises:
        InputError: runs of different cells, or none at all.
    """
    if not runs:
        raise InputError("There is no run to average", expected="at least one", found=0)
    first = runs[0]
    if len(runs) == 1:
        return first
    keys = first.frame.select(KEY)
    odd = [i for i, r in enumerate(runs) if _aligned(r.frame, keys).height != keys.height]
    if odd or any(r.frame.height != keys.height for r in runs):
        raise InputError(
            "The runs to average are of different cells",
            expected=f"{keys.height} cells, as the first has, in every run",
            found=", ".join(str(r.frame.height) for r in runs),
        )
    frames = [_aligned(r.frame, keys) for r in runs]
    columns = [c for c in _AVERAGED if c in first.frame.columns]
    means = {
        c: sum((f[c].cast(pl.Float64) for f in frames[1:]), frames[0][c].cast(pl.Float64))
        for c in columns
    }
    shares = frames[0]["predicted"]
    lists = [
        [fmean(values) for values in zip(*cell, strict=True)]
        for cell in zip(*(f["predicted"].to_list() for f in frames), strict=True)
    ]
    infinite = pl.DataFrame([f["kl_infinite"].alias(str(i)) for i, f in enumerate(frames)])
    return replace(
        first,
        frame=frames[0].with_columns(
            *((total / len(runs)).alias(c) for c, total in means.items()),
            pl.Series("predicted", lists, dtype=shares.dtype),
            infinite.select(pl.any_horizontal(pl.all()).alias("kl_infinite")).to_series(),
        ),
    )


def standard_error(values: Sequence[float | None]) -> float | None:
    """Of the mean of ``values``, from their scatter: deviation of a sample / root of its size. None
    for fewer than two, or where one is not known."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    if len(known) < 2 or len(known) < len(values):
        return None
    return stdev(known) / math.sqrt(len(known))


def _aligned(frame: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    return keys.join(frame, on=list(KEY), how="inner", maintain_order="left").select(frame.columns)
