"""One self-contained HTML page about one comparison of predictions with observations."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.figure import Figure

from opinioncast.evaluate.clusters import question_words
from opinioncast.evaluate.compare import PairedTest, skill_score
from opinioncast.evaluate.scores import CellScores
from opinioncast.evidence.worth import Worth, number_words
from opinioncast.files import atomic_path
from opinioncast.report.answer_bars import option_colours
from opinioncast.report.answers_chart import CAPTION as ANSWERS_CAPTION
from opinioncast.report.figure_files import svg_text
from opinioncast.report.html import html_page
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.report.terminal import decimal, percent, share_words, span
from opinioncast.survey.question import Question
from opinioncast.survey.tables import INTERVAL

SMALL_BASE = 50
"""Cells of fewer respondents are marked: their observed shares are hardly known themselves."""

MAX_QUESTIONS = 50
"""The worst questions are shown in full; the rest are in the tables."""
_QUESTION = ("family", "wave", "question_id")
"""Columns that tell questions apart."""


@dataclass(frozen=True, slots=True)
class PageFigure:
    """A figure with its heading and what it shows, for those who cannot see it."""

    heading: str
    figure: Figure
    alt: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    group: str
    predicted: Sequence[float]
    said: Sequence[str]
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
    answers: Figure | None = None,
    worth: Worth | None = None,
    knowing_more: pl.DataFrame | None = None,
    human_bound: float | None = None,
    comparison: tuple[str, PairedTest] | None = None,
    by_group: pl.DataFrame | None = None,
    figures: Sequence[PageFigure] = (),
    withheld: str | None = None,
) -> Path:
    """Write the page: answers by group, what the predictions are worth, distances, charts, the
    worst questions, cards and limits.

    Questions come worst first, both distributions of each cell. Nothing is loaded from anywhere:
    styles and figures are inside.

    Args:
        answers: predicted intervals against what people answered, for a few questions
            (:func:`opinioncast.report.answers_chart.answers_chart`): what the page opens with.
        worth: of the predictions, in respondents.
        knowing_more: what predictions of the same questions gain from evidence, a row per state.
        human_bound: the lower bound from resampled respondents; sampling noise stands in for it.
        comparison: name of another method and the test against it.
        by_group: a table to show under the chart; its numbers are rounded to three decimals.
        figures: further figures, in order.
        withheld: why no observed share may be on the page; distances alone are shown then.
    """
    overall = scores.mean()
    lower = overall["wd_noise"] if human_bound is None else human_bound
    questions = scores.frame.select(*_QUESTION).n_unique()
    html = html_page(
        "comparison.html",
        {"percent": percent, "decimal": decimal, "cell": _cell},
        title=title,
        model_output=MODEL_OUTPUT,
        overall=overall,
        answers=None if answers is None else _data_url(answers),
        answers_caption=ANSWERS_CAPTION,
        worth=worth,
        worth_number=None if worth is None else number_words(worth.respondents),
        worth_interval="-"
        if worth is None or worth.low is None
        else f"{number_words(worth.low)} to {number_words(worth.high)}",
        knowing_more=knowing_more,
        interval=span(*scores.interval()),
        lower=lower,
        lower_name="sampling noise" if human_bound is None else "human lower bound",
        skill=_skill_words(skill_score(overall["wd_uniform"], overall["wd"], lower)),
        comparison=comparison,
        difference=None if comparison is None else span(comparison[1].low, comparison[1].high),
        chart=_data_url(chart),
        by_group=by_group,
        figures=[(f, _data_url(f.figure)) for f in figures],
        blocks=_blocks(scores.frame),
        questions=questions,
        question_words=question_words(scores.frame),
        findings=scores.coverage.findings,
        small=SMALL_BASE,
        withheld=withheld,
        model_card=model_card,
        data_card=data_card,
        notes=notes,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(html, "utf-8")
    return path


def _skill_words(score: float | None) -> tuple[str, str, str] | None:
    """A skill score as a figure and words around "uniform guess" and the lower bound."""
    if score is None:
        return None
    if score < 0:
        return (
            "worse",
            f"than a uniform guess, by {-100 * score:.0f}% of the gap between it and the",
            "",
        )
    if score > 1:
        return "all", "of the way from uniform guess to the", " and beyond"
    return f"{100 * score:.0f}%", "of the way from uniform guess to the", ""


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return decimal(value) if isinstance(value, float) else str(value)


def _blocks(frame: pl.DataFrame) -> list[_Block]:
    """Of the questions that the page shows: the worst ones, the worst first."""
    means = frame.group_by(*_QUESTION, maintain_order=True).agg(mean=pl.col("wd").mean())
    worst = (
        # threads sum in any order: what is equal but for its last digits keeps its place
        means.with_columns(pl.col("mean").round(12).fill_null(-1.0))
        .sort("mean", descending=True, maintain_order=True)
        .head(MAX_QUESTIONS)
    )
    shown = frame.join(worst.select(*_QUESTION), on=list(_QUESTION), nulls_equal=True)
    found = shown.partition_by(*_QUESTION, as_dict=True)
    blocks = []
    for key in worst.select(*_QUESTION).rows():
        cells = found[key]
        first = cells.row(0, named=True)
        question = Question(
            first["question_id"],
            first["question"],
            tuple(first["options"]),
            tuple(first["ordinal"]),
        )
        rows = [
            _Row(
                c["group"],
                c["predicted"],
                _said(c),
                c["observed"],
                c["n"],
                c["wd"],
                c["wd_noise"],
            )
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
    return blocks


def _said(cell: Mapping[str, Any]) -> list[str]:
    """Predicted shares with their intervals, in words."""
    nobody = [None] * len(cell["predicted"])
    return list(map(share_words, cell["predicted"], *(cell[e] or nobody for e in INTERVAL)))


def _data_url(figure: Figure) -> str:
    """The figure as an SVG inside the page's own text, letters drawn as outlines."""
    svg = svg_text(figure, letters="path")
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
