"""CSV, TSV and parquet microdata. They carry no labels: a codebook says what their codes mean."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from opinioncast.errors import DataError
from opinioncast.readers.raw import TEXT, RawFile, check_names

SUFFIXES = (*TEXT, ".parquet")

_EMPTY = ("NA", ".", "NaN", "#N/A", "#NULL!")
"""What R, Stata, Python and SPSS write into a cell of a number column that is empty."""
_MAX_DIGITS = 15  # more do not fit a Float64
_POSITION = re.compile(r"column (\d+)\b.*", re.IGNORECASE)
_SECOND_HEADER = ("response", "open-ended response")


def read_raw(path: Path, columns: Sequence[str] | None, encoding: str | None = None) -> RawFile:
    """Read ``columns`` (None: all). Numbers become Float64; a column with any other text is text.

    A name may be a position, ``column 16``, for a column whose header is empty. Two header rows
    (SurveyMonkey: question, then item) are recognised by "Response" in the second.

    Raises:
        DataError: a row of another length, a name twice, an unknown encoding or column.
    """
    if path.suffix.casefold() == ".parquet":
        return _parquet(path, columns)
    text, notes = decode(path, encoding)
    rows = _rows(path, text)
    names, labels, header_rows = _header(path, rows)
    if header_rows == 2:
        notes.append("two header rows: question, then item")
    table = rows.slice(header_rows).rename(dict(zip(rows.columns, names, strict=True)))
    if columns is not None:
        table, labels = _pick(path, table, labels, columns)
    emptied = []
    series = []
    for column in table.get_columns():
        numbers, had_na = _numbers(column)
        series.append(numbers)
        if had_na:
            emptied.append(column.name)
    if emptied:
        notes.append(f'"NA" or "." read as an empty cell in {len(emptied)} number column(s)')
    return RawFile(pl.DataFrame(series), labels=labels, notes=tuple(notes))


def column_names(path: Path, encoding: str | None = None) -> list[str]:
    """The file's column names in order."""
    if path.suffix.casefold() == ".parquet":
        return list(pl.read_parquet_schema(path))
    text, _ = decode(path, encoding)
    return _header(path, _rows(path, text))[0]


def position(name: str) -> int:
    """N of a name "column N" (with anything after it), 0 of any other name."""
    match = _POSITION.fullmatch(name)
    return int(match[1]) if match else 0


def decode(path: Path, encoding: str | None = None) -> tuple[str, list[str]]:
    """The file's text, as UTF-8 if it is, else as Windows-1252 or Latin-1, with a note."""
    raw = path.read_bytes()
    for guess in (encoding,) if encoding else ("utf-8-sig", "cp1252", "latin-1"):
        try:
            text = raw.decode(guess)
        except (UnicodeDecodeError, LookupError):
            continue
        fallback = guess in ("cp1252", "latin-1") and encoding is None
        return text, [f"text is not UTF-8: read as {guess}"] if fallback else []
    raise DataError(
        "A file is not in the encoding given",
        where=path.name,
        expected=f"text in {encoding}",
        found="bytes that are not",
        hint="leave the encoding out to have it recognised",
    )


def _rows(path: Path, text: str) -> pl.DataFrame:
    first = text.split("\n", 1)[0]
    unquoted = re.sub(r'"[^"]*"', "", first)
    separator = max(",\t;", key=unquoted.count)
    try:
        return pl.read_csv(
            io.BytesIO(text.encode()),
            has_header=False,
            infer_schema=False,
            separator=separator,
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(
            "A table cannot be read",
            where=path.name,
            expected=f"rows of equal length, cells separated by {separator!r}",
            found=error,
            hint="a quoted text may be left open, or the file is cut short",
        ) from error


def _header(path: Path, rows: pl.DataFrame) -> tuple[list[str], dict[str, str], int]:
    """Names, labels and the number of header rows. An empty name becomes ``column N``."""
    top = [(c or "").strip() for c in rows.row(0)]
    second = [(c or "").strip() for c in rows.row(1)] if rows.height > 1 else []
    two = "" in top and any(c.casefold() in _SECOND_HEADER for c in second)
    names = [name or f"column {i}" for i, name in enumerate(top, start=1)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        places = [i for i, name in enumerate(names, start=1) if name == twice[0]]
        raise DataError(
            "Two columns have the same name",
            where=f"{path.name}, columns {', '.join(map(str, places))}",
            expected="different names in the header row",
            found=", ".join(twice),
            hint="rename or delete one: answers under one name cannot be told apart",
        )
    labels: dict[str, str] = {}
    stem = ""
    for i, name in enumerate(names):
        stem = top[i] or stem
        item = second[i] if two and second[i].casefold() not in _SECOND_HEADER else ""
        labels[name] = f"{item} // {stem}" if item else top[i]
    return names, labels, 2 if two else 1


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


def _numbers(column: pl.Series) -> tuple[pl.Series, bool]:
    """The column as numbers if all its cells are, else as text; whether "NA" cells were emptied."""
    text = column.str.strip_chars()
    text = text.set(text == "", None)
    marked = text.is_in(_EMPTY).fill_null(False)
    bare = text.set(marked, None)
    numbers = bare.cast(pl.Float64, strict=False)
    lossy = bare.str.len_chars().max()
    fits = (
        not isinstance(lossy, int) or lossy <= _MAX_DIGITS or bool((bare.str.contains(r"\.")).any())
    )
    finite = numbers.is_finite().fill_null(True).all()
    if numbers.null_count() == bare.null_count() and fits and finite:
        return numbers, bool(marked.any())
    return text, False


def _parquet(path: Path, columns: Sequence[str] | None) -> RawFile:
    try:
        names = list(pl.read_parquet_schema(path))
        if columns is not None:
            check_names(columns, names, where=path.name)
        frame = pl.read_parquet(path, columns=list(columns) if columns is not None else None)
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
