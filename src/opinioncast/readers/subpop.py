"""SubPOP's published layout (JSON lines or CSV), read into an OpinionTable and written back.

Columns ``qkey, attribute, group, responses, refusal_rate, ordinal, question, options``, and ``n``,
``wave``, ``source`` where there are any; ``family``, ``n_eff`` and ``se`` where we wrote it.
``options`` ends with "Refused"; ``responses`` does not.
OpinionQA's group-level rows come in the same layout.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.csv_files import read_csv, write_csv
from opinioncast.documents import parse_json
from opinioncast.errors import DataError, InputError
from opinioncast.files import atomic_path, checksum
from opinioncast.readers.raw import check_names
from opinioncast.survey.question import check_distribution
from opinioncast.survey.tables import OpinionTable
from opinioncast.texts import whole_number

REFUSED = "Refused"
COLUMNS = (
    "qkey",
    "attribute",
    "group",
    "responses",
    "refusal_rate",
    "ordinal",
    "question",
    "options",
)
_LISTS = ("responses", "ordinal", "options", "se")
_TYPES: dict[str, Any] = {
    "qkey": pl.String,
    "attribute": pl.String,
    "group": pl.String,
    "responses": pl.List(pl.Float64),
    "refusal_rate": pl.Float64,
    "ordinal": pl.List(pl.Float64),
    "question": pl.String,
    "options": pl.List(pl.String),
    "n": pl.Int64,
    "wave": pl.String,
    "family": pl.String,
    "n_eff": pl.Float64,
    "se": pl.List(pl.Float64),
}
_WAVE = re.compile(r"_W(\d+)$")
_NO_KEY = "no-key-"
"""Ids given to questions whose ``qkey`` is null; written back as null."""


def read_rows(path: str | Path) -> pl.DataFrame:
    """The file's rows as they are, every column kept: filter them, then :func:`to_table`.

    Raises:
        DataError: unreadable, a column of the layout absent, or a value of the wrong kind.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("A table is not there", where=str(path), expected="a file", found="nothing")
    rows = _csv_rows(path) if path.suffix.casefold() == ".csv" else _json_rows(path)
    return _typed(rows, path.name)


def frame_rows(frame: pl.DataFrame, *, where: str) -> pl.DataFrame:
    """A frame's rows as :func:`read_rows` gives a file's; ``where`` is what errors call it."""
    return _typed(frame.to_dicts(), where)


def _typed(rows: list[dict[str, Any]], where: str) -> pl.DataFrame:
    if not rows:
        raise DataError("A table has no rows", where=where, expected="one row per cell")
    names = list(dict.fromkeys(name for row in rows for name in row))
    check_names(COLUMNS, names, where=where)
    types = {n: _TYPES[n] for n in names if n in _TYPES}
    if "wave" in types:
        rows = [
            row | {"wave": None if row.get("wave") is None else str(row["wave"])} for row in rows
        ]
    try:
        return pl.DataFrame(rows, schema_overrides=types, infer_schema_length=None, strict=False)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise DataError(
            "A table has a value of the wrong kind",
            where=where,
            expected=str(types),
            found=error,
        ) from error


def to_table(rows: pl.DataFrame, *, family: str) -> OpinionTable:
    """Rows in SubPOP's layout as an OpinionTable.

    The wave is the row's, else the one its key ends in (``EAT1_W34``), else empty. A question
    without a key gets one (:func:`with_keys`); ``meta["repeated_cells"]`` counts rows of these
    whose question and group an earlier row has too. Shares that miss a sum of one by rounding (up
    to 0.005) are rescaled, and ``meta["rescaled"]`` counts them.

    Raises:
        DataError: options that do not end with "Refused", or lengths that do not fit.
        InputError: shares that do not sum to one.
    """
    out, rescaled = [], 0
    keyed, repeated = with_keys(rows)
    given = rows["qkey"].to_list()
    for number, row in enumerate(keyed.iter_rows(named=True), start=1):
        key = given[number - 1] or (row["question"] or "")[:60]
        where = f"row {number}, {key}, {row['attribute']}={row['group']}"
        options, responses = row["options"], row["responses"] or []
        if (
            not options
            or None in options
            or None in responses
            or options[-1] != REFUSED
            or len(options) != len(responses) + 1
        ):
            raise DataError(
                "A row does not follow SubPOP's layout",
                where=where,
                expected='options that end with "Refused", each with text, and one response for '
                "each but that",
                found=f"options {options}, {len(responses)} responses {responses}",
            )
        shares = check_distribution(responses, len(options) - 1, where=where)
        if abs(sum(responses) - 1) > 1e-6:
            rescaled += 1
        else:
            shares = tuple(responses)
        question_id = row["qkey"]
        match = _WAVE.search(question_id)
        out.append(
            {
                "family": family if row.get("family") is None else row["family"],
                "wave": (match[1] if match else "") if row.get("wave") is None else row["wave"],
                "question_id": question_id,
                "question": row["question"],
                "options": options[:-1],
                "ordinal": row["ordinal"],
                "attribute": row["attribute"],
                "group": row["group"],
                "distribution": list(shares),
                "refusal_rate": row["refusal_rate"],
                "n": row.get("n"),
                "n_eff": row.get("n_eff"),
                "se": row.get("se"),
            }
        )
    return OpinionTable.from_rows(
        out, {"layout": "SubPOP", "rescaled": rescaled, "repeated_cells": repeated}
    )


def with_keys(rows: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Rows with a ``qkey`` where theirs is null, and how many of these repeat an earlier cell.

    The key is made of wording, options and scale, so that two files give the same question the
    same one. Where a question has a second row for a group (asked in two waves, which nothing tells
    apart), that row's key ends in ``-2``: in two files such rows meet if they come in one order.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    keys = []
    for row in rows.iter_rows(named=True):
        key = row["qkey"]
        if key is None:
            cell = (_made_key(row), row["attribute"], row["group"])
            seen[cell] += 1
            key = cell[0] + (f"-{seen[cell]}" if seen[cell] > 1 else "")
        keys.append(key)
    repeated = sum(count - 1 for count in seen.values())
    return rows.with_columns(qkey=pl.Series(keys, dtype=pl.String)), repeated


def read_subpop(path: str | Path, *, family: str = "ATP") -> OpinionTable:
    """All rows of a file in SubPOP's layout; ``meta`` has its name and SHA-256."""
    table = to_table(read_rows(path), family=family)
    meta = dict(table.meta) | {"file": Path(path).name, "sha256": checksum(path)}
    return OpinionTable(table.frame, meta)


def subpop_rows(table: OpinionTable, *, whole: bool = False) -> list[dict[str, Any]]:
    """The rows of ``table`` in SubPOP's columns, and ``n`` and ``wave``.

    Args:
        whole: ids and waves as they are, and three columns more (``family``, ``n_eff``, ``se``), so
            that the table can be had back; else as the published files have them.
    """
    lines = []
    for row in table.frame.iter_rows(named=True):
        key = row["question_id"]
        line = {
            "qkey": None if key.startswith(_NO_KEY) else key,
            "attribute": row["attribute"],
            "group": row["group"],
            "responses": row["distribution"],
            "refusal_rate": row["refusal_rate"],
            "ordinal": row["ordinal"],
            "question": row["question"],
            "options": [*row["options"], REFUSED],
            "n": row["n"],
            "wave": _numbered(row["wave"]),
        }
        if whole:
            line |= {"qkey": key} | {c: row[c] for c in ("wave", "family", "n_eff", "se")}
        lines.append(line)
    return lines


def write_subpop(table: OpinionTable, path: str | Path, *, whole: bool = False) -> Path:
    """Write ``table`` in SubPOP's layout (JSON lines, or CSV by the ending).

    ``n`` and ``wave`` go along. Family, effective n and standard errors have no column in the
    published layout: ``whole`` writes them into columns of their own.
    """
    path = Path(path)
    lines = subpop_rows(table, whole=whole)
    if path.suffix.casefold() == ".csv":
        rows = [{k: json.dumps(v) if k in _LISTS else v for k, v in line.items()} for line in lines]
        return write_csv(pl.DataFrame(rows, infer_schema_length=None), path, for_excel=False)
    with atomic_path(path) as temporary:
        temporary.write_text(
            "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8"
        )
    return path


def _made_key(row: dict[str, Any]) -> str:
    # predictions may leave "Refused" out of the options: it is in the key all the same
    options = [o for o in row["options"] or () if o != REFUSED] + [REFUSED]
    row = row | {"options": options}
    text = json.dumps([row["question"], row["options"], row["ordinal"]], ensure_ascii=False)
    return _NO_KEY + hashlib.sha256(text.encode()).hexdigest()[:16]


def _json_rows(path: Path) -> list[dict[str, Any]]:
    rows = []
    # splitlines would break rows at characters JSON allows inside a text, such as U+2028
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(
                line, where=f"{path.name}, line {number}", what="A line", error=DataError
            )
        except DataError as error:
            raise _bad_line(path, number, error) from error
        if not isinstance(row, dict):
            raise _bad_line(path, number, line)
        rows.append(row)
    return rows


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(
            "A table is not in UTF-8",
            where=f"{path.name}, line {line}",
            expected="JSON lines in UTF-8",
            found=error,
            hint="save the file as UTF-8 (it may be in Latin-1 or Windows-1252)",
        ) from error


def _bad_line(path: Path, number: int, found: object) -> DataError:
    return DataError(
        "A line is not a JSON object",
        where=f"{path.name}, line {number}",
        expected="one JSON object per line",
        found=found,
        hint="the file may be cut short",
    )


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    try:
        table = read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            "A table cannot be read", where=path.name, expected="a CSV table", found=error
        ) from error
    rows = []
    for number, row in enumerate(table.iter_rows(named=True), start=1):
        for name in _LISTS:
            if row.get(name) is not None:
                row[name] = literal(row[name], f"{path.name}, row {number}, column {name}")
        rows.append(row)
    return rows


def literal(text: str, where: str) -> Any:
    """A list or mapping as pandas writes it into a CSV cell (Python or JSON notation)."""
    try:
        return parse_json(text, where=where, what="A cell")
    except InputError:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise DataError(
                "A cell is not a list",
                where=where,
                expected="a list in JSON or Python notation",
                found=text,
            ) from error


def _numbered(wave: str) -> int | str | None:
    """A wave as SubPOP has it: a number where it is one; None where there is none."""
    number = whole_number(wave) if wave.isdecimal() else None
    return (wave or None) if number is None else number
