"""CSV, TSV and parquet microdata. They carry no labels: a codebook says what their codes mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from opinioncast.errors import DataError
from opinioncast.parquet_files import parquet_columns, read_parquet
from opinioncast.readers.dialect import (
    decode,
    header_of,
    qualtrics_notes,
    respondents_of,
    rows_of,
)
from opinioncast.readers.number_signs import numbers_of
from opinioncast.readers.raw import TEXT, RawFile, check_names

SUFFIXES = (*TEXT, ".parquet")

_POSITION = re.compile(r"column (\d+)\b.*", re.IGNORECASE)


def read_raw(
    path: Path,
    columns: Sequence[str] | None,
    encoding: str | None = None,
    decimal: str | None = None,
) -> RawFile:
    """Read ``columns`` (None: all). Numbers become Float64; a column with any other text is text.

    A name may be a position, ``column 16``, for a column whose header is empty. Encoding,
    separators, header rows and totals: :mod:`opinioncast.readers.dialect`; decimal and thousands
    signs: :mod:`opinioncast.readers.number_signs`.

    Args:
        decimal: the decimal sign, "," or "."; None: as the numbers show.

    Raises:
        DataError: a row of another length, a name twice, an unknown encoding or column.
    """
    if path.suffix.casefold() == ".parquet":
        return _parquet(path, columns)
    text, notes = decode(path, encoding)
    rows, separator, early = rows_of(path, text)
    notes += early
    header = header_of(path, rows)
    if header.rows > 1:
        notes.append(f"{_COUNT[header.rows]} header rows: {header.program}")
    table = rows.slice(header.rows).rename(dict(zip(rows.columns, header.names, strict=True)))
    table, left_out = respondents_of(table)
    notes += left_out
    if header.program.startswith("Qualtrics"):
        notes += qualtrics_notes(table)
    whole = numbers_of(table, separator, decimal)
    table, labels = pl.DataFrame(whole.columns), header.labels
    if columns is not None:
        table, labels = _pick(path, table, labels, columns)
    return RawFile(table, labels=labels, notes=(*notes, *whole.notes))


_COUNT = {2: "two", 3: "three"}


def column_names(path: Path, encoding: str | None = None) -> list[str]:
    """The file's column names in order."""
    if path.suffix.casefold() == ".parquet":
        return parquet_columns(path)
    text, _ = decode(path, encoding)
    return header_of(path, rows_of(path, text)[0]).names


def position(name: str) -> int:
    """N of a name "column N" (with anything after it), 0 of any other name."""
    match = _POSITION.fullmatch(name)
    return int(match[1]) if match else 0


def _pick(
    path: Path, table: pl.DataFrame, labels: Mapping[str, str], columns: Sequence[str]
) -> tuple[pl.DataFrame, dict[str, str]]:
    """The asked columns, a position named as it was asked for."""
    by_name: dict[str, str] = {}
    for name in columns:
        place = position(name)
        inside = name not in table.columns and 1 <= place <= table.width
        by_name[name] = table.columns[place - 1] if inside else name
    check_names(list(by_name.values()), table.columns, where=path.name)
    picked = table.select(pl.col(source).alias(name) for name, source in by_name.items())
    return picked, {name: labels[source] for name, source in by_name.items()}


def _parquet(path: Path, columns: Sequence[str] | None) -> RawFile:
    try:
        names = parquet_columns(path)
        if columns is not None:
            check_names(columns, names, where=path.name)
        frame = read_parquet(path, columns=list(columns) if columns is not None else None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            "A survey file cannot be read",
            where=path.name,
            expected="a whole parquet file",
            found=error,
            hint="download or write it again",
        ) from error
    nested = [n for n, t in frame.schema.items() if t.is_nested() or t == pl.Binary]
    if nested:
        raise DataError(
            "A column holds lists or bytes, not one answer per respondent",
            where=f"{path.name}, column {nested[0]}",
            expected="numbers or text",
            found=str(frame.schema[nested[0]]),
        )
    frame = frame.with_columns(
        pl.col(n).cast(pl.Float64 if t.is_numeric() or t == pl.Boolean else pl.String)
        for n, t in frame.schema.items()
    ).with_columns(pl.selectors.float().fill_nan(None))
    return RawFile(frame)
