"""Distance to what people answered, by group, between the uniform and the lower bound (Figure 3).

The lower bound is the human one with its 95% band where it was computed (resampled respondents),
else the sampling noise that the cells' bases imply.
"""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.figure import Figure

from opinioncast.evaluate.compare import improvement_by
from opinioncast.evaluate.scores import CellScores
from opinioncast.report.figure_words import plain_words
from opinioncast.report.group_labels import attributes_once
from opinioncast.report.report import MODEL_OUTPUT

_MODEL, _UNIFORM, _BASELINE, _LOWER, _BAND = (  # Okabe and Ito
    "#0072B2",
    "#D55E00",
    "#000000",
    "#B3B3B3",
    "#56B4E9",
)
_AXIS = (
    "Mean Wasserstein distance to what people answered (0 = equal, 1 = opposite ends); "
    "in brackets: cells with a distance, of those asked for where they are fewer"
)
_LABEL = 52  # characters of a line in the legend, of which two stand side by side


def group_chart(
    scores: CellScores,
    *,
    model: str,
    title: str,
    baseline: tuple[str, CellScores] | None = None,
    bounds: pl.DataFrame | None = None,
) -> Figure:
    """One row a group: lower bound, full mark at the model, hollow mark at uniform.

    The last row is the mean over all cells, with the model's 95% interval over questions.

    Args:
        baseline: name and scores of another method (zero-shot), drawn as a cross; over the cells
            that both have.
        bounds: ``attribute, group, human, human_low, human_high`` with a last row for all cells
            (:meth:`opinioncast.evaluate.bounds.Bounds.of`); groups it lacks get no lower bound.
    """
    groups = scores.by("attribute", "group")
    overall = scores.mean()
    names = [*groups.select("attribute", "group").iter_rows(), None]
    rows = np.arange(len(names))
    figure = Figure(figsize=(8.2, 1.9 + 0.24 * len(names)), layout="constrained")
    axis = figure.subplots()
    if bounds is None:
        noise = _values(groups, overall, "wd_noise")
        axis.barh(rows, noise, height=0.7, color=_LOWER, label="sampling noise of the survey")
    else:
        _band(axis, names, bounds)
    axis.scatter(
        _values(groups, overall, "wd_uniform"),
        rows,
        s=34,
        facecolors="white",
        edgecolors=_UNIFORM,
        linewidths=1.4,
        marker="D",
        label="uniform guess",
        zorder=3,
    )
    if baseline is not None:
        name, other = baseline
        shared = improvement_by(scores, other, "attribute", "group")
        means = shared["zero_shot"].to_numpy().astype(float)
        cells = shared["cells"].to_numpy().astype(float)
        values = [*means, np.nansum(means * cells) / max(cells.sum(), 1)]
        axis.scatter(
            np.array(values, dtype=float),
            rows,
            s=34,
            color=_BASELINE,
            marker="x",
            label=textwrap.fill(name, _LABEL),
            zorder=4,
        )
    model_wd = _values(groups, overall, "wd")
    label = textwrap.fill(model, _LABEL)  # a blend names all its models
    axis.scatter(model_wd, rows, s=34, color=_MODEL, marker="o", label=label, zorder=5)
    axis.plot(scores.interval(), [rows[-1]] * 2, color=_MODEL, linewidth=2, zorder=3)
    axis.set_yticks(rows, _labels(groups, overall), fontsize=8)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.axhline(len(names) - 1.5, color="black", linewidth=0.6)
    axis.set_xlim(left=0)
    axis.grid(axis="x", color="#E5E5E5", linewidth=0.7)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel(textwrap.fill(_AXIS, 62), fontsize=8)
    figure.suptitle(f"{title}\n{MODEL_OUTPUT}", fontsize=11, x=0.01, ha="left")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return plain_words(figure)


def _band(axis: Any, names: list[tuple[str, str] | None], bounds: pl.DataFrame) -> None:
    """The human lower bound: a line at its mean in a band of its 95% interval."""
    known: dict[tuple[str, str], list[Any]] = {
        (a, g): values
        for a, g, *values in bounds.select(
            "attribute", "group", "human", "human_low", "human_high"
        ).iter_rows()
    }
    overall = list(known.values())[-1]
    said: set[str] = set()

    def once(label: str) -> str | None:
        fresh = label not in said
        said.add(label)
        return label if fresh else None

    for row, key in enumerate(names):
        human, low, high = known.get(key, [None] * 3) if key else overall
        if human is None:
            continue
        if low is not None and high is not None:
            axis.barh(
                row,
                high - low,
                left=low,
                height=0.8,
                color=_BAND,
                alpha=0.55,
                linewidth=0,
                label=once("95% of the human lower bound"),
            )
        ends = [row - 0.4, row + 0.4]
        axis.plot(
            [human, human], ends, color=_MODEL, linewidth=1.4, label=once("human lower bound")
        )


def _labels(groups: pl.DataFrame, overall: dict[str, Any]) -> list[str]:
    labels = []
    rows = groups.select("group", "cells", "asked").iter_rows()
    for attribute, row in zip(attributes_once(groups["attribute"]), rows, strict=True):
        group, cells, asked = row
        name = f"{attribute} · {group}" if attribute else group
        labels.append(f"{name}  ({_count(cells, asked)})")
    return [*labels, f"All cells  ({_count(overall['cells'], overall['asked'])})"]


def _count(cells: int, asked: int) -> str:
    return str(cells) if cells == asked else f"{cells} of {asked}"


def _values(groups: pl.DataFrame, overall: dict[str, Any], column: str) -> npt.NDArray[np.float64]:
    """A column with its overall value last; NaN, which is not drawn, where there is none."""
    return np.array([*groups[column].to_list(), overall[column]], dtype=float)
