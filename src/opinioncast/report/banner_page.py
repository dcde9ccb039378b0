"""Banner tables as one self-contained page: no script, nothing fetched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from opinioncast.banners.rounding import half_up, points_text, share_text
from opinioncast.banners.table import PREDICTION, STARS, Array, Banner, Line, QuestionTable
from opinioncast.files import atomic_path
from opinioncast.report.disclosure import AAPOR, ESOMAR, Card
from opinioncast.report.html import html_page
from opinioncast.report.report import MODEL_OUTPUT


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is shown: the style's name, what it is, a text for each column."""

    style: str
    label: str
    cells: tuple[str, ...]


def write_banner_page(banner: Banner, card: Card, path: Path, *, title: str) -> Path:
    """Write the page.

    Raises:
        StorageError: the file cannot be written.
    """
    page = html_page(
        "banner.html",
        title=title,
        origin=MODEL_OUTPUT if banner.kind == PREDICTION else "Survey results",
        predicted=banner.kind == PREDICTION,
        columns=banner.columns,
        heads=[(words, last - first + 1) for words, first, last in banner.heads()],
        total=-1 if banner.total is None else banner.total,
        tables=[
            {
                "name": t.question.question_id,
                "wording": t.question.text,
                "base_text": t.base_text,
                "rows": shown_rows(banner, t),
                "notes": t.notes,
            }
            for t in banner.tables
        ],
        footer=banner.footer,
        card=card,
        parts=((AAPOR, card.items), (ESOMAR, card.themes)),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, "utf-8")
    return path


def shown_rows(banner: Banner, table: QuestionTable) -> list[Row]:
    """A table's rows as texts: bases, then each line with what stands below it."""
    places = banner.settings.decimals
    rows = _base_rows(banner, table)
    for line in table.lines:
        hidden = tuple(
            STARS if banner.kind != PREDICTION and flag == STARS else "" for flag in table.flags
        )
        rows.append(Row(line.kind, line.label, _figures(line, line.values, hidden, places)))
        if line.low is not None and line.high is not None:
            ends = tuple(
                _interval(line, float(low), float(high), places)
                for low, high in zip(line.low, line.high, strict=True)
            )
            if any(ends):
                rows.append(Row("small", "90% interval", ends))
        if line.observed is not None:
            stars = tuple(STARS if flag == STARS else "" for flag in table.flags)
            rows.append(
                Row("small observed", "observed", _figures(line, line.observed, stars, places))
            )
            difference = line.difference
            assert difference is not None
            rows.append(
                Row(
                    "small",
                    "predicted − observed",
                    tuple(_difference(line, float(v), places) for v in difference),
                )
            )
        if any(line.marks):
            rows.append(Row("small marks", "", line.marks))
    return rows


def _base_rows(banner: Banner, table: QuestionTable) -> list[Row]:
    bases = table.bases
    if bases is None:
        return []
    beside = "Observed: " if banner.kind == PREDICTION else ""
    rows = []
    for words, values, flagged in (
        ("Unweighted base", bases.unweighted, True),
        ("Weighted base", bases.weighted, False),
        ("Effective base", bases.effective, False),
    ):
        if all(math.isnan(v) for v in values):
            continue
        cells = tuple(
            "" if math.isnan(v) else f"{half_up(float(v)):,.0f}{flag if flagged else ''}"
            for v, flag in zip(values, table.flags, strict=True)
        )
        rows.append(Row("bases", beside + words, cells))
    return rows


def _figures(line: Line, values: Array, hidden: tuple[str, ...], places: int) -> tuple[str, ...]:
    def one(value: float) -> str:
        if math.isnan(value):
            return ""
        return f"{half_up(value, 2):.2f}" if line.kind == "mean" else share_text(value, places)

    return tuple(mark or one(float(v)) for v, mark in zip(values, hidden, strict=True))


def _interval(line: Line, low: float, high: float, places: int) -> str:
    if math.isnan(low):
        return ""
    if line.kind == "mean":
        return f"{half_up(low, 2):.2f}–{half_up(high, 2):.2f}"
    return f"{half_up(100 * low, places):.{places}f}–{half_up(100 * high, places):.{places}f}"


def _difference(line: Line, value: float, places: int) -> str:
    if math.isnan(value):
        return ""
    if line.kind == "mean":
        return f"{half_up(value, 2):+.2f}"
    return points_text(value, places)
