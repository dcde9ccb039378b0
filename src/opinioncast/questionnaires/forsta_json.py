"""Forsta Surveys (Confirmit) schemas in JSON, as its REST service gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opinioncast.questionnaires.assembly import assembled
from opinioncast.questionnaires.declaration import Head, Instrument, InstrumentFormat
from opinioncast.questionnaires.found import Choice, Found, Item, Kind
from opinioncast.questionnaires.json_file import has_keys, json_object, mapping, sequence
from opinioncast.questionnaires.wording import plain

_KINDS = {
    "singleChoice": Kind.SINGLE,
    "rating": Kind.SINGLE,
    "multiChoice": Kind.SEVERAL,
    "numeric": Kind.NUMBER,
    "text": Kind.OPEN,
    "dateTime": Kind.DATE,
    "ranking": Kind.RANKING,
    "info": Kind.TEXT,
    "grid3D": Kind.TEXT,  # its questions name it as their parent
    "multiGrid": Kind.TEXT,
    "multimedia": Kind.UPLOAD,
    "fileUpload": Kind.UPLOAD,
    "geolocation": Kind.UPLOAD,
}
_LANGUAGES = {"9": "en", "7": "de", "12": "fr", "10": "es", "16": "it", "19": "nl", "22": "pt"}
"""Primary language ids of Windows, which Confirmit counts in."""


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a schema; those in a loop once, with the loop as a remark.

    Raises:
        InputError: no such JSON, or no closed question in it.
    """
    file = json_object(path, content, "A Forsta schema", "root")
    listed = sequence(file.get("languages"))
    default = file.get("defaultConfirmitLanguageId") or mapping((listed or [{}])[0]).get(
        "confirmitLanguageId"
    )
    language = str(default or "")
    head = Head(language=_LANGUAGES.get(language, ""))
    return assembled(path, "Forsta schema (.json)", _walk(mapping(file["root"]), language), head)


def _walk(root: Mapping[str, Any], language: str) -> Iterator[Found]:
    stack: list[tuple[Mapping[str, Any], tuple[str, ...]]] = [(root, ())]
    while stack:
        level, loops = stack.pop()
        variables = [mapping(v) for v in sequence(level.get("variables"))]
        named = {str(v.get("name")): v for v in variables}
        for variable in variables:
            parent = named.get(str(variable.get("parentVariableName")))
            yield _found(variable, parent, loops, language)
        below = [mapping(c) for c in sequence(level.get("children"))]
        stack += [(c, (*loops, str(c.get("name") or ""))) for c in reversed(below)]


def _found(
    variable: Mapping[str, Any],
    parent: Mapping[str, Any] | None,
    loops: tuple[str, ...],
    language: str,
) -> Found:
    name = str(variable.get("name") or "")
    kind = _KINDS.get(str(variable.get("variableType")), Kind.UNKNOWN)
    why = "" if kind is not Kind.UNKNOWN else str(variable.get("variableType"))
    system, hidden = variable.get("isSystemVariable"), variable.get("isHidden")
    if (system or hidden) and kind is not Kind.TEXT:
        kind, why = Kind.COMPUTED, "a system variable" if system else "hidden"
    rows = sequence(variable.get("fields")) or (sequence(parent.get("options")) if parent else [])
    text = _words(variable.get("texts"), language) or _words(variable.get("titles"), language)
    if parent is not None:
        stem = _words(parent.get("texts"), language) or _words(parent.get("titles"), language)
        text = " - ".join(filter(None, (stem, text)))
    items = tuple(
        Item(_words(mapping(r).get("texts"), language), code=str(mapping(r).get("code") or ""))
        for r in rows
    )
    return Found(
        where=f"element {name}",
        id=name,
        text=text,
        kind=kind,
        why=why,
        choices=tuple(_choice(mapping(o), language) for o in sequence(variable.get("options"))),
        items=items if kind in (Kind.SINGLE, Kind.SEVERAL) else (),
        routing=f"in the loop {' / '.join(loops)}" if loops else "",
    )


def _choice(option: Mapping[str, Any], language: str) -> Choice:
    score = option.get("score")
    code = str(option.get("code") or "")
    return Choice(
        _words(option.get("texts"), language) or code,
        code,
        float(score) if isinstance(score, int | float) else None,
    )


def _words(texts: Any, language: str) -> str:
    """A text in the file's language, else the first that there is."""
    listed = [mapping(t) for t in sequence(texts)]
    own = [t for t in listed if str(t.get("languageId")) == language]
    return next((w for t in own + listed if (w := plain(t.get("text")))), "")


FORMAT = InstrumentFormat(
    name="forsta",
    help="A Forsta Surveys (Confirmit) schema (.json).",
    endings=(".json",),
    read=read,
    recognises=lambda content: has_keys(content, "root", "variables", "variableType"),
    order=90,
)
