"""From what a reader found to entries and a check list: decided here, the same for every format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from opinioncast.errors import InputError
from opinioncast.questionnaires.check_list import Check, CheckList, Outcome
from opinioncast.questionnaires.declaration import Entry, Head, Instrument
from opinioncast.questionnaires.entry_question import ONE_ITEM, asked_of, question_of
from opinioncast.questionnaires.found import Choice, Found, Item, Kind
from opinioncast.questionnaires.scales import LISTED, numeric_options, scale_of
from opinioncast.questionnaires.wording import option_text, piped, plain, without_instructions
from opinioncast.survey import Population
from opinioncast.survey.question_kind import is_no_answer
from opinioncast.texts import whole_number

_LEFT_OUT = {
    Kind.NUMBER,
    Kind.OPEN,
    Kind.RANKING,
    Kind.POINTS,
    Kind.DATE,
    Kind.UPLOAD,
    Kind.COMPUTED,
    Kind.UNKNOWN,
    Kind.DELETED,
}
_NO_ID = re.compile(r"[\s|,;:/\\]+")


def assembled(
    path: Path, format_name: str, found: Iterable[Found], head: Head, notes: Sequence[str] = ()
) -> Instrument:
    """The closed questions of a file, and its check list.

    Args:
        format_name: for the check list ("Qualtrics (.qsf)").
        found: in the order in which they are asked.
        notes: of the whole file.

    Raises:
        InputError: nothing in the file can be asked.
    """
    builder = _Builder(path, *_population(head, list(notes)))
    for one in found:
        builder.add(one)
    check_list = CheckList(format_name, tuple(builder.checks), tuple(builder.notes))
    if not builder.entries:
        reasons = ", ".join(f"{n} {r}" for r, n in check_list.reasons().items())
        raise InputError(
            "No closed question was found",
            where=str(path),
            expected=f"questions with options, as a file of the kind {format_name} has them",
            found=f"{len(check_list.left_out)} left out: {reasons}"
            if reasons
            else f"{len(check_list.checks)} texts without options"
            if check_list.checks
            else "nothing that looks like a question",
            hint=_HINT,
        )
    return Instrument(builder.head, tuple(builder.entries), check_list)


_HINT = (
    'write each question with its options below it, such as "Q1. Are rents too high?", "1. Yes", '
    '"2. No"; or use YAML, CSV or XLSX'
)


def _population(head: Head, notes: list[str]) -> tuple[Head, list[str]]:
    """The head with a population that can be read, and what is said about it."""
    if head.population is None:
        notes.append(
            "the file does not say whom it is put to: adults in the United States are taken; "
            "write `population:` in the file, or give --population"
        )
        return head, notes
    words = plain(head.population)
    try:
        Population.read(words)
    except InputError:
        words = ""
    if len(words) > 120 or not words:
        notes.append(
            "what the file says of its population is no short name of people, so adults in the "
            f'United States are taken; write `population:` in the file: "{words[:200]}"'
        )
        return replace(head, population=None), notes
    notes.append(f'population, as the file words it: "{words}"')
    return replace(head, population=words), notes


class _Builder:
    """Entries and checks, one found thing after the other."""

    def __init__(self, path: Path, head: Head, notes: list[str]) -> None:
        self.path, self.head, self.notes = path, head, notes
        self.entries: list[Entry] = []
        self.checks: list[Check] = []
        self.ids: dict[str, str] = {}
        self.population = Population.read(head.population)

    def add(self, found: Found) -> None:
        text, taken = without_instructions(plain(found.text))
        found = replace(
            found,
            text=text,
            id=plain(found.id),
            block=plain(found.block),
            routing=plain(found.routing),
            note="; ".join(dict.fromkeys(filter(None, (plain(found.note), *taken)))),
        )
        if found.kind is Kind.TEXT:
            if text:
                self._check(found, Outcome.NO_QUESTION)
            return
        if found.left_out or found.kind in _LEFT_OUT:
            why = found.kind.value + (f": {found.why}" if found.why else "")
            self._left_out(found, found.why if found.left_out else why)
            return
        if not text and not found.items:
            self._left_out(found, "no wording")
            return
        if found.kind is Kind.SLIDER:
            if found.ends is None:
                self._left_out(found, f"{Kind.SLIDER.value}: its ends are not in the file")
                return
            first, last = found.end_labels
            found = replace(
                found, choices=numeric_options(*found.ends, (plain(first), plain(last)))
            )
        if fragment := piped(text):
            self._left_out(found, f"piped text: {fragment}")
            return
        if [plain(i.text) for i in found.items] == [text]:
            found = replace(found, items=())  # a slider whose bar repeats the question
        if found.items:
            self._battery(found)
        else:
            self._one(found)

    def _one(self, found: Found) -> None:
        remarks = list(found.remarks)
        try:
            fields = self._fields(found, remarks)
            asked = self._take(found.where, fields, found.observed, found.id, remarks)
        except _LeftOutError as reason:
            self._left_out(found, str(reason))
            return
        self._check(found, self._outcome(found), asked=asked, remarks=remarks)

    def _outcome(self, found: Found) -> Outcome:
        if found.kind is Kind.SLIDER and any(" to " in c.text for c in found.choices):
            return Outcome.BANDS
        if found.of_select_all:
            return Outcome.ITEMS
        if found.items:
            return Outcome.BATTERY
        return Outcome.ITEMS if found.kind is Kind.SEVERAL else Outcome.ASKED

    def _battery(self, found: Found) -> None:
        remarks = list(found.remarks)
        try:
            fields = self._fields(found, remarks)
        except _LeftOutError as reason:
            self._left_out(found, str(reason))
            return
        asked, refused = 0, []
        for number, item in enumerate(found.items, start=1):
            words, _ = without_instructions(option_text(item.text))
            if fragment := piped(words):
                refused.append((item, f"piped text: {fragment}"))
                continue
            if not words:
                refused.append((item, "no wording"))
                continue
            own = dict(fields)
            own |= {"battery": found.text} if found.text else {}
            own["question"] = words
            own |= {"routing": plain(item.routing)} if item.routing else {}
            name = item.id or f"{found.id or 'q'}_{item.code or number}"
            try:
                asked += self._take(item.where or found.where, own, item.observed, name, remarks)
            except _LeftOutError as reason:
                refused.append((item, str(reason)))
        if asked:
            outcome = Outcome.ITEMS if found.kind is Kind.SEVERAL else self._outcome(found)
            self._check(found, outcome, asked=asked, remarks=remarks)
        if not asked and len({why.partition(":")[0] for _, why in refused}) == 1:
            self._left_out(found, refused[0][1])
            return
        for item, why in refused:
            place = item.where or found.where
            self._left_out(replace(found, where=place, text=plain(item.text)), why)

    def _fields(self, found: Found, remarks: list[str]) -> dict[str, Any]:
        """The fields that a question, or every item of a battery, has."""
        choices = [c for c in found.choices if plain(c.text) or c.code]
        if not choices:
            raise _LeftOutError("no options in the file" + (f": {found.why}" if found.why else ""))
        worded = [option_text(c.text) or plain(c.text) for c in choices]
        if without := _unsaid(choices, worded):
            raise _LeftOutError(f"options without words: {', '.join(without)}")
        texts = [words or c.code for words, c in zip(worded, choices, strict=True)]
        for option in texts:
            if fragment := piped(option):
                raise _LeftOutError(f"piped text: {fragment} in an option")
        if found.kind is Kind.SEVERAL:
            kept = [i for i, t in enumerate(texts) if not is_no_answer(t)]
            dropped = [t for t in texts if is_no_answer(t)]
            if dropped and len(kept) > 1:
                choices, texts = [choices[i] for i in kept], [texts[i] for i in kept]
                remarks.append(f"no item: {', '.join(dropped)}")
        fields: dict[str, Any] = {"block": found.block} if found.block else {}
        fields |= {"question": found.text, "options": texts}
        codes = [c.code for c in choices]
        if all(codes) and len(set(codes)) == len(codes):
            fields["codes"] = codes
        if found.kind is Kind.SEVERAL:
            fields["select_all"] = "yes"
        else:
            fields |= {"select_all": ONE_ITEM} if found.of_select_all else {}
            scale, rule = scale_of(choices, texts, found.text)
            if scale:
                fields["scale"] = list(scale)
            if rule == LISTED:
                remarks.append("scale taken from the order of the options")
        if found.kind is Kind.SLIDER:
            fields["note"] = "a slider in the file"
        if found.routing:
            fields["routing"] = found.routing
        if found.note:
            fields["note"] = "; ".join(filter(None, (fields.get("note"), found.note)))
        return fields

    def _take(
        self, where: str, fields: dict[str, Any], observed: Any, name: str, remarks: list[str]
    ) -> int:
        """Keep an entry; how many questions it gives."""
        name = _NO_ID.sub("_", name).strip("_") or f"q{len(self.entries) + 1}"
        place = f"{self.path}, {where}"
        entry = Entry(place, {"id": name, **fields}, observed)
        try:
            question = question_of(entry, 1, self.head, self.population)
            asked, _ = asked_of(entry, question)
        except InputError as error:
            raise _LeftOutError(_why(error)) from None
        taken = [q.question_id for q in asked.questions]
        if any(t in self.ids for t in (name, *taken)):
            first = next(self.ids[t] for t in (name, *taken) if t in self.ids)
            number = 2
            while any(f"{t}_{number}" in self.ids for t in (name, *taken)) or (
                asked.several and any(f"{name}_{number}" in t for t in self.ids)
            ):
                number += 1
            remarks.append(f"the id {name} stands at {first} too: here {name}_{number}")
            return self._take(where, fields, observed, f"{name}_{number}", remarks)
        for each in {name, *taken}:
            self.ids[each] = where
        if asked.note and not asked.several:
            remarks.append(asked.note)
        if asked.several and "select_all" not in entry.fields:
            kept = {k: v for k, v in entry.fields.items() if k != "scale"}
            entry = replace(entry, fields=kept | {"select_all": "yes"})
            remarks.append("read as select-all by its wording")
        self.entries.append(entry)
        return len(asked.questions)

    def _check(
        self, found: Found, outcome: Outcome, *, asked: int = 0, remarks: Sequence[str] = ()
    ) -> None:
        said = tuple(dict.fromkeys(remarks))
        self.checks.append(
            Check(found.where, found.id, found.text, outcome, asked=asked, remarks=said)
        )

    def _left_out(self, found: Found, why: str) -> None:
        self.checks.append(Check(found.where, found.id, found.text, Outcome.LEFT_OUT, why=why))


def _unsaid(choices: Sequence[Choice], worded: Sequence[str]) -> list[str]:
    """Codes of options that say nothing and are no points of a scale of numbers.

    Three numbers or more, evenly apart, are such a scale; so are words at its ends or in between.
    """
    bare = [c for c, words in zip(choices, worded, strict=True) if not words]
    if not bare:
        return []
    pictures = any("<img" in c.text.casefold() for c in bare)
    numbers = [whole_number(c.code) for c in bare]
    points = sorted(
        n
        for c, words in zip(choices, worded, strict=True)
        if not is_no_answer(words) and (n := whole_number(c.code)) is not None
    )
    steps = {b - a for a, b in pairwise(points)}
    if not pictures and None not in numbers and len(points) > 2 and len(steps) == 1:
        return []
    return ["a picture" if "<img" in c.text.casefold() else c.code for c in bare]


class _LeftOutError(Exception):
    """A question cannot be asked; the text says why."""


def _why(error: InputError) -> str:
    """An error about one question as a reason on one line."""
    title = error.title[0].lower() + error.title[1:]
    if "between 2 and 26 options" in error.title:
        return f"fewer than 2 or more than 26 options: {(error.found or '').split(':')[0]}"
    return f"{title}: {error.found}" if error.found else title


def choices_of(pairs: Iterable[tuple[object, object]]) -> tuple[Choice, ...]:
    """Options of (code, text) pairs."""
    return tuple(Choice(str(text or ""), str(code or "")) for code, text in pairs)


def items_of(rows: Iterable[tuple[object, object]]) -> tuple[Item, ...]:
    """Rows of a battery of (code, text) pairs."""
    return tuple(Item(str(text or ""), code=str(code or "")) for code, text in rows)
