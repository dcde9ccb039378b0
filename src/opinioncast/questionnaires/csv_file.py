"""Questionnaires in CSV, one row a question or option; ``rows`` says which columns."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from opinioncast.errors import InputError
from opinioncast.questionnaires.declaration import Instrument, InstrumentFormat
from opinioncast.questionnaires.decoding import decoded
from opinioncast.questionnaires.rows import instrument_of_rows


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a CSV file; the separator is the one its header has most of.

    Raises:
        InputError: it is not CSV, or its columns do not fit.
    """
    text = decoded(path, content)
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)  # Excel writes ; in many countries
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[str, list[str]]] = []
    line = 0
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((f"{path}, line {line + 1}", row))
            line = reader.line_num
    except csv.Error as error:
        raise InputError(
            "A questionnaire is not valid CSV",
            where=f"{path}, line {reader.line_num}",
            expected=f"fields separated by {delimiter!r}, quoted where they hold one",
            found=error,
        ) from None
    return instrument_of_rows(path, rows, "CSV questionnaire")


FORMAT = InstrumentFormat(
    name="csv",
    help="CSV: one row a question, or one row an option.",
    endings=(".csv",),
    read=read,
    order=20,
)
