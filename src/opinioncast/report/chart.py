"""Charts of response distributions: one panel a question, one bar a group, people below the model.

Bars of a scale stand about its middle. Colours, places and names are those of
:mod:`opinioncast.report.answer_bars`, as on the page.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

import numpy as np
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnchoredOffsetbox, DrawingArea, HPacker, TextArea, VPacker
from matplotlib.patches import Rectangle

from opinioncast.report.answer_bars import (
    NUMBERED,
    bar_starts,
    ink_on,
    option_colours,
    option_names,
)
from opinioncast.report.bar_numbers import BarNumbers, Number, stacked_bars
from opinioncast.report.figure_files import write_figure
from opinioncast.report.figure_words import drawable, plain_words
from opinioncast.report.group_labels import attributes_once
from opinioncast.report.report import MODEL_OUTPUT, Progress
from opinioncast.survey.question import Question
from opinioncast.survey.tables import NEVER_MEASURED, OpinionTable, PredictionTable

_PER_SHEET = 6
MOST_SHEETS = 3
"""Drawn unasked: 18 questions. A sheet takes seconds, and nobody looks through hundreds."""
_COLUMNS = 2
_NAME_GAP = 3.5  # points between groups' names and the bars, as ticks have it
_TITLE, _TITLE_LINE, _LEGEND_LINE = 600, 78, 92  # letters, as they fit beside groups' names


def draw_charts(
    predictions: PredictionTable,
    folder: Path,
    *,
    observed: OpinionTable | None = None,
    most: int | None = MOST_SHEETS,
    progress: Progress | None = None,
) -> list[Path]:
    """Draw questions, six to a sheet: ``chart.png``, ``chart-2.png``, ``chart-3.png``, ...

    Sheets that an earlier run of more questions left are removed by who holds ``folder``
    (:mod:`opinioncast.output_folder`).

    Args:
        most: sheets; the last one drawn says how many questions are left. None: every question.
        progress: called with sheets done and in all.
    """
    questions = predictions.questions()
    sheets = [questions[i : i + _PER_SHEET] for i in range(0, len(questions), _PER_SHEET)][:most]
    left = len(questions) - sum(map(len, sheets))
    paths = []
    for number, sheet in enumerate(sheets, start=1):
        path = folder / ("chart.png" if number == 1 else f"chart-{number}.png")
        title = "Predicted responses" + (
            f" (sheet {number} of {len(sheets)})" if len(sheets) > 1 else ""
        )
        if left and number == len(sheets):
            title += f"; {left} more questions are in the tables (--write charts draws all)"
        figure = distribution_chart(predictions, sheet, observed=observed, title=title)
        paths.append(write_figure(figure, path, dpi=110))
        if progress is not None:
            progress(number, len(sheets))
    return paths


def distribution_chart(
    predictions: PredictionTable,
    questions: Sequence[Question],
    *,
    observed: OpinionTable | None = None,
    title: str = "Predicted responses",
) -> Figure:
    """Stacked bars of ``questions``, a panel each; where observed, a thin bar of what people said.

    Under each panel stands how wide the intervals of its predictions are.
    """
    predicted = _by_question(predictions)
    seen = _by_question(observed) if observed is not None else {}
    panels = [(q, predicted.get(_key(q), []), seen.get(_key(q), [])) for q in questions]
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    heights = []
    for r in range(rows):
        beside = panels[r * columns : (r + 1) * columns]
        words = max(len(_legend_rows(q.options)) + 1.3 * len(_title(q)) for q, _, _ in beside)
        heights.append(1.05 + 0.17 * words + 0.27 * max(len(cells) for _, cells, _ in beside))
    figure = Figure(figsize=(7.6 * columns, sum(heights) + 0.9), layout="constrained")
    figure.suptitle(f"{title}\n{MODEL_OUTPUT}", fontsize=12, x=0.01, ha="left")
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=heights).flatten()
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for axis, (question, cells, people) in zip(axes, panels, strict=False):
        _panel(axis, question, cells, {(c["attribute"], c["group"]): c for c in people})
    return plain_words(figure)


def _panel(
    axis: Any,
    question: Question,
    cells: Sequence[dict[str, Any]],
    people: dict[tuple[str, str], dict[str, Any]],
) -> None:
    colours = option_colours(question)
    both = bool(people)
    labels = []
    attributes = attributes_once(cell["attribute"] for cell in cells)
    known = [people.get((cell["attribute"], cell["group"])) for cell in cells]
    shift, height = (0.12, 0.52) if both else (0.0, 0.76)
    predicted = [cell["distribution"] for cell in cells]
    _bars(axis, question, predicted, colours, [y - shift for y in range(len(cells))], height)
    there = [(y + 0.29, seen["distribution"]) for y, seen in enumerate(known) if seen is not None]
    _bars(axis, question, [d for _, d in there], colours, [y for y, _ in there], 0.2, number=False)
    for attribute, cell, seen in zip(attributes, cells, known, strict=True):
        trait = f"{attribute} · " if attribute else ""
        n = f"  (n={seen['n']})" if seen is not None and seen["n"] is not None else ""
        labels.append(textwrap.fill(f"{trait}{cell['group']}{n}", 40))
    _group_names(axis, labels)
    axis.set_ylim(len(cells) - 0.4, -0.6)
    _percent_axis(axis, question, [*predicted, *(d for _, d in there)])
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    legend = _legend(axis, question, colours)
    axis.set_title("\n".join(_title(question)), fontsize=9, loc="left", pad=7 + 12 * legend)
    notes = ["thick: model, thin: people"] if both else []
    halves = [
        (high - low) / 2
        for c in cells
        if c["low"] is not None and NEVER_MEASURED not in c["basis"]
        for low, high in zip(c["low"], c["high"], strict=True)
    ]
    if halves:
        notes.append(
            f"model: 90% intervals of ±{100 * float(np.mean(halves)):.0f} points on average"
        )
    elif any(c["low"] is not None for c in cells):
        notes.append("model: error never measured, any share is possible")
    axis.set_xlabel("; ".join(notes), fontsize=7.5)


def _group_names(axis: Any, labels: Sequence[str]) -> None:
    """Names left of the bars, where ticks have theirs: a tick is four artists, and is laid out
    again whenever a title looks for its place."""
    axis.set_yticks([])
    transform, vertical, horizontal = axis.get_yaxis_text1_transform(_NAME_GAP)
    for place, name in enumerate(labels):
        axis.text(0, place, name, fontsize=8, transform=transform, va=vertical, ha=horizontal)


def _percent_axis(axis: Any, question: Question, shares: Sequence[Sequence[float]]) -> None:
    """From 0 to 100%; of a scale, as far to both sides of its middle as any bar goes."""
    if not question.has_scale or not shares:
        axis.set_xlim(0, 1)
        axis.set_xticks(np.linspace(0, 1, 5), ["0%", "25%", "50%", "75%", "100%"], fontsize=8)
        return
    starts = bar_starts(question, shares)
    low, high = float(starts.min()), float((starts + np.asarray(shares, float)).max())
    ticks = np.arange(np.floor(4 * low), np.ceil(4 * high) + 1) / 4
    axis.set_xlim(min(low, 0), max(high, 0))
    shown = [t for t in ticks if low <= t <= high]
    axis.set_xticks(shown, [f"{abs(100 * t):.0f}%" for t in shown], fontsize=8)
    axis.axvline(0, color="black", linewidth=0.8, zorder=0)  # behind the bars' numbers


def _title(question: Question) -> list[str]:
    """The question in lines, whole unless it is longer than a panel is high."""
    wide = sum(east_asian_width(c) in "WF" for c in question.text) > len(question.text) / 2
    line = _TITLE_LINE // 2 if wide else _TITLE_LINE
    text = " ".join(question.text.split())
    return textwrap.wrap(text if len(text) <= _TITLE else f"{text[: _TITLE - 2]} …", line)


def _legend(axis: Any, question: Question, colours: Sequence[str]) -> int:
    """Draw the options above the bars, in their order, as many to a line as there is room for; how
    many lines that took."""
    names = dict(zip(question.options, colours, strict=True))
    shown = dict(zip(question.options, _shown(question.options), strict=True))
    rows = _legend_rows(question.options)
    lines: list[Any] = []
    for row in rows:
        items: list[Any] = []
        for option in row:
            box = DrawingArea(8, 6)
            box.add_artist(
                Rectangle((0, 0), 8, 6, facecolor=names[option], edgecolor="#777777", linewidth=0.3)
            )
            items += [box, TextArea(shown[option], textprops={"fontsize": 7})]
        lines.append(HPacker(children=items, align="center", pad=0, sep=4))
    block = VPacker(children=lines, align="left", pad=0, sep=3)
    axis.add_artist(
        AnchoredOffsetbox(
            loc="lower left",
            child=block,
            pad=0,
            frameon=False,
            bbox_to_anchor=(0, 1.0),
            bbox_transform=axis.transAxes,
            borderpad=0.1,
        )
    )
    return len(rows)


def _legend_rows(options: Sequence[str]) -> list[list[str]]:
    """Options in lines of at most :data:`_LEGEND_LINE` letters."""
    rows: list[list[str]] = [[]]
    used = 0.0
    for option, shown in zip(options, _shown(options), strict=True):
        width = 4 + sum(2 if east_asian_width(c) in "WF" else 1 for c in shown)
        if rows[-1] and used + width > _LEGEND_LINE:
            rows.append([])
            used = 0
        rows[-1].append(option)
        used += width
    return rows


def _shown(options: Sequence[str]) -> list[str]:
    return option_names([drawable(o) for o in options])


def _bars(
    axis: Any,
    question: Question,
    rows: Sequence[Sequence[float]],
    colours: Sequence[str],
    places: Sequence[float],
    height: float,
    *,
    number: bool = True,
) -> None:
    """Stacked bars, with their numbers where there is room.

    Args:
        rows: shares, a row a bar.
        places: of the bars' middles.
    """
    if not rows:
        return
    shares = np.asarray(rows, dtype=float)
    starts = bar_starts(question, shares)
    axis.add_collection(stacked_bars(starts, shares, places, height, colours), autolim=False)
    if number:
        inks = [ink_on(colour) for colour in colours]
        numbers = [
            Number(f"{100 * share:.0f}", start + share / 2, y, ink)
            for y, begins, parts in zip(places, starts, shares, strict=True)
            for start, share, ink in zip(begins, parts, inks, strict=True)
            if share >= NUMBERED
        ]
        axis.add_artist(BarNumbers(numbers, 6.5))


def _key(question: Question) -> tuple[str, str, str]:
    return question.family, question.wave, question.question_id


def _by_question(
    table: OpinionTable | PredictionTable,
) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in table.frame.iter_rows(named=True):
        found.setdefault((row["family"], row["wave"], row["question_id"]), []).append(row)
    return found
