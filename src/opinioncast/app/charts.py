"""Charts of a prediction for the page: shares by group with intervals, or bars about the middle.

Altair's, which the page can zoom and save; every option has a mark of its own beside its colour, so
that they can be told apart in print and by those who do not see colours.
"""

from __future__ import annotations

import textwrap
from typing import Any

import altair as alt
import polars as pl

from opinioncast.report.group_labels import attributes_once
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.survey import Question

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
"""Okabe and Ito's, told apart by most who do not see all colours."""
_MARKS = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "stroke", "wedge")
_ROW, _WIDTH = 20, 190
_WRAPPED = 34
_LABELS = alt.Axis(labelLimit=260, labelOverlap=False)
_ON_DARK = frozenset({"#0072B2", "#009E73", "#D55E00"})
"""Colours on which numbers are white."""


_LONG = {
    "place": pl.Int64,
    "label": pl.String,
    "option": pl.String,
    "number": pl.Int64,
    "share": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "basis": pl.String,
    "people": pl.Float64,
}


def long_rows(rows: pl.DataFrame, observed: pl.DataFrame | None = None) -> pl.DataFrame:
    """A row per group and option of one question's predictions.

    Returns:
        ``place`` (of the group, from the top), ``label``, ``option``, ``number`` (of the option),
        ``share``, ``low``, ``high`` in percent, ``basis``; with ``observed``, ``people``.
    """
    shown = []
    for attribute, group in zip(attributes_once(rows["attribute"]), rows["group"], strict=True):
        shown.append(f"{attribute} · {group}" if attribute else group)
    told: dict[tuple[str, str], list[float]] = {}
    if observed is not None:
        told = {
            (a, g): d for a, g, d in observed.select("attribute", "group", "distribution").rows()
        }
    out = []
    for place, row in enumerate(rows.iter_rows(named=True)):
        people = told.get((row["attribute"], row["group"]))
        for number, option in enumerate(row["options"]):
            bounds = (
                (None, None) if row["low"] is None else (row["low"][number], row["high"][number])
            )
            out.append(
                {
                    "place": place,
                    "label": shown[place],
                    "option": option,
                    "number": number,
                    "share": 100 * row["distribution"][number],
                    "low": None if bounds[0] is None else 100 * bounds[0],
                    "high": None if bounds[1] is None else 100 * bounds[1],
                    "basis": row["basis"] or "",
                    "people": None if people is None else 100 * people[number],
                }
            )
    return pl.DataFrame(out, schema=_LONG)


def interval_chart(question: Question, rows: pl.DataFrame) -> alt.FacetChart:
    """A column per option: each group's share as a dot on its 90% interval.

    Args:
        rows: of :func:`long_rows`.
    """
    height = _ROW * rows["place"].n_unique()
    labels = rows.unique("place", maintain_order=True).sort("place")["label"].to_list()
    options = list(question.options)
    y = alt.Y("label:N", sort=labels, title=None, axis=_LABELS)
    colour = alt.Color("option:N", sort=options, legend=None, scale=_scale(options, _COLOURS))
    base = alt.Chart(_wrapped(rows))
    details = [
        alt.Tooltip("label:N", title="group"),
        alt.Tooltip("option:N"),
        alt.Tooltip("share:Q", format=".0f", title="predicted %"),
        alt.Tooltip("low:Q", format=".0f", title="90% from"),
        alt.Tooltip("high:Q", format=".0f", title="to"),
        alt.Tooltip("basis:N", title="rests on"),
    ]
    axis = alt.Axis(values=[0, 25, 50, 75, 100], format="d")
    x = alt.X("share:Q", scale=alt.Scale(domain=[0, 100]), title="percent", axis=axis)
    layers: list[Any] = [
        base.mark_rule(strokeWidth=3, opacity=0.45).encode(
            y=y, x=alt.X("low:Q", title="percent"), x2="high:Q", color=colour
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            y=y, x=x, color=colour, shape=_shape(options), tooltip=details
        ),
    ]
    if rows["people"].null_count() < rows.height:
        people = alt.X("people:Q", title="percent")
        layers.append(
            base.mark_tick(color="black", thickness=2, size=14).encode(
                y=y, x=people, tooltip=[alt.Tooltip("people:Q", format=".0f", title="observed %")]
            )
        )
    header = alt.Header(title=None, labelFontSize=12, labelAnchor="start", labelLimit=0)
    chart = alt.layer(*layers).properties(width=_WIDTH, height=height)
    return chart.facet(
        column=alt.Column("shown:N", sort=_shown(options), header=header)
    ).properties(title=_title(question))


def stacked_chart(question: Question, rows: pl.DataFrame) -> alt.LayerChart | alt.FacetChart:
    """A bar per group, its options side by side; on a scale, the middle of it stands at zero.

    Args:
        rows: of :func:`long_rows`.
    """
    options = list(question.options)
    labels = rows.unique("place", maintain_order=True).sort("place")["label"].to_list()
    placed = (
        _wrapped(rows)
        .sort("place", "number")
        .with_columns(end=pl.col("share").cum_sum().over("place"))
    )
    placed = placed.with_columns(start=pl.col("end") - pl.col("share"))
    if question.has_scale:
        on = [o for o in question.ordinal if o >= 0]
        middle = (min(on) + max(on)) / 2
        left = [o >= 0 and o < middle for o in question.ordinal]
        half = [o == middle for o in question.ordinal]
        order = question.ordinal[0] <= question.ordinal[-1] or question.ordinal[-1] < 0
        first = left if order else [o > middle for o in question.ordinal]
        part = pl.DataFrame(
            {
                "number": range(len(options)),
                "part": [1.0 if f else 0.5 if h else 0.0 for f, h in zip(first, half, strict=True)],
            }
        ).with_columns(pl.col("number").cast(placed.schema["number"]))
        shift = (pl.col("share") * pl.col("part")).sum().over("place")
        placed = placed.join(part, on="number", maintain_order="left").with_columns(
            start=pl.col("start") - shift, end=pl.col("end") - shift
        )
    ink = ["white" if _colour(i) in _ON_DARK else "black" for i in range(len(options))]
    placed = placed.with_columns(
        ink=pl.col("number").replace_strict(list(range(len(ink))), ink, return_dtype=pl.String)
    )
    bars = (
        alt.Chart(placed)
        .mark_bar(stroke="white", strokeWidth=1)
        .encode(
            y=alt.Y("label:N", sort=labels, title=None, axis=_LABELS),
            x=alt.X("start:Q", title="percent"),
            x2="end:Q",
            color=alt.Color(
                "option:N",
                sort=options,
                scale=_scale(options, _COLOURS),
                legend=alt.Legend(title=None, orient="top", columns=2, labelLimit=420),
            ),
            tooltip=["label:N", "option:N", alt.Tooltip("share:Q", format=".0f", title="%")],
        )
    )
    numbers = (
        alt.Chart(placed.filter(pl.col("share") >= 6))
        .transform_calculate(middle="(datum.start + datum.end) / 2")
        .mark_text(fontSize=11)
        .encode(
            y=alt.Y("label:N", sort=labels, title=None, axis=_LABELS),
            x=alt.X("middle:Q", title="percent"),
            text=alt.Text("share:Q", format=".0f"),
            color=alt.Color("ink:N", scale=None),
        )
    )
    return alt.layer(bars, numbers).properties(
        width="container", height=alt.Step(_ROW), title=_title(question)
    )


def _title(question: Question) -> alt.TitleParams:
    return alt.TitleParams(
        textwrap.wrap(question.text, 100), subtitle=MODEL_OUTPUT, anchor="start", offset=12
    )


def _shown(options: list[str]) -> list[str]:
    """Options over columns: shortened to two lines, told apart by their number."""
    return [
        textwrap.shorten(f"{i + 1}. {option}", _WRAPPED, placeholder=" …")
        for i, option in enumerate(options)
    ]


def _wrapped(rows: pl.DataFrame) -> pl.DataFrame:
    names = rows.unique("number", maintain_order=True).sort("number")["option"].to_list()
    shown = _shown(names)
    return rows.with_columns(shown=pl.col("number").replace_strict(list(range(len(shown))), shown))


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _scale(options: list[str], values: tuple[str, ...]) -> alt.Scale:
    repeated = [values[i % len(values)] for i in range(len(options))]
    return alt.Scale(domain=options, range=repeated)


def _shape(options: list[str]) -> alt.Shape:
    return alt.Shape("option:N", sort=options, legend=None, scale=_scale(options, _MARKS))
