"""Answers by group: predicted shares with their intervals, and beside them what people answered.

One panel a question, one row a group, one share: that of the option, or of the end of the scale,
that says most about how groups differ. What a survey person looks at first.
"""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from opinioncast.evaluate.clusters import CLUSTER
from opinioncast.report.answer_bars import MODEL, PEOPLE
from opinioncast.report.figure_words import plain_words
from opinioncast.report.group_labels import attributes_once
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.survey import Subpopulation

QUESTIONS = 3
_GROUPS = 24
"""Rows at most; where there are more, intersections are left out, then the last groups."""

_Z = 1.645  # people's own sampling error: 90%, as the predictions' intervals

CAPTION = (
    "Dot and bar: the model's prediction and its 90% interval. Diamond and thin line: what people "
    "answered, with the 90% sampling error of that. Of each question one answer is shown. The "
    "questions are those in the middle and at the quarters of all, from the nearest to the "
    "furthest prediction: neither the best nor the worst."
)


def answers_chart(
    cells: pl.DataFrame, *, questions: int = QUESTIONS, title: str = "Answers by group"
) -> Figure | None:
    """Panels of a few questions: at equal steps through all, ranked by distance.

    Args:
        cells: as :class:`opinioncast.evaluate.scores.CellScores` has them.

    Returns:
        None where no cell has an interval: there is nothing to show.
    """
    known = cells.filter(pl.col("low").is_not_null(), pl.col("wd").is_not_null())
    if known.height == 0:
        return None
    groups = _groups(known)
    shown = [
        groups.join(
            _rows(known.filter(pl.col(CLUSTER) == c), groups),
            on=["attribute", "group"],
            how="left",
            maintain_order="left",
        )
        for c in _in_between(known, questions)
    ]
    figure = Figure(
        figsize=(3.3 * len(shown) + 2.0, 2.2 + 0.22 * groups.height), layout="constrained"
    )
    figure.suptitle(f"{title}\n{MODEL_OUTPUT}", fontsize=11, x=0.01, ha="left")
    axes = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    for axis, rows in zip(axes, shown, strict=True):
        _panel(axis, rows)
    axes[0].set_yticks(range(groups.height), _labels(groups), fontsize=8)
    axes[0].set_ylim(groups.height - 0.4, -0.6)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        fontsize=8,
        frameon=False,
    )
    return plain_words(figure)


def _groups(cells: pl.DataFrame) -> pl.DataFrame:
    """The groups to show: those of one attribute before intersections, in the table's order."""
    keys = ["attribute", "group"]
    found = cells.select(keys).unique(maintain_order=True).with_row_index("first")
    found = found.with_columns(
        first=pl.col("first").min().over("attribute"),
        mixed=pl.col("attribute").str.contains(" & ", literal=True),
    )
    return found.sort("mixed", "first", maintain_order=True).head(_GROUPS).select(keys)


def _in_between(cells: pl.DataFrame, count: int) -> list[int]:
    """Questions at the (i + 1) / (count + 1) quantiles of mean distance, nearest first."""
    ranked = (
        cells.group_by(CLUSTER, maintain_order=True).agg(pl.col("wd").mean()).sort("wd", CLUSTER)
    )
    places = [round((i + 1) / (count + 1) * (ranked.height - 1)) for i in range(count)]
    return [ranked[CLUSTER][i] for i in dict.fromkeys(places)]


def _rows(cells: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Of the question's last wave, one share of each group."""
    last = cells.select("family", "wave").row(-1)
    cells = cells.filter(pl.col("family") == last[0], pl.col("wave") == last[1]).join(
        groups, on=["attribute", "group"], how="semi", maintain_order="left"
    )
    option = _telling_option(cells)
    picked = [
        pl.col(c).list.get(option).alias(name)
        for c, name in (
            ("predicted", "share"),
            ("low", "low"),
            ("high", "high"),
            ("observed", "people"),
        )
    ]
    base = pl.coalesce("n_eff", pl.col("n").cast(pl.Float64))
    return cells.select(
        "question",
        "attribute",
        "group",
        *picked,
        base=base,
        option=pl.col("options").list.get(option),
    ).with_columns(error=(pl.col("people") * (1 - pl.col("people")) / pl.col("base")).sqrt() * _Z)


def _telling_option(cells: pl.DataFrame) -> int:
    """The option whose observed share differs most between the groups."""
    shares = np.array(cells["observed"].to_list())
    return int(np.argmax(shares.std(axis=0)))


def _labels(groups: pl.DataFrame) -> list[str]:
    labels = []
    keys = groups.iter_rows()
    for attribute, (name, group) in zip(attributes_once(groups["attribute"]), keys, strict=True):
        plain = Subpopulation.from_key(name, group).conditions and attribute
        labels.append(f"{attribute} · {group}" if plain else group)
    return labels


def _panel(axis: Any, rows: pl.DataFrame) -> None:
    rows = rows.with_row_index("place").filter(pl.col("share").is_not_null())
    places = rows["place"].to_numpy().astype(float)
    share, low, high, people = (rows[c].to_numpy() for c in ("share", "low", "high", "people"))
    error = rows["error"].fill_null(0).to_numpy()
    axis.errorbar(
        share,
        places - 0.14,
        xerr=(share - low, high - share),
        fmt="o",
        markersize=4,
        linewidth=3,
        alpha=0.85,
        color=MODEL,
        ecolor="#9CC7E4",
        label="predicted, with its 90% interval",
    )
    axis.errorbar(
        people,
        places + 0.2,
        xerr=(np.minimum(error, people), np.minimum(error, 1 - people)),
        fmt="D",
        markersize=3.6,
        linewidth=1,
        color=PEOPLE,
        label="what people answered, with its 90% sampling error",
    )
    axis.set_xlim(0, 1)
    axis.set_xticks(np.linspace(0, 1, 5), ["0%", "25%", "50%", "75%", "100%"], fontsize=8)
    axis.grid(axis="x", color="#E5E5E5", linewidth=0.7)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(axis="y", length=0)
    text = textwrap.fill(textwrap.shorten(rows["question"][0], 170, placeholder=" …"), 46)
    option = textwrap.shorten(rows["option"][0], 50, placeholder=" …")
    axis.set_title(f"{text}\n“{option}”", fontsize=8.5, loc="left")
