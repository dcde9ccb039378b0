"""SurveyMonkey surveys as its API gives them (``GET /v3/surveys/ID/details``, saved as .json)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opinioncast.questionnaires.assembly import assembled
from opinioncast.questionnaires.declaration import Head, Instrument, InstrumentFormat
from opinioncast.questionnaires.found import Choice, Found, Item, Kind
from opinioncast.questionnaires.json_file import has_keys, json_object, mapping, sequence
from opinioncast.questionnaires.wording import plain
from opinioncast.texts import whole_number

_KINDS = {
    "single_choice": Kind.SINGLE,
    "multiple_choice": Kind.SEVERAL,
    "matrix": Kind.SINGLE,
    "open_ended": Kind.OPEN,
    "demographic": Kind.OPEN,
    "datetime": Kind.DATE,
    "presentation": Kind.TEXT,
    "file_upload": Kind.UPLOAD,
    "image_map": Kind.UPLOAD,
    "payment": Kind.COMPUTED,
}


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a survey's pages in order.

    Raises:
        InputError: no such JSON, or no closed question in it.
    """
    survey = json_object(path, content, "A SurveyMonkey survey", "pages")
    head = Head(title=plain(survey.get("title")), language=plain(survey.get("language")))
    return assembled(path, "SurveyMonkey survey (.json)", _found(survey), head)


def _found(survey: Mapping[str, Any]) -> Iterator[Found]:
    for page in _ordered(survey.get("pages")):
        block = plain(page.get("title"))
        if words := plain(page.get("description")):
            yield Found(f"element {page.get('id')}", "", words, Kind.TEXT, block=block)
        for question in _ordered(page.get("questions")):
            yield _question(question, block)


def _question(question: Mapping[str, Any], block: str) -> Found:
    family, subtype = str(question.get("family")), str(question.get("subtype"))
    answers = mapping(question.get("answers"))
    heading = " ".join(
        plain(mapping(h).get("heading") or mapping(h).get("description"))
        for h in sequence(question.get("headings"))
    )
    common: dict[str, Any] = {
        "where": f"element {question.get('id')}",
        "id": str(question.get("id") or ""),
        "text": heading,
        "block": block,
    }
    kind = _KINDS.get(family, Kind.UNKNOWN)
    why = f"{family} {subtype}" if kind is Kind.UNKNOWN else ""
    options = _ordered(answers.get("choices"))
    rows = _ordered(answers.get("rows"))
    if subtype == "ranking" or question.get("forced_ranking"):
        return Found(**common, kind=Kind.RANKING, why=f"{len(rows or options)} rows")
    if family == "open_ended" and subtype == "numerical":
        return _numerical(question, common)
    if family == "matrix":
        return _matrix(subtype, rows, options, _ordered(answers.get("cols")), common)
    other = mapping(answers.get("other"))
    choices = [_choice(c) for c in options]
    if other and other.get("is_answer_choice", True):
        choices.append(Choice(str(other.get("text") or "Other"), str(other.get("id") or "")))
    return Found(**common, kind=kind, why=why, choices=tuple(choices))


def _matrix(
    subtype: str,
    rows: list[Mapping[str, Any]],
    options: list[Mapping[str, Any]],
    columns: list[Mapping[str, Any]],
    common: Mapping[str, Any],
) -> Found:
    if subtype == "menu" or columns:
        why = "drop-down lists in a table"
        return Found(**common, kind=Kind.UNKNOWN, why=why)
    choices = tuple(_choice(c) for c in options)
    kind = Kind.SEVERAL if subtype == "multi" else Kind.SINGLE
    named = [r for r in rows if plain(r.get("text"))]
    if not named:  # a rating of one thing
        return Found(**common, kind=kind, choices=choices)
    items = tuple(Item(str(r["text"]), code=str(r.get("id") or "")) for r in named)
    return Found(**common, kind=kind, choices=choices, items=items)


def _numerical(question: Mapping[str, Any], common: Mapping[str, Any]) -> Found:
    shown = mapping(question.get("display_options"))
    limits = mapping(question.get("validation"))
    low, high = limits.get("min"), limits.get("max")
    slider = shown.get("display_type") == "slider"
    if not slider:
        return Found(**common, kind=Kind.NUMBER)
    first, last = whole_number(str(low)), whole_number(str(high))
    ends = (0, 100) if first is None or last is None else (first, last)  # what the service takes
    labels = (str(shown.get("left_label") or ""), str(shown.get("right_label") or ""))
    return Found(**common, kind=Kind.SLIDER, ends=ends, end_labels=labels)


def _choice(choice: Mapping[str, Any]) -> Choice:
    weight = choice.get("weight")
    score = float(weight) if isinstance(weight, int | float) else None
    return Choice(
        str(choice.get("text") or ""),
        str(choice.get("id") or ""),
        score=None if choice.get("is_na") else score,
        off_scale=bool(choice.get("is_na")),
    )


def _ordered(listed: Any) -> list[Mapping[str, Any]]:
    """Things that are shown, by their positions."""
    shown = [m for m in map(mapping, sequence(listed)) if m and m.get("visible", True)]

    def position(one: Mapping[str, Any]) -> int:
        said = one.get("position")
        return said if isinstance(said, int) else 0

    return sorted(shown, key=position)


FORMAT = InstrumentFormat(
    name="surveymonkey",
    help="A SurveyMonkey survey as its API gives it (.json).",
    endings=(".json",),
    read=read,
    recognises=lambda content: has_keys(content, "pages", "family", "headings"),
    order=100,
)
