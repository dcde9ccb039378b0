"""LimeSurvey's types of questions, one letter each, the same in .lss and tab-separated files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opinioncast.questionnaires.found import Choice, Found, Item, Kind

_NO_CHOICE = {
    "S": Kind.OPEN,
    "T": Kind.OPEN,
    "U": Kind.OPEN,
    "Q": Kind.OPEN,
    ";": Kind.OPEN,
    "N": Kind.NUMBER,
    ":": Kind.NUMBER,
    "D": Kind.DATE,
    "R": Kind.RANKING,
    "X": Kind.TEXT,
    "|": Kind.UPLOAD,
    "*": Kind.COMPUTED,
    "I": Kind.COMPUTED,
}


def _points(last: int) -> tuple[Choice, ...]:
    return tuple(Choice(str(n), str(n), float(n)) for n in range(1, last + 1))


_FIXED = {
    "5": _points(5),
    "A": _points(5),
    "B": _points(10),
    "Y": (Choice("Yes", "Y"), Choice("No", "N")),
    "G": (Choice("Female", "F"), Choice("Male", "M")),
    "C": (Choice("Yes", "Y"), Choice("Uncertain", "U"), Choice("No", "N")),
    "E": (Choice("Increase", "I"), Choice("Same", "S"), Choice("Decrease", "D")),
}
"""Types whose options LimeSurvey itself words, in the language of the page."""


@dataclass
class LimeQuestion:
    """A question as either file has it.

    Attributes:
        rows, answers: (code, text, scale) of subquestions and of options.
        attributes: name -> value of its settings.
    """

    where: str
    code: str
    type: str
    text: str
    group: str = ""
    routing: str = ""
    other: bool = False
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    answers: list[tuple[str, str, str]] = field(default_factory=list)
    attributes: Mapping[str, str] = field(default_factory=dict)


def found_of(question: LimeQuestion) -> Iterator[Found]:
    """What a question is: one thing, or two for a scale of two sides."""
    kind, attributes = question.type, question.attributes
    routing = "" if question.routing.strip() in ("", "1") else question.routing.strip()
    common: dict[str, Any] = {
        "where": question.where,
        "id": question.code,
        "text": question.text,
        "block": question.group,
        "routing": routing,
    }
    if attributes.get("hidden") == "1":
        yield Found(**common, kind=Kind.COMPUTED, why="hidden")
        return
    rows = [r for r in question.rows if r[2] in ("", "0")]
    other = [(Choice(attributes.get("other_replace_text") or "Other", "-oth-"))] * question.other
    options = tuple(Choice(t, c) for c, t, s in question.answers if s in ("", "0"))
    items = tuple(Item(t, code=c) for c, t, _ in rows)
    if kind in ("L", "!", "O"):
        yield Found(**common, choices=(*options, *other))
    elif kind in ("M", "P"):
        named = tuple(Choice(t, c) for c, t, _ in rows)
        yield Found(**common, kind=Kind.SEVERAL, choices=(*named, *other))
    elif kind in ("F", "H"):
        yield Found(**common, choices=options, items=items)
    elif kind in ("5", "Y", "G"):
        yield Found(**common, choices=_FIXED[kind])
    elif kind in ("A", "B", "C", "E"):
        yield Found(**common, choices=_FIXED[kind], items=items)
    elif kind == "1":
        for scale, head in (("0", "dualscale_headerA"), ("1", "dualscale_headerB")):
            side = tuple(Choice(t, c) for c, t, s in question.answers if (s or "0") == scale)
            words = " - ".join(filter(None, (question.text, attributes.get(head, ""))))
            own = common | {"id": f"{question.code}#{scale}", "text": words}
            yield Found(**own, choices=side, items=items)
    elif kind == "K" and attributes.get("slider_layout") == "1":
        yield Found(**common, kind=Kind.SLIDER, items=items, ends=_ends(attributes))
    elif kind == "K":
        yield Found(**common, kind=Kind.NUMBER, why=f"{len(rows)} rows")
    elif kind in _NO_CHOICE:
        yield Found(**common, kind=_NO_CHOICE[kind])
    else:
        yield Found(**common, kind=Kind.UNKNOWN, why=kind)


def _ends(attributes: Mapping[str, str]) -> tuple[int, int]:
    """Of a slider; LimeSurvey takes 0 and 100 where nothing is said."""
    low, high = attributes.get("slider_min") or "0", attributes.get("slider_max") or "100"
    try:
        return int(float(low)), int(float(high))
    except (ValueError, OverflowError):
        return 0, 100
