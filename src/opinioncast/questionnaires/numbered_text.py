"""Questionnaires as pollsters write them: numbered questions, options below, tables for batteries.

The same for Word, plain text and Markdown, which give lines and tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from opinioncast.questionnaires.found import Choice, Found, Item, Kind
from opinioncast.questionnaires.line_options import (
    coded_behind,
    going_of,
    is_plain_option,
    noted_end,
    options_of,
    slashed_of,
    split_inline,
)
from opinioncast.questionnaires.open_question import ANSWERED, OpenQuestion
from opinioncast.questionnaires.text_grids import (
    battery_of,
    grids_in_lines,
    lines_of,
    options_across,
    options_in,
)
from opinioncast.questionnaires.text_layouts import rows_of_layout
from opinioncast.questionnaires.text_lines import (
    Grid,
    Line,
    instructed_start,
    is_direction,
    is_routing,
    kind_of,
    numbered_of,
    question_of,
    said_of,
    says_where_to_go,
    shouted_end,
)
from opinioncast.questionnaires.wording import without_instructions

Block = Line | Grid
_FILL_IN = re.compile(r"^[\s_.…]{3,}$")
_UNMARKED = "lines without a number or mark are taken as its options"
_ASKS = re.compile(r"[?:？؟：]\s*(?:[(（\[][^)）\]]*[)）\]]\s*)?$|[?？؟]\s")
_ASKING = ("?", "？", "؟")
_IMPERATIVE = re.compile(
    r"(?:please\s+)?(?:rank|select|choose|indicate|rate|tick|mark|pick|put|allocate|distribute)\b",
    re.I,
)


def found_in(blocks: Sequence[Block]) -> Iterator[Found]:
    """The questions of a text in order."""
    reader = _Reader(blocks)
    for place in range(len(reader.blocks)):
        yield from reader.step(place)
    yield from reader.close()


class _Reader:
    """One line or table after the other."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks: list[Block] = []
        for block in grids_in_lines(blocks):
            flat = None
            if isinstance(block, Grid):
                flat = rows_of_layout(block) or lines_of(block)
            self.blocks += flat if flat is not None else [block]
        lines = [b for b in self.blocks if isinstance(b, Line)]
        self.named = any(question_of(one) for one in lines)
        self.current: OpenQuestion | None = None
        self.block = ""
        self.routing: list[str] = []
        self.last_number = 0
        self.unmarked: dict[int, tuple[str, str]] = {}

    def step(self, place: int) -> Iterator[Found]:
        block = self.blocks[place]
        if isinstance(block, Grid):
            yield from self._grid(block)
            return
        text = block.text.strip()
        if not text and not block.label:
            return
        if _FILL_IN.match(text) and not block.label:
            if self.current is not None and not self.current.choices:
                self.current.kind = self.current.kind or Kind.OPEN
            return
        if (said := said_of(text)) and not block.label:
            asked, text = said
            block = replace(block, text=text)
            if asked:
                yield from self.close()
                self.current = OpenQuestion(block.where, "", text, self.block, self.routing)
                self.current.numbered, self.routing = False, []
                self._hints(text)
                return
        started = question_of(block)
        told = is_routing(text) or is_direction(text)
        if started is None and block.heading and text.endswith(_ASKING) and self._ahead(place):
            yield from self.close()
            self.current = OpenQuestion(block.where, "", text, self.block, self.routing)
            self.current.numbered, self.routing = False, []
            return
        option = _is_title(text) and not block.heading and self._open_option(block)
        if started is None and (block.heading or (_is_title(text) and not told and not option)):
            yield from self.close()
            self.block = without_instructions(text)[0]
            return
        if started is not None:
            yield from self._begin(block, *started)
        elif is_routing(text) and not self._open_option(block):
            yield from self._routed(text)
        elif is_direction(text) and not self._open_option(block):
            self._directed(text)
        elif number := self._numbered(place):
            yield from self._begin(block, number[0], "", number[1])
        else:
            yield from self._rest(block, place)

    def _open_option(self, line: Line) -> bool:
        """Whether a line in brackets is an option with its code: "(98) DK, (99) REF"."""
        found = options_of(line, None) if self.current is not None else None
        return bool(found) and found is not None and all(c for c, _ in found)

    def _begin(self, line: Line, name: str, routing: str, text: str) -> Iterator[Found]:
        yield from self.close()
        before = [*self.routing, *([routing] if routing else [])]
        self.routing = []
        said_of, instructions, text = instructed_start(text)
        before += said_of
        text, inline = split_inline(text)
        text, said = shouted_end(text)
        self.current = OpenQuestion(line.where, name, text, self.block, before)
        self._hints(text)
        for instruction in (*instructions, *([said] if said else [])):
            self._directed(instruction)
        for code, words in inline:
            self._option(code, words)

    def _hints(self, text: str) -> None:
        assert self.current is not None
        for instruction in re.findall(r"[\[(（]([^\])）]*)[\])）]", text):
            self.current.hint(instruction)

    def _routed(self, text: str) -> Iterator[Found]:
        plain = text.strip("[](){} ")
        if self.current is not None and not self.current.choices and not self.current.text:
            self.current.routing.append(plain)
            return
        yield from self.close()
        self.routing.append(plain)

    def _directed(self, text: str) -> None:
        if self.current is None:
            return
        plain = text.strip("[](){} ")
        self.current.notes.append(plain)
        if not self.current.choices or self.current.kind is None:
            self.current.hint(plain)

    def _numbered(self, place: int) -> tuple[str, str] | None:
        """Number and text of "1. How are you?", where it is a question and not an option."""
        line = self.blocks[place]
        assert isinstance(line, Line)
        found = numbered_of(line)
        if found is None or self.named:
            return None
        number = int(found[0])
        asks = bool(_ASKS.search(found[1].rstrip()))
        asks = asks or bool(_IMPERATIVE.match(found[1]))
        after = self._next_list_line(place)
        if number == self.last_number + 1 and self._listed_otherwise():
            self.last_number = number
            return f"Q{number}", found[1]
        if number == self.last_number + 1 and (asks or (after is not None and after != number + 1)):
            if not asks and self.current is not None and not self.current.choices and number > 1:
                return None
            if not asks and self.current is not None and self.current.expected == number:
                return None
            self.last_number = number
            return f"Q{number}", found[1]
        return None

    def _listed_otherwise(self) -> bool:
        """Whether the question before has options without numbers: a number is no further one."""
        current = self.current
        return (
            current is not None
            and current.numbered
            and len(current.choices) > 1
            and not any(c.code.isdecimal() for c in current.choices)
        )

    def _next_list_line(self, place: int) -> int | None:
        """Number of the next numbered line, 0 for a bullet or letter; None: no list follows."""
        for block in self.blocks[place + 1 : place + 4]:
            if isinstance(block, Grid):
                return 0
            found = numbered_of(block)
            if found:
                return int(found[0])
            if options_of(block, None) or slashed_of(block.text):
                return 0
        return None

    def _rest(self, line: Line, place: int) -> Iterator[Found]:
        """An option, more of a wording, an unnumbered question or a text."""
        current, text = self.current, line.text.strip()
        if place in self.unmarked and current is not None:
            self._option(*self.unmarked[place])
            return
        expected = current.expected if current is not None else None
        kept, said = noted_end(text)
        kept, going = going_of(kept)
        options = options_of(replace(line, text=kept), expected)
        if options and current is not None:
            for code, words in options:
                self._option(code, words)
            last = options[-1][1]
            current.notes += [f"{last}: {each}" for each in (going, said) if each]
            return
        asks = text.endswith(("?", "？", "؟"))
        if current is not None and not current.choices and not current.tables:
            slashed = slashed_of(text)
            if slashed and current.text:
                current.choices += [Choice(t) for t in slashed]
                return
            if listed := self._unmarked(place):
                self.unmarked = dict(zip(range(place, place + len(listed)), listed, strict=True))
                if not all(code for code, _ in listed):
                    current.remarks.append(_UNMARKED)
                self._option(*self.unmarked[place])
                return
            if current.text.rstrip().endswith(("?", "؟")) and asks and not current.numbered:
                yield from self.close()
            else:
                current.text = f"{current.text} {text}".strip()
                self._hints(text)
                return
        ahead = self._ahead(place)
        if (asks and ahead) or (self.current is None and ahead and not options):
            yield from self.close()
            self.current = OpenQuestion(
                line.where, "", text, self.block, self.routing, numbered=False
            )
            self.routing = []
            self._hints(text)
            return
        yield from self.close()
        yield Found(line.where, "", text, Kind.TEXT, block=self.block)

    def _unmarked(self, place: int) -> list[tuple[str, str]]:
        """(code, text) of the lines from here that are options although nothing says so.

        Only below a numbered question that is all said ("...?", "Please rank ..."), two or more of
        them, as short as options are.
        """
        current = self.current
        if current is None or not current.numbered or not current.id:
            return []
        said = without_instructions(current.text)[0].rstrip()
        if not (said.endswith(("?", ":", "؟", "？")) or _IMPERATIVE.match(said)):
            return []
        listed: list[str] = []
        for block in self.blocks[place:]:
            if (
                isinstance(block, Grid)
                or block.heading
                or block.label
                or not is_plain_option(block.text)
                or _FILL_IN.match(block.text)
                or question_of(block)
                or numbered_of(block)
                or options_of(block, None)
                or _is_title(block.text)
                or is_routing(block.text)
                or is_direction(block.text)
            ):
                break
            listed.append(block.text.strip())
        return coded_behind(listed) if len(listed) > 1 else []

    def _ahead(self, place: int) -> bool:
        """Whether options or a table follow a line."""
        for block in self.blocks[place + 1 : place + 3]:
            if isinstance(block, Grid):
                return True
            if question_of(block):
                return False
            if options_of(block, 1) or slashed_of(block.text):
                return True
            if not (is_routing(block.text) or is_direction(block.text)):
                return False
        return False

    def _option(self, code: str, text: str) -> None:
        current = self.current
        assert current is not None
        kept, leads = going_of(text)
        words, taken = without_instructions(kept)
        going = [*(t for t in taken if says_where_to_go(t)), *([leads] if leads else [])]
        current.notes += [f"{words}: {g}" for g in going]
        for each in taken:
            if each not in going and kind_of(each) in ANSWERED and not words:
                current.kind = kind_of(each)
        if not words:
            return
        numbered = [c.code.isdecimal() for c in current.choices]
        if (
            code.isdecimal()
            and numbered
            and not any(numbered)
            and all(c.code.isalpha() for c in current.choices)
        ):  # "a. The army", "b. The police", then "1 A lot", "2 Not at all": a battery
            current.items += [Item(c.text, code=c.code) for c in current.choices]
            current.choices = []
        elif (
            code.isalpha()
            and len(numbered) > 1
            and all(numbered)
            and (current.items or code.casefold() == "a")
        ):
            current.items.append(Item(words, code=code))
            return
        current.choices.append(Choice(words, code))

    def _grid(self, grid: Grid) -> Iterator[Found]:
        if self.current is not None and not self.current.choices and not self.current.tables:
            listed = options_in(grid) or options_across(grid) or []
        else:
            listed = []
        if listed:
            for code, text in listed:
                self._option(code, text)
            return
        battery = battery_of(grid)
        if battery is None:
            yield from self.close()
            text = " ".join(c for row in grid.rows for c in row)
            yield Found(grid.where, "", text, Kind.TEXT, block=self.block)
            return
        if self.current is None or self.current.choices:
            yield from self.close()
            self.current = OpenQuestion(grid.where, "", battery.text, self.block, self.routing)
            self.routing = []
        self.current.tables.append(battery)

    def close(self) -> Iterator[Found]:
        """What the open question turned out to be."""
        done, self.current = self.current, None
        if done is not None:
            yield from done.found()


def _is_title(text: str) -> bool:
    """A line in capitals, or a section's name with a colon and nothing after it."""
    words = text.split()
    shouted = text.isupper() and len(words) <= 8  # scripts without capitals have no such lines
    section = bool(re.match(r"(?:section|part|block|module)\s+\w+\b[^?]*$", text, re.I))
    return (shouted and not re.match(r"^\W*\d", text) and len(text) > 3) or (
        section and len(words) <= 10
    )
