"""Questions about what defines a group: answered by definition, or refused, never guessed.

People with a family income under $30,000 who are asked for their family income have it under
$30,000, whatever a model says. Such a question is told by its wording (it asks about oneself, by
the words of the attribute) or, for an attribute of the user's own, by options that are its groups.
Its options are then matched to the group: what the group cannot answer gets nothing, and the rest
keeps the method's proportions. Where no option can be matched the row is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import polars as pl

from opinioncast.documents import parse_yaml
from opinioncast.methods.prediction import Prediction, Problem
from opinioncast.survey import Attribute, Cells, PredictionTable, Question, Subpopulation
from opinioncast.survey.question_kind import is_no_answer

BY_DEFINITION = "the group's definition"
"""``basis`` of a row that its group's definition answers."""


@dataclass(frozen=True)
class _Words:
    """What the file beside this module says."""

    about: Mapping[str, re.Pattern[str]]
    oneself: re.Pattern[str]
    view: re.Pattern[str]
    naming: re.Pattern[str]
    common: frozenset[str]
    said: Mapping[str, str]


@cache
def _words() -> _Words:
    file = resources.files("opinioncast.methods") / "definition.yaml"
    raw = parse_yaml(file.read_text("utf-8"), where="definition.yaml", what="A lexicon")

    def pattern(text: str) -> re.Pattern[str]:
        return re.compile(text.strip(), re.IGNORECASE)

    return _Words(
        about={name: pattern("|".join(given)) for name, given in raw["about"].items()},
        oneself=pattern(raw["oneself"]),
        view=pattern(raw["view"]),
        naming=pattern(raw["naming"]),
        common=frozenset(raw["common"]),
        said=dict(raw["said"]),
    )


@dataclass(frozen=True)
class Asked:
    """A question that asks for what defines a group.

    Attributes:
        attribute: which.
        places: options that the group's people can give; empty where none can be matched.
    """

    attribute: str
    places: tuple[int, ...]


def asks_for(
    question: Question, subpopulation: Subpopulation, attributes: Mapping[str, Attribute]
) -> Asked | None:
    """What of the group's definition the question asks for; None where it asks something else."""
    for name, group in subpopulation.conditions:
        attribute = attributes.get(name)
        if attribute is not None and _is_about(question, attribute):
            return Asked(name, _places(question, attribute, group))
    return None


def _is_about(question: Question, attribute: Attribute) -> bool:
    words = _words()
    if words.view.search(words.naming.sub(" ", question.text)):
        return False
    pattern = words.about.get(attribute.name)
    if pattern is not None:
        # "How often did people talk of your race?" has no option that is a race
        told = any(_places(question, attribute, group) for group in attribute.groups)
        return told and bool(pattern.search(question.text))
    wanted = {_plain(g) for g in attribute.groups}
    found = {_group_of(_plain(o), wanted) for o in question.options} - {None} - words.common
    return len(found) >= 2 and bool(words.oneself.search(question.text))


def _places(question: Question, attribute: Attribute, group: str) -> tuple[int, ...]:
    """Options that people of ``group`` can give."""
    options = [_plain(o) for o in question.options]
    span = dollars(group)
    if span is not None:
        ranges = [None if is_no_answer(o) else dollars(o) for o in question.options]
        told = [r for r in ranges if r is not None]
        if len(told) < 2:
            return ()
        return tuple(
            i for i, r in enumerate(ranges) if r is not None and r[0] < span[1] and span[0] < r[1]
        )
    wanted = {_plain(g) for g in attribute.groups}
    own = _plain(group)
    exact = tuple(i for i, o in enumerate(options) if _group_of(o, wanted) == own)
    if exact:
        return exact
    # "Strong Democrat", "Not very strong Democrat": the group's word and no other group's
    within = []
    for i, option in enumerate(options):
        said = {g for g in wanted if re.search(rf"\b{re.escape(g)}\b", option)}
        longest = {g for g in said if not any(g != h and g in h for h in said)}
        if longest == {own}:
            within.append(i)
    return tuple(within)


def _group_of(option: str, wanted: set[str]) -> str | None:
    if option in wanted:
        return option
    bare = re.sub(r"^(?:an?|the)\s+", "", option)
    said = _words().said.get(bare, bare)
    return said if said in wanted else None


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[\w$,'+-]+", text.casefold()))


_AMOUNT = re.compile(r"\$?\s?(\d[\d,]*(?:\.\d+)?)\s*(k|thousand|m|million)?\b", re.IGNORECASE)
_BELOW = re.compile(r"\b(?:less|under|below|up\s+to|lower)\b|^\s*<", re.IGNORECASE)
_ABOVE = re.compile(r"\b(?:more|over|above|higher|greater)\b|\+\s*$|^\s*>", re.IGNORECASE)


def dollars(text: str) -> tuple[float, float] | None:
    """The amounts that a bracket holds, from the first to below the second; None: no bracket.

    >>> dollars("$30,000-$49,999"), dollars("Less than $30k"), dollars("$100,000 or more")
    ((30000.0, 50000.0), (0.0, 30000.0), (100000.0, inf))
    >>> dollars("30-49") is None
    True
    """
    if "$" not in text and not re.search(r"\d[\d,]*(?:\s*k\b|,\d{3})", text, re.IGNORECASE):
        return None
    found = []
    for number, unit in _AMOUNT.findall(text):
        factor = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6}.get(unit.casefold(), 1.0)
        found.append(float(number.replace(",", "")) * factor)
    if len(found) >= 2:
        low, high = sorted(found[:2])
        if low < 1000 <= high and "k" in text.casefold():
            low *= 1e3  # "$30-50k"
        return low, high + 1 if str(int(high)).endswith("9") else high
    if len(found) == 1:
        if _BELOW.search(text):
            return 0.0, found[0]
        if _ABOVE.search(text):
            return found[0], float("inf")
    return None


def by_definition(prediction: Prediction, cells: Cells) -> Prediction:
    """The prediction with its rows that ask for what defines their group answered by that.

    One option that fits gets everything. Where several do, they share it in the method's
    proportions, each anywhere between nothing and all. Where none does, the row is refused: it is
    a problem, and not in the table.
    """
    attributes = cells.groups.attributes
    asked: dict[tuple[str, ...], Asked] = {}
    refused: list[Problem] = []
    drop: set[tuple[str, ...]] = set()
    for question, subpopulation in cells:
        found = asks_for(question, subpopulation, attributes)
        if found is None:
            continue
        key = (question.family, question.wave, question.question_id, *subpopulation.key)
        if found.places:
            asked[key] = found
            continue
        label = attributes[found.attribute].label
        drop.add(key)
        what = (
            f"it asks for the {label} that defines the group, and none of its options is the "
            "group's: neither a model nor a survey can tell"
        )
        refused.append(Problem.of(question, subpopulation, what, missing=True))
    if not asked and not drop:
        return prediction
    frame = prediction.table.frame
    keys = list(frame.select("family", "wave", "question_id", "attribute", "group").iter_rows())
    columns: dict[str, list[Any]] = {
        name: frame[name].to_list() for name in ("distribution", "low", "high", "basis")
    }
    for i, key in enumerate(keys):
        found = asked.get(key)
        if found is not None:
            answer = _answer(columns["distribution"][i], found.places)
            for name, value in zip(columns, (*answer, BY_DEFINITION), strict=True):
                columns[name][i] = value
    lists = pl.List(pl.Float64)
    new = frame.with_columns(
        *(pl.Series(n, columns[n], dtype=lists) for n in ("distribution", "low", "high")),
        pl.Series("basis", columns["basis"], dtype=pl.String),
    ).filter(pl.Series([key not in drop for key in keys], dtype=pl.Boolean))
    problems = (*(p for p in prediction.problems if p.key not in drop), *refused)
    record = dict(prediction.record) | {
        "by_definition": len(asked),
        "refused_by_definition": len(drop),
    }
    table = PredictionTable(new, prediction.table.meta)
    return replace(prediction, table=table, problems=problems, record=record)


def _answer(
    predicted: Sequence[float], places: Sequence[int]
) -> tuple[list[float], list[float], list[float]]:
    shares = np.zeros(len(predicted))
    own = np.asarray(predicted, dtype=float)[list(places)]
    shares[list(places)] = own / own.sum() if own.sum() > 0 else 1 / len(places)
    low, high = np.zeros(len(predicted)), np.zeros(len(predicted))
    high[list(places)] = 1.0
    if len(places) == 1:
        low[list(places)] = 1.0
    return shares.tolist(), low.tolist(), high.tolist()
