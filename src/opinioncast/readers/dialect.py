"""Text tables as programs export them: encoding, separator, header rows, totals, numbers.

What cannot be told is not guessed: "1,234" alone is left a text, and a note says why.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from opinioncast.csv_files import record_widths, swallowed_line
from opinioncast.errors import DataError
from opinioncast.readers.mended_text import decode_bytes

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATORS = ",\t;|"
_LOOKED_AT = 40
_TITLE_ROWS = 8
_IMPORT_ID = re.compile(r"\{\s*['\"]+ImportId['\"]+\s*:")
_QUALTRICS = frozenset(
    [
        "startdate",
        "enddate",
        "status",
        "ipaddress",
        "progress",
        "finished",
        "recordeddate",
        "responseid",
        "responsestatus",
        "externaldatareference",
        "distributionchannel",
        "userlanguage",
        "responseset",
        "name",
        "emailaddress",
    ]
)
_SECOND_HEADER = ("response", "open-ended response")
_TOTAL = re.compile(
    r"(?:grand )?totals?|sums?|summe|gesamt|insgesamt|totaal|totale|suma|soma|somme|razem|mean"
    r"|average|mittelwert|moyenne|n|base|count|anzahl",
    re.IGNORECASE,
)


def decode(path: Path, encoding: str | None = None) -> tuple[str, list[str]]:
    """The file's text: by its byte order mark, as UTF-16 without one, as UTF-8, else Windows-1252.

    A UTF-8 text with a few bytes that are not stays UTF-8; those bytes alone are read as
    Windows-1252, with a note.

    Raises:
        DataError: it is not in the encoding given.
    """
    raw = path.read_bytes()
    for mark, name in _BOMS:
        if raw.startswith(mark) and (encoding is None or name.startswith("utf-16")):
            encoding = encoding or name
            break
    if encoding is None and raw and raw.count(0) > len(raw) // 4:
        encoding = "utf-16-le" if raw[1::2].count(0) > raw[0::2].count(0) else "utf-16-be"
    for guess in (encoding,) if encoding else ("utf-8",):
        try:
            text = raw.decode(guess)
        except (UnicodeDecodeError, LookupError):
            continue
        # "ü" as one letter and as u with two dots are one text
        return unicodedata.normalize("NFC", text.removeprefix("\ufeff")), []
    if encoding is not None and codecs_name(encoding) not in ("utf-8-sig",):
        raise DataError(
            "A file is not in the encoding given",
            where=path.name,
            expected=f"text in {encoding}",
            found="bytes that are not",
            hint="leave the encoding out to have it recognised",
        )
    text, _ = decode_bytes(raw.removeprefix(codecs.BOM_UTF8), "utf-8")
    whole = len(raw) - raw.isascii() - sum(b < 0x80 for b in raw)
    bad = whole - sum(len(c.encode()) for c in raw.decode("utf-8", "ignore") if ord(c) > 0x7F)
    if bad < whole - bad:
        return text, [
            f"{bad} byte(s) are not UTF-8 and were read as cp1252, the rest of the text as UTF-8"
        ]
    for guess in ("cp1252", "latin-1"):
        try:
            text = raw.decode(guess)
        except UnicodeDecodeError:
            continue
        words = dict.fromkeys(re.findall(r"[^\s,;|\"]*[^\x00-\x7f\s][^\s,;|\"]*", text[:100_000]))
        shown = ", ".join(f'"{w:.30}"' for w in list(words)[:4])
        return text, [
            f"text is not UTF-8: read as {guess} ({shown}); if these letters are wrong, say "
            "`encoding:` in the recipe (cp1250, cp1251, mac_roman, ...)"
        ]
    raise AssertionError("latin-1 reads any bytes")


def codecs_name(encoding: str) -> str:
    """The usual name of an encoding, its own name where it is unknown."""
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        return encoding


def _records(text: str) -> Iterator[str]:
    """The lines of a table, quoted line ends inside them; quoted parts are left out."""
    line: list[str] = []
    quoted = False
    start = 0
    for match in re.finditer(r'["\n]', text):
        at = match.start()
        if not quoted:
            line.append(text[start:at])
        start = at + 1
        if text[at] == '"':
            quoted = not quoted
        elif not quoted:
            yield "".join(line)
            line = []
    line.append(text[start:])
    if any(line):
        yield "".join(line)


def rows_of(path: Path, text: str) -> tuple[pl.DataFrame, str, list[str]]:
    """All rows as text, headers included, the separator, and notes on rows that end early.

    Raises:
        DataError: rows of different lengths, a quote left open.
    """
    text = text.replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\r", "\n")  # as Macintosh programs wrote
    named = re.match(r'"?sep=(.)"?\n', text, re.IGNORECASE)
    if named:
        text, separator = text[named.end() :], named[1]
    else:
        separator = _separator(text)
    text, above = _below_title(text, separator)
    early = above + _short_rows(path, text, separator)
    try:
        rows = pl.read_csv(
            io.BytesIO(text.encode()), has_header=False, infer_schema=False, separator=separator
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(
            "A table cannot be read",
            where=path.name,
            expected=f"rows of equal length, cells separated by {separator!r}",
            found=error,
            hint="a quoted text may be left open, or the file is cut short",
        ) from error
    return rows, separator, early


def _below_title(text: str, separator: str) -> tuple[str, list[str]]:
    """The table without the title that a spreadsheet has above its header, and a note.

    A title is one cell, alone in its row, above a row of which every cell has a name of its own; in
    a row as wide as the table, it has several words or an empty row below it.
    """
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    titles: list[str] = []
    lines = 0
    blank = narrow = False
    for cells in itertools.islice(_until_error(reader), _TITLE_ROWS):
        filled = [c.strip() for c in cells if c.strip()]
        if len(filled) <= 1:
            if filled and not cells[0].strip():
                return text, []
            titles += filled
            blank = blank or (bool(titles) and not filled)
            narrow = narrow or len(cells) == 1
            lines = reader.line_num
            continue
        names = len(filled) == len(cells) == len(set(filled)) and not any(map(_is_number, filled))
        sure = blank or narrow or any(" " in t for t in titles)
        if not titles or not names or not sure:
            return text, []
        shown = "; ".join(f'"{t:.60}"' for t in titles)
        return text.split("\n", lines)[lines], [
            f"{lines} row(s) above the header left out: {shown}"
        ]
    return text, []


def _until_error(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """Records up to the first that cannot be read, of which others speak."""
    with contextlib.suppress(csv.Error):
        yield from reader


def _is_number(text: str) -> bool:
    return _loose(text) is not None


def _short_rows(path: Path, text: str, separator: str) -> list[str]:
    """A note that counts rows with fewer cells than the header: spreadsheets leave out empty ones
    at the end, and a file that was cut has one.

    Raises:
        DataError: a row with more cells than the header; a quote that is never closed, or closed
            by another one further down, with others' rows in its cell.
    """
    short: list[int] = []
    width = 0
    try:
        for line, cells, record in record_widths(text, separator):
            width = width or cells
            if cells < width:
                short.append(line)
            if cells > width:
                raise csv.Error(f"line {line}: {cells} cells, the header has {width}")
            if swallowed := swallowed_line(record, separator, width):
                raise csv.Error(f"line {line}: a whole row inside of a cell: {swallowed}")
    except csv.Error as error:
        raise DataError(
            "A table cannot be read",
            where=path.name,
            expected=f"rows of equal length, cells separated by {separator!r}, quotes closed",
            found=error,
            hint="a quoted text may be left open, or the file is cut short",
        ) from error
    if not short:
        return []
    lines = ", ".join(map(str, short[:5])) + (", ..." if len(short) > 5 else "")
    rows = "1 row ends" if len(short) == 1 else f"{len(short)} rows end"
    return [f"{rows} before the last column (line {lines}): what is not there is empty"]


def _separator(text: str) -> str:
    """What separates cells in the same number in each of the first rows, else most in the first."""
    first: list[str] = []
    for record in _records(text):
        if record:
            first.append(record)
        if len(first) == _LOOKED_AT:
            break
    if not first:
        return ","
    title = itertools.takewhile(lambda r: not any(s in r for s in _SEPARATORS), first)
    first = first[min(len(list(title)), _TITLE_ROWS) :] or first
    counts = {s: [r.count(s) for r in first] for s in _SEPARATORS}
    even = [s for s, c in counts.items() if c[0] and len(set(c)) == 1]
    return max(even or _SEPARATORS, key=lambda s: counts[s][0])


@dataclass(frozen=True)
class Header:
    """Names and labels of a table's columns, and how many of its rows say so.

    Attributes:
        program: whose layout it is, for a note; "" where there is one header row.
    """

    names: list[str]
    labels: dict[str, str]
    rows: int
    program: str = ""


def header_of(path: Path, rows: pl.DataFrame) -> Header:
    """One header row; two (SurveyMonkey, old Qualtrics) or three (Qualtrics) where they show.

    Qualtrics writes names, questions and ``{"ImportId": ...}``; SurveyMonkey a question and, in
    the second row, "Response" or an item. An empty name becomes ``column N``.

    Raises:
        DataError: a name twice.
    """
    top = [(c or "").strip() for c in rows.row(0)]
    below = [[(c or "").strip() for c in rows.row(i)] if rows.height > i else [] for i in (1, 2)]
    second, third = below
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
    for count, row in ((3, third), (2, second)):
        cells = [c for c in row if c]
        if cells and sum(bool(_IMPORT_ID.match(c)) for c in cells) > len(cells) / 2:
            texts = second if count == 3 else top
            labels = {n: " ".join(t.split()) for n, t in zip(names, texts, strict=True)}
            return Header(names, labels, count, "Qualtrics: names, questions, import ids")
    known = [i for i, n in enumerate(top) if n.casefold().replace(" ", "") in _QUALTRICS]
    if len(known) >= 2 and second:
        plain = [re.sub(r"[\s-]", "", second[i]).casefold() for i in known]
        if all(
            p and p.isalpha() and p.startswith(top[i].casefold()[:4])
            for p, i in zip(plain, known, strict=True)
        ):
            labels = {n: " ".join(t.split()) for n, t in zip(names, second, strict=True)}
            return Header(names, labels, 2, "Qualtrics: names, questions")
    two = "" in top and any(c.casefold() in _SECOND_HEADER for c in second)
    labels = {}
    stem = ""
    for i, name in enumerate(names):
        stem = top[i] or stem
        item = second[i] if two and second[i].casefold() not in _SECOND_HEADER else ""
        labels[name] = f"{item} // {stem}" if item else top[i]
    return Header(names, labels, 2 if two else 1, "question, then item" if two else "")


def respondents_of(table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The rows that are respondents: none empty, no header said again, no totals at the end."""
    notes = []
    cells = table.select(pl.all().str.strip_chars().replace("", None))
    full = ~pl.all_horizontal(pl.all().is_null())
    again = pl.all_horizontal(pl.col(n).eq_missing(pl.lit(n)) for n in table.columns)
    kept = cells.select(full=full, again=again)
    if not kept["full"].all():
        notes.append(f"{int((~kept['full']).sum())} empty row(s) left out")
    if kept["again"].any():
        notes.append(f"{int(kept['again'].sum())} row(s) that repeat the header left out")
    keep = kept["full"] & ~kept["again"]
    table, cells = table.filter(keep), cells.filter(keep)
    for last in (3, 2, 1):
        if table.height > last + 2 and all(
            _is_total(cells, table.height - 1 - i, table.height - last) for i in range(last)
        ):
            shown = "; ".join(
                ", ".join(c for c in cells.row(i) if c)
                for i in range(table.height - last, table.height)
            )
            notes.append(f"{last} row(s) of totals at the end left out: {shown}")
            return table.head(table.height - last), notes
    return table, notes


def _is_total(cells: pl.DataFrame, row: int, above: int) -> bool:
    """Whether a row holds sums, means or counts of the rows before ``above``."""
    values = cells.row(row)
    filled = [(i, v) for i, v in enumerate(values) if v is not None]
    if not filled:
        return False
    worded = _TOTAL.fullmatch(filled[0][1].strip(" :.")) is not None
    rest = filled[1:] if worded else filled
    numbers = [(i, _loose(v)) for i, v in rest]
    if not numbers or any(n is None for _, n in numbers):
        return False
    hits = sums = 0
    for i, number in numbers:
        assert number is not None
        column = [v for v in cells[:above, i].to_list() if v is not None]
        known = [x for x in map(_loose, column) if x is not None]
        if not known or len(known) < len(column):
            continue
        digits = len(values[i].partition(".")[2] or values[i].partition(",")[2])
        near = 0.5 * 10.0**-digits + 1e-9 * abs(number)
        total = sum(known)
        is_sum = abs(total - number) <= near and len({*known}) + len(known) > 2
        sums += is_sum and abs(total) > max(map(abs, known))
        hit = is_sum or abs(total / len(known) - number) <= near or number == len(known)
        if not hit and not worded:
            return False
        hits += hit
    if worded:
        id_column = [v for v in cells[:above, filled[0][0]].to_list() if v is not None]
        return hits > 0 or (
            len(numbers) > 1 and bool(id_column) and all(_loose(v) is not None for v in id_column)
        )
    return sums > 0 and hits == len(numbers) and (len(filled) < len(values) or sums == len(numbers))


def _loose(text: str) -> float | None:
    try:
        return float(text if "." in text else text.replace(",", "."))
    except ValueError:
        return None


def qualtrics_notes(table: pl.DataFrame) -> list[str]:
    """Rows of a Qualtrics export that are no respondents' answers."""
    notes = []
    for name in ("Status", "DistributionChannel", "ResponseStatus"):
        if name in table.columns:
            tests = (
                int(
                    table[name]
                    .str.to_lowercase()
                    .is_in(["survey preview", "preview", "survey test", "spam", "1", "2", "8", "9"])
                    .sum()
                )
                if name == "Status"
                else int(table[name].str.to_lowercase().is_in(["preview", "test"]).sum())
            )
            if tests:
                notes.append(
                    f"{tests} row(s) are previews, tests or spam by {name}; they are counted"
                )
                break
    return notes
