"""Every CSV this program writes goes out here, and what it wrote comes back exactly.

Spreadsheets run a cell that begins like a formula, whoever wrote it: texts that do carry an
apostrophe (:func:`opinioncast.texts.spreadsheet_cell`), column names too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.errors import OpinioncastError
from opinioncast.files import atomic_path
from opinioncast.texts import cell_text, spreadsheet_cell


def write_csv(
    frame: pl.DataFrame, path: str | Path, *, for_excel: bool = True, decimals: int | None = None
) -> Path:
    """Write ``frame`` as UTF-8 CSV, whole or not at all.

    Args:
        for_excel: begin with the mark by which Excel knows UTF-8.
        decimals: of numbers that are not whole; None: all there are.

    Raises:
        StorageError: the file cannot be written.
    """
    safe = _every_text(frame, spreadsheet_cell)
    marked = for_excel or safe.columns[0].startswith("\ufeff")  # readers take one away
    with atomic_path(path) as temporary:
        safe.write_csv(temporary, include_bom=marked, float_precision=decimals)
    return Path(path)


def read_csv(path: str | Path, **how: Any) -> pl.DataFrame:
    """What :func:`write_csv` wrote, with every text as it was.

    Args:
        how: of :func:`polars.read_csv`.

    Raises:
        polars.exceptions.PolarsError, OSError: no such file, or no CSV.
    """
    frame = pl.read_csv(path, **how)
    if any('"' in name for name in frame.columns):  # polars leaves quotes of a heading doubled
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file, delimiter=how.get("separator", ",")))
        frame = frame.rename(dict(zip(frame.columns, names, strict=True)))
    return _every_text(frame, cell_text)


def record_widths(text: str, separator: str) -> Iterator[tuple[int, int, str]]:
    """The line each record begins on, its number of cells, and its text; empty lines left out.

    Raises:
        csv.Error: a quote is never closed; its text begins with the line.
    """
    begun, record = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        if not record and '"' not in line:
            if line:
                yield number, line.count(separator) + 1, line
            continue
        record, begun = (f"{record}\n{line}", begun) if record else (line, number)
        if record.count('"') % 2:
            continue
        cells = next(csv.reader(io.StringIO(record, newline=""), delimiter=separator), [])
        yield begun, len(cells), record
        record = ""
    if record:
        raise csv.Error(f"line {begun}: a quote that begins there is never closed")


def swallowed_line(record: str, separator: str, width: int) -> str | None:
    """A line inside of a quoted cell that is itself a whole row of the table: a quote was left open
    and another, further down, closed it. Tables of two columns cannot tell."""
    if "\n" not in record or width < 3:
        return None
    inside = record.split("\n")[1:-1]
    return next((x for x in inside if x.count(separator) == width - 1 and '"' not in x), None)


def read_text_table(path: str | Path, what: str, error: type[OpinioncastError]) -> pl.DataFrame:
    """:func:`text_table` of a file in UTF-8, or UTF-16 with its mark.

    Raises:
        OpinioncastError: of the kind ``error``; it cannot be read, or as :func:`text_table`.
    """
    try:
        raw = Path(path).read_bytes()
        utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = raw.decode("utf-16" if utf16 else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise error(
            f"{what} cannot be read",
            where=str(path),
            expected="a CSV file in UTF-8",
            found=problem,
        ) from problem
    return text_table(text, str(path), what, error)


def text_table(text: str, place: str, what: str, error: type[OpinioncastError]) -> pl.DataFrame:
    """A small CSV that a person made, every cell a text (None where empty), texts as they were.

    The separator is the one of comma, semicolon and tab that the header has most of.

    Args:
        place: the file, for errors.
        what: the same in words.

    Raises:
        OpinioncastError: of the kind ``error``, with the line: a row with more or fewer cells than
            the header, a quote left open, a name twice, nothing.
    """

    def refused(expected: str, found: object, line: int | None = None) -> OpinioncastError:
        where = place if line is None else f"{place}, line {line}"
        return error(f"{what} cannot be read", where=where, expected=expected, found=found)

    text = text.replace("\r\n", "\n")
    if "\0" in text:
        raise refused("a CSV file in UTF-8", "a NUL")
    separator = max(",;\t", key=text.split("\n", 1)[0].count)
    rows: list[list[str]] = []
    try:
        for line, _, record in record_widths(text, separator):
            reader = csv.reader(io.StringIO(record, newline=""), delimiter=separator, strict=True)
            cells = next(reader, [])
            width = len(rows[0]) if rows else len(cells)
            if len(cells) != width:
                raise refused(f"{width} cells, as in the header", f"{len(cells)} cells", line)
            if swallowed := swallowed_line(record, separator, width):
                found = f"a row in a cell: {swallowed}"
                raise refused("each quote closed in its cell", found, line)
            rows.append(cells)
    except csv.Error as problem:
        raise refused("quotes around a text, doubled inside it", problem) from problem
    if not rows:
        raise refused("a header row", "nothing")
    nameless = {i for i, name in enumerate(rows[0]) if not name.strip()}
    beyond = {i for i in nameless if not any(row[i].strip() for row in rows)}  # as Excel leaves
    rows = [[cell for i, cell in enumerate(row) if i not in beyond] for row in rows]
    names = [cell_text(name) for name in rows[0]]
    double = next((n for n in names if names.count(n) > 1), None)
    if double is not None:
        raise refused("each name once in the header", f"{double!r} twice", 1)
    columns = {
        name: [cell_text(row[i]) or None for row in rows[1:]] for i, name in enumerate(names)
    }
    return pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))


def _every_text(frame: pl.DataFrame, change: Callable[[str], str]) -> pl.DataFrame:
    """``change`` on every text and column name, each distinct text once."""
    changed = []
    for column in frame.select(pl.col(pl.String)):
        texts = {old: change(old) for old in column.unique().drop_nulls()}
        texts = {old: new for old, new in texts.items() if old != new}
        changed.append(column.replace(texts) if texts else column)
    return frame.with_columns(changed).rename({name: change(name) for name in frame.columns})
