"""Points of a numbered scale (0 to 10), also where only its ends have words or nobody chose one."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from opinioncast.survey.question import MAX_OPTIONS
from opinioncast.survey.wave import Variable
from opinioncast.texts import whole_number

_POINT = re.compile(r"([-+]?\d+)(?:\s*(?:[-–—=:.)]|\()\s*[^\d\s].*|\s+[-–—]\s+.*)?")
"""A number by itself, or with the words of an end: "0 - Not at all likely", "10 (best)"."""
_NUMBER = re.compile(r"[-+]?\d+(?![\d.,]*\d)")


def point_of(text: str) -> int | None:
    """The number of a scale's point; None for other texts ("4 or more", "2-3 times")."""
    found = _POINT.fullmatch(text.strip())
    return whole_number(found.group(1)) if found else None


def rating_values(
    texts: Sequence[str], codes: Sequence[float] | None = None
) -> tuple[int, ...] | None:
    """Where each option stands on a numbered line; None where the options are no such line.

    At least half of the options are points and one is a bare number. Worded options stand at their
    code, where the codes are the numbers; else a worded end is one step beyond its neighbour, and a
    worded option inside has to fit between its neighbours.

    Args:
        texts: options on the scale.
        codes: of the options in the file, if known.
    """
    points = [point_of(t) for t in texts]
    known = [p for p in points if p is not None]
    bare = sum(t.strip().lstrip("+-").isdecimal() for t in texts)
    if len(known) < 2 or not bare or 2 * len(known) < len(texts):
        return None
    values = _by_code(texts, codes) or _by_place(points)
    if values is None or len(set(values)) < len(values):
        return None
    step = math.gcd(*(v - min(values) for v in values))
    steps = [(v - min(values)) // step for v in values] if step else []
    return tuple(steps) if steps and max(steps) < MAX_OPTIONS else None


def has_bare_points(variable: Variable) -> bool:
    """Whether two options or more are numbers by themselves."""
    return sum(t.strip().lstrip("+-").isdecimal() for t in variable.options) >= 2


def complete_points(variable: Variable, off_scale: Sequence[bool]) -> Variable:
    """The variable with the points of its numbered scale that nobody chose among its options.

    Only between its lowest and highest option, and only where unlabelled points stand for
    themselves ("3" is code 3): what a person gave a scale of its own is left alone.

    Args:
        off_scale: which options are not on the scale.
    """
    if variable.ordinal is not None:
        return variable
    on = [i for i, off in enumerate(off_scale) if not off]
    codes = [variable.codes[i] for i in on]
    texts = [variable.options[i] for i in on]
    bare = [c for c, t in zip(codes, texts, strict=True) if t.strip() == f"{c:g}"]
    if len(bare) < 2 or _by_code(texts, codes) is None or rating_values(texts, codes) is None:
        return variable
    if max(codes) - min(codes) >= MAX_OPTIONS:
        return variable
    line = [float(c) for c in range(int(min(codes)), int(max(codes)) + 1)]
    absent = [c for c in line if c not in variable.codes and c not in variable.missing]
    if not absent or 2 * len(absent) >= len(line):
        return variable
    named = dict(zip(variable.codes, variable.options, strict=True))
    off = {variable.codes[i] for i, o in enumerate(off_scale) if o}
    scale = [c for c in named if c not in off] + absent
    rising = codes[0] < codes[-1]
    order = [*sorted(scale, reverse=not rising), *(c for c in named if c in off)]
    return replace(
        variable,
        codes=tuple(order),
        options=tuple(named.get(c, f"{c:g}") for c in order),
    )


def _by_code(texts: Sequence[str], codes: Sequence[float] | None) -> list[int] | None:
    """The codes, where they are the numbers in the texts ("4 or more" is 4) and run one way."""
    if codes is None or not all(float(c).is_integer() for c in codes):
        return None
    said = [_NUMBER.match(t.strip()) for t in texts]
    if any(m and whole_number(m.group()) != c for m, c in zip(said, codes, strict=True)):
        return None
    steps = [b - a for a, b in pairwise(codes)]
    one_way = all(s > 0 for s in steps) or all(s < 0 for s in steps)
    return [int(c) for c in codes] if one_way else None


def _by_place(points: Sequence[int | None]) -> list[int] | None:
    known = [(i, p) for i, p in enumerate(points) if p is not None]
    if len(known) < 3:
        return None  # two numbers are no line yet
    (first, low), (last, high) = known[0], known[-1]
    sign = 1 if high > low else -1
    if any((b - a) * sign <= 0 for (_, a), (_, b) in pairwise(known)):
        return None
    if first > 1 or last < len(points) - 2:
        return None
    values: list[int] = []
    for i, point in enumerate(points):
        if point is not None:
            values.append(point)
        elif i < first:
            values.append(low - sign)
        elif i > last:
            values.append(high + sign)
        else:
            after = points[i + 1]
            between = values[-1] + sign
            if after is None or (after - between) * sign != 1:
                return None
            values.append(between)
    return values
