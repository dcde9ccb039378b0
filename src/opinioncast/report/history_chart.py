"""What groups answered to one question over the years: a panel per option, a line per group."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from opinioncast.library.history import History
from opinioncast.report.figure_words import plain_words
from opinioncast.survey import Subpopulation

_TOTAL = "#000000"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
SHOWN = 6
"""Groups with a line of their own beside the total's."""
_PANELS = 6


def apart(
    frame: pl.DataFrame, groups: Sequence[Subpopulation], k: int = SHOWN
) -> list[Subpopulation]:
    """The groups that lie farthest from everyone, over all years and options; at most ``k``."""
    total = frame.filter(pl.col("attribute") == "TOTAL").select("wave", "option", whole="share")
    gaps = (
        frame.join(total, on=["wave", "option"])
        .group_by("attribute", "group")
        .agg(gap=(pl.col("share") - pl.col("whole")).abs().mean())
    )
    gap = {(a, g): value for a, g, value in gaps.iter_rows()}
    order = sorted((s for s in groups if s.conditions), key=lambda s: -gap.get(s.key, 0.0))
    return order[:k]


def history_chart(history: History) -> Figure:
    """Shares by year with their 95% sampling error; of many groups those farthest from the total.

    Survey results, not predictions; options past the sixth are in the CSV only.
    """
    frame, asked = history.frame, history.asked
    options = list(asked.question.options)[:_PANELS]
    chosen = [s for s in history.groups if not s.conditions] + apart(frame, history.groups)
    columns = min(len(options), 3)
    rows = -(-len(options) // columns)
    figure = Figure(figsize=(3.1 * columns + 0.8, 2.5 * rows + 1.7), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
    years = sorted({y for y in frame["year"].to_list() if y is not None})
    for axis, option in zip(axes, options, strict=False):
        for number, group in enumerate(chosen):
            attribute, name = group.key
            line = frame.filter(
                pl.col("attribute") == attribute,
                pl.col("group") == name,
                pl.col("option") == option,
                pl.col("year").is_not_null(),
            )
            share = 100 * line["share"].to_numpy()
            error = 196 * line["se"].cast(pl.Float64).fill_null(0.0).to_numpy()
            axis.errorbar(
                line["year"].to_numpy(),
                share,
                yerr=error,
                color=_TOTAL if not group.conditions else _COLOURS[(number - 1) % len(_COLOURS)],
                linewidth=2 if not group.conditions else 1.2,
                elinewidth=0.7,
                marker="o",
                markersize=3.5,
                label="everyone" if not group.conditions else name,
            )
        axis.set_title("\n".join(textwrap.wrap(option, 34)[:2]), fontsize=9, loc="left")
        axis.grid(color="#E5E5E5", linewidth=0.7)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
        if len(years) <= 4:
            axis.set_xticks(years)
    for axis in axes[len(options) :]:
        axis.set_visible(False)
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("percent", fontsize=8)
    title = textwrap.fill(asked.question.text, 34 * columns)
    figure.suptitle(f"{title}\n{asked.asked}; survey results", fontsize=10, x=0.01, ha="left")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False
    )
    return plain_words(figure)
