"""Sheets of banner tables: groups across, options down; figures are rounded half up as shown."""

from __future__ import annotations

import math
from typing import Any

from rich.cells import cell_len

from opinioncast.banners.rounding import half_up, points_text, shown_share
from opinioncast.banners.table import PREDICTION, STARS, Array, Banner, Line, QuestionTable
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.report.workbook_cells import (
    LINE,
    NARROW,
    lines_of,
    link,
    merged,
    safe_text,
    span,
    wrapped,
)
from opinioncast.report.workbook_formats import Formats

_LABEL_WIDTH, _SURVEY_WIDTH, _INTERVAL_WIDTH = 38, 9, 10
_PAGE_WIDTH = 100
_PRINT_SCALE = 64
_PAGE_CHARACTERS = 158
"""Widths of columns that fit across a printed page at that scale."""
_READABLE = 45
"""Widths of columns over which a wording is worth reading."""
_WORDS = {"interval": "90% interval", "observed": "observed", "difference": "predicted − observed"}


class TableSheets:
    """Writes a banner's tables, each from a row of a sheet on, and single figures elsewhere."""

    def __init__(self, banner: Banner, formats: Formats, title: str) -> None:
        self.banner, self.formats, self.title = banner, formats, title
        self.predicted = banner.kind == PREDICTION
        least = _INTERVAL_WIDTH if self.predicted else _SURVEY_WIDTH
        self.widths = [_column_width(c.name, least) for c in banner.columns]

    def lay_out(self, sheet: Any) -> None:
        """Columns and pages of a sheet of tables."""
        sheet.set_column(0, 0, _LABEL_WIDTH)
        for i, width in enumerate(self.widths, start=1):
            sheet.set_column(i, i, width)
        sheet.repeat_columns(0)
        sheet.set_print_scale(_PRINT_SCALE)
        breaks = self._page_breaks()
        if breaks:
            sheet.set_v_pagebreaks(breaks)
            sheet.print_across()

    def _page_breaks(self) -> list[int]:
        """Columns before which a printed page ends: between attributes where they fit."""
        breaks, used = [], float(_LABEL_WIDTH)
        for _, first, last in self.banner.heads():
            run = sum(self.widths[first : last + 1])
            if used + run > _PAGE_CHARACTERS and used > _LABEL_WIDTH:
                breaks.append(first + 1)
                used = float(_LABEL_WIDTH)
            for i in range(first, last + 1):
                if used + self.widths[i] > _PAGE_CHARACTERS:  # more groups than fit on any page
                    breaks.append(i + 1)
                    used = float(_LABEL_WIDTH)
                used += self.widths[i]
        return breaks

    def head_height(self) -> int:
        """Rows above a table's figures: label, question, base, attributes, groups, letters."""
        return 5 + self._lettered

    @property
    def _lettered(self) -> int:
        return int(any(c.letter for c in self.banner.columns))

    def body_height(self, table: QuestionTable) -> int:
        """Rows of a table's bases, options and notes."""
        bases = 0 if table.bases is None else len(self._base_rows(table))
        return bases + sum(len(self._rows_of(line)) for line in table.lines) + len(table.notes)

    def table(self, sheet: Any, row: int, number: int, table: QuestionTable) -> None:
        """One table, its head in ``row``."""
        f, columns = self.formats, self.banner.columns
        last = len(columns)
        link(sheet, row, 0, "Contents", 0, f"Table {number}: {question_name(table)}", f["link"])
        label = MODEL_OUTPUT if self.predicted else self.title
        pages = self._pages()
        for first, final in pages:
            span(sheet, row, first, final, label, f["label" if self.predicted else "source"])
        # Over several printed pages the first column comes again on each: what reached from it into
        # others would be cut off there.
        begin, page = (0, last) if len(pages) == 1 else (1, pages[0][1])
        width = sum(self.widths[:page]) + (0 if begin else _LABEL_WIDTH)
        self._told(sheet, row + 1, pages, table.question.text, f["question"], 1 / NARROW)
        self._told(sheet, row + 2, pages, table.base_text, f["base_text"], 1)
        at = row + 3
        tallest = 1
        for words, first, final in self.banner.heads():
            span(sheet, at, first + 1, final + 1, _capital(words), f["attribute"])
            tallest = max(tallest, lines_of(words, sum(self.widths[first : final + 1]) * 0.9))
        sheet.set_row(at, tallest * LINE + 3)
        tallest = 1
        for i, column in enumerate(columns, start=1):
            sheet.write_string(at + 1, i, safe_text(column.name), f["head"])
            tallest = max(tallest, lines_of(column.name, self.widths[i - 1] * NARROW))
            if self._lettered:
                sheet.write_string(at + 2, i, column.letter, f["letter_head"])
        sheet.set_row(at + 1, tallest * LINE + 3)
        at = row + self.head_height()
        at = self._bases(sheet, at, table)
        for line in table.lines:
            at = self._line(sheet, at, line, table)
        for note in table.notes:
            merged(sheet, at, begin, page, note, f["note"], width)
            at += 1
        self.footer(sheet, at, page, first=begin, width=width)

    def _pages(self) -> list[tuple[int, int]]:
        """First and last column of groups on each printed page."""
        starts = [1, *self._page_breaks()]
        ends = [*(s - 1 for s in starts[1:]), len(self.banner.columns)]
        return list(zip(starts, ends, strict=True))

    def _told(
        self,
        sheet: Any,
        row: int,
        pages: list[tuple[int, int]],
        text: str,
        cell: Any,
        narrower: float,
    ) -> None:
        """A text above a table: on the first page and on each that is wide enough to read it."""
        if len(pages) == 1:
            width = _LABEL_WIDTH + sum(self.widths)
            merged(sheet, row, 0, pages[0][1], text, cell, width * narrower)
            return
        tallest = 1
        for number, (first, final) in enumerate(pages):
            width = sum(self.widths[first - 1 : final])
            if number and width < _READABLE:
                continue
            span(sheet, row, first, final, text, cell)
            tallest = max(tallest, lines_of(text, width * narrower * NARROW))
        sheet.set_row(row, tallest * LINE + 2)

    def _base_rows(self, table: QuestionTable) -> list[tuple[str, Array, str]]:
        bases = table.bases
        if bases is None:
            return []
        beside = "Observed: " if self.predicted else ""
        rows = [
            (f"{beside}Unweighted base", bases.unweighted, "unweighted"),
            (f"{beside}Weighted base", bases.weighted, "base"),
            (f"{beside}Effective base", bases.effective, "base"),
        ]
        return [r for r in rows if r[2] == "unweighted" or not _nothing(r[1])]

    def _bases(self, sheet: Any, at: int, table: QuestionTable) -> int:
        f = self.formats
        for words, values, style in self._base_rows(table):
            sheet.write_string(at, 0, words, f.get(f"{style}_label"))
            for i, value in enumerate(values):
                if math.isnan(value):
                    sheet.write_string(at, i + 1, "", f[style])
                    continue
                flag = table.flags[i] if style == "unweighted" else ""
                sheet.write_number(at, i + 1, half_up(float(value)), f[style + flag])
            at += 1
        return at

    def _rows_of(self, line: Line) -> list[str]:
        """What stands in the lines of one option below each other."""
        rows = ["figure"]
        if line.low is not None and not _nothing(line.low):
            rows.append("interval")
        if line.observed is not None:
            rows += ["observed", "difference"]
        if line.marks and self.banner.settings.compare != "nothing":
            rows.append("marks")
        return rows

    def _line(self, sheet: Any, at: int, line: Line, table: QuestionTable) -> int:
        f = self.formats
        for what in self._rows_of(line):
            if what == "figure":
                wrapped(sheet, at, 0, line.label, f.of(line.kind, "label"), _LABEL_WIDTH)
            elif what != "marks":
                sheet.write_string(at, 0, _WORDS[what], f[f"{what}_label"])
            for i, column in enumerate(self.banner.columns):
                if what == "figure":
                    hidden = not self.predicted and table.flags[i] == STARS
                    style = "total" if column.is_total else "figure"
                    self.figure(sheet, at, i + 1, line, line.values, i, style, hidden=hidden)
                elif what == "interval":
                    sheet.write_string(at, i + 1, self.interval(line, i), f["interval"])
                elif what == "observed" and line.observed is not None:
                    hidden = table.flags[i] == STARS
                    self.figure(sheet, at, i + 1, line, line.observed, i, "observed", hidden=hidden)
                elif what == "difference":
                    self.difference(sheet, at, i + 1, line, i)
                elif line.marks[i]:
                    sheet.write_string(at, i + 1, line.marks[i], f["marks"])
            at += 1
        return at

    def figure(
        self,
        sheet: Any,
        row: int,
        column: int,
        line: Line,
        values: Array,
        i: int,
        style: str,
        *,
        hidden: bool = False,
    ) -> None:
        """A share in percent or a mean; stars where it is hidden, nothing where it is not known."""
        f = self.formats
        mean = line.kind == "mean"
        cell = f.number(style, line.kind, self.banner.settings.decimals)
        if hidden:
            sheet.write_string(row, column, STARS, cell)
        elif math.isnan(values[i]):
            sheet.write_string(row, column, "", cell)
        else:
            value = float(values[i])
            shown = half_up(value, 2) if mean else shown_share(value, self.banner.settings.decimals)
            sheet.write_number(row, column, shown, cell)

    def interval(self, line: Line, i: int) -> str:
        """The interval of a share in percent, or of a mean; "" where there is none."""
        if line.low is None or line.high is None or math.isnan(line.low[i]):
            return ""
        low, high = float(line.low[i]), float(line.high[i])
        if line.kind == "mean":
            return f"{half_up(low, 2):.2f}–{half_up(high, 2):.2f}"
        places = self.banner.settings.decimals
        return f"{half_up(100 * low, places):.{places}f}–{half_up(100 * high, places):.{places}f}"

    def difference(self, sheet: Any, row: int, column: int, line: Line, i: int) -> None:
        """Predicted less observed, in points or of a mean."""
        difference = line.difference
        cell = self.formats["difference"]
        if difference is None or math.isnan(difference[i]):
            sheet.write_string(row, column, "", cell)
        elif line.kind == "mean":
            sheet.write_number(
                row, column, half_up(float(difference[i]), 2), self.formats["mean_difference"]
            )
        else:
            points = points_text(float(difference[i]), self.banner.settings.decimals)
            sheet.write_number(row, column, float(points), cell)

    def footer(
        self, sheet: Any, row: int, last: int, *, first: int = 0, width: float = _PAGE_WIDTH
    ) -> None:
        """How to read the tables, a row a sentence."""
        for text in self.banner.footer:
            merged(sheet, row, first, last, text, self.formats["footer"], width)
            row += 1


def question_name(table: QuestionTable) -> str:
    """Its family, wave and id, those that there are."""
    question = table.question
    return " ".join(filter(None, (question.family, question.wave, question.question_id)))


def _column_width(name: str, least: int) -> int:
    """So that no word of a group's name is broken, up to a limit."""
    longest = max((cell_len(word) for word in name.split()), default=0)
    return max(least, min(longest + 1, 16))


def _nothing(values: Array) -> bool:
    return all(math.isnan(v) for v in values)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
