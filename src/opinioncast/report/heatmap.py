"""Intergroup disagreement as heatmaps (paper, Figures 4 and 10 to 13)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from opinioncast.errors import InputError
from opinioncast.evaluate.distance import Array
from opinioncast.evaluate.steerability import Steerability
from opinioncast.report.figure_words import plain_words
from opinioncast.report.report import MODEL_OUTPUT

_COLOURS = "cividis"  # one hue path in every colour vision, and in grey


def steerability_figure(models: Mapping[str, Steerability], *, title: str) -> Figure:
    """People against people, then people against each model told to be the source group.

    Rows are the target groups, columns the sources; groups of the training data are bold where that
    is known. Each panel's colours start at its own smallest distance (a model's start at its error,
    people's at zero) and span the same width in all: a model deaf to the group has one colour.

    Args:
        models: by the panel's name, all of the same attribute and groups; the human panel is the
            first one's.

    Raises:
        InputError: no model, or models of other groups.
    """
    found = list(models.values())
    if not found or any(
        (m.attribute, m.groups) != (found[0].attribute, found[0].groups) for m in found
    ):
        raise InputError(
            "Heatmaps of different groups cannot stand side by side",
            expected="one or more models of one attribute and the same groups",
            found=str([(m.attribute, m.groups) for m in found]),
        )
    first = found[0]
    size = len(first.groups)
    panels: list[tuple[str, Array]] = [("People", first.human)]
    panels += [(name, m.model) for name, m in models.items()]
    side = 1.1 + (0.52 if size <= 8 else 0.42) * size
    figure = Figure(figsize=(1.7 + (side + 0.75) * len(panels), side + 2.1), layout="constrained")
    figure.suptitle(
        f"{title}\n{MODEL_OUTPUT} (all panels but the first)", fontsize=11, x=0.01, ha="left"
    )
    span = max(float(np.nanmax(v) - np.nanmin(v)) for _, v in panels) or 1.0
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for i, (axis, (name, values)) in enumerate(zip(axes, panels, strict=True)):
        _panel(axis, name, values, first, span, labelled=i == 0)
    few = int(first.questions[first.questions > 0].min())
    mark = "" if first.seen is None else " Bold: groups of the training data."
    figure.supxlabel(
        f"Column: source group. Row: target group. Mean Wasserstein distance over {few} or more "
        f"questions a pair. Colours span the same width in all panels.{mark}",
        fontsize=8,
    )
    return plain_words(figure)


def _panel(
    axis: Any, name: str, values: Array, of: Steerability, span: float, *, labelled: bool
) -> None:
    low = float(np.nanmin(values))
    image = axis.imshow(values, cmap=_COLOURS, vmin=low, vmax=low + span)
    labels = [textwrap.fill(g, 18) for g in of.groups]
    axis.set_xticks(range(len(labels)), labels, rotation=90, fontsize=8)
    axis.set_yticks(range(len(labels)), labels if labelled else [], fontsize=8)
    for ticks in (axis.get_xticklabels(), axis.get_yticklabels()):
        for tick, seen in zip(ticks, of.seen or (), strict=False):
            tick.set_fontweight("bold" if seen else "normal")
    axis.tick_params(length=0)
    axis.set_title(textwrap.fill(name, 14 + 6 * len(labels)), fontsize=9)
    if labelled:
        axis.set_ylabel("target (people)", fontsize=8)
    axis.set_xlabel("source", fontsize=8)
    font = 7.5 if len(labels) <= 8 else 6
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):  # no question in common
            continue
        bright = (value - low) / span > 0.5
        axis.text(
            column,
            row,
            f"{value:.3f}"[1:] if value < 1 else f"{value:.2f}",
            ha="center",
            va="center",
            fontsize=font,
            color="black" if bright else "white",
        )
    bar = axis.figure.colorbar(image, ax=axis, fraction=0.05, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.locator = MaxNLocator(4)
    bar.update_ticks()
