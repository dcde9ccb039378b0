"""Questionnaires in Excel workbooks, one row a question; ``rows`` says which columns."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from opinioncast.errors import InputError
from opinioncast.questionnaires.declaration import Head, Instrument, InstrumentFormat
from opinioncast.questionnaires.rows import entries_of_rows


def read(path: Path, content: bytes) -> Instrument:
    """The questions on the first sheet of a workbook.

    Raises:
        InputError: it is no workbook, or its columns do not fit.
    """
    try:
        sheet = pl.read_excel(
            content,
            sheet_id=1,
            has_header=False,
            infer_schema_length=0,
            drop_empty_rows=False,
        )
    except Exception as error:  # fastexcel raises classes of its own for each kind of damage
        raise InputError(
            "A questionnaire is not a readable XLSX file",
            where=str(path),
            expected="an Excel workbook with the questions on its first sheet",
            found=error,
        ) from None
    rows = [
        (f"{path}, row {i}", ["" if cell is None else str(cell) for cell in row])
        for i, row in enumerate(sheet.iter_rows(), start=1)
    ]
    filled = [r for r in rows if any(c.strip() for c in r[1])]
    return Instrument(Head(), entries_of_rows(path, filled))


FORMAT = InstrumentFormat(
    name="xlsx",
    help="An Excel workbook: one row a question on its first sheet.",
    endings=(".xlsx",),
    read=read,
    order=30,
)
