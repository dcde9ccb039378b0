"""Texts in the cells of a workbook: never a formula, their rows as high as they need."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len

from opinioncast.texts import visible

NARROW = 1.25
"""A column holds so many more signs of small print than it is wide."""
LINE = 12.75
"""Height of a line of text, in points."""
_MOST_TEXT = 32_000
"""A cell holds 32,767 signs; what is longer is cut, with a sign that it is."""


def safe_text(text: str) -> str:
    """A text as it may be seen, cut where a cell holds no more."""
    shown = visible(text, lines=True)
    return shown if len(shown) <= _MOST_TEXT else shown[:_MOST_TEXT] + " […]"


def lines_of(text: str, width: float) -> int:
    """Lines that a text takes in a column, by its words."""
    count = 0
    for part in text.split("\n"):
        used = 0
        count += 1
        for word in part.split():
            size = cell_len(word)
            if used and used + 1 + size > width:
                count += 1
                used = 0
            used += size + (1 if used else 0)
            while used > width:  # a word longer than the column is broken
                count += 1
                used -= int(width)
    return count


def wrapped(
    sheet: Any,
    row: int,
    column: int,
    text: str,
    cell: Any,
    width: float,
    beside: tuple[str, float] = ("", 1),
) -> None:
    """A text in one column, its row as high as it needs."""
    sheet.write_string(row, column, safe_text(text), cell)
    needed = max(lines_of(text, width * NARROW), lines_of(*beside))
    if needed > 1:
        sheet.set_row(row, needed * LINE + 2)


def merged(sheet: Any, row: int, first: int, last: int, text: str, cell: Any, width: float) -> None:
    """A text over several columns, its row as high as it needs."""
    span(sheet, row, first, last, text, cell)
    sheet.set_row(row, lines_of(text, width * NARROW) * LINE + 2)


def span(sheet: Any, row: int, first: int, last: int, text: str, cell: Any) -> None:
    """A text over several columns."""
    if last > first:
        sheet.merge_range(row, first, row, last, "", cell)
    sheet.write_string(row, first, safe_text(text), cell)


def link(sheet: Any, row: int, column: int, name: str, at: int, text: str, cell: Any) -> None:
    """A text that leads to a row of a sheet."""
    sheet.write_url(row, column, f"internal:'{name}'!A{at + 1}", cell, safe_text(text))
