"""Figures 7 and 8 of the paper: the map of the questions and how alike two sets are."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from opinioncast.curate.overlap import Overlap
from opinioncast.errors import InputError
from opinioncast.report.figure_files import save_figure
from opinioncast.report.figure_words import plain_words

# Okabe and Ito's palette: told apart with any colour vision; markers tell sets apart in print.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
_TITLE = 75  # characters that fit a line above the histogram


def draw_similarities(overlap: Overlap, stem: str | Path) -> list[Path]:
    """Write :func:`similarity_figure` to ``stem`` + ``.svg`` and ``.png``."""
    return save_figure(similarity_figure(overlap), stem)


def similarity_figure(overlap: Overlap) -> Figure:
    """Histogram of all pairs' cosines, its upper end enlarged, with the threshold (Figure 8).

    Enlarged is 0.8 to 1.0 as in the paper, or more where the threshold is lower than 0.85.
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    histogram = overlap.histogram
    pairs = int(histogram["pairs"].sum())
    _bars(axes, histogram, COLOURS[0])
    low = histogram["low"].to_numpy()[histogram["pairs"].to_numpy() > 0].min(initial=0.0)
    axes.set_xlim(low - 0.02, 1.02)
    _threshold(axes, overlap.threshold, height=0.25)
    axes.set_xlabel("Cosine similarity of two question wordings")
    axes.set_ylabel("Pairs of questions")
    left, right = overlap.names
    what = f"within {left}" if left == right else f"{left} and {right}"
    axes.set_title(textwrap.fill(f"{what}: {pairs:,} pairs", _TITLE), loc="left", fontsize=11)
    zoom = min(0.8, float(np.floor((overlap.threshold - 0.05) * 10) / 10))
    top = histogram.filter(pl.col("high") > zoom + 1e-9)
    inset = axes.inset_axes((0.56, 0.36, 0.42, 0.5))
    _bars(inset, top, COLOURS[0])
    inset.set_xlim(zoom, 1.0)
    inset.set_ylim(0, top["pairs"].to_numpy().max(initial=1) * 1.15)
    _threshold(inset, overlap.threshold, height=1)
    above = int(overlap.pairs.height)
    inset.set_title(
        f"{zoom:g} to 1: {above:,} at {overlap.threshold:.3g} or more", fontsize=9, loc="left"
    )
    inset.tick_params(labelsize=8)
    for each in (axes, inset):
        each.spines[["top", "right"]].set_visible(False)
        each.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return plain_words(figure)


def _bars(axes: Axes, histogram: pl.DataFrame, colour: str) -> None:
    low, high = histogram["low"].to_numpy(), histogram["high"].to_numpy()
    axes.bar(low, histogram["pairs"].to_numpy(), width=high - low, align="edge", color=colour)


def _threshold(axes: Axes, threshold: float, height: float) -> None:
    axes.axvline(threshold, ymax=height, color=COLOURS[4], linestyle="--", linewidth=1.2)


def draw_question_map(points: pl.DataFrame, stem: str | Path) -> list[Path]:
    """Write :func:`question_map_figure` to ``stem`` + ``.svg`` and ``.png``."""
    return save_figure(question_map_figure(points), stem)


def question_map_figure(points: pl.DataFrame) -> Figure:
    """The questions of :func:`opinioncast.curate.question_map.question_map` by set (Figure 7).

    The largest set is drawn first, so that smaller ones stay visible.

    Raises:
        InputError: more sets than there are colours.
    """
    sizes = points.group_by("set", maintain_order=True).len()
    if sizes.height > len(COLOURS):
        raise InputError(
            "A map cannot tell so many sets apart",
            expected=f"up to {len(COLOURS)} sets",
            found=sizes.height,
        )
    figure = Figure(figsize=(7, 5.6), layout="constrained")
    axes = figure.subplots()
    look = {name: (COLOURS[i], MARKERS[i]) for i, name in enumerate(sizes["set"])}
    for name, size in sizes.sort("len", descending=True).iter_rows():
        colour, marker = look[name]
        chosen = points.filter(pl.col("set") == name)
        axes.scatter(
            chosen["x"].to_numpy(),
            chosen["y"].to_numpy(),
            s=float(np.clip(6000 / points.height, 8, 40)),
            c=colour,
            marker=marker,
            alpha=0.75,
            linewidths=0,
            label=f"{name} ({size:,})",
        )
    axes.set_xticks([])
    axes.set_yticks([])
    method = ", ".join(points["method"].unique().to_list())
    axes.set_title(f"Question wordings, embeddings on a plane ({method})", loc="left", fontsize=11)
    figure.legend(loc="outside lower left", frameon=False, markerscale=1.6, fontsize=9)
    return plain_words(figure)
