"""Distance to what people answered, by group, between the uniform bound and sampling noise.

The plain relative of the paper's Figure 3.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from opinioncast.evaluate.scores import CellScores
from opinioncast.report.chart import MODEL_OUTPUT

_MODEL, _UNIFORM, _NOISE = "#0072B2", "#D55E00", "#B3B3B3"  # Okabe and Ito


def group_chart(scores: CellScores, *, model: str, title: str) -> Figure:
    """One row a group: grey bar up to the noise, hollow mark at uniform, full mark at the model.

    The last row is the mean over all cells, with the model's 95% interval over questions.
    """
    groups = scores.by("attribute", "group")
    overall = scores.mean()
    low, high = scores.interval()
    labels = []
    trait = ""
    for attribute, group in groups.select("attribute", "group").iter_rows():
        labels.append(group if attribute == trait else f"{attribute} · {group}")
        trait = attribute
    labels.append("All cells")
    columns = {
        c: [*groups[c].to_list(), overall[c]] for c in ("wd", "wd_uniform", "wd_noise", "cells")
    }
    rows = range(len(labels))
    figure = Figure(figsize=(8.2, 1.7 + 0.24 * len(labels)), layout="constrained")
    axis = figure.subplots()
    axis.barh(
        rows,
        [v or 0 for v in columns["wd_noise"]],
        height=0.7,
        color=_NOISE,
        label="sampling noise of the survey",
    )
    axis.scatter(
        columns["wd_uniform"],
        rows,
        s=34,
        facecolors="white",
        edgecolors=_UNIFORM,
        linewidths=1.4,
        marker="D",
        label="uniform guess",
        zorder=3,
    )
    axis.scatter(columns["wd"], rows, s=34, color=_MODEL, marker="o", label=model, zorder=4)
    axis.plot([low, high], [rows[-1]] * 2, color=_MODEL, linewidth=2, zorder=3)
    axis.set_yticks(
        rows, [f"{a}  ({n})" for a, n in zip(labels, columns["cells"], strict=True)], fontsize=8
    )
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.axhline(len(labels) - 1.5, color="black", linewidth=0.6)
    axis.set_xlim(left=0)
    axis.grid(axis="x", color="#E5E5E5", linewidth=0.7)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel(
        "Mean Wasserstein distance to what people answered (0 = equal, 1 = opposite ends);"
        " in brackets: questions",
        fontsize=8,
    )
    figure.suptitle(f"{title}\n{MODEL_OUTPUT}", fontsize=11, x=0.01, ha="left")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure
