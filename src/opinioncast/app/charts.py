"""Charts of a prediction for the page: shares by group with intervals, or bars about the middle.

Altair's, which the page can zoom and ask; what they draw is computed in
:mod:`opinioncast.report.answer_bars`, for the charts of files too. Every option has a mark of its
own beside its colour, so that they can be told apart by those who do not see colours.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from opinioncast.report.answer_bars import (
    MODEL,
    NUMBERED,
    bar_starts,
    drawn_order,
    ink_on,
    option_colours,
    option_names,
)
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.survey import Question

_MARKS = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "stroke", "wedge")
_ROW, _WIDTH, _ACROSS, _BARS = 20, 150, 4, 610
_WRAPPED, _MOST_LINES = 24, 5
_BREAK = "¦"
"""Between the lines of an option over its column; no questionnaire has it."""
_LABELS = alt.Axis(labelLimit=260, labelOverlap=False, labelFlush=False)


def interval_chart(question: Question, rows: pl.DataFrame) -> alt.FacetChart:
    """A panel per option, four in a row: each group's share as a dot on its 90% interval.

    Args:
        rows: of :func:`long_rows`.
    """
    height = _ROW * rows["place"].n_unique()
    labels = rows.unique("place", maintain_order=True).sort("place")["label"].to_list()
    options = list(question.options)
    y = alt.Y("label:N", sort=labels, title=None, axis=_LABELS)
    colour = alt.value(MODEL)  # an option has a column of its own
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
    header = alt.Header(
        title=None,
        labelFontSize=12,
        labelAnchor="start",
        labelLimit=0,
        labelExpr=f"split(datum.label, '{_BREAK}')",
    )
    chart = alt.layer(*layers).properties(width=_WIDTH, height=height)
    shown = alt.Facet("shown:N", sort=_shown(options), header=header)
    return chart.facet(facet=shown, columns=_ACROSS).properties(title=_title(question))


def stacked_chart(question: Question, rows: pl.DataFrame) -> alt.LayerChart | alt.FacetChart:
    """A bar per group, its options side by side; on a scale, the middle of it stands at zero.

    Args:
        rows: of :func:`long_rows`.
    """
    options = list(question.options)
    labels = rows.unique("place", maintain_order=True).sort("place")["label"].to_list()
    colours = option_colours(question)
    ordered = _wrapped(rows).sort("place", "number")
    starts = bar_starts(question, ordered["share"].to_numpy()).ravel()
    placed = ordered.with_columns(
        start=pl.Series(starts),
        end=pl.Series(starts) + pl.col("share"),
        ink=pl.Series([ink_on(colours[i]) for i in ordered["number"]], dtype=pl.String),
    )
    order = [options[i] for i in drawn_order(question)]
    beside = [colours[i] for i in drawn_order(question)]
    bars = (
        alt.Chart(placed)
        .mark_bar(stroke="#777777", strokeWidth=0.5)
        .encode(
            y=alt.Y("label:N", sort=labels, title=None, axis=_LABELS),
            x=alt.X("start:Q", title="percent", axis=alt.Axis(labelExpr="abs(datum.value)")),
            x2="end:Q",
            color=alt.Color(
                "option:N",
                sort=order,
                scale=_scale(order, beside),
                legend=alt.Legend(
                    title=None,
                    orient="top",
                    columns=2,
                    labelLimit=420,
                    symbolType="square",
                    symbolStrokeWidth=0,
                ),
            ),
            tooltip=["label:N", "option:N", alt.Tooltip("share:Q", format=".0f", title="%")],
        )
    )
    numbers = (
        alt.Chart(placed.filter(pl.col("share") >= 100 * NUMBERED))
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
        width=_BARS, height=alt.Step(_ROW), title=_title(question)
    )


def _title(question: Question) -> alt.TitleParams:
    return alt.TitleParams(
        textwrap.wrap(question.text, 52), subtitle=MODEL_OUTPUT, anchor="start", offset=12
    )


def _shown(options: list[str]) -> list[str]:
    """Options over columns: whole, wrapped, told apart by their number; cut where they are far too
    long for that."""
    names = option_names(options, _WRAPPED * _MOST_LINES)
    wrapped = (textwrap.wrap(f"{i + 1}. {name}", _WRAPPED) for i, name in enumerate(names))
    return [_BREAK.join(lines) for lines in wrapped]


def _wrapped(rows: pl.DataFrame) -> pl.DataFrame:
    names = rows.unique("number", maintain_order=True).sort("number")["option"].to_list()
    shown = _shown(names)
    return rows.with_columns(shown=pl.col("number").replace_strict(list(range(len(shown))), shown))


def _scale(options: list[str], values: Sequence[str]) -> alt.Scale:
    repeated = [values[i % len(values)] for i in range(len(options))]
    return alt.Scale(domain=options, range=repeated)


def _shape(options: list[str]) -> alt.Shape:
    return alt.Shape("option:N", sort=options, legend=None, scale=_scale(options, _MARKS))
