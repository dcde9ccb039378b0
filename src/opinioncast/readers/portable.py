"""SPSS portable files (.por): the missing values and the weight that pyreadstat does not pass on.

ReadStat turns user-missing answers of a portable file into empty cells. Here the dictionary is
parsed (PSPP's "Portable File Format"), its missing-value records are kept apart, and the file is
written again without them, so that the answers come through with their codes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from opinioncast.errors import DataError
from opinioncast.readers.raw import Range

_DIGITS = {c: i for i, c in enumerate("0123456789ABCDEFGHIJKLMNOPQRST")}
_FRONT = 200 + 256 + 8
_LINE = 80


@dataclass(frozen=True)
class Portable:
    """A portable file's own words on missing values and weight.

    Attributes:
        declared: closed ranges of missing codes per variable; of texts, the texts.
        weight: the variable by which the file is weighted, None if none.
        plain: the file without its missing-value records.
    """

    declared: Mapping[str, tuple[Range, ...]]
    text_declared: Mapping[str, tuple[tuple[str, str], ...]]
    weight: str | None
    plain: bytes


def read_portable(path: Path) -> Portable:
    """Parse the dictionary of a portable file.

    Raises:
        DataError: it is not as documented.
    """
    lines = path.read_bytes().decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
    stream = "".join(line.ljust(_LINE) for line in lines.removesuffix("\n").split("\n"))
    try:
        return _Dictionary(stream).parse()
    except (IndexError, KeyError, ValueError) as error:
        raise DataError(
            "A survey file cannot be read",
            where=path.name,
            expected="an SPSS portable file",
            found=f"a dictionary that breaks off or is of another kind ({error})",
            hint="save it again from SPSS or PSPP, as .sav if you can",
        ) from error


class _Dictionary:
    """A walk through the records of a portable file's dictionary."""

    def __init__(self, stream: str) -> None:
        self.text = stream
        self.at = _FRONT
        if stream[456:464] != "SPSSPORT":
            raise ValueError("its mark is not SPSSPORT")

    def take(self, count: int) -> str:
        part = self.text[self.at : self.at + count]
        if len(part) < count:
            raise ValueError("it is cut short")
        self.at += count
        return part

    def number(self) -> float:
        """A number to base 30, ended by "/"; "*." is system missing."""
        while self.text[self.at] == " ":
            self.at += 1
        if self.text[self.at] == "*":
            self.at += 2
            return math.nan
        end = self.text.index("/", self.at)
        token, self.at = self.text[self.at : end], end + 1
        negative, token = token.startswith("-"), token.lstrip("-")
        mantissa, exponent = token, 0
        for sign in "+-":
            if sign in token:
                mantissa, tail = token.split(sign, 1)
                exponent = (1 if sign == "+" else -1) * int(_base30(tail))
        value = _base30(mantissa) * 30.0**exponent
        return -value if negative else value

    def string(self) -> str:
        return self.take(int(self.number()))

    def value(self, *, text: bool) -> float | str:
        return self.string() if text else self.number()

    def parse(self) -> Portable:
        declared: dict[str, list[Range]] = {}
        texts: dict[str, list[tuple[str, str]]] = {}
        cut: list[tuple[int, int]] = []
        weight: str | None = None
        is_text: dict[str, bool] = {}
        name = ""
        self.take(1)  # version
        self.string(), self.string()  # date and time
        while True:
            start = self.at
            tag = self.take(1)
            if tag in "123":
                self.string()
            elif tag in "45":
                self.number()
            elif tag == "6":
                weight = self.string()
            elif tag == "7":
                width = int(self.number())
                name = self.string()
                is_text[name] = width > 0
                for _ in range(6):
                    self.number()
            elif tag in "89AB":
                text = is_text[name]
                first = self.value(text=text)
                last = self.value(text=text) if tag == "B" else first
                if isinstance(first, str) or isinstance(last, str):
                    texts.setdefault(name, []).append((str(first), str(last)))
                else:
                    low = -math.inf if tag == "9" else first
                    high = math.inf if tag == "A" else last
                    declared.setdefault(name, []).append((low, high))
                cut.append((start, self.at))
            elif tag == "C":
                self.string()
            elif tag == "D":
                names = [self.string() for _ in range(int(self.number()))]
                for _ in range(int(self.number())):
                    self.value(text=is_text[names[0]])
                    self.string()
            elif tag == "E":
                for _ in range(int(self.number())):
                    self.string()
            elif tag == "F":
                break
            else:
                raise ValueError(f"a record of unknown kind {tag!r}")
        kept, at = [], 0
        for start, end in cut:
            kept.append(self.text[at:start])
            at = end
        stream = "".join([*kept, self.text[at:]])
        stream = stream.ljust(-(-len(stream) // _LINE) * _LINE, "Z")
        lines = [stream[i : i + _LINE] for i in range(0, len(stream), _LINE)]
        return Portable(
            {n: tuple(r) for n, r in declared.items()},
            {n: tuple(r) for n, r in texts.items()},
            weight or None,
            ("\r\n".join(lines) + "\r\n").encode("latin-1"),
        )


def _base30(digits: str) -> float:
    before, _, after = digits.partition(".")
    value = 0.0
    for d in before:
        value = value * 30 + _DIGITS[d]
    for place, d in enumerate(after, start=1):
        value += _DIGITS[d] / 30.0**place
    return value
