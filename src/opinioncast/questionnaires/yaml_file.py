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
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

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


class _Lines(yaml.SafeLoader):
    """YAML whose scalars stay text, so that Yes and No are options, not truth values."""


_Lines.yaml_implicit_resolvers = {}
_LINE = "__line__"


def _mapping_with_line(loader: _Lines, node: yaml.MappingNode) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node, deep=True))
        if key in mapping:
            raise yaml.MarkedYAMLError(
                problem=f"`{key}` stands twice", problem_mark=key_node.start_mark
            )
        mapping[key] = loader.construct_object(value_node, deep=True)
    mapping[_LINE] = node.start_mark.line + 1
    return mapping


_Lines.add_constructor("tag:yaml.org,2002:map", _mapping_with_line)


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a YAML file.

    Raises:
        InputError: it is not YAML, lists no questions, or has a field that is not known.
    """
    try:
        raw = yaml.load(decoded(path, content), _Lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(
            "A questionnaire is not valid YAML",
            where=f"{path}, line {mark.line + 1}" if mark else str(path),
            expected="YAML",
            found=getattr(error, "problem", None) or error,
            hint="put text with a colon or a leading quote, bracket or dash in quotation marks",
        ) from None
    if isinstance(raw, list):
        raw = {"questions": raw}
    listed = raw.get("questions") if isinstance(raw, dict) else None
    if not isinstance(listed, list):
        raise InputError(
            "A questionnaire lists no questions",
            where=str(path),
            expected="`questions:` with a list, or just a list",
            found=type(raw).__name__
            if not isinstance(raw, dict)
            else [k for k in raw if k != _LINE],
        )
    unknown = set(raw) - _HEAD - {_LINE}
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
        where = f"{path}, line {item.pop(_LINE)}"
        if set(item) - FIELDS:
            raise _unknown_field(where, set(item) - FIELDS, FIELDS)
        observed = item.pop("observed", None) or {}
        if not isinstance(observed, dict):
            raise InputError(
                "Observed distributions cannot be read",
                where=where,
                expected="a mapping of group to shares",
                found=observed,
            )
        observed = {
            group: {k: v for k, v in given.items() if k != _LINE}
            if isinstance(given, dict)
            else given
            for group, given in observed.items()
            if group != _LINE
        }
        entries.append(Entry(where, item, observed))
    people = raw.get("population")
    if isinstance(people, dict):
        people = {k: v for k, v in people.items() if k != _LINE}
    head = Head(str(raw.get("family", "")), str(raw.get("wave", "")), people)
    return Instrument(head, entries)


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
