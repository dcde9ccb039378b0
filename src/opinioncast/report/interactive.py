"""Interactive figures: one HTML file each, with plotly inside; nothing is loaded from anywhere."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from opinioncast.errors import InputError
from opinioncast.evaluate.distance import Array
from opinioncast.evaluate.scaling import PowerLaw
from opinioncast.files import atomic_path
from opinioncast.report.curve_chart import MEASURES, PARTS
from opinioncast.report.dot_chart import COLOURS, DotPanel
from opinioncast.report.report import MODEL_OUTPUT

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_SYMBOLS = ("circle", "x", "diamond", "square", "triangle-up", "triangle-down", "cross")
_HOLLOW = ("square", "circle", "triangle-up", "diamond", "triangle-down", "cross")
_LINE = 150  # characters
_FONT = "Helvetica, Arial, sans-serif"


def graph_objects() -> Any:
    """The module ``plotly.graph_objects``.

    Raises:
        InputError: plotly is not installed.
    """
    try:
        from plotly import graph_objects
    except ImportError as error:
        raise InputError(
            "Interactive figures need plotly",
            expected="the packages of the [reproduce] extra",
            found=error,
            hint="pip install 'opinioncast[reproduce]'",
        ) from error
    return graph_objects


def write_interactive(figure: Figure, path: Path, *, title: str, note: str, model: bool) -> Path:
    """Write a page that works by itself, offline (about 5 MB, nearly all of it plotly).

    Args:
        note: base and source, under the title.
        model: the figure shows model output, and says so.
    """
    words = f"{MODEL_OUTPUT if model else 'Question wordings'}. {note}"
    lines = textwrap.wrap(words, _LINE)
    figure.update_layout(
        title={"text": f"{title}<br><sup>{'<br>'.join(lines)}</sup>", "y": 0.97, "yanchor": "top"},
        font={"family": _FONT, "size": 13},
        plot_bgcolor="white",
        paper_bgcolor="white",
        margin={"t": 90 + 18 * len(lines)},
    )
    with atomic_path(path) as temporary:
        figure.write_html(str(temporary), include_plotlyjs=True, div_id=path.stem)
    return path


def dots(panels: Sequence[DotPanel], *, axis: str) -> Figure:
    """The panels of :func:`opinioncast.report.dot_chart.dot_figure`."""
    figure = _subplots(len(panels), [p.title for p in panels])
    seen: dict[str, int] = {}
    for column, panel in enumerate(panels, start=1):
        for series in panel.series:
            first = series.name not in seen
            number = seen.setdefault(series.name, len(seen))
            error = None
            if series.low is not None and series.high is not None:
                middle, low, high = (
                    np.array([np.nan if v is None else v for v in values], dtype=float)
                    for values in (series.values, series.low, series.high)
                )
                error = {"type": "data", "array": high - middle, "arrayminus": middle - low}
                if series.band:
                    colour = _faint(COLOURS[number % len(COLOURS)])
                    error |= {"thickness": 10, "width": 0, "color": colour}
            symbols = tuple(f"{s}-open" for s in _HOLLOW) if series.hollow else _SYMBOLS
            symbol = symbols[number % len(symbols)]
            figure.add_trace(
                graph_objects().Scatter(
                    x=list(series.values),
                    y=list(range(len(panel.rows))),
                    customdata=list(panel.rows),
                    mode="markers",
                    name=series.name,
                    legendgroup=series.name,
                    showlegend=first,
                    error_x=error,
                    marker={
                        "color": COLOURS[number % len(COLOURS)],
                        "symbol": symbol,
                        "size": 9,
                    },
                    hovertemplate="%{customdata}: %{x:.3f}<extra>" + series.name + "</extra>",
                ),
                row=1,
                col=column,
            )
        figure.update_yaxes(
            tickvals=list(range(len(panel.rows))),
            ticktext=list(panel.rows),
            range=[len(panel.rows) - 0.4, -0.6],
            showticklabels=column == 1 or list(panel.rows) != list(panels[0].rows),
            row=1,
            col=column,
        )
    figure.update_xaxes(title_text=axis, rangemode="tozero", gridcolor="#E5E5E5")
    figure.update_layout(height=320 + 24 * max(len(p.rows) for p in panels))
    return figure


def heatmaps(
    panels: Mapping[str, Array], groups: Sequence[str], seen: Sequence[bool] | None = None
) -> Figure:
    """Distances between groups, one matrix a panel; rows are targets, columns sources.

    Args:
        seen: whether each group was in the training data: those are bold; None if not known.
    """
    marks = seen or [False] * len(groups)
    names = [f"<b>{g}</b>" if bold else g for g, bold in zip(groups, marks, strict=True)]
    bold = "" if seen is None else "; bold: groups of the training data"
    figure = _subplots(len(panels), list(panels))
    span = max(float(np.nanmax(v) - np.nanmin(v)) for v in panels.values()) or 1.0
    for column, values in enumerate(panels.values(), start=1):
        low = float(np.nanmin(values))
        figure.add_trace(
            graph_objects().Heatmap(
                z=values,
                x=names,
                y=names,
                colorscale="Cividis",
                zmin=low,
                zmax=low + span,
                showscale=False,
                texttemplate="%{z:.3f}",
                hovertemplate="target %{y}<br>source %{x}<br>%{z:.4f}<extra></extra>",
            ),
            row=1,
            col=column,
        )
    figure.update_yaxes(autorange="reversed", showticklabels=False)
    figure.update_yaxes(showticklabels=True, title_text="target (people)", col=1)
    figure.update_xaxes(title_text=f"source{bold}")
    figure.update_layout(height=600)
    return figure


def scaling(fits: Mapping[str, PowerLaw], *, unit: str) -> Figure:
    """Points and fitted line of each model, on log axes."""
    figure = graph_objects().Figure()
    for i, (name, fit) in enumerate(fits.items()):
        colour = COLOURS[i % len(COLOURS)]
        x = np.geomspace(min(fit.sizes), max(fit.sizes), 40)
        line = {"color": colour, "dash": "dash"}
        figure.add_scatter(x=x, y=[fit.at(v) for v in x], mode="lines", line=line, showlegend=False)
        figure.add_scatter(
            x=list(fit.sizes),
            y=list(fit.distances),
            mode="markers",
            name=f"{name}: slope {fit.slope:.3f}",
            marker={"color": colour, "symbol": _SYMBOLS[i % len(_SYMBOLS)], "size": 10},
            hovertemplate="%{x:,.0f} " + unit + ": %{y:.4f}<extra></extra>",
        )
    figure.update_xaxes(type="log", title_text=f"{unit} (log scale)", gridcolor="#E5E5E5")
    figure.update_yaxes(
        type="log", title_text="Mean Wasserstein distance (log scale)", gridcolor="#E5E5E5"
    )
    return figure


def curves(trainings: Mapping[str, pl.DataFrame]) -> Figure:
    """Loss curves as :func:`opinioncast.report.curve_chart.curve_figure` takes them."""
    titles = [f"{name} {where}" for where in PARTS.values() for name in MEASURES.values()]
    figure = _subplots(len(MEASURES), titles, rows=len(PARTS))
    for row, part in enumerate(PARTS, start=1):
        for column, measure in enumerate(MEASURES, start=1):
            for i, (name, frame) in enumerate(trainings.items()):
                chosen = frame.filter(pl.col("part") == part, pl.col(measure).is_not_null())
                figure.add_trace(
                    graph_objects().Scatter(
                        x=chosen["step"].to_list(),
                        y=chosen[measure].to_list(),
                        name=name,
                        legendgroup=name,
                        showlegend=row == column == 1,
                        line={"color": COLOURS[(0, 2, 3, 4)[i % 4]]},
                    ),
                    row=row,
                    col=column,
                )
    figure.update_yaxes(rangemode="tozero", gridcolor="#E5E5E5")
    figure.update_xaxes(title_text="updates", row=len(PARTS))
    figure.update_layout(height=640)
    return figure


def question_map(points: pl.DataFrame) -> Figure:
    """The questions of :func:`opinioncast.curate.question_map.question_map`; keys, no wordings."""
    figure = graph_objects().Figure()
    for i, (name, chosen) in enumerate(points.group_by("set", maintain_order=True)):
        figure.add_scatter(
            x=chosen["x"].to_list(),
            y=chosen["y"].to_list(),
            text=chosen["id"].to_list(),
            mode="markers",
            name=f"{name[0]} ({chosen.height:,})",
            marker={
                "color": COLOURS[(0, 5, 3, 4, 2)[i % 5]],
                "symbol": _SYMBOLS[(0, 4, 3, 2, 6)[i % 5]],
                "size": 6,
                "opacity": 0.75,
            },
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False)
    figure.update_layout(height=640)
    return figure


def similarities(histogram: pl.DataFrame, threshold: float) -> Figure:
    """Pairs of questions by cosine, with the threshold."""
    shown = histogram.filter(pl.col("pairs") > 0)
    figure = graph_objects().Figure()
    figure.add_bar(
        x=((shown["low"] + shown["high"]) / 2).to_list(),
        y=shown["pairs"].to_list(),
        marker={"color": COLOURS[0]},
        hovertemplate="cosine %{x:.3f}: %{y:,} pairs<extra></extra>",
    )
    figure.add_vline(x=threshold, line={"color": COLOURS[2], "dash": "dash"})
    figure.update_xaxes(title_text="Cosine similarity of two question wordings")
    figure.update_yaxes(title_text="Pairs of questions (log scale)", type="log")
    return figure


def _faint(colour: str) -> str:
    """A hexadecimal colour, see-through: for a band behind its mark."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.3)"


def _subplots(columns: int, titles: Sequence[str], *, rows: int = 1) -> Figure:
    graph_objects()  # says what to install
    from plotly.subplots import make_subplots

    return make_subplots(
        rows=rows, cols=columns, subplot_titles=list(titles), horizontal_spacing=0.1 / columns
    )
