"""Questionnaires in YAML.

::

    family: MYPOLL            # optional
    wave: "2026"              # optional
    population: adults in Berlin   # optional; else adults in the United States
    questions:
      - id: guns              # optional; else q1, q2, ...
        question: Would you favor or oppose ...?
        options: [Favor, Oppose, Not sure]
        scale: [1, 2, -1]     # optional; -1 is off the scale
        observed:             # optional; shares of the options, or percentages
          POLPARTY=Democrat: [0.8, 0.15, 0.05]
          TOTAL: {shares: [0.6, 0.35, 0.05], n: 1004}
        known:                # optional; results that predictions start from
          TOTAL: {shares: {Favor: 61, Oppose: 34, Not sure: 5}, n: 1500}
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from opinioncast.documents import Items, parse_yaml
from opinioncast.errors import InputError
from opinioncast.questionnaires.declaration import (
    FIELDS,
    Entry,
    Head,
    Instrument,
    InstrumentFormat,
)
from opinioncast.questionnaires.decoding import decoded

_HEAD = frozenset({"family", "wave", "population", "questions", "title"})


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a YAML file.

    Raises:
        InputError: it is not YAML, lists no questions, or has a field that is not known.
    """
    text = decoded(path, content)
    raw = parse_yaml(text, where=str(path), what="A questionnaire", only_texts=True)
    if isinstance(raw, list):
        raw = {"questions": raw}
    listed = raw.get("questions") if isinstance(raw, dict) else None
    if not isinstance(listed, Items):
        raise InputError(
            "A questionnaire lists no questions",
            where=str(path),
            expected="`questions:` with a list, or just a list",
            found=list(raw) if isinstance(raw, dict) else type(raw).__name__,
        )
    unknown = set(raw) - _HEAD
    if unknown:
        raise _unknown_field(str(path), unknown, _HEAD)
    entries = []
    for number, item in enumerate(listed, start=1):
        if not isinstance(item, dict):
            raise InputError(
                "A question cannot be read",
                where=f"{path}, question {number}",
                expected="a mapping with `question` and `options`",
                found=item,
            )
        item = dict(item)
        where = f"{path}, line {listed.lines[number - 1]}"
        if set(item) - FIELDS:
            raise _unknown_field(where, set(item) - FIELDS, FIELDS)
        observed, known = (_by_group(item.pop(k, None), where, k) for k in ("observed", "known"))
        entries.append(Entry(where, item, observed, known))
    head = Head(str(raw.get("family", "")), str(raw.get("wave", "")), raw.get("population"))
    return Instrument(head, entries)


def _by_group(given: Any, where: str, what: str) -> dict[str, Any]:
    if given is not None and not isinstance(given, dict):
        raise InputError(
            "Distributions of groups cannot be read",
            where=f"{where}, {what}",
            expected="a mapping of group to shares",
            found=given,
        )
    return given or {}


def _unknown_field(where: str, unknown: Collection[str], known: Collection[str]) -> InputError:
    return InputError(
        "A questionnaire has a field that is not known",
        where=where,
        expected=", ".join(sorted(known)),
        found=", ".join(sorted(unknown)),
    )


FORMAT = InstrumentFormat(
    name="yaml",
    help="YAML: one entry a question.",
    endings=(".yaml", ".yml"),
    read=read,
    order=10,
)
