"""One self-contained HTML page about one comparison of predictions with observations."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from opinioncast.evaluate.scores import CellScores
from opinioncast.files import atomic_path
from opinioncast.report.chart import MODEL_OUTPUT, option_colours
from opinioncast.report.terminal import decimal, percent
from opinioncast.survey.question import Question

SMALL_BASE = 50
"""Cells of fewer respondents are marked: their observed shares are hardly known themselves."""


@dataclass(frozen=True, slots=True)
class _Row:
    group: str
    predicted: Sequence[float]
    observed: Sequence[float]
    n: int | None
    wd: float | None
    noise: float | None


@dataclass(frozen=True, slots=True)
class _Block:
    question: Question
    colours: Sequence[str]
    rows: Sequence[_Row]
    wd: float | None


def write_page(
    path: Path,
    scores: CellScores,
    *,
    title: str,
    chart: Figure,
    model_card: Mapping[str, Any],
    data_card: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> Path:
    """Write the page: headline, chart, every question with both distributions, cards and limits.

    Questions come worst first. Nothing is loaded from anywhere: styles and the chart are inside.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("opinioncast.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "decimal": decimal}
    overall = scores.mean()
    html = environment.get_template("comparison.html").render(
        title=title,
        model_output=MODEL_OUTPUT,
        overall=overall,
        interval=scores.interval(),
        skill=skill(overall),
        chart=_data_url(chart),
        blocks=_blocks(scores),
        unpredicted=scores.unpredicted,
        unobserved=scores.unobserved,
        small=SMALL_BASE,
        model_card=model_card,
        data_card=data_card,
        notes=notes,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(html, "utf-8")
    return path


def skill(means: Mapping[str, float | None]) -> float | None:
    """How far from the uniform bound (0) to the sampling noise (1) a mean distance lies."""
    wd, upper, lower = means["wd"], means["wd_uniform"], means["wd_noise"]
    if wd is None or upper is None or lower is None or upper <= lower:
        return None
    return (upper - wd) / (upper - lower)


def _blocks(scores: CellScores) -> list[_Block]:
    blocks = []
    for _, cells in scores.frame.group_by("family", "wave", "question_id", maintain_order=True):
        first = cells.row(0, named=True)
        question = Question(
            first["question_id"],
            first["question"],
            tuple(first["options"]),
            tuple(first["ordinal"]),
        )
        rows = [
            _Row(c["group"], c["predicted"], c["observed"], c["n"], c["wd"], c["wd_noise"])
            for c in cells.iter_rows(named=True)
        ]
        mean = cells["wd"].mean()
        blocks.append(
            _Block(
                question,
                option_colours(question),
                rows,
                mean if isinstance(mean, float) else None,
            )
        )
    return sorted(blocks, key=lambda b: -1.0 if b.wd is None else b.wd, reverse=True)


def _data_url(figure: Figure) -> str:
    """The figure as an SVG inside the page's own text."""
    buffer = io.BytesIO()
    FigureCanvasSVG(figure)
    figure.savefig(buffer, format="svg")
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
