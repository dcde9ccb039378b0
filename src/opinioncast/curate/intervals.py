"""Who is inside a range of a group recipe (``min`` and ``max``), and what no range can take.

Only numbers count: a code that stands for a missing answer is none, declared or not, and a band
("45-60") belongs to a range only if it lies wholly inside.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.curate.bands import Band, read_band
from opinioncast.curate.group_recipe import Combined, Condition, Interval
from opinioncast.errors import DataError
from opinioncast.readers.labels import missing_reason, says_dont_know
from opinioncast.survey.wave import Variable

Mask = npt.NDArray[np.bool_]
Limits = tuple[float, float]

AGE_CEILING = 100.0
"""A range of ages that ends here or later has no end in effect: "80+" is inside 65 to 120."""
_AGE = re.compile(
    r"(?<![a-z])(?:age|alter|edad|âge|età|idade|leeftijd)(?:cat|grp|group|band)?(?![a-z])"
)
_CUSTOM = (97.0, 98.0, 99.0, 997.0, 998.0, 999.0, 9997.0, 9998.0, 9999.0)
"""Codes that surveys set aside for missing answers: as ages or amounts they are rare."""
_NEIGHBOURS = 5.0
_GAP = 8.0
_MANY = 10


class UnreadableError(Exception):
    """No range can be told of this variable; the text says why."""


def in_interval(values: pl.Series, variable: Variable, low: float, high: float) -> Mask:
    """Members of a range, ends included, shape (respondents,).

    Of a text variable, numbers and bands are read (:func:`opinioncast.curate.bands.read_band`).

    Raises:
        UnreadableError: a text variable of which nothing reads as a number or band.
        DataError: the range holds a number that looks like the code of a missing answer and that
            nothing declares; or its limits may be codes or the values in their labels.
    """
    bands = _bands(values, variable)
    if bands is None:
        shown = "; ".join(map(str, values.drop_nulls().unique(maintain_order=True)[:6].to_list()))
        raise UnreadableError(
            f"nothing in {variable.name} reads as a number or band (it holds: {shown or 'nothing'})"
        )
    if values.dtype.is_numeric() and _limits_are_values(variable, low, high):
        bands = _of_labels(bands, variable)
    limits = _open_start(bands, low), _open_end(variable, high)
    within = [v for v, band in bands.items() if band.inside(*limits)]
    _refuse_missing_codes(values, variable, bands, low, high)
    if values.dtype.is_numeric():
        return values.cast(pl.Float64).is_in(within).fill_null(False).to_numpy()
    return values.cast(pl.String).is_in(list(map(str, within))).fill_null(False).to_numpy()


def intervals_of(conditions: Iterable[Condition]) -> dict[str, list[Limits]]:
    """The ranges that conditions name, by variable."""
    found: dict[str, list[Limits]] = {}
    for interval in _each(conditions):
        found.setdefault(interval.variable, []).append((interval.low, interval.high))
    return found


def outside(values: pl.Series, variable: Variable, ranges: Sequence[Limits]) -> Iterator[str]:
    """What a reader must know of answers that no range took: bands across a limit, other texts."""
    bands = _bands(values, variable) or {}
    if values.dtype.is_numeric() and any(_limits_are_values(variable, *r) for r in ranges):
        bands = _of_labels(bands, variable)
    counts = dict(values.drop_nulls().value_counts().iter_rows())
    open_end = [(_open_start(bands, low), _open_end(variable, high)) for low, high in ranges]
    across = [
        value
        for value, band in bands.items()
        if band.low < band.high
        and any(band.meets(*limits) for limits in ranges)
        and not any(band.inside(*limits) for limits in open_end)
    ]
    if across:
        yield f"in no group, because no range holds them wholly: {_shown(across, counts, variable)}"
    if values.dtype.is_numeric():
        return
    unread = [v for v in counts if v not in bands and str(v).strip()]
    if unread:
        yield f"in no group, because not read as a number: {_shown(unread, counts, variable)}"


def answered(values: pl.Series, variable: Variable) -> Mask:
    """Who gave an answer, shape (respondents,): no empty cell, no code or text of a missing one."""
    held = values.is_not_null()
    if values.dtype.is_numeric():
        return (held & ~values.is_in(list(_not_numbers(variable)))).fill_null(False).to_numpy()
    gone = [t for t in values.drop_nulls().unique() if missing_reason(t, declared=True) is not None]
    return (held & ~values.is_in(gone)).fill_null(False).to_numpy()


def _open_end(variable: Variable, high: float) -> float:
    """The upper limit for bands without one: a range of ages that ends at 100 has none."""
    return float("inf") if _is_age(variable) and high >= AGE_CEILING else high


def _open_start(bands: Mapping[Any, Band], low: float) -> float:
    """The lower limit for bands without one: from 0 on is all of what is never negative."""
    never = all(band.low >= 0 or math.isinf(band.low) for band in bands.values())
    return -math.inf if low <= 0 and never and all(b.high >= 0 for b in bands.values()) else low


def _limits_are_values(variable: Variable, low: float, high: float) -> bool:
    """Whether limits are of the values in the labels (1 "Under $10,000"), not of the codes.

    Raises:
        DataError: they may be either, and the groups would not be the same.
    """
    coded = _coded_bands(variable)
    if not coded:
        return False
    by_code = {c for c in coded if low <= c <= high}
    ends = _open_start(coded, low), _open_end(variable, high)
    by_label = {c for c, band in coded.items() if band.inside(*ends)}
    if by_code == by_label:
        return False
    limits = [x for x in (low, high) if not math.isinf(x)]
    beyond = any(not min(coded) <= x <= max(coded) for x in limits)
    if beyond and by_label:
        return True
    if not beyond and not by_label:
        return False
    shown = "; ".join(
        f'{c:g} "{t}"' for c, t in zip(variable.codes, variable.options, strict=True) if c in coded
    )
    raise DataError(
        "A range may be of codes or of the values in their labels",
        where=f"variable {variable.name}, min {low:g}, max {high:g}",
        expected="codes by themselves, or value labels, where codes stand for bands",
        found=shown,
        hint="give the codes, [1, 2], or the labels in quotes, instead of `min` and `max`",
    )


def _of_labels(bands: Mapping[object, Band], variable: Variable) -> Mapping[object, Band]:
    """The bands of codes by their labels; codes whose label is no band are left out."""
    coded = _coded_bands(variable)
    return {v: coded[float(str(v))] for v in bands if float(str(v)) in coded}


def _each(conditions: Iterable[Condition]) -> Iterator[Interval]:
    for condition in conditions:
        if isinstance(condition, Interval):
            yield condition
        elif isinstance(condition, Combined):
            yield from _each(condition.parts)


def _bands(values: pl.Series, variable: Variable) -> Mapping[object, Band] | None:
    """What each distinct answer stands for; answers that are no number are left out.

    None for texts of which none is a number.
    """
    distinct = values.drop_nulls().unique(maintain_order=True).to_list()
    if values.dtype.is_numeric():
        gone = _not_numbers(variable)
        labelled = _labelled_bands(variable)
        numbers = [v for v in distinct if float(v) not in gone and not math.isnan(v)]
        return {v: labelled.get(float(v), Band(float(v), float(v))) for v in numbers}
    read = {v: band for v in distinct if (band := read_band(str(v))) is not None}
    return read if read or not distinct else None


def _not_numbers(variable: Variable) -> set[float]:
    """Codes of missing answers: those the wave knows, and labels that say it without declaring it.

    A respondent's trait has no offered "don't know", so every mention of one counts.
    """
    said = {
        code
        for code, text in zip(variable.codes, variable.options, strict=True)
        if missing_reason(text, declared=True) is not None or says_dont_know(text)
    }
    return {*variable.missing, *said}


def _labelled_bands(variable: Variable) -> Mapping[float, Band]:
    """Bands of value labels, where every code is a value of its own label ("18-24" under 18)."""
    gone = _not_numbers(variable)
    read = {
        code: read_band(text)
        for code, text in zip(variable.codes, variable.options, strict=True)
        if code not in gone
    }
    bands = {code: band for code, band in read.items() if band is not None}
    ranged = [band for band in bands.values() if band.low < band.high]
    if len(bands) < len(read) or len(ranged) < 2:
        return {}
    return bands if all(band.meets(code, code) for code, band in bands.items()) else {}


def _coded_bands(variable: Variable) -> Mapping[float, Band]:
    """Bands of value labels where codes are no values of theirs: 1 "18-29", 2 "30-44"."""
    gone = _not_numbers(variable)
    texts = {c: t for c, t in zip(variable.codes, variable.options, strict=True) if c not in gone}
    bands = {code: band for code, t in texts.items() if (band := read_band(t)) is not None}
    ranged = {code: band for code, band in bands.items() if band.low < band.high}
    if len(ranged) < 2 or 2 * len(bands) < len(texts):
        return {}
    return {} if all(band.meets(code, code) for code, band in ranged.items()) else bands


def _refuse_missing_codes(
    values: pl.Series, variable: Variable, bands: Mapping[object, Band], low: float, high: float
) -> None:
    """Refuse a range that takes in a code that looks like a missing answer and is not declared."""
    counts = dict(values.drop_nulls().value_counts().iter_rows())
    numbers: dict[float, int] = {}
    named = {
        code
        for code, text in zip(variable.codes, variable.options, strict=True)
        if code not in _CUSTOM or any(c.isdigit() for c in text)
    }
    for value, band in bands.items():
        if band.low == band.high and band.low not in named:
            numbers[band.low] = numbers.get(band.low, 0) + int(counts.get(value, 0))
    odd = [n for n in _odd(numbers) if low <= n <= high]
    if not odd:
        return
    shown = ", ".join(f"{n:g} ({numbers[n]} respondents)" for n in odd)
    last = max((n for n in numbers if n < min(odd)), default=low)
    raise DataError(
        "A range takes in what looks like the code of a missing answer",
        where=f"variable {variable.name}, min {low:g}, max {high:g}",
        expected="numbers; missing codes declared in the file or its codebook",
        found=shown,
        hint=f"if it is missing: `missing_codes: {{{odd[0]:g}: no answer}}` in the codebook, or "
        f"a range that leaves it out; if it is a number: `any: [{{min: {max(low, -1e9):g}, "
        f"max: {last:g}}}, {{codes: [{odd[0]:g}]}}]`",
    )


def _odd(numbers: Mapping[float, int]) -> list[float]:
    """Numbers without a label that stand apart as missing codes do.

    97 to 99, 997, ... where they are more frequent than all the numbers just below them, or far
    from any; a few negative codes under numbers that are never negative otherwise.
    """
    ordinary = sorted(n for n in numbers if n >= 0 and n not in _CUSTOM)
    if not ordinary:
        return []
    odd = []
    for code in (c for c in _CUSTOM if c in numbers):
        below = [n for n in ordinary if n < code]
        above = len(ordinary) - len(below)
        if not below or above > 1:
            continue  # incomes go on above 99
        near = [numbers[n] for n in below if code - n <= _NEIGHBOURS]
        piled = bool(near) and numbers[code] > 2 * max(near) and numbers[code] > 2
        far = not above and len(ordinary) >= _MANY and code - below[-1] > _GAP
        if piled or far:
            odd.append(code)
    negative = sorted(n for n in numbers if n < 0)
    run = any(b - a == 1 for a, b in pairwise(ordinary)) or len(ordinary) > 4
    if negative and len(negative) <= 5 and run and all(n == int(n) for n in negative):
        odd += negative
    return odd


def _is_age(variable: Variable) -> bool:
    text = re.sub(r"[_\W\d]+", " ", f"{variable.name} {variable.label}".casefold())
    return _AGE.search(text) is not None


def _shown(values: Sequence[object], counts: Mapping[object, int], variable: Variable) -> str:
    label = dict(zip(variable.codes, variable.options, strict=True))
    texts = [str(label.get(v, v)) if isinstance(v, float) else str(v) for v in values]
    pairs = sorted(zip(texts, (int(counts[v]) for v in values), strict=True), key=lambda p: -p[1])
    rest = f", and {len(pairs) - 6} more" if len(pairs) > 6 else ""
    return ", ".join(f'"{text}" ({n})' for text, n in pairs[:6]) + rest
