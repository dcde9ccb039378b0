"""Tables of a questionnaire in text: batteries, lists of options, and tables that only lay out."""

from __future__ import annotations

import re

from opinioncast.questionnaires.found import Choice, Found, Item
from opinioncast.questionnaires.text_lines import Grid, Line, options_of, question_of

_CODE = re.compile(r"[\[(]?\s*(-?\d{1,4})\s*[\])]?")
_MARK = re.compile(r"[\s□☐▢○◯●◉❑❏•xX✓✔_\[\]()oO–—-]*")
_HEAD_CODE = re.compile(
    r"^(?P<text>.*?\S)\s*(?:[\[(](?P<a>-?\d{1,4})[\])]|\s(?P<b>\d{1,2}))$", re.S
)
_NAMED = re.compile(r"\s*\(\s*(?P<id>[A-Za-z]+\w*_\w+|[A-Za-z]{1,8}\d+\w*)\s*\)\s*$")
_LETTER = re.compile(r"^(?P<code>[A-Za-z]|\d{1,3})\s*[.)]\s+(?P<text>\S.*)$", re.S)


def battery_of(grid: Grid) -> Found | None:
    """A battery: items down and options across, or the reverse where codes run down.

    Its text is what stands in the corner, if that is a question.
    """
    rows = [[" ".join(c.split()) for c in row] for row in grid.rows if any(c.strip() for c in row)]
    if len(rows) < 2 or max(map(len, rows)) < 3:
        return None
    head, body = rows[0], [r for r in rows[1:] if r[0]]
    width = max(i for i, c in enumerate(head) if c) + 1 if any(head) else 0
    across = [(i, head[i]) for i in range(1, width) if head[i]]
    if len(across) < 2 or not body:
        return None
    cells = [[r[i] if i < len(r) else "" for i, _ in across] for r in body]
    if not all(_CODE.fullmatch(c) or _MARK.fullmatch(c) for row in cells for c in row):
        return None
    stem = head[0] if head[0].rstrip().endswith(("?", ":", "？", "؟")) else ""
    codes = [[m[1] if (m := _CODE.fullmatch(c)) else "" for c in row] for row in cells]
    if all(all(row) for row in codes) and all(len(set(row)) == 1 for row in codes):
        return Found(  # the same code across: these are options, and the columns are asked
            grid.where,
            "",
            stem,
            choices=tuple(Choice(r[0], c[0]) for r, c in zip(body, codes, strict=True)),
            items=tuple(_item(text, str(n)) for n, (_, text) in enumerate(across, start=1)),
        )
    first = codes[0]
    choices = []
    for (_, text), code in zip(across, first, strict=True):
        found = _HEAD_CODE.match(text)
        choices.append(
            Choice(found["text"], found["a"] or found["b"]) if found and not code
            else Choice(text, code)
        )  # fmt: skip
    items = tuple(_item(r[0], str(n)) for n, r in enumerate(body, start=1))
    return Found(grid.where, "", stem, choices=tuple(choices), items=items)


def options_in(grid: Grid) -> list[tuple[str, str]] | None:
    """(code, text) where a table of two columns is a list of options."""
    rows = [[" ".join(c.split()) for c in row] for row in grid.rows if any(c.strip() for c in row)]
    if len(rows) < 2 or any(len([c for c in r if c]) != 2 for r in rows):
        return None
    pairs = [[c for c in r if c] for r in rows]
    if re.fullmatch(r"codes?|values?|#|no\.?", pairs[0][0] + pairs[0][1], re.I) or not any(
        _CODE.fullmatch(c) for c in pairs[0]
    ):
        if question_of(Line("", f"{pairs[0][0]} - {pairs[0][1]}")):
            return None
        pairs = pairs[1:]  # a head
    for code, text in ((0, 1), (1, 0)):
        if len(pairs) > 1 and all(_CODE.fullmatch(p[code]) for p in pairs):
            made = []
            for p in pairs:
                found = _CODE.fullmatch(p[code])
                made.append((found[1] if found else "", p[text]))
            return made
    return None


def lines_of(grid: Grid) -> list[Line | Grid] | None:
    """What a table holds that only lays out questions; None where it is a table of answers."""
    filled = [[c.strip() for c in row if c.strip()] for row in grid.rows]
    if options_in(grid) is not None:
        return None
    first = filled[0] if filled else []
    if len(first) == 1 and question_of(Line("", first[0])):
        rest = Grid(grid.where, grid.rows[1:])
        if battery_of(rest) is not None or options_in(rest) is not None:
            return [*_lines(f"{grid.where}, row 1", first), rest]
    lone = all(len(f) <= 1 for f in filled)
    asking = any(
        _labelled(f) or question_of(Line("", f[0])) or any(_has_options(c) for c in f)
        for f in filled
        if f
    )
    if not lone and (not asking or battery_of(grid) is not None):
        return None
    made: list[Line | Grid] = []
    for number, cells in enumerate(filled, start=1):
        made += _lines(f"{grid.where}, row {number}", cells)
    return made


def _lines(place: str, cells: list[str]) -> list[Line]:
    """The lines of a row: a label with its wording, a code with its option, or cell by cell."""
    if _labelled(cells):
        first, *more = cells[1].split("\n")
        head = [Line(place, f"{cells[0].rstrip('.:)')}. {first}")]
        return head + _lines(place, ["\n".join(more), *cells[2:]])
    if len(cells) == 2 and _CODE.fullmatch(cells[0]):
        return [Line(place, f"{cells[0].strip('[]() ')}. {cells[1]}")]
    apart = len(cells) > 1 and not any("\n" in c or question_of(Line("", c)) for c in cells)
    return [
        Line(place, line.strip(), bulleted=apart)
        for c in cells
        for line in c.split("\n")
        if line.strip()
    ]


def _labelled(cells: list[str]) -> bool:
    """Whether a row is a question's label and its wording."""
    if len(cells) < 2 or len(cells[0].split()) != 1:
        return False
    return question_of(Line("", f"{cells[0]} - {cells[1]}")) is not None


def _has_options(cell: str) -> bool:
    lines = [Line("", part) for part in cell.split("\n") if part.strip()]
    return sum(options_of(one, None) is not None for one in lines) >= 2


def _item(text: str, code: str) -> Item:
    named = _NAMED.search(text)
    words = text[: named.start()] if named else text
    lettered = _LETTER.match(words)
    if lettered:
        words, code = lettered["text"], lettered["code"]
    return Item(words.strip(), id=named["id"] if named else "", code=code)
