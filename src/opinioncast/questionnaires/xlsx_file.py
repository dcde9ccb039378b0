"""Questionnaires in Excel workbooks, one row a question or option; ``rows`` says which columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from opinioncast.errors import InputError
from opinioncast.questionnaires.declaration import Instrument, InstrumentFormat
from opinioncast.questionnaires.limits import check_zip
from opinioncast.questionnaires.rows import has_questions, instrument_of_rows

WORKBOOK = "an Excel workbook (.xlsx)"


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a workbook: of the one sheet whose columns are of questions and options.

    Raises:
        InputError: it is no workbook, its columns do not fit, or those of several sheets do.
    """
    check_zip(path, content, WORKBOOK, "xl/workbook.xml")
    found = sheets(path, content)
    filled = {
        name: [
            (f"{path}, row {i}" if len(found) == 1 else f"{path}, sheet {name}, row {i}", row)
            for i, row in enumerate(rows, start=1)
            if any(c.strip() for c in row)
        ]
        for name, rows in found.items()
    }
    fitting = [name for name, rows in filled.items() if has_questions(rows)]
    if len(fitting) > 1:
        raise InputError(
            "Several sheets of a workbook hold questions",
            where=str(path),
            expected="one sheet with questions and options",
            found=", ".join(fitting),
            hint="put them on one sheet, or save each sheet as a file of its own",
        )
    rows = filled[fitting[0]] if fitting else next(iter(filled.values()))
    return instrument_of_rows(path, rows, "Excel questionnaire (.xlsx)")


def sheets(path: Path, content: bytes) -> dict[str, Sequence[Sequence[str]]]:
    """Sheet -> its rows as texts, empty ones too.

    Raises:
        InputError: it is no workbook.
    """
    import polars as pl

    try:
        read = pl.read_excel(
            content,
            sheet_id=0,
            has_header=False,
            infer_schema_length=0,
            drop_empty_rows=False,
            raise_if_empty=False,
        )
    except Exception as error:  # fastexcel raises classes of its own for each kind of damage
        raise InputError(
            "A questionnaire is not a readable XLSX file",
            where=str(path),
            expected="an Excel workbook with the questions on a sheet",
            found=error,
        ) from None
    return {
        name: [["" if cell is None else str(cell) for cell in row] for row in frame.iter_rows()]
        for name, frame in read.items()
    }


FORMAT = InstrumentFormat(
    name="xlsx",
    help="An Excel workbook: one row a question, or one row an option.",
    endings=(".xlsx",),
    read=read,
    order=30,
)
