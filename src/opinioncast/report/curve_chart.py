"""Loss curves of trainings, two losses side by side (paper, Figure 9)."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from matplotlib.figure import Figure

from opinioncast.report.dot_chart import COLOURS
from opinioncast.report.figure_words import plain_words
from opinioncast.report.report import MODEL_OUTPUT

MEASURES = {"kl": "KL divergence", "wasserstein": "Wasserstein distance"}
PARTS = {"train": "in training", "validation": "on held-out questions"}
_DASHES = ("-", "--", ":", "-.")


def read_curve(frame: pl.DataFrame) -> pl.DataFrame:
    """``curve.csv`` of a training as part, step, kl, wasserstein."""
    names = {"train": ("kl", "wasserstein"), "validation": ("valid_kl", "valid_wd")}
    parts = []
    for part, (kl, wd) in names.items():
        columns = [
            (pl.col(c) if c in frame.columns else pl.lit(None)).cast(pl.Float64).alias(as_)
            for c, as_ in ((kl, "kl"), (wd, "wasserstein"))
        ]
        rows = frame.select(pl.lit(part).alias("part"), "step", *columns)
        parts.append(rows.filter(pl.col("kl").is_not_null() | pl.col("wasserstein").is_not_null()))
    return pl.concat(parts)


def curve_figure(curves: Mapping[str, pl.DataFrame], *, title: str) -> Figure:
    """A row of panels for training, one for validation; a line per training.

    Args:
        curves: by the training's name: ``part`` ("train", "validation"), ``step``, ``kl``,
            ``wasserstein``; nulls are not drawn.
    """
    figure = Figure(figsize=(8.6, 5.6), layout="constrained")
    axes = figure.subplots(len(PARTS), len(MEASURES), sharex=True)
    for row, (part, where) in enumerate(PARTS.items()):
        for column, (measure, name) in enumerate(MEASURES.items()):
            axis = axes[row, column]
            for i, (training, frame) in enumerate(curves.items()):
                chosen = frame.filter(pl.col("part") == part, pl.col(measure).is_not_null())
                axis.plot(
                    chosen["step"].to_numpy(),
                    chosen[measure].to_numpy(),
                    color=COLOURS[(0, 2, 3, 4)[i % 4]],
                    linestyle=_DASHES[i % len(_DASHES)],
                    linewidth=1.4,
                    marker="o" if part == "validation" else None,
                    markersize=3.5,
                    label=training,
                )
            axis.set_title(f"{name} {where}", fontsize=9, loc="left")
            axis.set_ylim(bottom=0)
            axis.tick_params(labelsize=8)
            axis.grid(color="#E5E5E5", linewidth=0.7)
            axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("updates", fontsize=8)
    figure.suptitle(f"{title}\n{MODEL_OUTPUT}", fontsize=11, x=0.01, ha="left")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return plain_words(figure)
