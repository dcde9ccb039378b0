"""What an SPSS system file (.sav, .zsav) says in its header and pyreadstat does not pass on.

Layout as documented in PSPP's "System File Format": a header of 176 bytes, then one record of type
2 per variable (and per further 8 bytes of a text), then others, of which type 7, subtype 13 holds
the long names and subtype 20 the encoding.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER = 176
_READ = 1 << 22


@dataclass(frozen=True, slots=True)
class SystemHeader:
    """Attributes:
    weight: long name of the variable of WEIGHT BY; None: the file is not weighted.
    encoding: as the file declares it, "" where it does not.
    """

    weight: str | None = None
    encoding: str = ""


def read_header(path: Path) -> SystemHeader:
    """The weight and encoding of a system file; nothing where its header is not as documented."""
    with path.open("rb") as file:
        data = file.read(_READ)
    try:
        return _parse(data, path.stat().st_size)
    except (struct.error, IndexError, ValueError):
        return SystemHeader()


def _parse(data: bytes, size: int) -> SystemHeader:
    order = "<" if struct.unpack_from("<i", data, 64)[0] in (2, 3) else ">"

    def whole(at: int) -> int:
        return int(struct.unpack_from(order + "i", data, at)[0])

    index = whole(76)
    at, place = _HEADER, 0
    weighted, names, encoding = "", {}, ""
    while at + 4 <= len(data):
        record = whole(at)
        if record == 2:
            place += 1
            width, labelled, missing = whole(at + 4), whole(at + 8), whole(at + 12)
            if place == index and width >= 0:
                weighted = data[at + 24 : at + 32].decode("latin-1").rstrip()
            at += 32
            if labelled == 1:
                at += 4 + (whole(at) + 3) // 4 * 4
            at += 8 * abs(missing)
        elif record == 3:
            count = whole(at + 4)
            at += 8
            for _ in range(count):
                at += (8 + data[at + 8] + 1 + 7) // 8 * 8
        elif record == 4:
            at += 8 + 4 * whole(at + 4)
        elif record == 6:
            at += 8 + 80 * whole(at + 4)
        elif record == 7:
            subtype, each, count = whole(at + 4), whole(at + 8), whole(at + 12)
            body = data[at + 16 : at + 16 + each * count]
            if subtype == 13:
                pairs = (p.split(b"=", 1) for p in body.split(b"\t") if b"=" in p)
                names = {short.decode("latin-1").upper(): long for short, long in pairs}
            elif subtype == 20:
                encoding = body.decode("latin-1").strip("\0 ")
            at += 16 + each * count
        else:
            break
    if not weighted:
        return SystemHeader(None, encoding)
    long = names.get(weighted.upper())
    if long is None:
        return SystemHeader(weighted, encoding)
    try:
        return SystemHeader(long.rstrip(b"\0").decode(encoding or "utf-8"), encoding)
    except (LookupError, UnicodeDecodeError):
        return SystemHeader(long.decode("latin-1"), encoding)
