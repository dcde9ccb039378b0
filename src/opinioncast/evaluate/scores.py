"""From what people answered and what a model says to scores: per cell, by group, overall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from opinioncast.errors import DataError
from opinioncast.evaluate.distance import (
    Array,
    pad,
    sampling_noise,
    total_variation,
    uniform,
    wasserstein,
)
from opinioncast.survey.tables import KEY, OpinionTable, PredictionTable


@dataclass(frozen=True)
class CellScores:
    """Every cell that both tables hold, scored.

    Attributes:
        frame: KEY columns, question, options, ordinal, observed, predicted, n, n_eff, label_mass,
            order_spread, share_error_90; then wd, wd_uniform, wd_noise (Wasserstein distances of
            the model, of the uniform bound, and to expect from sampling alone; null without a
            scale or base) and tv (total variation).
        unpredicted: cells of the opinion table without a prediction.
        unobserved: predicted cells without an observation.
    """

    frame: pl.DataFrame
    unpredicted: int
    unobserved: int

    def mean(self) -> dict[str, float | None]:
        """Means over cells with a scale (paper, Table 1), and how many there were."""
        scaled = self.frame.filter(pl.col("wd").is_not_null())
        row = scaled.select(pl.col("wd", "wd_uniform", "wd_noise", "tv").mean())
        return {**row.row(0, named=True), "cells": scaled.height, "cells_in_all": len(self.frame)}

    def by(self, *columns: str) -> pl.DataFrame:
        """Means of the distances over cells with a scale, in order of first appearance."""
        return (
            self.frame.filter(pl.col("wd").is_not_null())
            .group_by(*columns, maintain_order=True)
            .agg(pl.col("wd", "wd_uniform", "wd_noise", "tv").mean(), cells=pl.len())
        )

    def interval(self, *, replicates: int = 2000, seed: int = 0) -> tuple[float, float]:
        """95% interval of the mean WD by a bootstrap over questions.

        Groups share a question, so its cells rise and fall together: whole questions are resampled.
        It says how far the mean would move with other questions of this kind.
        """
        sums = (
            self.frame.filter(pl.col("wd").is_not_null())
            .group_by("family", "wave", "question_id", maintain_order=True)
            .agg(pl.col("wd").sum(), cells=pl.len())
        )
        if sums.height == 0:
            return float("nan"), float("nan")
        total, cells = sums["wd"].to_numpy(), sums["cells"].to_numpy()
        pick = np.random.default_rng(seed).integers(0, len(total), (replicates, len(total)))
        means = total[pick].sum(axis=1) / cells[pick].sum(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        return float(low), float(high)


def share_cells(observed: OpinionTable, predicted: PredictionTable) -> bool:
    """Whether any cell is in both tables."""
    keys = list(KEY)
    return observed.frame.join(predicted.frame.select(keys), on=keys, how="semi").height > 0


def score_cells(observed: OpinionTable, predicted: PredictionTable) -> CellScores:
    """Match the two tables cell by cell and measure the distances.

    Raises:
        DataError: no cell in common, or a cell whose options or scale differ between the tables.
    """
    left = observed.frame.select(
        *KEY, "question", "options", "ordinal", "n", "n_eff", observed="distribution"
    )
    right = predicted.frame.select(
        *KEY,
        "label_mass",
        "order_spread",
        "share_error_90",
        predicted="distribution",
        _options="options",
        _ordinal="ordinal",
    )
    both = left.join(right, on=list(KEY), how="inner", maintain_order="left")
    if both.height == 0:
        raise DataError(
            "The predictions and the observations have no cell in common",
            expected="the same family, wave, question_id, attribute and group on both sides",
            found=f"{len(observed)} observed and {len(predicted)} predicted rows",
        )
    odd = both.filter(
        (pl.col("options") != pl.col("_options")) | (pl.col("ordinal") != pl.col("_ordinal"))
    )
    if odd.height:
        row = odd.row(0, named=True)
        raise DataError(
            f"{odd.height} cells have other options or another scale on the two sides",
            where=f"question {row['question_id']}, {row['attribute']} = {row['group']}",
            expected=f"{row['options']} at {row['ordinal']}",
            found=f"{row['_options']} at {row['_ordinal']}",
            hint="predict the table's own questions; matching by position would score the wrong "
            "options",
        )
    p, q = pad(both["observed"].to_list(), 0.0), pad(both["predicted"].to_list(), 0.0)
    ordinal = pad(both["ordinal"].to_list(), np.nan)
    n_eff = both["n_eff"].fill_null(both["n"].cast(pl.Float64)).to_numpy().astype(float)
    frame = both.drop("_options", "_ordinal").with_columns(
        _column("wd", wasserstein(p, q, ordinal)),
        _column("wd_uniform", wasserstein(p, uniform(ordinal), ordinal)),
        _column("wd_noise", sampling_noise(p, ordinal, n_eff)),
        _column("tv", total_variation(p, q)),
    )
    return CellScores(frame, len(observed) - both.height, len(predicted) - both.height)


def _column(name: str, values: Array) -> pl.Series:
    return pl.Series(name, values, nan_to_null=True)
