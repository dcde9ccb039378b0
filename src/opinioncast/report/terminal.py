"""Tables for a terminal."""

from __future__ import annotations

import math

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from opinioncast.evaluate.scores import CellScores
from opinioncast.report.group_labels import attributes_once
from opinioncast.survey.tables import PredictionTable

MAX_QUESTIONS = 8
_NOTES = {"refusal_rate": "refused", "label_mass": "label mass", "order_spread": "order spread"}


def prediction_table(table: PredictionTable) -> RenderableType:
    """Shares in percent, a table per question (the first eight), a row per group."""
    shown: list[RenderableType] = []
    questions = table.questions()
    for question in questions[:MAX_QUESTIONS]:
        rows = table.frame.filter(
            pl.col("family") == question.family,
            pl.col("wave") == question.wave,
            pl.col("question_id") == question.question_id,
        )
        width = rows["share_error_90"].drop_nulls()
        note = f"  (±{100 * float(width[0]):.0f} points)" if len(width) else ""
        grid = Table(
            title=Text(f"{question.question_id}: {question.text}{note}", style="bold"),
            title_justify="left",
            box=None,
            pad_edge=False,
        )
        grid.add_column("")
        grid.add_column("group", no_wrap=True, min_width=12)
        for option in question.options:
            grid.add_column(option, justify="right", max_width=16)
        notes = [c for c in _NOTES if rows[c].null_count() < rows.height]
        for column in notes:
            grid.add_column(_NOTES[column], justify="right", style="dim")
        attributes = attributes_once(rows["attribute"])
        for attribute, row in zip(attributes, rows.iter_rows(named=True), strict=True):
            cells = (*row["distribution"], *(row[c] for c in notes))
            grid.add_row(attribute, row["group"], *map(percent, cells))
        shown += [grid, Text()]
    if len(questions) > MAX_QUESTIONS:
        shown.append(Text(f"... and {len(questions) - MAX_QUESTIONS} more questions in the files"))
    return Group(*shown)


def score_table(scores: CellScores) -> RenderableType:
    """Mean Wasserstein distances by group, with the bounds beside them."""
    grid = Table(box=None, pad_edge=False)
    grid.add_column("")
    grid.add_column("group")
    for name in ("model", "uniform", "sampling noise", "cells"):
        grid.add_column(name, justify="right")
    groups = scores.by("attribute", "group")  # "Other" is a group of several attributes
    attributes = attributes_once(groups["attribute"])
    for attribute, row in zip(attributes, groups.iter_rows(named=True), strict=True):
        grid.add_row(
            attribute,
            row["group"],
            *(decimal(row[c]) for c in ("wd", "wd_uniform", "wd_noise")),
            str(row["cells"]),
        )
    return grid


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}%"


def decimal(value: float | None, places: int = 3) -> str:
    """So many decimals; a dash where there is no value (None, NaN)."""
    return "-" if value is None or math.isnan(value) else f"{value:.{places}f}"


def span(low: float | None, high: float | None, places: int = 3) -> str:
    """An interval in words; a dash where there is none."""
    ends = decimal(low, places), decimal(high, places)
    return "-" if "-" in ends else " to ".join(ends)
