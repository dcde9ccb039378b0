"""The cells of an SPSS, Stata or SAS file as columns, a block of rows at a time.

pyreadstat gives every cell as an object of Python, 32 bytes each: a file of 600 variables and
200,000 respondents would take 4 GB, of which its numbers are 1 GB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.survey.wave import tagged

CELLS = 4_000_000
"""Of a block: a file of no more is read at once."""
_MOST_BLOCKS = 32  # to reach its first row, a compressed file is unpacked up to there
_SMALL = 1 << 20  # bytes of a file that is read without a look at its dictionary

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# "_" is SAS's unlettered special missing value; it says no more than an empty cell.
TAGS: dict[Any, float] = {
    **{letter: tagged(letter) for letter in LETTERS},
    **{letter.upper(): tagged(letter) for letter in LETTERS},
    "_": np.nan,
    "": np.nan,
    None: np.nan,
}
"""Missing letters, as pyreadstat gives them, as the numbers that stand for them."""

Reader = Callable[..., tuple[Mapping[str, list[Any]], Any]]


def read_columns(
    read: Reader,
    path: Path,
    options: Mapping[str, Any],
    *,
    counted: bool,
    mend: Callable[[str], str] | None = None,
) -> tuple[dict[str, pl.Series], Any, int | None]:
    """A file's columns by pyreadstat's names, its metadata, and the rows that it should have.

    Args:
        read: one of pyreadstat's readers.
        options: of it.
        counted: the format says how many rows there are, and its reader may begin at any.
        mend: applied to each text of a cell.

    Returns:
        Float64 columns of codes (missing letters as ``tagged`` codes, empty cells null) and String
        columns (dates and times as ISO text, empty texts null); fewer rows than stated where the
        file is cut short; None where it does not state them.

    Raises:
        pyreadstat.ReadstatError, UnicodeDecodeError, OverflowError and others: as ``read`` does.
    """
    size = 0
    if counted and not options.get("metadataonly") and path.stat().st_size > _SMALL:
        _, meta = read(str(path), output_format="dict", **options, metadataonly=True)
        cells = (meta.number_rows or 0) * max(len(meta.column_names), 1)
        if cells > CELLS:
            size = -(-meta.number_rows // min(-(-cells // CELLS), _MOST_BLOCKS))
            whole = int(meta.number_rows)
    if not size:
        data, meta = read(str(path), output_format="dict", **options)
        return _block(data, meta, mend), meta, meta.number_rows
    filled = _Columns(whole)
    for start in range(0, whole, size):
        data, meta = read(
            str(path), output_format="dict", **options, row_offset=start, row_limit=size
        )
        block = _block(data, meta, mend)
        filled.add(block)
        if len(next(iter(block.values()), ())) < min(size, whole - start):
            break
    return filled.taken(), meta, whole


class _Columns:
    """Columns that blocks are put into: numbers into arrays of their whole length, as thousands of
    small pieces leave memory that the system does not get back."""

    def __init__(self, rows: int) -> None:
        self._rows, self._height = rows, 0
        self._names: dict[str, None] = {}
        self._numbers: dict[str, npt.NDArray[np.float64]] = {}
        self._texts: dict[str, list[pl.Series]] = {}

    def add(self, block: Mapping[str, pl.Series]) -> None:
        start = self._height
        for name, part in block.items():
            self._height = start + len(part)
            self._names[name] = None
            if part.dtype != pl.String and name not in self._texts:
                whole = self._numbers.setdefault(name, np.empty(self._rows))
                whole[start : self._height] = part.to_numpy()  # NaN where there is none
                continue
            if name in self._numbers:  # dates, of which there was none till now
                before = pl.Series(name, self._numbers.pop(name)[:start], nan_to_null=True)
                self._texts[name] = [before.cast(pl.String)] if start else []
            self._texts.setdefault(name, []).append(part.cast(pl.String))

    def taken(self) -> dict[str, pl.Series]:
        """One column after the other, so that never two copies of all are there."""
        return {
            name: pl.concat(self._texts.pop(name), rechunk=True)
            if name in self._texts
            else pl.Series(name, self._numbers.pop(name)[: self._height], nan_to_null=True)
            for name in self._names
        }


def _block(
    data: Mapping[str, list[Any]], meta: Any, mend: Callable[[str], str] | None
) -> dict[str, pl.Series]:
    columns = {}
    for name, values in data.items():
        text = meta.readstat_variable_types.get(name, "").startswith("string")
        if text and mend is not None:
            values = [mend(v) if isinstance(v, str) else v for v in values]
        columns[name] = column(name, values, text=text, letters=name in meta.missing_user_values)
    return columns


def column(name: str, values: Sequence[Any], *, text: bool, letters: bool) -> pl.Series:
    """A column of pyreadstat's, as :func:`read_columns` gives it.

    Args:
        letters: there are missing letters among the numbers.
    """
    if text:
        return pl.Series(name, [v or None for v in values], dtype=pl.String)
    try:
        if letters:  # one pass without a Python loop: there may be millions of cells
            numbers = np.fromiter(map(TAGS.get, values, values), np.float64, len(values))
        else:
            numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):  # dates and times, which only a look at the values tells
        return pl.Series(name, [None if v is None else _iso(v) for v in values], dtype=pl.String)
    return pl.Series(name, numbers, nan_to_null=True)


def _iso(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
