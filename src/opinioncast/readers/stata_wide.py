"""Stata files of thousands of variables, read with NumPy.

pyreadstat's time grows with the square of the number of variables (20 s for 33,000 of them, before
a value is read). The format of Stata 13 and later (117 to 119) is documented ("help dta"): fixed
places for every part, then rows of fixed width.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from opinioncast.survey.wave import TAGGED_BASE

WIDE = 3000
"""From so many variables on this reader is used."""
_STRL = 32768
_KINDS = {65530: "i1", 65529: "i2", 65528: "i4", 65527: "f4", 65526: "f8"}
# the code of "." and the step from one missing letter to the next
_WHOLE = {"i1": 101, "i2": 32741, "i4": 2147483621}
_BITS: dict[str, tuple[int, int, str]] = {
    "f4": (0x7F000000, 0x800, "u4"),
    "f8": (0x7FE0000000000000, 0x10000000000, "u8"),
}
_DATES = ("%d", "%td", "%-td", "%tc", "%-tc", "%tC", "%tw", "%tm", "%tq", "%th", "%ty")


@dataclass(frozen=True)
class WideFile:
    """What a file holds, as :mod:`opinioncast.readers.spss_stata` has it of pyreadstat.

    Attributes:
        data: Float64 codes with missing letters as ``tagged`` codes and "." as NaN, or texts.
        value_labels: per variable, missing letters as ``tagged`` codes.
    """

    names: tuple[str, ...]
    labels: dict[str, str]
    value_labels: dict[str, dict[Any, str]]
    types: dict[str, str]
    formats: dict[str, str]
    rows: int
    data: dict[str, Any]


@dataclass(frozen=True)
class _Layout:
    """Sizes that differ by release, and where the parts are."""

    order: str
    variables: int
    rows: int
    name: int
    format: int
    label: int
    places: tuple[int, ...]
    encoding: str


def layout_of(path: Path) -> _Layout | None:
    """The layout of a file this reader reads; None: of another release, or not wide."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.startswith(b"<stata_dta><header><release>"):
        return None
    release = head[28:31]
    if release not in (b"117", b"118", b"119"):
        return None
    order = "<" if b"<byteorder>LSF" in head[:80] else ">"
    at, number_of_rows = (head.find(tag) + 3 for tag in (b"<K>", b"<N>"))
    if at < 3 or number_of_rows < 3:
        return None  # damaged: pyreadstat says how
    variables = int(struct.unpack_from(order + ("I" if release == b"119" else "H"), head, at)[0])
    if variables < WIDE:
        return None
    kind = order + ("I" if release == b"117" else "Q")
    rows = int(struct.unpack_from(kind, head, number_of_rows)[0])
    found = head.find(b"<map>", number_of_rows)
    if not 0 <= found <= len(head) - 117:  # the tag and 14 numbers
        return None
    places = struct.unpack_from(order + "14Q", head, found + 5)
    old = release == b"117"
    sizes = (33, 49, 81) if old else (129, 57, 321)
    encoding = "cp1252" if old else "utf-8"
    return _Layout(order, variables, rows, *sizes, places, encoding)


def read_wide(
    path: Path, layout: _Layout, columns: Sequence[str] | None, *, data: bool = True
) -> WideFile | None:
    """Read ``columns`` (None: all) of a wide file, or its dictionary alone.

    Returns:
        None where a column asked for is a date or a long text (strL): pyreadstat reads those.

    Raises:
        ValueError: the file is not as documented, or cut short.
    """
    raw = np.memmap(path, dtype=np.uint8, mode="r")

    def part(index: int, tag: str, each: int) -> list[str]:
        start = layout.places[index] + len(tag) + 2
        block = raw[start : start + each * layout.variables].tobytes()
        return [
            block[i : i + each].split(b"\0", 1)[0].decode(layout.encoding, "replace")
            for i in range(0, len(block), each)
        ]

    start = layout.places[2] + len("<variable_types>")
    kinds = np.frombuffer(
        raw[start : start + 2 * layout.variables].tobytes(), layout.order + "u2"
    ).tolist()
    names = part(3, "varnames", layout.name)
    formats = dict(zip(names, part(5, "formats", layout.format), strict=True))
    sets = part(6, "value_label_names", layout.name)
    labels = dict(zip(names, part(7, "variable_labels", layout.label), strict=True))
    shared = _label_sets(raw[layout.places[11] : layout.places[12]].tobytes(), layout)
    types = {n: "string" if k <= _STRL else "double" for n, k in zip(names, kinds, strict=True)}
    wanted = set(names if columns is None else columns)
    values: dict[str, Any] = {}
    if data:
        if any(
            n in wanted and (k == _STRL or formats[n].startswith(_DATES))
            for n, k in zip(names, kinds, strict=True)
        ):
            return None
        values = _columns(raw, layout, names, kinds, wanted)
    kept = names if columns is None or not data else [n for n in names if n in wanted]
    return WideFile(
        names=tuple(kept),
        labels={n: labels[n] for n in kept},
        value_labels={
            n: shared[s] for n, s in zip(names, sets, strict=True) if s in shared and n in wanted
        },
        types={n: types[n] for n in kept},
        formats={n: formats[n] for n in kept},
        rows=layout.rows,
        data=values,
    )


def _columns(
    raw: npt.NDArray[np.uint8],
    layout: _Layout,
    names: Sequence[str],
    kinds: Sequence[int],
    wanted: set[str],
) -> dict[str, Any]:
    widths = [k if k < _STRL else 8 if k == _STRL else np.dtype(_KINDS[k]).itemsize for k in kinds]
    ends = np.cumsum(widths)
    width = int(ends[-1])
    start = layout.places[9] + len("<data>")
    block = np.asarray(raw[start : start + width * layout.rows])
    if block.size < width * layout.rows:
        raise ValueError(f"{block.size} bytes of data for {width * layout.rows}")
    rows = block.reshape(layout.rows, width)
    values: dict[str, Any] = {}
    for name, kind, size, end in zip(names, kinds, widths, ends.tolist(), strict=True):
        if name not in wanted:
            continue
        cells = np.ascontiguousarray(rows[:, end - size : end])
        if kind < _STRL:
            values[name] = [
                bytes(c).split(b"\0", 1)[0].decode(layout.encoding, "replace") for c in cells
            ]
        else:
            values[name] = _numbers(cells, _KINDS[kind], layout.order)
    return values


def _numbers(cells: npt.NDArray[np.uint8], kind: str, order: str) -> npt.NDArray[np.float64]:
    """A column of bytes as Float64; ".a" is ``tagged("a")``, "." is NaN."""
    numbers = cells.view(order + kind).ravel()
    out = numbers.astype(np.float64)
    if kind in _WHOLE:
        place = numbers.astype(np.int64) - _WHOLE[kind]
    else:
        first, step, whole = _BITS[kind]
        bits = cells.view(order + whole).ravel().astype(np.int64)
        place = np.where(bits >= first, (bits - first) // step, -1)
    gone = place >= 0
    if gone.any():
        out[gone] = np.where(place[gone] == 0, np.nan, TAGGED_BASE - place[gone])
    return out


def _label_sets(block: bytes, layout: _Layout) -> dict[str, dict[Any, str]]:
    """Value labels by the name of their set."""
    sets: dict[str, dict[Any, str]] = {}
    at = len("<value_labels>")
    while block.startswith(b"<lbl>", at):
        at += 5 + 4
        name = block[at : at + layout.name].split(b"\0", 1)[0].decode(layout.encoding, "replace")
        at += layout.name + 3
        count, size = struct.unpack_from(layout.order + "2I", block, at)
        at += 8
        numbers = np.frombuffer(block, layout.order + "i4", 2 * count, at).astype(np.int64)
        at += 8 * count
        text = block[at : at + size]
        at += size + len("</lbl>")
        labels: dict[Any, str] = {}
        for offset, value in zip(numbers[:count].tolist(), numbers[count:].tolist(), strict=True):
            letter = value - _WHOLE["i4"]
            code = TAGGED_BASE - letter if letter > 0 else float(value)
            labels[code] = text[offset:].split(b"\0", 1)[0].decode(layout.encoding, "replace")
        sets[name] = labels
    return sets
