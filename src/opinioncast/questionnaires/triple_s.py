"""Triple-S survey definitions (.sss, .xml), versions 1.2 to 3.0.

A label may hold one text for interviews and one for tables: the interview's is the wording.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opinioncast.errors import InputError
from opinioncast.questionnaires.assembly import assembled
from opinioncast.questionnaires.declaration import Head, Instrument, InstrumentFormat
from opinioncast.questionnaires.found import Choice, Found, Kind
from opinioncast.questionnaires.limits import root_name, xml_root
from opinioncast.questionnaires.xml_elements import (
    attribute,
    child,
    children,
    descendants,
    line_of,
    text_of,
)
from opinioncast.survey.question import MAX_OPTIONS
from opinioncast.texts import whole_number

_KINDS = {
    "single": Kind.SINGLE,
    "logical": Kind.SINGLE,
    "multiple": Kind.SEVERAL,
    "quantity": Kind.NUMBER,
    "character": Kind.OPEN,
    "date": Kind.DATE,
    "time": Kind.DATE,
}


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a Triple-S definition.

    Raises:
        InputError: no Triple-S in XML, a definition of levels only, or no closed question.
    """
    if not content.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"<", b"\xff\xfe", b"\xfe\xff")):
        raise InputError(
            "A Triple-S file cannot be read",
            where=str(path),
            expected="Triple-S in XML (version 1.2 to 3.0)",
            found="a file that does not start with <, such as the classic version 1.1",
            hint="export it as Triple-S XML",
        )
    root, mended = xml_root(path, content, "a Triple-S file")
    survey = child(root, "survey")
    if survey is None:
        levels = [attribute(e, "href") for e in descendants(root, "level")]
        raise InputError(
            "A Triple-S file has no survey",
            where=str(path),
            expected="<survey> with its variables",
            found=f"a hierarchy of {', '.join(levels)}" if levels else "none",
            hint="import each of these files" if levels else None,
        )
    language = attribute(root, "lang") or (attribute(root, "languages").split() or [""])[0]
    title = _text(child(survey, "title"), language) or text_of(child(survey, "name"))
    head = Head(title=title, language=language)
    version = attribute(root, "version")
    found = _found(survey, language)
    return assembled(path, f"Triple-S {version}".strip(), found, head, mended)


def _found(survey: Any, language: str) -> Iterator[Found]:
    for variable in descendants(survey, "variable"):
        kind = _KINDS.get(attribute(variable, "type"), Kind.UNKNOWN)
        use = attribute(variable, "use")
        choices = _choices(variable, language)
        if attribute(variable, "type") == "logical" and not choices:
            choices = [Choice("Yes", "1"), Choice("No", "0")]
        spread = child(variable, "spread")
        limit = attribute(spread, "subfields") if spread is not None else ""
        name = text_of(child(variable, "name")) or attribute(variable, "ident")
        yield Found(
            where=f"{line_of(variable)}, variable {attribute(variable, 'ident')}",
            id=name,
            text=_text(child(variable, "label"), language),
            kind=Kind.COMPUTED if use else kind,
            why=f"use={use}" if use else attribute(variable, "type") * (kind is Kind.UNKNOWN),
            choices=tuple(choices),
            routing=text_of(child(variable, "filter")),
            note=f"at most {limit} can be named" if limit else "",
        )


def _choices(variable: Any, language: str) -> list[Choice]:
    """Values in order; the points of a range that has no labels of its own come first."""
    values = child(variable, "values")
    if values is None:
        return []
    made = []
    coded = {attribute(v, "code") for v in children(values, "value")}
    if attribute(variable, "type") in ("single", "multiple"):
        for each in children(values, "range"):
            low, high = (whole_number(attribute(each, end)) for end in ("from", "to"))
            if low is not None and high is not None and 0 <= low <= high <= low + MAX_OPTIONS:
                points = [str(n) for n in range(low, high + 1)]
                made += [Choice(p, p) for p in points if p not in coded]
    for value in children(values, "value"):
        score = attribute(value, "score")
        made.append(Choice(_text(value, language), attribute(value, "code"), _number(score)))
    return made


def _text(element: Any, language: str) -> str:
    """The interview's text in the file's language; else the nearest there is."""
    if element is None:
        return ""
    texts = children(element, "text")
    ranked = sorted(
        texts,
        key=lambda t: (
            attribute(t, "lang") not in ("", language),
            {"interview": 0, "": 1}.get(attribute(t, "mode"), 2),
            attribute(t, "lang") != language,
        ),
    )
    own = text_of(element, without=("text",))
    if ranked and own:  # a text for tables, or in another language, is no better than the label
        best = ranked[0]
        foreign = attribute(best, "lang") not in ("", language)
        if foreign or attribute(best, "mode") == "analysis":
            return own
    return (text_of(ranked[0]) if ranked else "") or own


def _number(score: str) -> float | None:
    try:
        return float(score)
    except ValueError:
        return None


FORMAT = InstrumentFormat(
    name="triple_s",
    help="A Triple-S survey definition (.sss, .xml), version 1.2 to 3.0.",
    endings=(".sss", ".xml"),
    read=read,
    recognises=lambda content: root_name(content) == "sss",
    order=60,
)
