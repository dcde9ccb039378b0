"""Qualtrics' export to Word: the styles of paragraphs and tables carry the meaning.

A question is its tag and wording in one paragraph; options end in their code, "Yes  (1)".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from opinioncast.questionnaires.found import Choice, Found, Item, Kind
from opinioncast.questionnaires.word_document import Paragraph, WordTable
from opinioncast.texts import whole_number

Blocks = Sequence[Paragraph | WordTable]

_STYLES = {"BlockStartLabel", "BlockEndLabel", "QDisplayLogic", "QSkipLogic", "QDynamicChoices"}
_TABLES = {"QQuestionTable", "QQuestionIconTable", "QTextTable"}
_CODED = re.compile(r"^(?P<text>.*?)\s*\((?P<code>-?\d+)\)\s*(?P<line>_{3,})?\s*$", re.S)
_FILLED_BEFORE = re.compile(r"^_{3,}\s*")
_BOXES = "▢□☐❑❏"


def is_export(blocks: Blocks) -> bool:
    """Whether a document has the styles of the export."""
    styles = {b.style for b in blocks}
    return bool(styles & _STYLES or styles & _TABLES)


@dataclass
class _Open:
    """The question that is being read."""

    where: str
    id: str
    text: str
    block: str
    routing: list[str]
    notes: list[str]
    choices: list[Choice] = field(default_factory=list)
    lines: list[bool] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    multiple: bool = False
    kind: Kind | None = None
    why: str = ""
    tables: list[Found] = field(default_factory=list)

    @property
    def bare(self) -> bool:
        return not self.choices and self.kind is None and not self.tables


def found_in(blocks: Blocks) -> Iterator[Found]:
    """The questions of an export in order."""
    reader = _Reader()
    for block in blocks:
        done = reader.table(block) if isinstance(block, WordTable) else reader.paragraph(block)
        yield from _made(done)
    yield from _made(reader.current)


class _Reader:
    """One block after the other; each call gives the question that it ends, if any."""

    def __init__(self) -> None:
        self.current: _Open | None = None
        self.block = ""
        self.logic: list[str] = []
        self.notes: list[str] = []
        self.apart = True
        self.first = True

    def _end(self) -> _Open | None:
        done, self.current = self.current, None
        return done

    def paragraph(self, paragraph: Paragraph) -> _Open | None:
        text, style = paragraph.text.strip(), paragraph.style
        if not text and style != "TextEntryLine":
            self.apart = True
            return None
        apart, self.apart = self.apart, False
        if style == "BlockStartLabel":
            self.block = text.removeprefix("Start of Block:").strip()
            return self._end()
        if style in ("BlockEndLabel", "Title", "H1", "H2", "H3") or style.startswith("Heading"):
            self.apart = True
            return self._end()
        if style == "QDisplayLogic":
            if not re.fullmatch(r"Display Th(?:is|ese) \w+s?:", text):
                self.logic.append(text)
            return None
        if style == "QDynamicChoices":
            self.notes.append(text)
            return None
        if style == "QSkipLogic":
            if self.current is not None:
                self.current.routing.append(f"then skip: {' '.join(text.split())}")
            return None
        if style == "TextEntryLine" or re.fullmatch(r"_{5,}", text):
            if self.current is not None and self.current.bare:
                self.current.kind = Kind.OPEN
            return None
        if style == "Dropdown":
            if self.current is not None:
                self.current.kind, self.current.why = Kind.SINGLE, "the export shows only two"
            return None
        if paragraph.bullet or paragraph.number or _is_list(style):
            self._option(paragraph)
            return None
        return self._question(paragraph, apart)

    def _option(self, paragraph: Paragraph) -> None:
        current = self.current
        if current is None:
            return
        text = paragraph.text.strip()
        before = bool(_FILLED_BEFORE.match(text))
        found = _CODED.match(_FILLED_BEFORE.sub("", text))
        if found is None:
            choice, line = Choice(text), text.endswith("___")
        else:
            choice, line = Choice(found["text"], found["code"]), bool(found["line"])
        exclusive = choice.text.startswith("⊗")
        current.choices.append(choice)
        current.lines.append(line)
        current.multiple |= exclusive or any(b in paragraph.bullet for b in _BOXES)
        if before and current.kind is None:
            current.kind = Kind.RANKING
        if self.logic:
            current.hidden.append(choice.text)
            self.logic = []

    def _question(self, paragraph: Paragraph, apart: bool) -> _Open | None:
        text = paragraph.text.strip()
        tag, gap, rest = _split(text)
        current = self.current
        if current is not None and current.bare and not apart:
            current.text += f" {text}"
            return None
        if self.first:
            self.first = False
            if not re.search(r"[\d_]", tag) or not rest:
                return self._end()  # the survey's title
        done = self._end()
        self.current = _Open(
            paragraph.where, tag, rest if gap else "", self.block, self.logic, self.notes
        )
        self.logic, self.notes = [], []
        return done

    def table(self, table: WordTable) -> _Open | None:
        texts = table.texts()
        flat = [t for row in texts for t in row if t]
        if not flat or flat == ["Page Break"] or table.style == "QQuestionIconTable":
            self.apart = True
            return None
        if self.current is None:
            return None
        if table.style == "QTextTable":
            self.current.kind = self.current.kind or Kind.OPEN
            self.current.why = f"{len(texts) - 1} rows"
        elif "Slider" in table.style:
            self._slider(flat)
        else:
            self.current.tables.append(self._matrix(table))
        return None

    def _slider(self, flat: list[str]) -> None:
        current = self.current
        assert current is not None
        numbers = [n for t in flat if (n := whole_number(t)) is not None]
        items = [t for t in flat if _CODED.match(t)]
        if numbers and current.kind is None:
            current.kind = Kind.SLIDER
            current.why = f"{min(numbers)},{max(numbers)}"
        elif items:
            current.tables.append(
                Found("", "", "", kind=Kind.SLIDER, items=tuple(map(_item, items)))
            )

    def _matrix(self, table: WordTable) -> Found:
        def words(cell: tuple[Paragraph, ...]) -> str:
            return " ".join(p.text.strip() for p in cell if p.style != "QDisplayLogic").strip()

        rows = [[words(cell) for cell in row] for row in table.rows]
        head = [c for c in rows[0][1:] if c]
        choices = tuple(_choice(c) for c in head)
        items = tuple(_item(r[0]) for r in rows[1:] if r and r[0])
        body = [p for row in table.rows[1:] for cell in row[1:] for p in cell]
        several = any(b in p.bullet for p in body for b in _BOXES)
        return Found(
            "", "", "", Kind.SEVERAL if several else Kind.SINGLE, choices=choices, items=items
        )


def _split(text: str) -> tuple[str, str, str]:
    """Tag, what is between, and wording of "A1 \\nIn the past 24 hours"."""
    found = re.match(r"(\S+)(\s+)(.*)", text, re.S)
    return (found[1], found[2], found[3]) if found else (text, "", "")


def _is_list(style: str) -> bool:
    return style in ("List Paragraph", "ListParagraph")


def _choice(text: str) -> Choice:
    found = _CODED.match(text)
    return Choice(found["text"], found["code"]) if found else Choice(text)


def _item(text: str) -> Item:
    choice = _choice(text)
    return Item(choice.text, code=choice.code)


def _made(done: _Open | None) -> Iterator[Found]:
    """What a question turned out to be."""
    if done is None:
        return
    common: dict[str, Any] = {
        "where": done.where,
        "id": done.id,
        "text": done.text,
        "block": done.block,
        "routing": "; ".join(done.routing),
        "note": "; ".join(done.notes),
        "remarks": (f"shown only by logic: {', '.join(done.hidden)}",) if done.hidden else (),
    }
    sliders = [t for t in done.tables if t.kind is Kind.SLIDER]
    if done.kind is Kind.SLIDER:
        low, high = map(int, done.why.split(","))
        items = sliders[0].items if sliders else ()
        yield Found(**common, kind=Kind.SLIDER, ends=(low, high), items=items)
    elif done.tables:
        for number, table in enumerate(done.tables, start=1):
            own = common if number == 1 else common | {"id": f"{done.id}#{number}"}
            yield Found(**own, kind=table.kind, choices=table.choices, items=table.items)
    elif done.choices and all(done.lines):
        yield Found(**common, kind=Kind.OPEN, why=f"{len(done.choices)} lines to fill in")
    elif done.choices and done.kind in (None, Kind.OPEN):
        kind = Kind.SEVERAL if done.multiple else Kind.SINGLE
        yield Found(**common, kind=kind, choices=tuple(done.choices))
    elif done.kind is not None:
        yield Found(**common, kind=done.kind, why=done.why)
    else:
        yield Found(**common, kind=Kind.TEXT)
