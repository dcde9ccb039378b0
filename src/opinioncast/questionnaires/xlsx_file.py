"""Questionnaires in Excel workbooks, one row a question or option; ``rows`` says which columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from opinioncast.errors import InputError
from opinioncast.questionnaires.declaration import Instrument, InstrumentFormat
from opinioncast.questionnaires.limits import check_zip
from opinioncast.questionnaires.rows import instrument_of_rows

WORKBOOK = "an Excel workbook (.xlsx)"


def read(path: Path, content: bytes) -> Instrument:
    """The questions on the first sheet of a workbook.

    Raises:
        InputError: it is no workbook, or its columns do not fit.
    """
    check_zip(path, content, WORKBOOK, "xl/workbook.xml")
    (sheet,) = sheets(path, content, 1).values()
    rows = [(f"{path}, row {i}", row) for i, row in enumerate(sheet, start=1)]
    filled = [r for r in rows if any(c.strip() for c in r[1])]
    return instrument_of_rows(path, filled, "Excel questionnaire (.xlsx)")


def sheets(
    path: Path, content: bytes, number: Literal[0, 1] = 0
) -> dict[str, Sequence[Sequence[str]]]:
    """Sheet -> its rows as texts, empty ones too.

    Args:
        number: 1 for the first sheet only, 0 for all.

    Raises:
        InputError: it is no workbook.
    """
    import polars as pl

    try:
        read = pl.read_excel(
            content,
            sheet_id=number,
            has_header=False,
            infer_schema_length=0,
            drop_empty_rows=False,
            raise_if_empty=False,
        )
    except Exception as error:  # fastexcel raises classes of its own for each kind of damage
        raise InputError(
            "A questionnaire is not a readable XLSX file",
            where=str(path),
            expected="an Excel workbook with the questions on its first sheet",
            found=error,
        ) from None
    named = read if isinstance(read, dict) else {"": read}
    return {
        name: [["" if cell is None else str(cell) for cell in row] for row in frame.iter_rows()]
        for name, frame in named.items()
    }


FORMAT = InstrumentFormat(
    name="xlsx",
    help="An Excel workbook: one row a question, or one row an option, on its first sheet.",
    endings=(".xlsx",),
    read=read,
    order=30,
)
