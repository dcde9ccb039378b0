"""From an entry of a file to the question that is asked, the same for every format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opinioncast.errors import InputError
from opinioncast.questionnaires.declaration import Entry, Head
from opinioncast.questionnaires.found import Choice
from opinioncast.questionnaires.scales import scale_of
from opinioncast.survey import Population, Question
from opinioncast.survey.question_kind import Asked, as_asked

SEPARATOR = "|"
NO_SCALE = "none"
"""In place of a scale: there is none, whatever the options' words."""
ONE_ITEM = "item"
"""``select_all`` of a question that is one item of a select-all already, with its own options."""
_YES = frozenset({"yes", "true", "1", "y", "x"})
_NO = frozenset({"no", "false", "0", "n"})


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a question stands in its questionnaire.

    Attributes:
        question_id: of the question that is asked; an item of a select-all question has its own.
        block: part of the questionnaire.
        battery: the stem that it shares with others, "" where it stands alone.
        item: what of the battery or of the select-all question it asks about.
        routing: who is asked it.
        note: instructions and remarks.
        codes: of its options in data, in their order; empty where the file gives none.
        select_all: it is one item of a select-all question, asked as yes or no.
        part_of: id that the select-all question has in the file, "" where each item has its own.
    """

    question_id: str
    block: str = ""
    battery: str = ""
    item: str = ""
    routing: str = ""
    note: str = ""
    codes: tuple[str, ...] = ()
    select_all: bool = False
    part_of: str = ""


def question_of(entry: Entry, number: int, head: Head, population: Population) -> Question:
    """The question as it stands, its battery's stem before it.

    Args:
        number: of the entry in its file, for the id of one without.

    Raises:
        InputError: no wording or options, or ones that no question can have, with the place.
    """
    fields = entry.fields
    for needed in ("question", "options"):
        if not fields.get(needed):
            raise InputError(
                f"A question has no {needed}",
                where=entry.where,
                expected=f"`{needed}`",
                found=", ".join(k for k, v in fields.items() if v) or "nothing",
            )
    options = tuple(str(o) for o in listed(fields["options"]))
    text = with_stem(str(fields.get("battery") or ""), str(fields["question"]))
    try:
        return Question(
            question_id=str(fields.get("id") or f"q{number}"),
            text=text,
            options=options,
            ordinal=_positions(entry, options, text),
            family=head.family,
            wave=head.wave,
            population=population,
        )
    except InputError as error:
        raise (error if error.where == entry.where else error.at(entry.where)) from None


def _positions(entry: Entry, options: Sequence[str], text: str) -> tuple[float, ...]:
    """The scale that the file gives; where it gives none, the one that the options' words tell."""
    given = entry.fields.get("scale")
    if scale_is_given(entry):
        if str(given).strip().casefold() == NO_SCALE:
            return ()
        return tuple(number_of(v, entry.where, "scale position") for v in listed(given))
    choices = [Choice(o) for o in options]
    return scale_of(choices, options, text)[0]


def scale_is_given(entry: Entry) -> bool:
    """Whether the file says what the scale is, or that there is none (``scale: none``)."""
    return bool(entry.fields.get("scale"))


def scale_note(entry: Entry, question: Question) -> str:
    """Says what scale was read from the options' words; empty where the file gives it, or where it
    changes nothing: two options are a scale in either order."""
    if scale_is_given(entry) or not question.has_scale or len(question.options) == 2:
        return ""
    places = ", ".join(f"{v:g}" for v in question.ordinal)
    return (
        f'"{question.question_id}": scale read from the options: {places} (-1 is off it); write '
        f"`scale:` to say otherwise, `scale: {NO_SCALE}` for none"
    )


def asked_of(entry: Entry, question: Question) -> tuple[Asked, tuple[Placement, ...]]:
    """How it is asked, and where each question it gives stands.

    Raises:
        InputError: it is no choice (:func:`opinioncast.survey.question_kind.as_asked`), or its
            codes or ``select_all`` cannot be read, with the place.
    """
    fields = entry.fields
    codes = tuple(str(c) for c in listed(fields["codes"])) if fields.get("codes") else ()
    if codes and len(codes) != len(question.options):
        raise InputError(
            "The codes are not one for each option",
            where=entry.where,
            expected=f"{len(question.options)} codes",
            found=list(codes),
        )
    is_item = str(fields.get("select_all") or "").strip().casefold() == ONE_ITEM
    several = (
        False if is_item else _yes_or_no(fields.get("select_all"), f"{entry.where}, select_all")
    )
    try:
        asked = as_asked(question, several=several, keys=codes)
    except InputError as error:
        raise error.at(entry.where) from None
    battery, own = str(fields.get("battery") or ""), str(fields.get("question") or "")
    shared: dict[str, Any] = {k: str(fields.get(k) or "") for k in ("block", "routing", "note")}
    if not asked.several:
        item = own if battery else ""
        return asked, (
            Placement(
                question.question_id,
                battery=battery,
                item=item,
                codes=codes,
                select_all=is_item,
                **shared,
            ),
        )
    return asked, tuple(
        Placement(
            q.question_id,
            battery=question.text,
            item=option,
            select_all=True,
            part_of=question.question_id,
            **shared,
        )
        for q, option in zip(asked.questions, question.options, strict=True)
    )


def with_stem(stem: str, item: str) -> str:
    """A battery's stem and one of its items as one wording."""
    stem, item = stem.strip(), item.strip()
    if not stem or not item:
        return stem or item
    open_end = stem.rstrip(".… ")
    if stem.endswith(("...", "…")):  # "how often have you ..." goes on with the item
        return f"{open_end} {item.lstrip('.… ')}"
    if stem.endswith((":", "：")):
        return f"{stem} {item}"
    return f"{stem} - {item}"


def _yes_or_no(value: Any, where: str) -> bool | None:
    if value is None or str(value).strip() == "":
        return None
    said = str(value).strip().casefold()
    if said in _YES | _NO:
        return said in _YES
    raise InputError(
        "A field that is yes or no is neither",
        where=where,
        expected=f"yes, no or {ONE_ITEM}",
        found=value,
    )


def listed(value: Any) -> Sequence[Any]:
    """A list as it is; text split at ``|``."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(SEPARATOR)]
    return value if isinstance(value, Sequence) else [value]


def number_of(value: Any, where: str, what: str) -> float:
    """A number that may have a percent sign.

    Raises:
        InputError: it is none.
    """
    try:
        return float(str(value).strip().removesuffix("%"))
    except ValueError:
        raise InputError(
            f"A {what} is not a number", where=where, expected="a number", found=value
        ) from None
