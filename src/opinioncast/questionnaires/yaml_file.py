"""Questionnaires in YAML.

::

    family: MYPOLL            # optional
    wave: "2026"              # optional
    population: adults in Berlin   # optional; else adults in the United States
    questions:
      - id: guns              # optional; else q1, q2, ...
        question: Would you favor or oppose ...?
        options: [Favor, Oppose, Not sure]
        scale: [1, 2, -1]     # optional; -1: off it; left out: as the options tell; none
        observed:             # optional; shares of the options, or percentages
          POLPARTY=Democrat: [0.8, 0.15, 0.05]
          TOTAL: {shares: [0.6, 0.35, 0.05], n: 1004}
        known:                # optional; results that predictions start from
          TOTAL: {shares: {Favor: 61, Oppose: 34, Not sure: 5}, n: 1500}
      - id: trust_army
        block: Institutions   # optional, as all that follow
        battery: How much do you trust each of these?   # asked as "How much ...? - The army"
        question: The army
        options: [A lot, Some, Not at all]
        codes: [1, 2, 3]      # of the options in data
        routing: if age >= 18 # who is asked it; never evaluated
        note: rotate
      - question: Which of these do you own?
        options: [A car, A bicycle]
        select_all: yes       # each option becomes a question of yes or no; "item": it is one
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from opinioncast.documents import Items, parse_yaml, text_of, texts_of
from opinioncast.errors import InputError
from opinioncast.questionnaires.declaration import (
    FIELDS,
    Entry,
    Head,
    Instrument,
    InstrumentFormat,
)
from opinioncast.questionnaires.decoding import decoded

_HEAD = frozenset({"title", "language", "family", "wave", "population", "questions"})


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
        if unknown := set(item) - set(FIELDS):
            raise _unknown_field(where, unknown, FIELDS)
        observed, known = (_by_group(item.pop(k, None), where, k) for k in ("observed", "known"))
        coded = _coded(item, where)
        for name, value in item.items():
            _plain(value, str(path), listed[number - 1].lines.get(name), name)
        entries.append(Entry(where, item | coded, observed, known))
    texts = {k: raw.get(k, "") for k in ("family", "wave", "title", "language")}
    for name, value in texts.items():
        _plain(value, str(path), None, name)
    head = Head(population=raw.get("population"), **texts)
    return Instrument(head, entries)


def _coded(item: dict[str, Any], where: str) -> dict[str, list[str]]:
    """Takes options that are a mapping of codes out of ``item``: both as lists; else nothing.

    Raises:
        InputError: there are codes beside it, or an option is no text.
    """
    if not isinstance(item.get("options"), dict):
        return {}
    if item.get("codes"):
        raise InputError(
            "The codes of a question are given twice",
            where=where,
            expected="options as a mapping of codes, or `codes` beside a list of options",
            found=", ".join(map(str, item["options"])),
        )
    options = item.pop("options")
    texts = [text_of(text, f"{where}, `options`") for text in options.values()]
    return {"options": texts, "codes": [str(code) for code in options]}


def _plain(value: Any, path: str, line: int | None, name: str) -> None:
    """Refuse what is no text where one is expected, or no list of texts where they are.

    Raises:
        InputError: with the line.
    """
    where = path if line is None else f"{path}, line {line}"
    if isinstance(value, Items) and name in _LISTS:
        texts_of(value, f"{path}, `{name}`")
    else:
        text_of(value, f"{where}, `{name}`")


def written(instrument: Instrument, comment: str = "") -> str:
    """An instrument as YAML that :func:`read` reads back with the same entries.

    Args:
        comment: lines for its head.
    """
    head = instrument.head
    top = {k: getattr(head, k) for k in ("title", "language", "family", "wave", "population")}
    parts = [f"# {line}\n" for line in comment.splitlines()]
    if kept := {k: str(v) if k != "population" else v for k, v in top.items() if v}:
        parts.append(_dumped(kept))
    parts.append("questions:\n")
    block = None
    for entry in instrument.entries:
        if (own := entry.fields.get("block")) != block and own:
            block = own
            parts.append(f"\n# {' '.join(str(block).split())}\n")
        given = {**entry.fields, "observed": entry.observed, "known": entry.known}
        item = {k: _value(k, given[k]) for k in FIELDS if given.get(k)}
        parts.append(_dumped([item]))
    return "".join(parts)


_FLOW = {"codes", "scale"}
_LISTS = {*_FLOW, "options"}


class _Flow(list[Any]):
    """A list that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Texts as they are; lists of :class:`_Flow` on one line; no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Flow,
    lambda dumper, data: dumper.represent_sequence(
        "tag:yaml.org,2002:seq", list(data), flow_style=True
    ),
)


def _dumped(value: Any) -> str:
    return yaml.dump(
        value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100, indent=2
    )


def _value(name: str, value: Any) -> Any:
    if name in ("observed", "known"):
        return {g: _shares(v) for g, v in value.items()}
    if isinstance(value, str):
        return value
    if name in _FLOW:
        return _Flow(int(v) if isinstance(v, float) and v.is_integer() else v for v in value)
    return list(value)


def _shares(given: Any) -> Any:
    if isinstance(given, Mapping):
        return {k: _shares(v) for k, v in given.items()}
    if isinstance(given, str) or not isinstance(given, list | tuple):
        return given
    return _Flow(given)


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
