"""Reading a distribution that a model wrote as JSON (paper, section 4.1 and Appendix D).

An answer is a JSON object: the letter or the text of every option, and its share or percentage.
What is put right, and listed: code fences, text around the object, single quotes, trailing commas,
percent signs, sums that are off by rounding. Anything else is refused with a reason; nothing is
filled in. So is an answer with a second object whose shares are others (an example and the answer,
a first thought and a second one): which is meant is not for us to say. Where a model only continues
the prompt, the next question that it goes on to, with its shares, is no part of the answer.

What a reasoning model thinks aloud (``<think>``) is passed over where it is closed, and an answer
whose thinking never closed is refused. So is one that was cut by its length with more around the
object: what would have come might have said otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opinioncast.documents import parse_json
from opinioncast.errors import InputError

SUM_TOLERANCE = 0.05
"""How far from 1 rounding may lead: the examples the paper itself prints (Figure 15) are off by up
to 0.019, because "Refused" was added to shares that summed to one already."""

NEXT_QUESTION = "\nQuestion:"
"""How the questions of a few-shot prompt begin."""

_EXACT = 1e-6
_FLOAT = 1e-9
"""0.95 from 1 is a little more than 0.05 in floating point."""
_FENCE = re.compile(r"```(?:json)?\Z", re.IGNORECASE)
_NUMBER = r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?"
_VALUE = re.compile(rf"({_NUMBER})\s*(%?)")
_TEXT = r'"((?:[^"\\]|\\.)*)"|' r"'((?:[^'\\]|\\.)*)'"
_PAIR = re.compile(rf"\s*(?:{_TEXT})\s*:\s*(?:{_TEXT}|({_NUMBER}\s*%?))\s*")


_THOUGHT = "think|thinking|thought|thoughts|reason|reasoning|reflection|scratchpad|analysis"
_OPENS = re.compile(
    rf"<\s*(?:{_THOUGHT})\s*>|\[THINK\]|◁think▷|<\|channel\|>\s*analysis", re.IGNORECASE
)
_CLOSES = re.compile(
    rf"<\s*/\s*(?:{_THOUGHT})\s*>|\[/THINK\]|◁/think▷|<\|channel\|>\s*final\s*<\|message\|>",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Verbalised:
    """A distribution as read.

    Attributes:
        shares: one for each label, in their order, summing to one.
        repairs: what had to be put right, in words.
    """

    shares: tuple[float, ...]
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An answer that holds no distribution over the options.

    Attributes:
        reason: one clause, such as ``the object is not closed``.
    """

    reason: str


def share_schema(labels: Sequence[str]) -> dict[str, Any]:
    """JSON schema of an answer: a number from 0 to 1 for each label, and nothing else."""
    return {
        "type": "object",
        "properties": {label: {"type": "number", "minimum": 0, "maximum": 1} for label in labels},
        "required": list(labels),
        "additionalProperties": False,
    }


def parse_shares(
    answer: str, labels: Sequence[str], options: Sequence[str], *, cut: bool = False
) -> Verbalised | Unreadable:
    """Read the first JSON object in ``answer``; no later one of the same answer may say otherwise.

    Args:
        labels: the letter of each option shown; the shares come in this order.
        options: the text of each, in the order of ``labels``.
        cut: the model was not done when its tokens were spent (one that only continues the prompt
            never is: leave it out there).
    """
    said = _without_thought(answer)
    if isinstance(said, Unreadable):
        return said
    found = _object(said)
    if isinstance(found, Unreadable):
        return Unreadable(f"{found.reason}; {_CUT}") if cut else found
    start, end = found
    before, rest = said[:start], said[end:]
    if cut and (_FENCE.sub("", before.strip()).strip() or rest.strip(" \n`")):
        return Unreadable(_CUT)
    read = _shares(said[start:end], labels, options, _around(before, rest))
    if isinstance(read, Unreadable):
        return read
    first = "".join(said[start:end].split())
    if not before.strip():  # a chat model that repeats the question says something first
        rest, _, _ = rest.partition(NEXT_QUESTION)
    while "{" in rest:
        later = _object(rest)
        if isinstance(later, Unreadable):  # cut off: no harm where it only says the first again
            again = first.startswith("".join(rest[rest.index("{") :].split()))
            return read if again else Unreadable("a second object is not closed")
        start, end = later
        other = _shares(rest[start:end], labels, options, [])
        if isinstance(other, Verbalised) and _differ(read.shares, other.shares):
            return Unreadable("two objects with different shares")
        rest = rest[end:]
    return read


_CUT = "the answer was cut by its length"


def _without_thought(answer: str) -> str | Unreadable:
    """What follows the thinking; all of it where there is none."""
    closed = list(_CLOSES.finditer(answer))
    said = answer[closed[-1].end() :] if closed else answer
    return Unreadable("its reasoning is not closed") if _OPENS.search(said) else said


def _differ(one: Sequence[float], other: Sequence[float]) -> bool:
    return any(abs(a - b) > _EXACT for a, b in zip(one, other, strict=True))


def _shares(
    text: str, labels: Sequence[str], options: Sequence[str], repairs: list[str]
) -> Verbalised | Unreadable:
    """Read one object; ``repairs`` made before are kept, and those made here added."""
    pairs = _pairs(text, repairs)
    if isinstance(pairs, Unreadable):
        return pairs
    places = _places([name for name, _ in pairs], labels, options)
    if isinstance(places, Unreadable):
        return places
    values = _numbers([value for _, value in pairs], repairs)
    if isinstance(values, Unreadable):
        return values
    shares = [0.0] * len(labels)
    for place, value in zip(places, values, strict=True):
        shares[place] = value
    return _summing_to_one(shares, repairs)


def _object(answer: str) -> tuple[int, int] | Unreadable:
    """Where the text from the first brace to the one that closes it begins and ends."""
    start = answer.find("{")
    if start < 0:
        return Unreadable("there is no JSON object")
    quote = ""
    depth = 0
    skip = False
    for at in range(start, len(answer)):
        character = answer[at]
        if skip:
            skip = False
        elif quote:
            skip = character == "\\"
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return start, at + 1
    return Unreadable("the object is not closed")


def _around(before: str, after: str) -> list[str]:
    """The repairs that what stands around the object asks for."""
    before, after = before.strip(), after.strip()
    repairs = []
    if (opened := _FENCE.search(before)) and after.startswith("```"):
        repairs.append("code fence")
        before = before[: opened.start()].strip()
        after = after.removeprefix("```").strip()
    if before:
        repairs.append("text before the object")
    if after:
        repairs.append("text after the object")
    return repairs


def _pairs(text: str, repairs: list[str]) -> list[tuple[str, Any]] | Unreadable:
    """Names and values of an object, as JSON or as nearly JSON; values are numbers or texts."""
    try:
        read = parse_json(text, where="answer", what="An answer", lenient=True, pairs=True)
    except InputError:
        return _nearly_json(text, repairs)
    return list(read)


def _nearly_json(text: str, repairs: list[str]) -> list[tuple[str, Any]] | Unreadable:
    """With single quotes, bare percentages and a trailing comma put right."""
    inside = text[1:-1]
    pairs: list[tuple[str, Any]] = []
    at = 0
    while found := _PAIR.match(inside, at):
        double, single, value_double, value_single, bare = found.groups()
        name = double if double is not None else single
        value = next(v for v in (value_double, value_single, bare) if v is not None)
        if single is not None or value_single is not None:
            _note(repairs, "single quotes")
        pairs.append((re.sub(r"\\(.)", r"\1", name), value if bare is None else _bare(value)))
        at = found.end()
        if at == len(inside):
            return pairs
        if inside[at] != ",":
            break
        at += 1
        if not inside[at:].strip():
            _note(repairs, "trailing comma")
            return pairs
    return Unreadable("the object is no JSON that can be put right")


def _bare(value: str) -> float | str:
    return value if value.endswith("%") else float(value)


def _places(
    names: Sequence[str], labels: Sequence[str], options: Sequence[str]
) -> list[int] | Unreadable:
    """The option each name stands for: all are letters, or all are texts."""
    by_label = {label: i for i, label in enumerate(labels)}
    by_text = {option.strip().casefold(): i for i, option in enumerate(options)}
    places = [by_label.get(name.strip()) for name in names]
    if None in places:
        places = [by_text.get(name.strip().casefold()) for name in names]
    known = [p for p in places if p is not None]
    if len(known) < len(places):
        odd = next(n for n in names if n.strip() not in by_label)
        return Unreadable(f'"{odd[:40]}" is not an option')
    if len(set(known)) < len(known):
        return Unreadable("an option is named twice")
    absent = [label for i, label in enumerate(labels) if i not in set(known)]
    if absent:
        return Unreadable(f"there is no share for {', '.join(absent)}")
    return known


def _numbers(values: Sequence[Any], repairs: list[str]) -> list[float] | Unreadable:
    """Shares or percentages as numbers; percentages with a sign are divided by 100."""
    numbers: list[float] = []
    signs: set[bool] = set()
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return Unreadable(f"{json.dumps(value, default=str)[:40]} is not a share")
        match = _VALUE.fullmatch(value.strip()) if isinstance(value, str) else None
        if isinstance(value, str) and (match is None or not match[2]):
            return Unreadable(f'"{value[:40]}" is not a share')
        try:
            number = float(match[1]) if match else float(value)
        except OverflowError:  # an integer of hundreds of digits
            number = float("inf")
        if not 0 <= number < float("inf"):
            return Unreadable(f"{number:g} is not a share")
        numbers.append(number)
        signs.add(match is not None)
    if len(signs) > 1:
        return Unreadable("some shares have a percent sign and some have none")
    if True in signs:
        _note(repairs, "percent")
        return [n / 100 for n in numbers]
    return numbers


def _summing_to_one(shares: Sequence[float], repairs: list[str]) -> Verbalised | Unreadable:
    total = sum(shares)
    if abs(total - 100) <= 100 * (SUM_TOLERANCE + _FLOAT) and "percent" not in repairs:
        repairs.append("percent")
        shares, total = [s / 100 for s in shares], total / 100
    if abs(total - 1) > SUM_TOLERANCE + _FLOAT:
        return Unreadable(f"the shares sum to {total:.3g}")
    if abs(total - 1) > _EXACT:
        repairs.append("sum off by rounding")
    return Verbalised(tuple(s / total for s in shares), tuple(repairs))


def _note(repairs: list[str], what: str) -> None:
    if what not in repairs:
        repairs.append(what)


def repair_counts(read: Sequence[Verbalised | Unreadable]) -> Mapping[str, int]:
    """How often each repair was made."""
    counts: dict[str, int] = {}
    for answer in read:
        for repair in answer.repairs if isinstance(answer, Verbalised) else ():
            counts[repair] = counts.get(repair, 0) + 1
    return dict(sorted(counts.items()))
