"""Expected errors of a planned sample by group, against the targets, and with the cheapest sample
that meets them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from opinioncast.report.figure_words import plain_words
from opinioncast.report.group_labels import attributes_once
from opinioncast.report.report import MODEL_OUTPUT

_DESIGN, _NEEDED, _TARGET = "#0072B2", "#009E73", "#D55E00"  # Okabe and Ito
_AXIS = (
    "Expected margin of error in points, the largest of all questions and options; in brackets: "
    "interviews expected in the group"
)


def plan_chart(groups: pl.DataFrame, *, title: str, notes: Sequence[str] = ()) -> Figure:
    """One row a group.

    Args:
        groups: of :class:`opinioncast.jobs.plan.Plan`; groups without any error are left out.
        notes: what was assumed, under the chart.
    """
    shown = groups.filter(pl.any_horizontal(pl.col("moe", "moe_needed").is_not_null()))
    rows = np.arange(shown.height)
    figure = Figure(figsize=(8.2, 2.1 + 0.26 * shown.height), layout="constrained")
    axis = figure.subplots()
    now, then, target = (
        shown[c].cast(pl.Float64).fill_null(np.nan).to_numpy()
        for c in ("moe", "moe_needed", "target")
    )
    axis.hlines(
        rows, np.fmin(now, then), np.fmax(now, then), color="#CCCCCC", linewidth=1, zorder=1
    )
    for values, colour, face, label in (
        (now, _DESIGN, _DESIGN, "with the sample as designed"),
        (then, _NEEDED, "white", "with the cheapest sample that meets all targets"),
    ):
        if not np.isnan(values).all():
            axis.scatter(
                values, rows, s=34, edgecolors=colour, facecolors=face, label=label, zorder=3
            )
    if not np.isnan(target).all():
        axis.scatter(
            target, rows, s=90, color=_TARGET, marker="|", linewidths=2, label="target", zorder=2
        )
    labels = []
    attributes = attributes_once(shown["attribute"])
    for attribute, row in zip(attributes, shown.iter_rows(named=True), strict=True):
        counts = [row[c] for c in ("interviews", "interviews_needed") if row[c] is not None]
        name = f"{attribute} · {row['group']}" if attribute else row["group"]
        labels.append(f"{name}  ({' → '.join(f'{c:,.0f}' for c in counts)})")
    axis.set_yticks(rows, labels, fontsize=8)
    axis.set_ylim(shown.height - 0.4, -0.6)
    axis.set_xlim(left=0)
    axis.grid(axis="x", color="#E5E5E5", linewidth=0.7)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(axis="y", length=0)
    small = [textwrap.fill(line, 90) for line in (_AXIS, *notes[:3])]
    axis.set_xlabel("\n".join(small), fontsize=8)
    origin = f"The shares they are computed at are {MODEL_OUTPUT[0].lower()}{MODEL_OUTPUT[1:]}"
    figure.suptitle(f"{title}\n{origin}", fontsize=11, x=0.01, ha="left")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return plain_words(figure)
