"""Text of which some bytes are not in the encoding it is said to be in."""

from __future__ import annotations

import codecs

_OTHER = "cp1252"
_CUTS = (60, 64, 80, 120, 244, 255, 256)
"""Bytes at which Stata and SPSS cut names, labels and texts."""


def decode_bytes(raw: bytes, encoding: str) -> tuple[str, bool]:
    """``raw`` in ``encoding``, bytes that are not as Windows-1252; whether there were such.

    A letter cut in the middle at the end of a field (Stata and SPSS cut by bytes) is dropped.
    """
    try:
        return raw.decode(encoding), False
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and len(raw) in _CUTS:
            return raw[: error.start].decode(encoding), False
    pieces = []
    at = 0
    while at < len(raw):
        try:
            pieces.append(raw[at:].decode(encoding))
            break
        except UnicodeDecodeError as error:
            pieces.append(raw[at : at + error.start].decode(encoding))
            bad = raw[at + error.start : at + error.end]
            pieces.append("".join(_letter(b) for b in bad))
            at += error.end
    return "".join(pieces), True


def _letter(byte: int) -> str:
    try:
        return bytes([byte]).decode(_OTHER)
    except UnicodeDecodeError:
        return bytes([byte]).decode("latin-1")


class Mender:
    """Puts texts right that were read as ISO-8859-1, one byte a letter.

    Only the texts that are not in the file's encoding are read otherwise: one bad byte in one
    answer does not change a label.
    """

    def __init__(self, encoding: str) -> None:
        try:
            self.encoding = codecs.lookup(encoding).name
        except LookupError:
            self.encoding = "utf-8"
        self._known: dict[str, str] = {}
        self._bad: dict[str, None] = {}

    def mend(self, text: str) -> str:
        found = self._known.get(text)
        if found is None:
            try:
                raw = text.encode("latin-1")
            except UnicodeEncodeError:  # not read byte by byte after all
                found = text
            else:
                found, bad = decode_bytes(raw, self.encoding)
                if bad:
                    self._bad[found] = None
            self._known[text] = found
        return found

    def unmend(self, text: str) -> str:
        """A text as it looks read byte by byte."""
        try:
            return text.encode(self.encoding).decode("latin-1")
        except UnicodeEncodeError:
            return text

    def notes(self) -> list[str]:
        """What was read otherwise than declared."""
        if not self._bad:
            return []
        shown = ", ".join(f'"{t[:40]}"' for t in list(self._bad)[:3])
        return [
            f"{len(self._bad)} text(s) not in the encoding the file declares ({self.encoding}) "
            f"were read as WINDOWS-1252, the others as declared: {shown}"
        ]
