"""Every CSV this program writes goes out here, and what it wrote comes back exactly.

Spreadsheets run a cell that begins like a formula, whoever wrote it: texts that do carry an
apostrophe (:func:`opinioncast.texts.spreadsheet_cell`), column names too.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

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


def _every_text(frame: pl.DataFrame, change: Callable[[str], str]) -> pl.DataFrame:
    """``change`` on every text and column name, each distinct text once."""
    changed = []
    for column in frame.select(pl.col(pl.String)):
        texts = {old: change(old) for old in column.unique().drop_nulls()}
        texts = {old: new for old, new in texts.items() if old != new}
        changed.append(column.replace(texts) if texts else column)
    return frame.with_columns(changed).rename({name: change(name) for name in frame.columns})
