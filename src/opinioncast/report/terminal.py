"""Tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from opinioncast.evaluate.scores import CellScores
from opinioncast.evidence.worth import Worth, number_words
from opinioncast.report.group_labels import attributes_once
from opinioncast.survey import Subpopulation
from opinioncast.survey.question import Question, label
from opinioncast.survey.tables import INTERVAL, NEVER_MEASURED, PredictionTable
from opinioncast.texts import visible

MAX_QUESTIONS = 8
_NOTES = {"refusal_rate": "refused", "label_mass": "label mass", "order_spread": "order spread"}
_NUMBER, _GAP = 4, 2  # "100%", and between columns
_HEAD, _ATTRIBUTE, _GROUP = 16, 14, 28  # columns at most


def prediction_table(table: PredictionTable) -> RenderableType:
    """What the predictions are worth; then shares in percent with the ends of their intervals, a
    table per question (the first eight), a row per group.

    Where the options' names leave no room for their numbers, letters stand above the columns and
    the names before the table; columns that are still too many go on below.
    """
    shown: list[RenderableType] = [Text(visible(worth_words(table.meta)), style="bold"), Text()]
    questions = table.questions()
    unjudged = _mass_unjudged(table)
    for question in questions[:MAX_QUESTIONS]:
        rows = table.frame.filter(
            pl.col("family") == question.family,
            pl.col("wave") == question.wave,
            pl.col("question_id") == question.question_id,
        )
        notes = [c for c in _NOTES if rows[c].null_count() < rows.height]
        if unjudged and "label_mass" in notes:
            notes.remove("label_mass")
        shown += [_Shares(question, rows, tuple(notes)), Text()]
    if len(questions) > MAX_QUESTIONS:
        shown.append(Text(f"... and {len(questions) - MAX_QUESTIONS} more questions in the files"))
    if unjudged and (most := table.frame["label_mass"].max()) is not None:
        shown.append(
            Text(
                "The language model was trained on the shares among the options alone, so how "
                "likely it is to say one of them at all (label_mass in the files, "
                f"{_small_percent(float(str(most)))} at most) says nothing about these rows."
            )
        )
    return Group(*shown)


def _mass_unjudged(table: PredictionTable) -> bool:
    """Whether the language model's label mass is no sign of anything, by the table's record."""
    records = [table.meta, *table.meta.get("parts", [])]
    told = [r["label_mass_judged"] for r in records if "label_mass_judged" in r]
    return bool(told) and not any(told)


@dataclass(frozen=True)
class _Shares:
    """One question's rows, laid out for the width there is."""

    question: Question
    rows: pl.DataFrame
    notes: tuple[str, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        question, rows = self.question, self.rows
        title = Text(visible(f"{question.question_id}: {question.text}"), style="bold")
        yield title.append(f"  ({interval_words(rows)})", style="not bold dim")
        attributes = [visible(a) for a in attributes_once(rows["attribute"])]
        groups = [visible(g) for g in rows["group"]]
        options_shown = [visible(o) for o in question.options]
        attribute_width = min(_ATTRIBUTE, max(map(cell_len, attributes)))
        group_width = min(_GROUP, max(len("group"), *map(cell_len, groups)))
        shares = [_share_cells(row) for row in rows.iter_rows(named=True)]
        number = max(_NUMBER, *(cell_len(cell) for row in shares for cell in row))
        room = max(options.max_width - attribute_width - group_width - _GAP, number + _GAP)
        names, heads = list(options_shown), [_NOTES[c] for c in self.notes]
        least = sum(_narrow(n, number) + _GAP for n in names)
        least += sum(_narrow(h) + _GAP for h in heads)
        if any(_longest_word(n) > _HEAD for n in names) or least > room:
            names = [label(i) for i in range(len(names))]
            key = zip(names, options_shown, strict=True)
            yield Text("   ".join(f"{name}\u00a0{option}" for name, option in key), style="dim")
        every = [*names, *heads]
        numbers = [number] * len(names) + [_NUMBER] * len(heads)
        widths = [max(n, min(cell_len(h), _HEAD)) for h, n in zip(every, numbers, strict=True)]
        if sum(widths) + _GAP * len(widths) > room:
            widths = [_narrow(h, n) for h, n in zip(every, numbers, strict=True)]
        cells = [
            share + [(_small_percent if c == "label_mass" else percent)(row[c]) for c in self.notes]
            for share, row in zip(shares, rows.iter_rows(named=True), strict=True)
        ]
        for part in _parts([w + _GAP for w in widths], room):
            grid = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
            grid.add_column("", width=attribute_width, overflow="fold")
            grid.add_column("group", width=group_width, overflow="fold")
            for i in part:
                style = "" if i < len(names) else "dim"
                grid.add_column(Text(every[i]), justify="right", style=style, width=widths[i])
            for attribute, group, row in zip(attributes, groups, cells, strict=True):
                shown = (Text(row[i]) for i in part)
                grid.add_row(Text(attribute), Text(group), *shown)
            yield grid


def _share_cells(row: Mapping[str, Any]) -> list[str]:
    """The shares of a row with their intervals."""
    nobody = [None] * len(row["distribution"])
    ends = (row[end] or nobody for end in INTERVAL)
    return list(map(share_words, row["distribution"], *ends))


def _parts(widths: Sequence[int], room: int) -> list[list[int]]:
    """Columns side by side as far as there is room, the others below."""
    parts: list[list[int]] = [[]]
    used = 0
    for i, width in enumerate(widths):
        if parts[-1] and used + width > room:
            parts.append([])
            used = 0
        parts[-1].append(i)
        used += width
    return parts


def _narrow(head: str, number: int = _NUMBER) -> int:
    """The least width of a column, so that neither numbers nor words of its head are cut."""
    return max(number, min(_longest_word(head), _HEAD))


def _longest_word(text: str) -> int:
    return max((cell_len(word) for word in text.split()), default=0)


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


def interval_words(rows: pl.DataFrame, shown: str = "in brackets") -> str:
    """What stands with a share, of rows of one question.

    Args:
        shown: how the interval is.
    """
    known = rows.filter(pl.col("low").is_not_null())
    measured = known.filter(~pl.col("basis").str.contains(NEVER_MEASURED, literal=True))
    if measured.height:
        return f"{shown}: 90% interval, measured"
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
    no_distance = pl.col("wd").is_null() & (pl.col("cells_scored") > 0)
    divergence = groups.filter(no_distance).height > 0  # shown where no distance is
    if divergence:
        grid.add_column("KL divergence", justify="right")
    attributes = attributes_once(groups["attribute"])
    for attribute, row in zip(attributes, groups.iter_rows(named=True), strict=True):
        found = (worth or {}).get(str(Subpopulation.from_key(row["attribute"], row["group"])))
        grid.add_row(
            Text(visible(attribute)),
            Text(visible(row["group"])),
            *([number_words(None if found is None else found.respondents)] if worth else []),
            *(decimal(row[c]) for c in ("wd", "wd_uniform", "wd_noise")),
            str(row["cells"]),
            *([decimal(row["kl"])] if divergence else []),
        )
    dashes = groups.filter(pl.col("wd").is_null())
    if dashes.is_empty():
        return grid
    why = []
    if dashes["cells_scored"].sum():
        why.append(
            "a distance needs a scale, and the questions scored there have none (add `scale:`)"
        )
    if dashes.filter(pl.col("cells_scored") == 0).height:
        why.append("a group that was not predicted has no score (ask for it with -g)")
    return Group(grid, Text(f"-: {'; '.join(why)}"))


def plain_table(frame: pl.DataFrame) -> Table:
    """A frame as it is: words to the left in the first column, the rest to the right."""
    grid = Table(box=None, pad_edge=False)
    for i, name in enumerate(frame.columns):
        grid.add_column(Text(visible(name)), justify="right" if i else "left")
    for row in frame.iter_rows():
        cells = (decimal(v) if isinstance(v, float) else str(v) for v in row)
        grid.add_row(*(Text(visible(cell)) for cell in cells))
    return grid


def _small_percent(share: float | None) -> str:
    """In percent; what is there and rounds to nothing is not nothing."""
    return "<1%" if share is not None and 0 < share < 0.005 else percent(share)


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}%"


def decimal(value: float | None, places: int = 3) -> str:
    """So many decimals; a dash where there is no value (None, NaN)."""
    return "-" if value is None or math.isnan(value) else f"{value:.{places}f}"


def span(low: float | None, high: float | None, places: int = 3) -> str:
    """An interval in words; a dash where there is none."""
    ends = decimal(low, places), decimal(high, places)
    return "-" if "-" in ends else " to ".join(ends)
