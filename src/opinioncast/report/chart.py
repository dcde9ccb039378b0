"""Charts of response distributions: one panel a question, one bar a group, people below the model.

Ordered options run through a diverging palette (ColorBrewer PuOr), others through Okabe and Ito's:
both can be told apart by colour-blind readers. Off-scale options are grey.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from opinioncast.report.figure_files import write_figure
from opinioncast.report.figure_words import plain_words
from opinioncast.report.group_labels import attributes_once
from opinioncast.survey.question import OFF_SCALE, Question
from opinioncast.survey.tables import NEVER_MEASURED, ORIGIN, OpinionTable, PredictionTable

MODEL_OUTPUT = ORIGIN.capitalize()
_OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
_OFF_SCALE = ("#8C8C8C", "#B3B3B3", "#D0D0D0")
_PER_SHEET = 6
_COLUMNS = 2


def draw_charts(
    predictions: PredictionTable, folder: Path, *, observed: OpinionTable | None = None
) -> list[Path]:
    """Draw every question, six to a sheet: ``chart.png``, or ``chart-1.png``, ``chart-2.png``, ...

    Sheets left in ``folder`` by an earlier run of more questions are removed.
    """
    questions = predictions.questions()
    sheets = [questions[i : i + _PER_SHEET] for i in range(0, len(questions), _PER_SHEET)]
    for old in [folder / "chart.png", *folder.glob("chart-*.png")]:
        old.unlink(missing_ok=True)
    paths = []
    for number, sheet in enumerate(sheets, start=1):
        path = folder / ("chart.png" if len(sheets) == 1 else f"chart-{number}.png")
        title = "Predicted responses" + (
            f" (sheet {number} of {len(sheets)})" if len(sheets) > 1 else ""
        )
        figure = distribution_chart(predictions, sheet, observed=observed, title=title)
        paths.append(write_figure(figure, path, dpi=110))
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
        bars = max(len(p[1]) for p in panels[r * columns : (r + 1) * columns])
        heights.append(1.75 + 0.27 * bars)
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
    for y, (attribute, cell) in enumerate(zip(attributes, cells, strict=True)):
        _bar(axis, cell["distribution"], colours, y - (0.12 if both else 0), 0.52 if both else 0.76)
        seen = people.get((cell["attribute"], cell["group"]))
        if seen is not None:
            _bar(axis, seen["distribution"], colours, y + 0.29, 0.2, number=False)
        trait = f"{attribute} · " if attribute else ""
        n = f"  (n={seen['n']})" if seen is not None and seen["n"] is not None else ""
        labels.append(f"{trait}{cell['group']}{n}")
    axis.set_yticks(range(len(cells)), labels, fontsize=8)
    axis.set_ylim(len(cells) - 0.4, -0.6)
    axis.set_xlim(0, 1)
    axis.set_xticks(np.linspace(0, 1, 5), ["0%", "25%", "50%", "75%", "100%"], fontsize=8)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(axis="y", length=0)
    text = textwrap.fill(textwrap.shorten(question.text, 230, placeholder=" …"), 92)
    axis.set_title(text, fontsize=9, loc="left", pad=24)
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
    handles = [
        matplotlib.patches.Patch(color=c, label=textwrap.shorten(o, 34, placeholder="…"))
        for o, c in zip(question.options, colours, strict=True)
    ]
    axis.legend(
        handles=handles,
        ncols=min(len(handles), 5),
        fontsize=7,
        frameon=False,
        loc="lower left",
        bbox_to_anchor=(-0.01, 0.99),
        handlelength=1,
        columnspacing=1,
        borderaxespad=0.1,
    )


def _bar(
    axis: Any,
    shares: Sequence[float],
    colours: Sequence[str],
    y: float,
    height: float,
    *,
    number: bool = True,
) -> None:
    left = 0.0
    for share, colour in zip(shares, colours, strict=True):
        axis.barh(
            y, share, left=left, height=height, color=colour, edgecolor="#777777", linewidth=0.3
        )
        if number and share >= 0.06:
            dark = np.dot(matplotlib.colors.to_rgb(colour), (0.299, 0.587, 0.114)) < 0.55
            axis.text(
                left + share / 2,
                y,
                f"{100 * share:.0f}",
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if dark else "black",
            )
        left += share


def option_colours(question: Question) -> list[str]:
    """One colour per option: along the scale, grey off it, or distinct where there is no scale."""
    if not question.has_scale:
        return [_OKABE_ITO[i % len(_OKABE_ITO)] for i in range(len(question.options))]
    on = sorted({v for v in question.ordinal if v != OFF_SCALE})
    palette = matplotlib.colormaps["PuOr"](np.linspace(0.12, 0.88, len(on)))
    place = {v: matplotlib.colors.to_hex(c) for v, c in zip(on, palette, strict=True)}
    grey = iter(_OFF_SCALE * 9)
    return [next(grey) if v == OFF_SCALE else place[v] for v in question.ordinal]


def _key(question: Question) -> tuple[str, str, str]:
    return question.family, question.wave, question.question_id


def _by_question(
    table: OpinionTable | PredictionTable,
) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in table.frame.iter_rows(named=True):
        found.setdefault((row["family"], row["wave"], row["question_id"]), []).append(row)
    return found
