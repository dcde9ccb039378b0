"""Tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from opinioncast.evaluate.scores import CellScores
from opinioncast.evidence.worth import Worth, number_words
from opinioncast.report.group_labels import attributes_once
from opinioncast.survey import Subpopulation
from opinioncast.survey.tables import INTERVAL, NEVER_MEASURED, PredictionTable

MAX_QUESTIONS = 8
_NOTES = {"refusal_rate": "refused", "label_mass": "label mass", "order_spread": "order spread"}


def prediction_table(table: PredictionTable) -> RenderableType:
    """What the predictions are worth; then shares in percent with the ends of their intervals, a
    table per question (the first eight), a row per group."""
    shown: list[RenderableType] = [Text(worth_words(table.meta), style="bold"), Text()]
    questions = table.questions()
    for question in questions[:MAX_QUESTIONS]:
        rows = table.frame.filter(
            pl.col("family") == question.family,
            pl.col("wave") == question.wave,
            pl.col("question_id") == question.question_id,
        )
        title = Text(f"{question.question_id}: {question.text}", style="bold")
        grid = Table(
            title=title.append(f"  ({interval_words(rows)})", style="not bold dim"),
            title_justify="left",
            box=None,
            pad_edge=False,
        )
        grid.add_column("")
        grid.add_column("group", no_wrap=True, min_width=12)
        for option in question.options:
            grid.add_column(option, justify="right", max_width=18)
        notes = [c for c in _NOTES if rows[c].null_count() < rows.height]
        for column in notes:
            grid.add_column(_NOTES[column], justify="right", style="dim")
        attributes = attributes_once(rows["attribute"])
        for attribute, row in zip(attributes, rows.iter_rows(named=True), strict=True):
            nobody = [None] * len(row["distribution"])
            ends = (row[end] or nobody for end in INTERVAL)
            shares = map(share_words, row["distribution"], *ends)
            grid.add_row(attribute, row["group"], *shares, *(percent(row[c]) for c in notes))
        shown += [grid, Text()]
    if len(questions) > MAX_QUESTIONS:
        shown.append(Text(f"... and {len(questions) - MAX_QUESTIONS} more questions in the files"))
    return Group(*shown)


def worth_words(meta: Mapping[str, Any]) -> str:
    """The first sentence about predictions: what they were measured to be worth, in respondents.

    Args:
        meta: of a prediction table; ``worth`` as :mod:`opinioncast.evidence.worth` records it.
    """
    worth = meta.get("worth")
    if not worth:
        return "Worth: never measured for these settings (opinioncast evaluate measures it)"
    overall = next(iter(worth.values()))
    return (
        f"Measured on {overall['questions']} other questions: as near to what people answer as a "
        f"sample of {overall['words']} in the group"
    )


def interval_words(rows: pl.DataFrame) -> str:
    """What stands in brackets behind a share, of rows of one question."""
    known = rows.filter(pl.col("low").is_not_null())
    measured = known.filter(~pl.col("basis").str.contains(NEVER_MEASURED, literal=True))
    if measured.height:
        return "in brackets: 90% interval, measured"
    return "error never measured: any share is possible" if known.height else "no intervals"


def share_words(share: float, low: float | None, high: float | None) -> str:
    """``41% [20-66]``; a share whose interval says nothing (0 to 1) stands by itself."""
    if low is None or high is None or (low <= 0 and high >= 1):
        return percent(share)
    return f"{percent(share)} [{100 * low:.0f}-{100 * high:.0f}]"


def score_table(scores: CellScores, worth: Mapping[str, Worth] | None = None) -> RenderableType:
    """Mean Wasserstein distances by group, with the bounds beside them.

    Args:
        worth: by ``str(Subpopulation)``; a column in respondents, first.
    """
    grid = Table(box=None, pad_edge=False)
    grid.add_column("")
    grid.add_column("group")
    for name in (*(["worth"] if worth else []), "model", "uniform", "sampling noise", "cells"):
        grid.add_column(name, justify="right")
    groups = scores.by("attribute", "group")  # "Other" is a group of several attributes
    attributes = attributes_once(groups["attribute"])
    for attribute, row in zip(attributes, groups.iter_rows(named=True), strict=True):
        found = (worth or {}).get(str(Subpopulation.from_key(row["attribute"], row["group"])))
        grid.add_row(
            attribute,
            row["group"],
            *([number_words(None if found is None else found.respondents)] if worth else []),
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
