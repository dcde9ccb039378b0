"""Banner tables as an Excel workbook: contents, toplines, a sheet a table, the disclosure card.

Every text goes in as text (``write_string``), whatever it begins with: no wording is a formula.
Figures are numbers with formats, rounded half up as they are shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xlsxwriter
from rich.cells import cell_len

from opinioncast.banners.build import without_columns
from opinioncast.banners.rounding import half_up, points_text, shown_share
from opinioncast.banners.table import PREDICTION, STARS, Array, Banner, Line, QuestionTable
from opinioncast.files import atomic_path
from opinioncast.report.disclosure import AAPOR, ESOMAR, Card
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.report.workbook_formats import Formats
from opinioncast.texts import visible

_LABEL_WIDTH, _SURVEY_WIDTH, _INTERVAL_WIDTH = 38, 9, 10
_PAGE_WIDTH = 100
_PRINT_SCALE = 64
_PAGE_CHARACTERS = 158
"""Widths of columns that fit across a printed page at that scale."""
_NARROW = 1.25
"""A column holds so many more signs of small print than it is wide."""
_LINE = 12.75
"""Height of a line of text, in points."""
_MOST_TEXT = 32_000
"""A cell holds 32,767 signs; what is longer is cut, with a sign that it is."""


@dataclass(frozen=True, slots=True)
class WorkbookSettings:
    """How a workbook is laid out.

    Attributes:
        stacked: all tables below each other on one sheet, not a sheet each.
        title: of the book; empty: what the tables are.
    """

    stacked: bool = False
    title: str = ""


def write_workbook(
    banner: Banner, card: Card, path: Path, settings: WorkbookSettings = WorkbookSettings()
) -> Path:
    """Write the book.

    Raises:
        StorageError: the file cannot be written.
    """
    with atomic_path(path) as temporary:
        _Book(banner, card, settings).write(temporary)
    return path


def book_title(banner: Banner, title: str = "") -> str:
    """What a book is called where nobody says so."""
    if title:
        return title
    kind = "Predicted answers" if banner.kind == PREDICTION else "Survey results"
    return f"{kind}: {len(banner.tables)} question{'s' * (len(banner.tables) != 1)} by group"


class _Book:
    def __init__(self, banner: Banner, card: Card, settings: WorkbookSettings) -> None:
        self.banner, self.card, self.settings = banner, card, settings
        self.title = book_title(banner, settings.title)
        self.predicted = banner.kind == PREDICTION
        least = _INTERVAL_WIDTH if self.predicted else _SURVEY_WIDTH
        self.widths = [_column_width(c.name, least) for c in banner.columns]
        self.width = _LABEL_WIDTH + sum(self.widths)

    def write(self, path: Path) -> None:
        options = {
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "nan_inf_to_errors": False,
        }
        with xlsxwriter.Workbook(str(path), options) as book:
            self.formats = Formats(book)
            self._properties(book)
            places = self._places()
            self._contents(book, places)
            self._toplines(book, places)
            sheet = None
            for number, table in enumerate(self.banner.tables, start=1):
                name, row = places[number - 1]
                if sheet is None or not self.settings.stacked:
                    sheet = self._table_sheet(book, name)
                self._table(sheet, row, number, table)
                if not self.settings.stacked:
                    sheet.freeze_panes(self._head_height(), 1)
                    sheet.repeat_rows(0, self._head_height() - 1)
            if sheet is not None and self.settings.stacked:
                sheet.set_h_pagebreaks([row for _, row in places[1:]])
                sheet.freeze_panes(0, 1)
            self._disclosure(book)

    # --- sheets -----------------------------------------------------------------------------------

    def _properties(self, book: Any) -> None:
        what = MODEL_OUTPUT if self.predicted else "Survey results, tabulated"
        book.set_properties(
            {
                "title": self.title,
                "subject": what,
                "category": what,
                "keywords": what,
                "comments": f"{what}. {self.card.notice}".strip(),
                "author": "opinioncast",
                "created": datetime.now(UTC).replace(tzinfo=None, microsecond=0),
            }
        )
        book.set_custom_property("Origin", what)

    def _places(self) -> list[tuple[str, int]]:
        """Sheet and first row of each table."""
        if not self.settings.stacked:
            return [(f"T{i}", 0) for i in range(1, len(self.banner.tables) + 1)]
        places, row = [], 0
        for table in self.banner.tables:
            places.append(("Tables", row))
            row += self._head_height() + self._body_height(table) + len(self.banner.footer) + 3
        return places

    def _contents(self, book: Any, places: Sequence[tuple[str, int]]) -> None:
        sheet = self._sheet(book, "Contents", landscape=False)
        f = self.formats
        sheet.set_column(0, 0, 7)
        sheet.set_column(1, 1, 18)
        sheet.set_column(2, 2, 74)
        sheet.write_string(0, 0, _safe(self.title), f["title"])
        row = self._label(sheet, 1, 2)
        if self.banner.total is not None:
            _link(sheet, row, 0, "Toplines", 0, "Toplines", f["link"])
            row += 1
        _link(
            sheet, row, 0, "Disclosure", 0, "Disclosure card and how to read the tables", f["link"]
        )
        row += 2
        for column, text in enumerate(("Table", "Question", "Wording")):
            sheet.write_string(row, column, text, f["head_left"])
        sheet.freeze_panes(row + 1, 0)
        sheet.repeat_rows(row)
        for number, (table, (name, at)) in enumerate(
            zip(self.banner.tables, places, strict=True), start=1
        ):
            row += 1
            _link(sheet, row, 0, name, at, str(number), f["link"])
            sheet.write_string(row, 1, _safe(_question_name(table)), f["text"])
            _wrapped(sheet, row, 2, table.question.text, f["text"], 74)

    def _toplines(self, book: Any, places: Sequence[tuple[str, int]]) -> None:
        """The whole alone: every question on a page or two."""
        if self.banner.total is None:
            return
        sheet = self._sheet(book, "Toplines", landscape=False)
        f = self.formats
        alone = without_columns(self.banner, [self.banner.total])
        sheet.set_column(0, 0, 62)
        sheet.set_column(1, 4, 12)
        sheet.write_string(
            0, 0, f"Toplines: {self.banner.columns[self.banner.total].name}", f["title"]
        )
        row = self._label(sheet, 1, 3) + 1
        heads = self._topline_heads()
        for number, (table, (name, at)) in enumerate(
            zip(alone.tables, places, strict=True), start=1
        ):
            text = f"{number}. {table.question.text}"
            _wrapped(sheet, row, 0, text, f["question"], 62)
            for column, head in enumerate(heads, start=1):
                sheet.write_string(row, column, head, f["head"])
            row += 1
            for line in table.lines:
                _wrapped(sheet, row, 0, line.label, f.of(line.kind, "label"), 62)
                for column, head in enumerate(heads, start=1):
                    self._topline_cell(sheet, row, column, head, line, table)
                row += 1
            note = table.base_text
            if table.bases is not None and not math.isnan(table.bases.unweighted[0]):
                whose = " Observed:" if self.predicted else ""
                note += f"{whose} n = {table.bases.unweighted[0]:,.0f}{table.flags[0]}"
            sheet.write_string(row, 0, _safe(note), f["base_text"])
            _link(sheet, row, 1, name, at, "by group", f["link"])
            row += 2
        self._footer(sheet, row, 4)

    def _topline_heads(self) -> list[str]:
        if not self.predicted:
            return ["%"]
        return [
            "predicted %",
            "90% interval",
            *(["observed %", "difference"] * self.banner.compared),
        ]

    def _topline_cell(
        self, sheet: Any, row: int, column: int, head: str, line: Line, table: QuestionTable
    ) -> None:
        f = self.formats
        if head in ("%", "predicted %"):
            self._figure(sheet, row, column, line, line.values, 0, "figure")
        elif head == "90% interval":
            sheet.write_string(row, column, self._interval(line, 0), f["interval"])
        elif line.observed is not None and head == "observed %":
            self._figure(sheet, row, column, line, line.observed, 0, "observed")
        elif line.observed is not None:
            self._difference(sheet, row, column, line, 0)

    def _disclosure(self, book: Any) -> None:
        sheet = self._sheet(book, "Disclosure", landscape=False)
        f = self.formats
        sheet.set_column(0, 0, 5)
        sheet.set_column(1, 1, 30)
        sheet.set_column(2, 2, 70)
        sheet.write_string(0, 0, "Disclosure card", f["title"])
        row = self._label(sheet, 1, 2)
        if self.card.notice:
            _merged(sheet, row, 0, 2, self.card.notice, f["note"], 105)
            row += 1
        for title, items in ((AAPOR, self.card.items), (ESOMAR, self.card.themes)):
            row += 1
            _span(sheet, row, 0, 2, title, f["question"])
            for item in items:
                row += 1
                sheet.write_string(row, 0, item.number, f["text"])
                sheet.write_string(row, 1, _safe(item.heading), f["strong"])
                _wrapped(sheet, row, 2, item.text, f["text"], 70, beside=(item.heading, 30))
            row += 1
        row += 1
        _span(sheet, row, 0, 2, "How to read the tables", f["question"])
        self._footer(sheet, row + 1, 2, width=105)

    # --- a table ----------------------------------------------------------------------------------

    def _table_sheet(self, book: Any, name: str) -> Any:
        sheet = self._sheet(book, name, landscape=True)
        sheet.set_column(0, 0, _LABEL_WIDTH)
        for i, width in enumerate(self.widths, start=1):
            sheet.set_column(i, i, width)
        sheet.repeat_columns(0)
        sheet.set_print_scale(_PRINT_SCALE)
        breaks = self._page_breaks()
        if breaks:
            sheet.set_v_pagebreaks(breaks)
            sheet.print_across()
        return sheet

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

    def _head_height(self) -> int:
        """Rows above a table's figures: label, question, base, attributes, groups, letters."""
        return 5 + self._lettered

    @property
    def _lettered(self) -> int:
        return int(any(c.letter for c in self.banner.columns))

    def _body_height(self, table: QuestionTable) -> int:
        bases = 0 if table.bases is None else len(self._base_rows(table))
        return bases + sum(len(self._rows_of(line)) for line in table.lines) + len(table.notes)

    def _table(self, sheet: Any, row: int, number: int, table: QuestionTable) -> None:
        f, columns = self.formats, self.banner.columns
        last = len(columns)
        _link(sheet, row, 0, "Contents", 0, f"Table {number}: {_question_name(table)}", f["link"])
        label = MODEL_OUTPUT if self.predicted else self.title
        starts = [1, *self._page_breaks()]
        for first, final in zip(starts, [*(s - 1 for s in starts[1:]), last], strict=True):
            _span(sheet, row, first, final, label, f["label" if self.predicted else "source"])
        page = starts[1] - 1 if len(starts) > 1 else last  # what is read goes on the first page
        width = _LABEL_WIDTH + sum(self.widths[:page])
        text = table.question.text
        _merged(sheet, row + 1, 0, page, text, f["question"], width / _NARROW)
        _merged(sheet, row + 2, 0, page, table.base_text, f["base_text"], width)
        at = row + 3
        tallest = 1
        for words, first, final in self.banner.heads():
            _span(sheet, at, first + 1, final + 1, _capital(words), f["attribute"])
            tallest = max(tallest, _lines(words, sum(self.widths[first : final + 1]) * 0.9))
        sheet.set_row(at, tallest * _LINE + 3)
        tallest = 1
        for i, column in enumerate(columns, start=1):
            sheet.write_string(at + 1, i, _safe(column.name), f["head"])
            tallest = max(tallest, _lines(column.name, self.widths[i - 1] * _NARROW))
            if self._lettered:
                sheet.write_string(at + 2, i, column.letter, f["letter_head"])
        sheet.set_row(at + 1, tallest * _LINE + 3)
        at = row + self._head_height()
        at = self._bases(sheet, at, table)
        for line in table.lines:
            at = self._line(sheet, at, line, table)
        for note in table.notes:
            _merged(sheet, at, 0, page, note, f["note"], width)
            at += 1
        self._footer(sheet, at, page, width=width)

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
                _wrapped(sheet, at, 0, line.label, f.of(line.kind, "label"), _LABEL_WIDTH)
            elif what != "marks":
                sheet.write_string(at, 0, _WORDS[what], f[f"{what}_label"])
            for i, column in enumerate(self.banner.columns):
                if what == "figure":
                    hidden = not self.predicted and table.flags[i] == STARS
                    style = "total" if column.is_total else "figure"
                    self._figure(sheet, at, i + 1, line, line.values, i, style, hidden=hidden)
                elif what == "interval":
                    sheet.write_string(at, i + 1, self._interval(line, i), f["interval"])
                elif what == "observed" and line.observed is not None:
                    hidden = table.flags[i] == STARS
                    self._figure(
                        sheet, at, i + 1, line, line.observed, i, "observed", hidden=hidden
                    )
                elif what == "difference":
                    self._difference(sheet, at, i + 1, line, i)
                elif line.marks[i]:
                    sheet.write_string(at, i + 1, line.marks[i], f["marks"])
            at += 1
        return at

    def _figure(
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

    def _interval(self, line: Line, i: int) -> str:
        if line.low is None or line.high is None or math.isnan(line.low[i]):
            return ""
        low, high = float(line.low[i]), float(line.high[i])
        if line.kind == "mean":
            return f"{half_up(low, 2):.2f}–{half_up(high, 2):.2f}"
        places = self.banner.settings.decimals
        return f"{half_up(100 * low, places):.{places}f}–{half_up(100 * high, places):.{places}f}"

    def _difference(self, sheet: Any, row: int, column: int, line: Line, i: int) -> None:
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

    def _footer(self, sheet: Any, row: int, last: int, width: float = _PAGE_WIDTH) -> None:
        for text in self.banner.footer:
            _merged(sheet, row, 0, last, text, self.formats["footer"], width)
            row += 1

    # --- parts of sheets --------------------------------------------------------------------------

    def _sheet(self, book: Any, name: str, *, landscape: bool) -> Any:
        sheet = book.add_worksheet(name)
        if landscape:
            sheet.set_landscape()
        else:
            sheet.fit_to_pages(1, 0)
        sheet.set_paper(9)  # A4
        sheet.set_margins(0.5, 0.5, 0.8, 0.7)
        sheet.hide_gridlines(2)
        what = f"{MODEL_OUTPUT}. " if self.predicted else ""
        title = _safe(self.title).replace("&", "&&")[:120]
        sheet.set_header(f'&L&"Arial,Bold"&9{what}&"Arial,Regular"{title}&R&9&A')
        sheet.set_footer(f"&L&8{what}opinioncast&R&8&P / &N")
        if self.predicted:
            sheet.set_tab_color("#b45f06")
        return sheet

    def _label(self, sheet: Any, row: int, last: int) -> int:
        """Says that it is model output, where it is; the next free row."""
        if self.predicted:
            _span(
                sheet,
                row,
                0,
                last,
                f"{MODEL_OUTPUT}. Nobody was interviewed.",
                self.formats["label"],
            )
        return row + 1 + self.predicted


_WORDS = {"interval": "90% interval", "observed": "observed", "difference": "predicted − observed"}


def _question_name(table: QuestionTable) -> str:
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


def _safe(text: str) -> str:
    shown = visible(text, lines=True)
    return shown if len(shown) <= _MOST_TEXT else shown[:_MOST_TEXT] + " […]"


def _lines(text: str, width: float) -> int:
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


def _wrapped(
    sheet: Any,
    row: int,
    column: int,
    text: str,
    cell: Any,
    width: float,
    beside: tuple[str, float] = ("", 1),
) -> None:
    """A text in one column, its row as high as it needs."""
    sheet.write_string(row, column, _safe(text), cell)
    needed = max(_lines(text, width * _NARROW), _lines(*beside))
    if needed > 1:
        sheet.set_row(row, needed * _LINE + 2)


def _merged(
    sheet: Any, row: int, first: int, last: int, text: str, cell: Any, width: float
) -> None:
    """A text over several columns, its row as high as it needs."""
    _span(sheet, row, first, last, text, cell)
    sheet.set_row(row, _lines(text, width * _NARROW) * _LINE + 2)


def _span(sheet: Any, row: int, first: int, last: int, text: str, cell: Any) -> None:
    if last > first:
        sheet.merge_range(row, first, row, last, "", cell)
    sheet.write_string(row, first, _safe(text), cell)


def _link(sheet: Any, row: int, column: int, name: str, at: int, text: str, cell: Any) -> None:
    sheet.write_url(row, column, f"internal:'{name}'!A{at + 1}", cell, _safe(text))
