"""Word documents as paragraphs and tables: styles, list numbers that Word counts itself, cells.

What was deleted with changes tracked is not read; what was inserted is, as are content controls.
Text boxes come last, each under a heading: where they stand on the page, the file does not say.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opinioncast.errors import InputError
from opinioncast.questionnaires.limits import check_zip

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PASSED_OVER = frozenset({"del", "moveFrom", "instrText", "txbxContent", "Fallback", "pPr", "rPr"})
_ROMAN = ((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))
WORD = "a Word document (.docx)"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph.

    Attributes:
        where: "paragraph 12", counted in the whole document; of a cell, the table's too.
        text: with line breaks and tabs.
        style: name of its style.
        number: what Word numbers it with ("1.", "a)"), "" where it does not.
        bullet: the sign Word puts before it ("o", "▢"), "" where there is none.
        bold: how many characters from its start are bold.
    """

    where: str
    text: str
    style: str = ""
    number: str = ""
    bullet: str = ""
    bold: int = 0


@dataclass(frozen=True, slots=True)
class WordTable:
    """A table: rows of cells of paragraphs. A merged cell stands where it begins."""

    where: str
    style: str
    rows: tuple[tuple[tuple[Paragraph, ...], ...], ...]

    def texts(self) -> list[list[str]]:
        """Its cells as texts, a line for each paragraph."""
        return [["\n".join(p.text for p in cell).strip() for cell in row] for row in self.rows]


def word_blocks(path: Path, content: bytes) -> list[Paragraph | WordTable]:
    """Paragraphs and tables of a document in their order.

    Raises:
        InputError: no Word document.
    """
    import docx

    check_zip(path, content, WORD, "word/document.xml")
    try:
        document = docx.Document(io.BytesIO(content))
        reader = _Reader(document)
        bodies = document.element.iterchildren(_W + "body")  # an export of Qualtrics has hundreds
        made = [block for body in bodies for block in reader.blocks(body)]
        return [*made, *reader.boxed()]
    except Exception as error:  # python-docx and lxml raise classes of their own for damage
        if isinstance(error, InputError):
            raise
        raise InputError(
            "A questionnaire is not a readable Word document",
            where=str(path),
            expected=WORD,
            found=error,
            hint="open it in Word and save it again as .docx",
        ) from None


class _Reader:
    """Counts paragraphs and list numbers while walking through a document."""

    def __init__(self, document: Any) -> None:
        self.styles = {s.get(_W + "styleId"): s for s in document.styles.element.iter(_W + "style")}
        self.levels = _levels(document, self.styles)
        self.counters: dict[str, list[int]] = {}
        self.paragraphs = self.tables = 0
        self.boxes: list[Any] = []

    def blocks(self, parent: Any, place: str = "") -> Iterator[Paragraph | WordTable]:
        for element in _content(parent):
            if element.tag == _W + "p":
                self.paragraphs += 1
                yield self._paragraph(element, place)
            else:
                self.tables += 1
                yield self._table(element)

    def boxed(self) -> Iterator[Paragraph | WordTable]:
        """What stands in text boxes, those within one another too."""
        for number, box in enumerate(self.boxes, start=1):  # grows while it is walked through
            blocks = list(self.blocks(box, f"text box {number}, "))
            if any(isinstance(b, WordTable) or b.text.strip() for b in blocks):
                yield Paragraph(f"text box {number}", "Text box", "heading 1")
                yield from blocks

    def _paragraph(self, element: Any, place: str) -> Paragraph:
        text, bold = _text(element)
        self.boxes += _boxes(element)
        properties = element.find(_W + "pPr")
        style = _value(properties, "pStyle")
        number, bullet = self._number(properties, style)
        named = self.styles.get(style)
        return Paragraph(
            f"{place}paragraph {self.paragraphs}",
            text,
            _value(named, "name") or style,
            number,
            bullet,
            bold,
        )

    def _table(self, element: Any) -> WordTable:
        place = f"table {self.tables}"
        style = _value(element.find(_W + "tblPr"), "tblStyle")
        named = self.styles.get(style)
        rows = []
        for number, row in enumerate(_wrapped(element, "tr"), start=1):
            cells: list[tuple[Paragraph, ...]] = []
            for cell in _wrapped(row, "tc"):
                properties = cell.find(_W + "tcPr")
                below = properties is not None and (m := properties.find(_W + "vMerge")) is not None
                inner = self._cell(cell, f"{place}, row {number}, ")
                begins = not below or m.get(_W + "val") == "restart"
                cells.append(tuple(inner) if begins else ())
                span = _value(properties, "gridSpan")
                cells += [()] * (int(span) - 1 if span.isdecimal() and int(span) < 100 else 0)
            rows.append(tuple(cells))
        return WordTable(place, _value(named, "name") or style, tuple(rows))

    def _cell(self, cell: Any, place: str) -> Iterator[Paragraph]:
        """Paragraphs of a cell, those of tables in it after them."""
        for block in self.blocks(cell, place):
            if isinstance(block, Paragraph):
                yield block
            else:
                yield from (p for row in block.rows for inner in row for p in inner)

    def _number(self, properties: Any, style: str) -> tuple[str, str]:
        """The number or bullet that Word shows before a paragraph."""
        list_id, level = _numbering(properties)
        seen: set[str] = set()
        while not list_id and style in self.styles and style not in seen:
            seen.add(style)
            named = self.styles[style]
            list_id, own = _numbering(named.find(_W + "pPr"))
            level = level or own
            style = _value(named, "basedOn")
        known = self.levels.get(list_id, {}).get(level)
        if not list_id or list_id == "0" or known is None:
            return "", ""
        kind, shown, start = known
        if kind in ("bullet", "none"):
            return "", shown
        counter = self.counters.setdefault(list_id, [])
        depth = int(level) + 1
        while len(counter) < depth:
            above = self.levels[list_id].get(str(len(counter)))
            counter.append((above[2] if above else 1) - 1)
        counter[depth - 1] += 1
        del counter[depth:]
        for place in range(depth, 0, -1):
            above = self.levels[list_id].get(str(place - 1))
            count = max(counter[place - 1], start if place == depth else 1)
            shown = shown.replace(f"%{place}", _counted(count, above[0] if above else "decimal"))
        return shown.strip(), ""


def _content(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables, those in content controls and insertions too."""
    for element in parent:
        if element.tag in (_W + "p", _W + "tbl"):
            yield element
        elif element.tag in (_W + "sdt", _W + "sdtContent", _W + "ins", _W + "customXml"):
            yield from _content(element)


def _wrapped(parent: Any, name: str) -> Iterator[Any]:
    for element in parent:
        if element.tag == _W + name:
            yield element
        elif element.tag in (_W + "sdt", _W + "sdtContent", _W + "customXml", _W + "ins"):
            yield from _wrapped(element, name)


def _text(paragraph: Any) -> tuple[str, int]:
    """Its text, and how many characters from the start are bold."""
    parts: list[str] = []
    bold, leading = 0, True
    stack = list(reversed(paragraph))
    while stack:
        element = stack.pop()
        name = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
        if name in _PASSED_OVER:
            continue
        said = {"t": element.text or "", "tab": "\t", "br": "\n", "cr": "\n"}.get(name, "")
        said = "-" if name == "noBreakHyphen" else said
        if said:
            run = element.getparent()
            properties = run.find(_W + "rPr") if run is not None else None
            mark = properties.find(_W + "b") if properties is not None else None
            heavy = mark is not None and mark.get(_W + "val") not in ("0", "false")
            leading = leading and (heavy or not said.strip())
            bold += len(said) if leading else 0
            parts.append(said)
        stack += list(reversed(element))
    return "".join(parts), bold


def _boxes(paragraph: Any) -> Iterator[Any]:
    """The text boxes that hang on a paragraph, once each: the fallback says the same again."""
    stack = [paragraph]
    while stack:
        element = stack.pop()
        name = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
        if name == "txbxContent":
            yield element
        elif name != "Fallback":
            stack += list(reversed(element))


def _value(parent: Any, name: str) -> str:
    found = parent.find(_W + name) if parent is not None else None
    return "" if found is None else str(found.get(_W + "val") or "")


def _numbering(properties: Any) -> tuple[str, str]:
    found = properties.find(_W + "numPr") if properties is not None else None
    if found is None:
        return "", "0"
    level = _value(found, "ilvl")
    return _value(found, "numId"), level if level.isdecimal() and len(level) < 2 else "0"


def _levels(document: Any, styles: dict[str, Any]) -> dict[str, dict[str, tuple[str, str, int]]]:
    """List -> level -> kind of number, its text ("%1."), where it starts."""
    try:
        element = document.part.numbering_part.element
    except (KeyError, NotImplementedError, AttributeError):  # of python-docx: there are no lists
        return {}
    abstract = {a.get(_W + "abstractNumId"): a for a in element.iter(_W + "abstractNum")}
    lists = {n.get(_W + "numId"): _value(n, "abstractNumId") for n in element.iter(_W + "num")}
    made: dict[str, dict[str, tuple[str, str, int]]] = {}
    for number, name in lists.items():
        found = abstract.get(name)
        linked = _value(found, "numStyleLink")
        if linked and linked in styles:  # the levels stand in the list that the style names
            own, _ = _numbering(styles[linked].find(_W + "pPr"))
            found = abstract.get(lists.get(own, ""), found)
        if linked and found is not None and found.find(_W + "lvl") is None:
            found = next((a for a in abstract.values() if _value(a, "styleLink") == linked), found)
        made[number] = {}
        for level in found.iter(_W + "lvl") if found is not None else ():
            start = _value(level, "start")
            made[number][level.get(_W + "ilvl")] = (
                _value(level, "numFmt"),
                _value(level, "lvlText"),
                int(start) if start.isdecimal() and len(start) < 6 else 1,
            )
    return made


def _counted(number: int, kind: str) -> str:
    if kind in ("lowerLetter", "upperLetter"):
        letter = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
        return letter if kind == "lowerLetter" else letter.upper()
    if kind in ("lowerRoman", "upperRoman") and number < 40:
        made = ""
        for value, sign in _ROMAN:
            while number >= value:
                made, number = made + sign, number - value
        return made if kind == "lowerRoman" else made.upper()
    return f"{number:02d}" if kind == "decimalZero" else str(number)
