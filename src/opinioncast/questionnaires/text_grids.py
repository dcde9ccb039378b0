"""Tables of a questionnaire in text: batteries, lists of options, and tables that only lay out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from opinioncast.questionnaires.found import Choice, Found, Item
from opinioncast.questionnaires.line_options import is_plain_option, options_of
from opinioncast.questionnaires.text_lines import Grid, Line, question_of

_CODE = re.compile(r"[\[(]?\s*(-?\d{1,4})\s*[\])]?")
_LETTERS = re.compile(r"[\[(]?\s*([A-Za-z])\s*[\])]?[.:]?")
_MARK = re.compile(r"[\s□☐▢○◯●◉❑❏•xX✓✔_\[\]()oO–—-]*")
_ASKING = ("?", ":", "？", "؟", "...", "…")
_GAP = re.compile(r"\s{2,}|\t+")
_TICK = re.compile(r"[\[(]?\s*-?\d{1,4}\s*[\])]?|[□☐▢○◯●◉❑❏✓✔]")
_HEAD_CODE = re.compile(
    r"^(?P<text>.*?\S)\s*(?:[\[(](?P<a>-?\d{1,4})[\])]|\s(?P<b>\d{1,2}))$", re.S
)
_NAMED = re.compile(r"\s*\(\s*(?P<id>[A-Za-z]+\w*_\w+|[A-Za-z]{1,8}\d+\w*)\s*\)\s*$")
_LETTER = re.compile(r"^(?P<code>[A-Za-z]|\d{1,3})\s*[.)]\s+(?P<text>\S.*)$", re.S)


def battery_of(grid: Grid) -> Found | None:
    """A battery: items down and options across, or the reverse where codes run down.

    Its text is what stands in the corner, if that is a question.
    """
    head, rows = _head_of(grid)
    if not rows or max(map(len, (head, *rows))) < 3:
        return None
    body = [r for r in rows if r[0]]
    width = max(i for i, c in enumerate(head) if c) + 1 if any(head) else 0
    across = [(i, head[i]) for i in range(1, width) if head[i]]
    if len(across) < 2 or not body or all(_CODE.fullmatch(r[0]) for r in body):
        return None  # codes are no items: the options stand above them
    ticked = {i for r in body for i, c in enumerate(r) if i and _TICK.fullmatch(c)}
    if bare := sorted(ticked - {i for i, _ in across}):
        coded = [_CODE.fullmatch(body[0][i] if i < len(body[0]) else "") for i in range(1, width)]
        if max(bare) >= width or not all(coded):
            return Found(
                grid.where, "", head[0], left_out=True,
                why=f"a table whose head names {len(across)} of {len(across) + len(bare)} columns",
            )  # fmt: skip
        numbers = [m[1] for m in coded if m]  # a scale of numbers whose ends are in words
        across = [(i, f"{n} ({head[i]})" if head[i] else n) for i, n in enumerate(numbers, start=1)]
    cells = [[r[i] if i < len(r) else "" for i, _ in across] for r in body]
    if not all(_CODE.fullmatch(c) or _MARK.fullmatch(c) for row in cells for c in row):
        return None
    stem = head[0] if head[0].rstrip().endswith(_ASKING) else ""
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
    return Found(grid.where, "", stem, choices=tuple(choices), items=_items([r[0] for r in body]))


def _head_of(grid: Grid) -> tuple[list[str], list[list[str]]]:
    """The labels of a table's columns, and the rows below them.

    A head of two rows is read as one: "Agree" over "Strongly" and "Tend to" where cells are merged,
    codes below labels.
    """
    kept = [i for i, row in enumerate(grid.rows) if any(c.strip() for c in row)]
    rows = [[" ".join(c.split()) for c in grid.rows[i]] for i in kept]
    if len(rows) < 2:
        return (rows[0] if rows else []), []
    first, second = rows[0], rows[1]
    below = second[1:]
    if second[0] or not any(below) or len(rows) < 3:
        return first, rows[1:]
    if all(_CODE.fullmatch(c) for c in below) and len(below) == len(first) - 1:
        if all(first[1:]):
            return [first[0], *(f"{t} ({c})" for t, c in zip(first[1:], below, strict=True))], rows[
                2:
            ]
        labelled = [f"{c} ({t})" if t else c for t, c in zip(first[1:], below, strict=True)]
        return [first[0], *labelled], rows[2:]
    if all(_CODE.fullmatch(c) or _MARK.fullmatch(c) for c in below):
        return first, rows[1:]
    above = list(first)
    for k in range(1, len(above)):
        if not above[k] and (kept[0], k) in grid.merged:
            above[k] = above[k - 1]
    joined = [
        f"{top}: {own}" if top and own and top != own else own or top
        for top, own in zip(above[1:], [*below, *[""] * len(above)], strict=False)
    ]
    return [first[0], *joined], rows[2:]


def grids_in_lines(blocks: Sequence[Line | Grid]) -> list[Line | Grid]:
    """The same with tables that are made of spaces or tabs: labels above, codes in the rows."""
    made: list[Line | Grid] = []
    place = 0
    while place < len(blocks):
        rows = _spaced_rows(blocks, place)
        if len(rows) > 2:
            where = blocks[place].where
            made.append(Grid(where, tuple(rows)))
            place += len(rows)
        else:
            made.append(blocks[place])
            place += 1
    return made


def _spaced_rows(blocks: Sequence[Line | Grid], place: int) -> list[tuple[str, ...]]:
    """A head and the rows below it, as long as each ends in as many codes or boxes."""
    rows: list[tuple[str, ...]] = []
    for block in blocks[place:]:
        if isinstance(block, Grid) or block.heading:
            break
        parts = [p for p in _GAP.split(block.text.strip()) if p]
        if not rows:
            if len(parts) < 2 or any(_TICK.fullmatch(p) or question_of(Line("", p)) for p in parts):
                break
            rows.append(("", *parts))
            continue
        label, *cells = parts or [""]
        if len(cells) != len(rows[0]) - 1 or not all(_TICK.fullmatch(c) for c in cells):
            break
        rows.append((f"{block.label} {label}".strip(), *cells))
    return rows


def options_in(grid: Grid) -> list[tuple[str, str]] | None:
    """(code, text) where a table of two columns is a list of options."""
    rows = [[" ".join(c.split()) for c in row] for row in grid.rows if any(c.strip() for c in row)]
    if len(rows) < 2 or any(len([c for c in r if c]) != 2 for r in rows):
        return None
    pairs = [[c for c in r if c] for r in rows]
    lettered = [_LETTERS.fullmatch(p[0]) for p in pairs]
    if all(lettered) and _counted([m[1].casefold() for m in lettered if m]):
        return [(m[1], p[1]) for m, p in zip(lettered, pairs, strict=True) if m]
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


def _counted(letters: list[str]) -> bool:
    return letters == [chr(ord("a") + n) for n in range(len(letters))]


def options_across(grid: Grid) -> list[tuple[str, str]] | None:
    """(code, text) where a table's cells side by side are the options of the question above it.

    One row of them, or one row of words and one with a code or box for each.
    """
    rows = [[" ".join(c.split()) for c in row] for row in grid.rows if any(c.strip() for c in row)]
    if not rows or len(rows) > 2 or len(rows[0]) < 2 or any(not c for c in rows[0]):
        return None
    if len(rows) == 2:
        return _under_each_other(rows[0], rows[1]) or _under_each_other(rows[1], rows[0])
    marked = [options_of(Line("", c), None) for c in rows[0]]
    if all(m is not None and len(m) == 1 for m in marked):
        return [m[0] for m in marked if m]
    return [("", c) for c in rows[0]] if all(is_plain_option(c) for c in rows[0]) else None


def _under_each_other(words: list[str], codes: list[str]) -> list[tuple[str, str]] | None:
    if len(words) != len(codes) or not all(re.search(r"[^\W\d_]", w) for w in words):
        return None
    found = [_CODE.fullmatch(c) for c in codes]
    if all(found):
        return [(m[1], w) for m, w in zip(found, words, strict=True) if m]
    return [("", w) for w in words] if all(_MARK.fullmatch(c) for c in codes) else None


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
    corner = grid.rows[0][0].strip() if grid.rows else ""
    if corner.endswith(_ASKING) and len(corner.split()) > 3 and question_of(Line("", corner)):
        rest = Grid(grid.where, (("", *grid.rows[0][1:]), *grid.rows[1:]), grid.merged)
        if battery_of(rest) is not None:
            return [*_lines(f"{grid.where}, row 1", [corner]), rest]
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


def _items(labels: list[str]) -> tuple[Item, ...]:
    """Rows of a battery; their own ids ("Q7a The army") where all of them have one."""
    named = [question_of(Line("", t)) for t in labels]
    if len(labels) > 1 and all(named) and len({n[0] for n in named if n}) == len(labels):
        return tuple(Item(n[2], id=n[0]) for n in named if n)
    return tuple(_item(t, str(n)) for n, t in enumerate(labels, start=1))


def _item(text: str, code: str) -> Item:
    named = _NAMED.search(text)
    words = text[: named.start()] if named else text
    lettered = _LETTER.match(words)
    if lettered:
        words, code = lettered["text"], lettered["code"]
    return Item(words.strip(), id=named["id"] if named else "", code=code)
