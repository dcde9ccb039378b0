"""A microdata file as its format delivers it, before conventions and codebooks are applied."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from opinioncast.errors import DataError

Range = tuple[float, float]
Labels = Mapping[str, Mapping[float, str]]
Declared = Mapping[str, tuple[Range, ...]]


@dataclass(frozen=True, slots=True)
class ResponseSet:
    """Variables that hold the answers to one question of which several could be given.

    Attributes:
        counted: the code that says "chosen", in a set of one variable per option; None in a set of
            one variable per mention, whose codes are the options.
    """

    name: str
    label: str
    variables: tuple[str, ...]
    counted: float | str | None


@dataclass(frozen=True)
class RawFile:
    """Columns and what the file itself says about them.

    Attributes:
        frame: Float64 codes (missing letters as ``tagged`` codes, empty cells null) or strings.
        labels: variable labels.
        value_labels: text per code, uncleaned, empty texts included.
        declared: closed ranges of codes the file declares missing (SPSS user-missing values).
        text_labels, text_declared: the same of text columns, by text.
        everywhere: gives ``value_labels`` and ``declared`` of all variables, where fewer were read;
            another read of the file, so that it is asked for only where a decision needs it.
        weight: the variable by which the file is weighted (SPSS: WEIGHT BY).
        sets: multiple-response sets that the file defines.
        notes: what had to be decided to read it.
    """

    frame: pl.DataFrame
    labels: Mapping[str, str] = field(default_factory=dict)
    value_labels: Mapping[str, Mapping[float, str]] = field(default_factory=dict)
    declared: Mapping[str, tuple[Range, ...]] = field(default_factory=dict)
    text_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    text_declared: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    everywhere: Callable[[], tuple[Labels, Declared]] | None = None
    weight: str | None = None
    sets: tuple[ResponseSet, ...] = ()
    notes: tuple[str, ...] = ()


_STARTS: Sequence[tuple[str, str, bytes]] = (
    ("SPSS system file", ".sav .zsav", b"$FL2"),
    ("SPSS compressed system file", ".zsav .sav", b"$FL3"),
    ("encrypted SPSS file", "", b"\x1c\x00\x00\x00\x00\x00\x00\x00ENCRYPTED"),
    ("Stata file", ".dta", b"<stata_dta>"),
    ("SAS transport file", ".xpt", b"HEADER RECORD*******LIB"),
    ("SAS data set", ".sas7bdat", bytes(12) + b"\xc2\xea\x81\x60"),
    ("parquet file", ".parquet", b"PAR1"),
    ("zip archive (XLSX, DOCX or compressed)", ".zip", b"PK\x03\x04"),
    ("gzip archive", ".gz", b"\x1f\x8b"),
    ("PDF", ".pdf", b"%PDF"),
)


def check_kind(path: Path) -> None:
    """Refuse a file that is absent, empty, not what its name says, or visibly cut short.

    Raises:
        DataError: naming the file, what its ending promises and what its first or last bytes say.
    """
    suffix = path.suffix.casefold()
    if not path.is_file():
        raise DataError(
            "A survey file is not there",
            where=str(path),
            expected="a file",
            found="a folder" if path.is_dir() else "nothing of that name",
            hint="download it from the institution and put it there",
        )
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(512)
        file.seek(max(0, size - 512))
        tail = file.read()
    if not head:
        raise DataError(
            "A survey file is empty", where=path.name, expected=f"a {suffix} file", found="0 bytes"
        )
    kind, endings = _kind(head)
    if kind == "encrypted SPSS file":
        raise DataError(
            "A survey file is encrypted",
            where=path.name,
            expected=f"the content of a {suffix} file",
            found="an SPSS file saved with a password",
            hint="open it in SPSS with its password and save it without one (File, Save As, no "
            "encryption), or decrypt it with PSPP: pspp-convert FILE.sav OPEN.sav -p PASSWORD",
        )
    if suffix not in endings.split() and not (suffix in TEXT and kind == "text or unknown bytes"):
        renamed = f"; if it is one, rename it to {endings.split()[0]}" if endings else ""
        raise DataError(
            "A survey file is not what its name says",
            where=path.name,
            expected=f"the content of a {suffix} file",
            found=kind,
            hint=f"download it again, or name it by its content{renamed}",
        )
    cut = (
        (
            kind == "Stata file"
            and head.startswith(b"<")
            and not tail.rstrip().endswith(b"</stata_dta>")
        )
        or (kind == "SAS transport file" and size % 80 != 0)
        or (kind == "SPSS portable file" and not tail.rstrip().endswith(b"Z"))
        or (kind == "parquet file" and not tail.endswith(b"PAR1"))
    )
    if cut:
        raise DataError(
            "A survey file is cut short",
            where=path.name,
            expected=f"the end mark of a {kind}",
            found=f"{size} bytes without it",
            hint="download it again",
        )


TEXT = (".csv", ".tsv", ".txt")


def _kind(head: bytes) -> tuple[str, str]:
    for kind, endings, start in _STARTS:
        if head.startswith(start):
            return kind, endings
    if b"SPSS PORT FILE" in head.replace(b"\r\n", b""):
        return "SPSS portable file", ".por"
    if head[0] in range(103, 120) and head[1:3] in (
        b"\x01\x01",
        b"\x02\x01",
        b"\x01\x00",
        b"\x02\x00",
    ):
        return "Stata file", ".dta"
    return "text or unknown bytes", ""


def check_names(wanted: Sequence[str], present: Sequence[str], *, where: str) -> None:
    """Raise DataError unless every wanted variable is present; suggest the right spelling."""
    have = set(present)
    absent = [name for name in wanted if name not in have]
    if not absent:
        return
    folded = {name.casefold(): name for name in present}
    hints = []
    for name in absent[:5]:
        near = folded.get(name.casefold()) or next(
            iter(difflib.get_close_matches(name, present, n=1, cutoff=0.8)), None
        )
        if near:
            hints.append(f'"{near}" for "{name}"')
    raise DataError(
        f"{len(absent)} variable(s) are not in the file",
        where=where,
        expected=f"names among the file's {len(present)} variables, in the same case",
        found=", ".join(absent),
        hint=f"did you mean {', '.join(hints)}?" if hints else "check the codebook or recipe",
    )
