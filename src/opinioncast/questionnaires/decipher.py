"""Decipher (Forsta Surveys) questionnaires in XML.

Conditions, quotas and code of the file are kept as text or passed over; nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opinioncast.questionnaires.assembly import assembled
from opinioncast.questionnaires.declaration import Head, Instrument, InstrumentFormat
from opinioncast.questionnaires.found import Choice, Found, Item, Kind
from opinioncast.questionnaires.limits import root_name, xml_root
from opinioncast.questionnaires.wording import plain
from opinioncast.questionnaires.xml_elements import (
    attribute,
    child,
    children,
    descendants,
    line_of,
    name_of,
    text_of,
)
from opinioncast.texts import whole_number

_QUESTIONS = {"radio", "checkbox", "select", "number", "float", "text", "textarea", "image"}
_NUMERIC = {"number", "float"}
_USES = (  # what a question is made to look like: its answers are of another kind
    ("ranksort", Kind.RANKING),
    ("maxdiff", Kind.RANKING),
    ("conjoint", Kind.RANKING),
    ("autosum", Kind.POINTS),
    ("languageselector", Kind.COMPUTED),
    ("hottext", Kind.UNKNOWN),
    ("upload", Kind.UPLOAD),
    ("capture", Kind.UPLOAD),
    ("fvs", Kind.COMPUTED),
)
_RANGE = re.compile(r"\(?\s*(-?\d+)\s*,\s*(-?\d+)\s*\)?")
_RATED = re.compile(r"thermometer|\bscale\b|\brate\b|\brating", re.I)
"""Numbers between two ends that a title asks for as points of a scale."""
_LOOPVAR = re.compile(r"\[loopvar:\s*([\w.]+)\s*\]")


@dataclass(frozen=True)
class _Place:
    """Where the walk is: block, conditions and loop variables of what is around."""

    block: str = ""
    routing: tuple[str, ...] = ()
    loop: Mapping[str, str] = field(default_factory=dict)


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a Decipher survey in their order.

    Raises:
        InputError: no such XML, or no closed question in it.
    """
    root, mended = xml_root(path, content, "a Decipher survey")
    head = Head(title=attribute(root, "alt"), language=attribute(root, "lang"))
    return assembled(path, "Decipher XML", _walk(root), head, mended)


def _walk(root: Any) -> Iterator[Found]:
    """Questions of blocks and loops, each loop once for every row it has."""
    lists = {attribute(e, "label"): e for e in descendants(root, "define")}
    stack: list[tuple[Any, _Place]] = [(e, _Place()) for e in reversed(children(root))]
    while stack:
        element, place = stack.pop()
        kind = name_of(element)
        if kind in _QUESTIONS:
            yield _question(element, place, lists)
        elif kind == "html":
            yield Found(*_where(element), text_of(element), Kind.TEXT)
        elif kind in ("block", "page", "loop"):
            title = plain(attribute(element, "title")) or plain(text_of(child(element, "title")))
            condition = attribute(element, "cond")
            routing = (*place.routing, *([condition] if condition else []))
            block = title or attribute(element, "label") or place.block
            inner = [c for c in children(element) if name_of(c) not in ("looprow", "title")]
            for loop in reversed(_loop_rows(element, place.loop)):
                inside = _Place(block, routing, loop)
                stack += [(c, inside) for c in reversed(inner)]


def _loop_rows(element: Any, around: Mapping[str, str]) -> list[Mapping[str, str]]:
    if name_of(element) != "loop":
        return [around]
    made: list[Mapping[str, str]] = []
    for row in children(element, "looprow"):
        own = {attribute(v, "name"): text_of(v) for v in children(row, "loopvar")}
        made.append({**around, "label": attribute(row, "label"), **own})
    return made or [around]


def _where(element: Any) -> tuple[str, str]:
    label = attribute(element, "label")
    return f"{line_of(element)}, {name_of(element)} {label}".strip(), label


def _parts(element: Any, name: str, lists: Mapping[str, Any]) -> list[Any]:
    """Rows, columns or choices of a question, those of a list of the survey at their place."""
    made = []
    for each in children(element):
        if name_of(each) == name:
            made.append(each)
        elif name_of(each) == "insert" and (attribute(each, "as") or "rows") == f"{name}s":
            source = lists.get(attribute(each, "source"))
            without = {label.strip() for label in attribute(each, "exclude").split(",")}
            listed = [] if source is None else children(source)
            made += [e for e in listed if attribute(e, "label") not in without]
    return made


def _question(element: Any, place: _Place, lists: Mapping[str, Any]) -> Found:
    def words(one: Any) -> str:
        return _LOOPVAR.sub(lambda m: place.loop.get(m[1], m[0]), text_of(one))

    where, label = _where(element)
    condition = attribute(element, "cond")
    rows, cols, options = (
        _visible(_parts(element, name, lists)) for name in ("row", "col", "choice")
    )
    looped = [v for k, v in place.loop.items() if k != "label"]
    common: dict[str, Any] = {
        "where": where,
        "id": _LOOPVAR.sub(lambda m: place.loop.get(m[1], m[0]), label),
        "text": words(child(element, "title")),
        "block": place.block,
        "routing": "; ".join((*place.routing, *([condition] if condition else []))),
        "note": "; ".join(
            filter(None, (plain(words(child(element, "comment"))), ", ".join(looped)))
        ),
    }
    kind, why = _kind(element)
    if kind not in (Kind.SINGLE, Kind.SEVERAL, Kind.SLIDER):
        return Found(**common, kind=kind, why=why)

    def choice(one: Any, position: int) -> Choice:
        return Choice(words(one), _code(one, position))

    def items(listed: list[Any]) -> tuple[Item, ...]:
        return tuple(
            Item(_row_text(one, words(one)), code=attribute(one, "label") or str(n))
            for n, one in enumerate(listed, start=1)
        )

    def choices(listed: list[Any]) -> tuple[Choice, ...]:
        return tuple(choice(one, n) for n, one in enumerate(listed, start=1))

    if kind is Kind.SLIDER:
        return Found(**common, kind=kind, items=items(rows), ends=_ends(element))
    if options:  # a drop-down: rows and columns are what it is asked for
        pairs = [(r, c) for r in rows for c in cols]
        named = tuple(
            Item(f"{words(r)} - {words(c)}", code=f"{attribute(r, 'label')}{attribute(c, 'label')}")
            for r, c in pairs
        )
        return Found(
            **common, kind=kind, choices=choices(options), items=named or items(rows or cols)
        )
    no_answer = [Choice(words(n), attribute(n, "label"), off_scale=True)
                 for n in children(element, "noanswer")]  # fmt: skip
    if rows and cols:
        asked, answers = (cols, rows) if attribute(element, "grouping") == "cols" else (rows, cols)
        return Found(**common, kind=kind, choices=choices(answers), items=items(asked))
    if kind is Kind.SEVERAL:
        return Found(**common, kind=kind, choices=choices(rows or cols))
    return Found(**common, kind=kind, choices=(*choices(rows or cols), *no_answer))


def _kind(element: Any) -> tuple[Kind, str]:
    uses = attribute(element, "uses")
    where = attribute(element, "where")
    if "execute" in where.split(",") or where in ("none", "report", "data"):
        return Kind.COMPUTED, f"where={where}"
    for start, kind in _USES:
        if start in uses:
            return kind, uses
    tag = name_of(element)
    if tag in _NUMERIC:
        looks = any(word in uses for word in ("slider", "rating")) or bool(
            _RATED.search(plain(text_of(child(element, "title"))))
        )
        return (Kind.SLIDER, "") if looks and _ends(element) else (Kind.NUMBER, "")
    if tag in ("text", "textarea"):
        return Kind.OPEN, ""
    if tag == "image":
        return Kind.UPLOAD, ""
    return (Kind.SEVERAL if tag == "checkbox" else Kind.SINGLE), ""


def _ends(element: Any) -> tuple[int, int] | None:
    for name in ("verify", "range"):
        if found := _RANGE.search(attribute(element, name)):
            low, high = whole_number(found[1]), whole_number(found[2])
            return None if low is None or high is None else (low, high)
    return None


def _visible(elements: list[Any]) -> list[Any]:
    """Without those that the file switches off."""
    return [e for e in elements if attribute(e, "cond").strip() not in ("0", "False")]


def _code(element: Any, position: int) -> str:
    """Its value; else the number in its label, which Decipher takes ("r99" is 99)."""
    number = re.fullmatch(r"[A-Za-z_]+(\d+)", attribute(element, "label"))
    return attribute(element, "value") or (number[1] if number else str(position))


def _row_text(element: Any, text: str) -> str:
    """A row; one between two ends ("this or that") names both."""
    right = plain(attribute(element, "rightLegend"))
    return f"{text} / {right}" if right else text


FORMAT = InstrumentFormat(
    name="decipher",
    help="A Decipher (Forsta) survey in XML.",
    endings=(".xml",),
    read=read,
    recognises=lambda content: root_name(content) == "survey",
    order=80,
)
