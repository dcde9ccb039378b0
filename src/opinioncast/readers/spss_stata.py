"""SPSS (.sav, .zsav, .por), Stata (.dta) and SAS (.sas7bdat, .xpt) files, through pyreadstat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyreadstat

from opinioncast.errors import DataError
from opinioncast.readers.raw import Range, RawFile, check_names
from opinioncast.survey.wave import tagged

SUFFIXES = (".sav", ".zsav", ".por", ".dta", ".sas7bdat", ".xpt")

_READERS: Mapping[str, Callable[..., Any]] = {
    ".sav": pyreadstat.read_sav,
    ".zsav": pyreadstat.read_sav,
    ".por": pyreadstat.read_por,
    ".dta": pyreadstat.read_dta,
    ".sas7bdat": pyreadstat.read_sas7bdat,
    ".xpt": pyreadstat.read_xport,
}
_USER_MISSING = (".sav", ".zsav", ".dta", ".sas7bdat")
_NO_ENCODING = (".por",)
_FALLBACK = "WINDOWS-1252"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# "_" is SAS's unlettered special missing value; it says no more than an empty cell.
_TAGS: dict[Any, float] = {
    **{letter: tagged(letter) for letter in _LETTERS},
    **{letter.upper(): tagged(letter) for letter in _LETTERS},
    "_": np.nan,
    "": np.nan,
    None: np.nan,
}


def column_names(path: Path, encoding: str | None = None) -> list[str]:
    """The file's variables in order, without reading its data."""
    _, meta, _ = _read(path, encoding, metadataonly=True)
    return list(meta.column_names)


def read_raw(path: Path, columns: Sequence[str] | None, encoding: str | None = None) -> RawFile:
    """Read ``columns`` (None: all) with labels, user-missing values and missing letters.

    Dates and times become ISO text. A file that is not in its declared encoding is read as
    Windows-1252 and the notes say so.

    Raises:
        DataError: unreadable or cut short, or a column is not there.
    """
    asked = {} if columns is None else {"usecols": list(columns)}
    data, meta, notes = _read(path, encoding, **asked)
    if columns is not None and len(data) < len(set(columns)):
        check_names(columns, column_names(path, encoding), where=path.name)
    height = len(next(iter(data.values()), ()))
    if meta.number_rows is not None and height != meta.number_rows:
        raise DataError(
            "A survey file is cut short",
            where=path.name,
            expected=f"{meta.number_rows} respondents, as its header says",
            found=f"{height} respondents",
            hint="download it again",
        )
    types = meta.readstat_variable_types
    lettered = meta.missing_user_values
    frame = pl.DataFrame(
        [
            _column(name, values, text=types[name].startswith("string"), letters=name in lettered)
            for name, values in data.items()
        ]
    )
    return RawFile(
        frame=frame,
        labels={n: label or "" for n, label in meta.column_names_to_labels.items()},
        value_labels={n: _codes(labels) for n, labels in meta.variable_value_labels.items()},
        declared={n: _ranges(ranges) for n, ranges in meta.missing_ranges.items()},
        notes=tuple(notes),
    )


def _read(path: Path, encoding: str | None, **options: Any) -> tuple[Any, Any, list[str]]:
    suffix = path.suffix.casefold()
    read = _READERS[suffix]
    if suffix in _USER_MISSING:
        options["user_missing"] = True
    if encoding is not None and suffix not in _NO_ENCODING:
        options["encoding"] = encoding
    notes: list[str] = []
    for _ in range(3):  # at most one retry for the encoding and one for the dates
        try:
            data, meta = read(str(path), output_format="dict", **options)
        except OverflowError:
            options["disable_datetime_conversion"] = True
            notes.append("dates beyond the calendar: left as the file's numbers")
        except (pyreadstat.ReadstatError, UnicodeDecodeError) as error:
            wrong_encoding = isinstance(error, UnicodeDecodeError) or "encoding" in str(error)
            if not wrong_encoding or "encoding" in options or suffix in _NO_ENCODING:
                raise _unreadable(path, error) from error
            options["encoding"] = _FALLBACK
            notes.append(f"text is not in the encoding the file declares: read as {_FALLBACK}")
        except (pyreadstat.PyreadstatError, ValueError) as error:
            raise _unreadable(path, error) from error
        else:
            return data, meta, notes
    raise _unreadable(path, "neither its encoding nor its dates can be read")


def _unreadable(path: Path, error: object) -> DataError:
    return DataError(
        "A survey file cannot be read",
        where=path.name,
        expected=f"a whole {path.suffix.casefold()} file",
        found=error,
        hint="the file is cut short, damaged or of a newer version: download it again, or save it "
        "again from the program that made it; for odd characters give its encoding",
    )


def _column(name: str, values: list[Any], *, text: bool, letters: bool) -> pl.Series:
    if text:
        return pl.Series(name, [v or None for v in values], dtype=pl.String)
    try:
        if letters:  # one pass without a Python loop: there may be millions of cells
            numbers = np.fromiter(map(_TAGS.get, values, values), np.float64, len(values))
        else:
            numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):  # dates and times, which only a look at the values tells
        return pl.Series(name, [None if v is None else _iso(v) for v in values], dtype=pl.String)
    return pl.Series(name, numbers, nan_to_null=True)


def _iso(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _codes(labels: Mapping[Any, str]) -> dict[float, str]:
    """Value labels by Float64 code; those of text variables stay with their text, not here."""
    out: dict[float, str] = {}
    for code, label in labels.items():
        number = _TAGS.get(code) if isinstance(code, str) and len(code) == 1 else code
        if isinstance(number, int | float):
            out[float(number)] = label or ""
    return out


def _ranges(ranges: Sequence[Mapping[str, Any]]) -> tuple[Range, ...]:
    return tuple(
        (float(r["lo"]), float(r["hi"])) for r in ranges if isinstance(r["lo"], int | float)
    )
