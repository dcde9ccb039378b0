"""Distances as dots with their intervals: one row a method, group or wave, one mark a series."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from opinioncast.report.figure_words import plain_words
from opinioncast.report.report import MODEL_OUTPUT

# Okabe and Ito's palette; markers tell series apart in print and without colour
COLOURS = ("#0072B2", "#000000", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "x", "D", "s", "^", "v", "P")
_HOLLOW = ("s", "o", "^", "D", "v", "P")

Numbers = Sequence[float | None]


@dataclass(frozen=True)
class DotSeries:
    """One mark per row.

    Attributes:
        values, low, high: per row, None where there is none; ``low`` and ``high`` a 95% interval.
        hollow: drawn as an outline: somebody else's figures, such as the paper's.
        band: the interval is shaded over the row's height, behind everything, as the paper does
            with the human lower bound; else it is a bar.
    """

    name: str
    values: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    hollow: bool = False
    band: bool = False


@dataclass(frozen=True)
class DotPanel:
    """Rows and their series under one heading."""

    title: str
    rows: Sequence[str]
    series: Sequence[DotSeries]


def dot_figure(panels: Sequence[DotPanel], *, title: str, axis: str, note: str = "") -> Figure:
    """The panels side by side; series of one name share mark and colour.

    Args:
        axis: what the distance is, under every panel.
        note: base and source, at the foot.
    """
    most = max(len(p.rows) for p in panels)
    one = all(list(p.rows) == list(panels[0].rows) for p in panels)
    figure = Figure(
        figsize=(3.2 + 3.9 * len(panels), 2.1 + 0.25 * most + 0.14 * (len(note) // 100)),
        layout="constrained",
    )
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    look = _looks(panels)
    for i, (panel, place) in enumerate(zip(panels, axes, strict=True)):
        _panel(place, panel, look, labelled=i == 0 or not one)
        place.set_xlabel(textwrap.fill(axis, 64), fontsize=8)
    figure.suptitle(f"{title}\n{MODEL_OUTPUT}", fontsize=11, x=0.01, ha="left")
    handles: dict[str, Any] = {}
    for place in axes:
        for handle, label in zip(*place.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower left",
        ncols=min(len(handles), 3),
        fontsize=8,
        frameon=False,
        title=textwrap.fill(note, 40 + 62 * len(panels)) or None,
        title_fontsize=7.5,
        alignment="left",
    )
    return plain_words(figure)


def _panel(axis: Any, panel: DotPanel, look: dict[str, int], *, labelled: bool) -> None:
    rows = np.arange(len(panel.rows))
    for series in panel.series:
        colour = COLOURS[look[series.name] % len(COLOURS)]
        markers = _HOLLOW if series.hollow else MARKERS
        marker = markers[look[series.name] % len(markers)]
        if series.low is not None and series.high is not None:
            low, high = _numbers(series.low), _numbers(series.high)
            if series.band:
                axis.barh(rows, high - low, 0.8, low, color=colour, alpha=0.3, zorder=1)
            else:
                axis.hlines(rows, low, high, color=colour, linewidth=2, alpha=0.55, zorder=2)
        face = {} if marker == "x" else {"facecolors": "white" if series.hollow else colour}
        axis.scatter(
            _numbers(series.values),
            rows,
            s=30,
            marker=marker,
            color=colour if marker == "x" else None,
            edgecolors=None if marker == "x" else colour,
            linewidths=1.3,
            label=series.name,
            zorder=3,
            **face,
        )
    axis.set_yticks(rows, panel.rows if labelled else [], fontsize=8)
    axis.set_ylim(len(panel.rows) - 0.4, -0.6)
    if axis.get_xlim()[0] >= 0 or _smallest(panel) >= 0:
        axis.set_xlim(left=0)
    else:  # differences
        axis.axvline(0, color="black", linewidth=0.8)
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", labelsize=8)
    axis.grid(axis="x", color="#E5E5E5", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.set_title(textwrap.fill(panel.title, 48), fontsize=9, loc="left")


def _smallest(panel: DotPanel) -> float:
    values = [v for s in panel.series for side in (s.values, s.low) for v in side or () if v]
    return min(values, default=0.0)


def _looks(panels: Sequence[DotPanel]) -> dict[str, int]:
    """Series -> number of its colour and marker, the same in every panel."""
    names = dict.fromkeys(s.name for p in panels for s in p.series)
    return {name: i for i, name in enumerate(names)}


def _numbers(values: Numbers) -> Any:
    return np.array([np.nan if v is None else v for v in values], dtype=float)
