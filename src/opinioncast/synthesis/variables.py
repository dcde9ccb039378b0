"""Variables of a synthetic file: names that every program takes, labels, codes, missing codes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from opinioncast.survey import Question

SYNTHETIC, RECORD, WEIGHT = "synthetic", "record", "weight"
NOT_ASKED, REFUSED = 98, 99
"""Codes of what is no answer; questions have 26 options at most."""

_MISSING = {NOT_ASKED: "Not asked", REFUSED: "Refused"}
_LONGEST = 32  # Stata's
_SPSS = ("all", "and", "by", "eq", "ge", "gt", "le", "lt", "ne", "not", "or", "to", "with")
_STATA = ("byte", "double", "float", "if", "in", "int", "long", "using", "strl")
_RESERVED = frozenset((*_SPSS, *_STATA))


@dataclass(frozen=True)
class Variable:
    """One variable.

    Attributes:
        name: up to 32 letters, digits and underscores, beginning with a letter.
        label: what it is, at any length.
        values: code -> what it means, without codes of missing answers.
        missing: codes that are no answer.
        question_id: of the question; empty for groups and records.
    """

    name: str
    label: str
    values: dict[int, str]
    missing: dict[int, str]
    question_id: str = ""


def question_variable(question: Question, name: str, *, refusals: bool, routed: bool) -> Variable:
    """A question's: options are coded 1, 2, ... as listed."""
    missing = {}
    if routed:
        missing[NOT_ASKED] = _MISSING[NOT_ASKED]
    if refusals:
        missing[REFUSED] = _MISSING[REFUSED]
    values = dict(enumerate(question.options, start=1))
    return Variable(
        name, f"{question.question_id}: {question.text}", values, missing, question.question_id
    )


def variable_names(wanted: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Names like those wanted, each once (upper and lower case are one to SPSS).

    >>> variable_names(["q1", "Q1", "2nd job", "with", "Été"])
    ['q1', 'Q1_2', 'v2nd_job', 'with_', 'Ete']
    """
    used = {name.casefold() for name in taken}
    out = []
    for text in wanted:
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
        name = re.sub(r"[^0-9A-Za-z_]+", "_", plain).strip("_") or "v"
        if not name[0].isalpha():
            name = f"v{name}"
        name = name[:_LONGEST]
        if name.casefold() in _RESERVED:
            name += "_"
        stem, number = name, 1
        while name.casefold() in used:
            number += 1
            end = f"_{number}"
            name = stem[: _LONGEST - len(end)] + end
        used.add(name.casefold())
        out.append(name)
    return out


def cut(text: str, size: int) -> str:
    """A text of at most ``size`` bytes of UTF-8, whole characters, with ``...`` where it was cut.

    >>> cut("Gehört", 6), cut("Gehört", 7)
    ('Geh...', 'Gehört')
    """
    raw = text.encode("utf-8")
    if len(raw) <= size:
        return text
    return raw[: size - 3].decode("utf-8", "ignore") + "..."


def codebook_rows(variables: Iterable[Variable]) -> list[dict[str, Any]]:
    """A row per value: variable, its label and question, code, meaning, whether it is missing."""
    rows: list[dict[str, Any]] = []
    for variable in variables:
        head = {
            "variable": variable.name,
            "label": variable.label,
            "question_id": variable.question_id,
        }
        every = {**variable.values, **variable.missing}
        if not every:
            rows.append({**head, "code": None, "meaning": "", "missing": False})
        for code, meaning in every.items():
            rows.append(
                {**head, "code": code, "meaning": meaning, "missing": code in variable.missing}
            )
    return rows
