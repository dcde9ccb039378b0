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

from opinioncast.banners.build import without_columns
from opinioncast.banners.table import PREDICTION, Banner, Line, QuestionTable
from opinioncast.files import atomic_path
from opinioncast.report.disclosure import AAPOR, ESOMAR, Card
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.report.workbook_cells import link, merged, safe_text, span, wrapped
from opinioncast.report.workbook_formats import Formats
from opinioncast.report.workbook_tables import TableSheets, question_name


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

    def write(self, path: Path) -> None:
        options = {
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "nan_inf_to_errors": False,
        }
        with xlsxwriter.Workbook(str(path), options) as book:
            self.formats = Formats(book)
            self.tables = TableSheets(self.banner, self.formats, self.title)
            self._properties(book)
            places = self._places()
            self._contents(book, places)
            self._toplines(book, places)
            sheet = None
            for number, table in enumerate(self.banner.tables, start=1):
                name, row = places[number - 1]
                if sheet is None or not self.settings.stacked:
                    sheet = self._sheet(book, name, landscape=True)
                    self.tables.lay_out(sheet)
                self.tables.table(sheet, row, number, table)
                if not self.settings.stacked:
                    sheet.freeze_panes(self.tables.head_height(), 1)
                    sheet.repeat_rows(0, self.tables.head_height() - 1)
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
            row += (
                self.tables.head_height()
                + self.tables.body_height(table)
                + len(self.banner.footer)
                + 3
            )
        return places

    def _contents(self, book: Any, places: Sequence[tuple[str, int]]) -> None:
        sheet = self._sheet(book, "Contents", landscape=False)
        f = self.formats
        sheet.set_column(0, 0, 7)
        sheet.set_column(1, 1, 18)
        sheet.set_column(2, 2, 74)
        sheet.write_string(0, 0, safe_text(self.title), f["title"])
        row = self._label(sheet, 1, 2)
        if self.banner.total is not None:
            link(sheet, row, 0, "Toplines", 0, "Toplines", f["link"])
            row += 1
        link(
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
            link(sheet, row, 0, name, at, str(number), f["link"])
            sheet.write_string(row, 1, safe_text(question_name(table)), f["text"])
            wrapped(sheet, row, 2, table.question.text, f["text"], 74)

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
            wrapped(sheet, row, 0, text, f["question"], 62)
            for column, head in enumerate(heads, start=1):
                sheet.write_string(row, column, head, f["head"])
            row += 1
            for line in table.lines:
                wrapped(sheet, row, 0, line.label, f.of(line.kind, "label"), 62)
                for column, head in enumerate(heads, start=1):
                    self._topline_cell(sheet, row, column, head, line, table)
                row += 1
            note = table.base_text
            if table.bases is not None and not math.isnan(table.bases.unweighted[0]):
                whose = " Observed:" if self.predicted else ""
                note += f"{whose} n = {table.bases.unweighted[0]:,.0f}{table.flags[0]}"
            sheet.write_string(row, 0, safe_text(note), f["base_text"])
            link(sheet, row, 1, name, at, "by group", f["link"])
            row += 2
        self.tables.footer(sheet, row, 4)

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
            self.tables.figure(sheet, row, column, line, line.values, 0, "figure")
        elif head == "90% interval":
            sheet.write_string(row, column, self.tables.interval(line, 0), f["interval"])
        elif line.observed is not None and head == "observed %":
            self.tables.figure(sheet, row, column, line, line.observed, 0, "observed")
        elif line.observed is not None:
            self.tables.difference(sheet, row, column, line, 0)

    def _disclosure(self, book: Any) -> None:
        sheet = self._sheet(book, "Disclosure", landscape=False)
        f = self.formats
        sheet.set_column(0, 0, 5)
        sheet.set_column(1, 1, 30)
        sheet.set_column(2, 2, 70)
        sheet.write_string(0, 0, "Disclosure card", f["title"])
        row = self._label(sheet, 1, 2)
        if self.card.notice:
            merged(sheet, row, 0, 2, self.card.notice, f["note"], 105)
            row += 1
        for title, items in ((AAPOR, self.card.items), (ESOMAR, self.card.themes)):
            row += 1
            span(sheet, row, 0, 2, title, f["question"])
            for item in items:
                row += 1
                sheet.write_string(row, 0, item.number, f["text"])
                sheet.write_string(row, 1, safe_text(item.heading), f["strong"])
                wrapped(sheet, row, 2, item.text, f["text"], 70, beside=(item.heading, 30))
            row += 1
        row += 1
        span(sheet, row, 0, 2, "How to read the tables", f["question"])
        self.tables.footer(sheet, row + 1, 2, width=105)

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
        title = safe_text(self.title).replace("&", "&&")[:120]
        sheet.set_header(f'&L&"Arial,Bold"&9{what}&"Arial,Regular"{title}&R&9&A')
        sheet.set_footer(f"&L&8{what}opinioncast&R&8&P / &N")
        if self.predicted:
            sheet.set_tab_color("#b45f06")
        return sheet

    def _label(self, sheet: Any, row: int, last: int) -> int:
        """Says that it is model output, where it is; the next free row."""
        if self.predicted:
            span(
                sheet,
                row,
                0,
                last,
                f"{MODEL_OUTPUT}. Nobody was interviewed.",
                self.formats["label"],
            )
        return row + 1 + self.predicted
