"""A question of a text while it is read, and what it turns out to be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from opinioncast.questionnaires.found import Choice, Found, Item, Kind
from opinioncast.questionnaires.text_lines import kind_of
from opinioncast.texts import whole_number

_ENDS = re.compile(
    r"(?:from|between|scale(?:\s+of)?|\bde|\bvon|\bzwischen|\bentre|\bvan|\bda)\s*:?\s*(?:from\s+)?"
    r"(-?\d{1,9})\s*(?:\([^()]*\)\s*)?(?:to|and|through|à|a|bis|und|et|y|tot|[-–—])\s*(\d{1,9})"
    r"(?!\d)",
    re.I,
)
_SCALED = r"\bscale\b|thermometer|rate\b|rating|\béchelle|skala\b|\bescala|\bschaal|\bscala\b"
_EACH = r"\b(?:each|following|these|every|jede[nsr]?|folgende[ns]?|chacun\w*|cada|elk\w*)\b"
ANSWERED = {Kind.OPEN, Kind.NUMBER, Kind.RANKING, Kind.POINTS, Kind.DATE}


@dataclass
class OpenQuestion:
    """The question that is being read."""

    where: str
    id: str
    text: str
    block: str
    routing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    tables: list[Found] = field(default_factory=list)
    kind: Kind | None = None
    numbered: bool = True
    remarks: list[str] = field(default_factory=list)

    def hint(self, text: str) -> None:
        kind = kind_of(text)
        if kind is not None and self.kind is None:
            self.kind = kind

    @property
    def expected(self) -> int | None:
        """The code that would come next."""
        if not self.choices:
            return 1
        last = self.choices[-1].code
        if (number := whole_number(last)) is not None:
            return number + 1
        return 1 if last.isalpha() else None  # after "a.", "b." the common options may come

    def found(self) -> Iterator[Found]:
        """What the question turned out to be."""
        common: dict[str, Any] = {
            "where": self.where,
            "id": self.id,
            "text": self.text,
            "block": self.block,
            "routing": "; ".join(self.routing),
            "note": "; ".join(dict.fromkeys(self.notes)),
            "remarks": tuple(self.remarks),
        }
        kind = self.kind
        if self.tables:
            shape = Kind.SEVERAL if kind is Kind.SEVERAL else Kind.SINGLE
            for number, table in enumerate(self.tables, start=1):
                own = common if number == 1 else common | {"id": f"{self.id}#{number}"}
                own = own | {"kind": shape, "remarks": (*self.remarks, *table.remarks)}
                yield replace(table, **own)
            return
        ends = self.ends()
        if items := self._rated():
            ends, common = self._range(), common | {"items": items}
        if ends is not None and kind not in (Kind.SEVERAL, Kind.RANKING, Kind.POINTS):
            yield Found(**common, kind=Kind.SLIDER, ends=ends[0], end_labels=ends[1])
        elif kind in (Kind.RANKING, Kind.POINTS) or (kind in ANSWERED and not self.choices):
            yield Found(**common, kind=kind or Kind.OPEN)
        elif self.choices:
            shape = Kind.SEVERAL if kind is Kind.SEVERAL else Kind.SINGLE
            items = tuple(self.items)
            yield Found(**common, kind=shape, choices=tuple(self.choices), items=items)
        elif self.text and re.search(r"\d", self.id):
            yield Found(**common, kind=Kind.OPEN, why="no options below it")
        else:
            yield Found(**common, kind=Kind.TEXT)

    def _range(self) -> tuple[tuple[int, int], tuple[str, str]] | None:
        said = _ENDS.search(self.text)
        return ((int(said[1]), int(said[2])), ("", "")) if said else None

    def _rated(self) -> tuple[Item, ...]:
        """What is rated on a scale of numbers: "Rate each from 1 to 5", then "a. Schools"."""
        lettered = [c.code.isalpha() for c in self.choices]
        wide = (found := self._range()) is not None and found[0][1] - found[0][0] >= 2
        rated = re.search(_SCALED, self.text, re.I) and re.search(_EACH, self.text, re.I)
        if self.items or len(lettered) < 2 or not all(lettered) or not wide or not rated:
            return ()
        return tuple(Item(c.text, code=c.code) for c in self.choices)

    def ends(self) -> tuple[tuple[int, int], tuple[str, str]] | None:
        """The ends of a numeric scale of which the text has no, or only some points."""
        said = _ENDS.search(self.text)
        codes = [c.code for c in self.choices]
        if not codes:
            wide = said and int(said[2]) - int(said[1]) >= 4
            scaled = self.kind is Kind.SLIDER or (wide and re.search(_SCALED, self.text, re.I))
            if said is None or not wide or not scaled:
                return None
            return (int(said[1]), int(said[2])), ("", "")
        numbers = [n for c in codes if (n := whole_number(c)) is not None]
        if not 2 <= len(codes) <= 3 or len(numbers) < len(codes):
            return None
        low, high = min(numbers), max(numbers)
        if high - low < 4 or said is None or (int(said[1]), int(said[2])) != (low, high):
            return None
        by_code = dict(zip(numbers, (c.text for c in self.choices), strict=True))
        return (low, high), (by_code[low], by_code[high])
