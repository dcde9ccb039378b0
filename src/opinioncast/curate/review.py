"""The file of refined wordings that a person reads and edits: CSV or YAML, read back losslessly."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from opinioncast.csv_files import write_csv
from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.files import atomic_path
from opinioncast.texts import cell_text


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One question: wording as fielded, as refined, who decided ("rules", "model", a name)."""

    variable: str
    original: str
    refined: str
    decided_by: str
    note: str = ""


_COLUMNS = [f.name for f in fields(ReviewRow)]


def write_review(path: str | Path, rows: Sequence[ReviewRow]) -> None:
    """Write rows as CSV, or as YAML where the name ends in ``.yaml`` or ``.yml``.

    Raises:
        StorageError: the file cannot be written.
        InputError: a variable appears twice.
    """
    _check_unique(rows, str(path))
    raw = [asdict(r) for r in rows]
    if not _is_yaml(path):
        write_csv(pl.DataFrame(raw, dict.fromkeys(_COLUMNS, pl.String)), path, for_excel=False)
        return
    text = yaml.safe_dump(raw, allow_unicode=True, sort_keys=False, width=100)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_review(path: str | Path) -> list[ReviewRow]:
    """Read what :func:`write_review` wrote and a person edited.

    Raises:
        InputError: a file that cannot be read, a missing column, an empty refined wording, or a
            variable that appears twice; the row is named.
    """
    source = str(path)
    try:
        if _is_yaml(path):
            raw = read_document(path, "A review file") or []
        else:
            with Path(path).open(encoding="utf-8-sig", newline="") as handle:
                raw = [_as_written(row) for row in csv.DictReader(handle)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            "A review file cannot be read",
            where=source,
            expected="a UTF-8 CSV or YAML file",
            found=error,
        ) from error
    if not isinstance(raw, list):
        raise InputError(
            "A review file is not a list of questions",
            where=source,
            expected=f"entries with {', '.join(_COLUMNS)}",
            found=type(raw).__name__,
        )
    rows = [_row(entry, f"{source}, row {i}") for i, entry in enumerate(raw, start=1)]
    _check_unique(rows, source)
    return rows


def _as_written(row: dict[str | Any, str | Any]) -> dict[str | Any, str | Any]:
    """A row of the CSV with its texts as they were before they were made safe to open."""
    return {k: cell_text(v) if isinstance(v, str) else v for k, v in row.items()}


def _row(entry: Any, where: str) -> ReviewRow:
    if not isinstance(entry, dict) or any(not isinstance(entry.get(c), str) for c in _COLUMNS[:4]):
        raise InputError(
            "A row of a review file lacks a column",
            where=where,
            expected=", ".join(_COLUMNS),
            found=entry,
        )
    if not entry["refined"].strip():
        raise InputError(
            "A reviewed question has no refined wording",
            where=f"{where}, variable {entry['variable']}",
            expected="a wording; delete the row to leave it to the rules",
        )
    return ReviewRow(**{c: str(entry.get(c) or "") for c in _COLUMNS})


def _check_unique(rows: Iterable[ReviewRow], source: str) -> None:
    seen: set[str] = set()
    for row in rows:
        if row.variable in seen:
            raise InputError(
                "A review file names a variable twice",
                where=source,
                expected="one row per variable",
                found=row.variable,
                hint="keep the row that is right",
            )
        seen.add(row.variable)


def _is_yaml(path: str | Path) -> bool:
    return Path(path).suffix.casefold() in {".yaml", ".yml"}
