"""SPSS (.sav, .zsav, .por), Stata (.dta) and SAS (.sas7bdat, .xpt) files, through pyreadstat."""

from __future__ import annotations

import math
import os
import re
import struct
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
import pyreadstat

from opinioncast.errors import DataError
from opinioncast.readers import portable, stata_wide, system_file
from opinioncast.readers.mended_text import Mender
from opinioncast.readers.raw import Range, RawFile, ResponseSet, check_names
from opinioncast.readers.row_blocks import TAGS, column, read_columns

SUFFIXES = (".sav", ".zsav", ".por", ".dta", ".sas7bdat", ".xpt")


def _read_sas(path: str, *, catalog_file: str | None = None, **options: Any) -> Any:
    """A SAS data set with its catalog's labels: pyreadstat joins them in data frames only."""
    data, meta = pyreadstat.read_sas7bdat(path, **options)
    if catalog_file is not None:
        more = {k: options[k] for k in ("encoding", "output_format") if k in options}
        _, catalog = pyreadstat.read_sas7bcat(catalog_file, **more)
        meta.value_labels = catalog.value_labels
    return data, meta


_READERS: Mapping[str, Callable[..., Any]] = {
    ".sav": pyreadstat.read_sav,
    ".zsav": pyreadstat.read_sav,
    ".por": pyreadstat.read_por,
    ".dta": pyreadstat.read_dta,
    ".sas7bdat": _read_sas,
    ".xpt": pyreadstat.read_xport,
}
_USER_MISSING = (".sav", ".zsav", ".dta", ".sas7bdat")
_NO_ENCODING = (".por",)
_BYTES = "ISO-8859-1"
"""Under this encoding every byte is the letter of its number, so that bytes can be had back."""
_SAS_FORMATS = re.compile(
    r"(?:\$?(?:BEST|CHAR|F|COMMA|DOLLAR|PERCENT|HEX|BINARY|Z|E|D|NUMX|IB|PD|PIB|RB|S370|UPCASE"
    r"|ASCII|EBCDIC|QUOTE|VARYING|EURO|NEGPAREN|FRACT|ROMAN|SSN|WORD|YEN)\w*?"
    r"|\$?|.*(?:DATE|TIME|YYMM|MMDD|DDMM|MMYY|MONYY|JULIAN|YEAR|MONTH|QTR|WEEK|DOW|DAY|TOD|HH|MMSS"
    r"|8601).*)\d*\.?\d*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Meta:
    """pyreadstat's metadata, with every text in the file's encoding."""

    names: tuple[str, ...]
    labels: Mapping[str, str]
    value_labels: Mapping[str, Mapping[Any, str]]
    ranges: Mapping[str, Sequence[Mapping[str, Any]]]
    types: Mapping[str, str]
    formats: Mapping[str, str]
    sets: tuple[ResponseSet, ...]
    rows: int | None


def column_names(path: Path, encoding: str | None = None) -> list[str]:
    """The file's variables in order, without reading its data."""
    return list(_dictionary(path, encoding).names)


def _dictionary(path: Path, encoding: str | None) -> _Meta:
    """The file's metadata alone; kept for the file last asked for, as it is asked for again."""
    state = path.stat()
    return _dictionary_of(path, encoding, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _dictionary_of(path: Path, encoding: str | None, _mtime: int, _size: int) -> _Meta:
    _, meta, _ = _read(path, encoding, metadataonly=True)
    return meta


def read_raw(path: Path, columns: Sequence[str] | None, encoding: str | None = None) -> RawFile:
    """Read ``columns`` (None: all) with labels, user-missing values and missing letters.

    Dates and times become ISO text. A text that is not in the file's declared encoding is read as
    Windows-1252, that text alone, and the notes say so. The labels of a .sas7bdat come from a
    catalog (.sas7bcat) of its name, or ``formats.sas7bcat``, beside it.

    Raises:
        DataError: unreadable or cut short, a column is not there, or a SAS file names formats that
            no catalog explains and that are asked for.
    """
    words: portable.Portable | None = None
    weight: str | None = None
    if path.suffix.casefold() == ".por":
        words = portable.read_portable(path)
        weight = words.weight
        with _Written(words.plain) as plain:
            raw = _raw(path, plain, columns, encoding)
    else:
        raw = _raw(path, path, columns, encoding)
    if path.suffix.casefold() in (".sav", ".zsav"):
        weight = system_file.read_header(path).weight
    if words is not None:
        declared = words.declared
        labels = raw.value_labels
        raw = replace(
            raw,
            declared=declared,
            text_declared=words.text_declared,
            everywhere=lambda: (
                labels if columns is None else _portable_labels(words.plain, encoding),
                declared,
            ),
        )
    return replace(raw, weight=weight)


class _Written:
    """A path that leads to some content, gone afterwards.

    Answers of people are in no file on a disk, not even for a moment, where the system can hold a
    file in memory (Linux); a run that is killed leaves an empty folder at most.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __enter__(self) -> Path:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "portable.por"
        self.memory: int | None = None
        if hasattr(os, "memfd_create"):
            self.memory = os.memfd_create(path.name)
            with os.fdopen(os.dup(self.memory), "wb") as file:
                file.write(self.content)
            path.symlink_to(f"/proc/self/fd/{self.memory}")
        else:
            path.write_bytes(self.content)
        return path

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()
        if self.memory is not None:
            os.close(self.memory)


def _portable_labels(plain: bytes, encoding: str | None) -> dict[str, dict[float, str]]:
    with _Written(plain) as source:
        _, meta, _ = _read(source, encoding, metadataonly=True)
    return {n: _codes(v) for n, v in meta.value_labels.items()}


def _raw(path: Path, source: Path, columns: Sequence[str] | None, encoding: str | None) -> RawFile:
    asked = {} if columns is None else {"usecols": list(columns)}
    data, meta, notes = _read(source, encoding, **asked)
    if columns is not None and (more := _rest_of_sets(meta.sets, columns)):
        return _raw(path, source, [*columns, *more], encoding)
    if columns is not None and len(data) < len(set(columns)):
        check_names(columns, column_names(path, encoding), where=path.name)
    height = len(next(iter(data.values()), ()))
    if meta.rows is not None and height != meta.rows:
        raise DataError(
            "A survey file is cut short",
            where=path.name,
            expected=f"{meta.rows} respondents, as its header says",
            found=f"{height} respondents",
            hint="download it again",
        )
    frame = pl.DataFrame(list(data.values()))

    def everywhere() -> tuple[dict[str, dict[float, str]], dict[str, tuple[Range, ...]]]:
        whole = meta if columns is None else _dictionary(source, encoding)
        return (
            {n: _codes(v) for n, v in whole.value_labels.items()},
            {n: _ranges(ranges) for n, ranges in whole.ranges.items()},
        )

    texts = {n for n, t in meta.types.items() if t.startswith("string")}
    if path.suffix.casefold() == ".sas7bdat":
        notes += _formats_without_labels(meta)
    return RawFile(
        frame=frame,
        labels=meta.labels,
        value_labels={n: _codes(v) for n, v in meta.value_labels.items() if n not in texts},
        declared={n: _ranges(ranges) for n, ranges in meta.ranges.items()},
        text_labels={
            n: {str(k): t for k, t in v.items()} for n, v in meta.value_labels.items() if n in texts
        },
        text_declared={
            n: tuple((str(r["lo"]), str(r["hi"])) for r in ranges if isinstance(r["lo"], str))
            for n, ranges in meta.ranges.items()
        },
        everywhere=everywhere,
        sets=meta.sets,
        notes=tuple(notes),
    )


def _rest_of_sets(sets: Sequence[ResponseSet], columns: Sequence[str]) -> list[str]:
    """The other variables of each set of which one is among the columns."""
    asked = set(columns)
    return [
        name
        for group in sets
        if group.counted is not None and not asked.isdisjoint(group.variables)
        for name in group.variables
        if name not in asked
    ]


def _formats_without_labels(meta: _Meta) -> list[str]:
    own = sorted(
        n
        for n, f in meta.formats.items()
        if f and not _SAS_FORMATS.fullmatch(f) and n in meta.types
    )
    bare = [n for n in own if n not in meta.value_labels]
    if not bare:
        return []
    named = ", ".join(f"{n} ({meta.formats[n]})" for n in bare[:5])
    return [
        f"{len(bare)} variable(s) have formats whose labels are in no catalog, so that their codes "
        f"have no meaning here: {named}{' ...' if len(bare) > 5 else ''}; put the format catalog "
        "(.sas7bcat) beside the file, under its name or as formats.sas7bcat, or write a codebook"
    ]


def catalog_of(path: Path) -> Path | None:
    """The format catalog of a SAS data set: of its name, else ``formats``, in any case; None where
    there is none, or where the file is another."""
    if path.suffix.casefold() != ".sas7bdat":
        return None
    beside = [p for p in path.parent.iterdir() if p.suffix.casefold() == ".sas7bcat"]
    for stem in (path.stem.casefold(), "formats"):
        for file in sorted(beside):
            if file.stem.casefold() == stem:
                return file
    return None


def _read(
    path: Path, encoding: str | None, **options: Any
) -> tuple[dict[str, pl.Series], _Meta, list[str]]:
    suffix = path.suffix.casefold()
    read = _READERS[suffix]
    notes: list[str] = []
    if suffix == ".dta" and encoding is None and (wide := _wide(path, options)) is not None:
        return *wide, notes
    if suffix in _USER_MISSING:
        options["user_missing"] = True
    if encoding is not None and suffix not in _NO_ENCODING:
        options["encoding"] = encoding
    if (catalog := catalog_of(path)) is not None:
        options["catalog_file"] = str(catalog)
        notes.append(f"value labels from the format catalog {catalog.name}")
    mender: Mender | None = None
    for _ in range(3):  # at most one retry for the encoding and one for the dates
        try:
            data, meta, rows = read_columns(
                read,
                path,
                options,
                counted=suffix in _USER_MISSING,
                mend=None if mender is None else mender.mend,
            )
        except OverflowError:
            options["disable_datetime_conversion"] = True
            notes.append("dates beyond the calendar: left as the file's numbers")
        except (pyreadstat.ReadstatError, UnicodeDecodeError) as error:
            wrong_encoding = isinstance(error, UnicodeDecodeError) or "encoding" in str(error)
            if not wrong_encoding or "encoding" in options or suffix in _NO_ENCODING:
                raise _unreadable(path, error) from error
            options["encoding"] = _BYTES
            declared = ""
            if suffix in (".sav", ".zsav"):
                declared = system_file.read_header(path).encoding
            mender = Mender(declared or "utf-8")
            if "usecols" in options:
                options["usecols"] = [mender.unmend(n) for n in options["usecols"]]
        except (pyreadstat.PyreadstatError, ValueError) as error:
            raise _unreadable(path, error) from error
        else:
            mended = _mended(data, meta, rows, mender)
            if mender is not None:
                notes += mender.notes()
            return *mended, notes
    raise _unreadable(path, "neither its encoding nor its dates can be read")


def _wide(path: Path, options: Mapping[str, Any]) -> tuple[dict[str, pl.Series], _Meta] | None:
    """A Stata file of thousands of variables, which pyreadstat reads slowly; None: any other."""
    layout = stata_wide.layout_of(path)
    if layout is None:
        return None
    try:
        found = stata_wide.read_wide(
            path, layout, options.get("usecols"), data=not options.get("metadataonly")
        )
    except (ValueError, KeyError, IndexError, struct.error) as error:
        raise _unreadable(path, error) from error
    if found is None:
        return None
    data = {
        n: column(n, values, text=found.types[n].startswith("string"), letters=False)
        for n, values in found.data.items()
    }
    return data, _Meta(
        names=found.names,
        labels=found.labels,
        value_labels=found.value_labels,
        ranges={},
        types=found.types,
        formats=found.formats,
        sets=(),
        rows=found.rows,
    )


def _mended(
    data: Mapping[str, pl.Series], meta: Any, rows: int | None, mender: Mender | None
) -> tuple[dict[str, pl.Series], _Meta]:
    """pyreadstat's result, its texts put right where they were read byte by byte."""

    def fix(value: Any) -> Any:
        return mender.mend(value) if mender is not None and isinstance(value, str) else value

    names = {n: fix(n) for n in meta.column_names}
    types = {names[n]: t for n, t in meta.readstat_variable_types.items() if n in names}
    columns = {names[n]: values.alias(names[n]) for n, values in data.items()}
    shared = {k: {fix(c): fix(t) for c, t in v.items()} for k, v in meta.value_labels.items()}
    return columns, _Meta(
        names=tuple(names.values()),
        labels={names[n]: fix(t) or "" for n, t in meta.column_names_to_labels.items()},
        value_labels={
            names[n]: shared[k] for n, k in meta.variable_to_label.items() if k in shared
        },
        ranges={names[n]: r for n, r in meta.missing_ranges.items()},
        types=types,
        formats={names[n]: f or "" for n, f in meta.original_variable_types.items() if n in names},
        sets=tuple(
            ResponseSet(
                name,
                fix(s.get("label") or ""),
                tuple(names.get(v, v) for v in s["variable_list"]),
                _counted(s),
            )
            for name, s in (getattr(meta, "mr_sets", None) or {}).items()
        ),
        rows=rows,
    )


def _counted(raw: Mapping[str, Any]) -> float | str | None:
    """The code that says "chosen"; None for a set of mentions."""
    if not raw.get("is_dichotomy"):
        return None
    value = raw.get("counted_value")
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value)


def _unreadable(path: Path, error: object) -> DataError:
    return DataError(
        "A survey file cannot be read",
        where=path.name,
        expected=f"a whole {path.suffix.casefold()} file",
        found=error,
        hint="the file is cut short, damaged or of a newer version: download it again, or save it "
        "again from the program that made it; for odd characters give its encoding",
    )


def _codes(labels: Mapping[Any, str]) -> dict[float, str]:
    """Value labels by Float64 code, missing letters as their numbers."""
    out: dict[float, str] = {}
    for code, label in labels.items():
        number = TAGS.get(code) if isinstance(code, str) and len(code) == 1 else code
        if isinstance(number, int | float) and not math.isnan(number):
            out[float(number)] = label or ""
    return out


def _ranges(ranges: Sequence[Mapping[str, Any]]) -> tuple[Range, ...]:
    return tuple(
        (float(r["lo"]), float(r["hi"])) for r in ranges if isinstance(r["lo"], int | float)
    )
