"""Which answer options form a scale, and where each stands on it.

Positions follow the published data (paper, Appendix A.1 and B): ranks 1 to k in the order listed;
an option in the middle that is listed elsewhere ("Better", "Worse", "About the same") gets the mean
of the others' ranks (1, 2, 1.5), as OpinionQA does; an option off the scale gets -1; a list without
a scale gets zeros. Wasserstein distance does not change when a scale is reversed, so the order in
which a scale is listed never matters, only what lies between what.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any

import numpy as np

from opinioncast.curate.bands import read_band
from opinioncast.curate.points import rating_values
from opinioncast.documents import parse_yaml
from opinioncast.errors import InputError
from opinioncast.readers.labels import Sort, listed_reading
from opinioncast.survey.question import OFF_SCALE

Positions = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """Positions of a question's options.

    Attributes:
        ordinal: one position per option: -1 off the scale, all equal where there is no scale.
        name: kind of scale ("agreement", "degree", "numbers", ..., "none").
        direction: "high to low", "low to high", or "" where the words do not tell.
        rule: what decided: "two options", "numbers", "degrees", "poles", "ladder", "listed order",
            "no scale", "scale file" or "codebook".
    """

    ordinal: Positions
    name: str
    direction: str
    rule: str

    @property
    def has_scale(self) -> bool:
        on = {v for v in self.ordinal if v != OFF_SCALE}
        return len(on) > 1


@dataclass(frozen=True)
class _Lexicon:
    off_scale: re.Pattern[str]
    unsure: re.Pattern[str]
    bare_neither: re.Pattern[str]
    midpoint: re.Pattern[str]
    degrees: tuple[tuple[str, float], ...]
    """Phrase and degree, longest phrase first."""
    bare_degree: float
    per_year: dict[str, float]
    poles: dict[str, tuple[re.Pattern[str], re.Pattern[str]]]
    ladders: dict[str, tuple[str, ...]]
    graded_question: re.Pattern[str]
    statement_question: re.Pattern[str]
    choice_question: re.Pattern[str]


@cache
def _lexicon() -> _Lexicon:
    file = resources.files("opinioncast.curate") / "scales.yaml"
    raw = parse_yaml(file.read_text(encoding="utf-8"), where="scales.yaml", what="A lexicon")

    def any_of(patterns: Sequence[str]) -> re.Pattern[str]:
        return re.compile("|".join(f"(?:{p})" for p in patterns))

    degrees = [(p, float(i)) for i, phrases in enumerate(raw["degrees"]) for p in phrases]
    return _Lexicon(
        off_scale=any_of(raw["off_scale"]),
        unsure=any_of(raw["unsure"]),
        bare_neither=re.compile(raw["bare_neither"]),
        midpoint=any_of(raw["midpoint"]),
        degrees=tuple(sorted(degrees, key=lambda d: -len(d[0]))),
        bare_degree=float(raw["bare_degree"]),
        per_year={k: float(v) for k, v in raw["per_year"].items()},
        poles={n: (re.compile(a), re.compile(b)) for n, (a, b) in raw["poles"].items()},
        ladders={n: tuple(v) for n, v in raw["ladders"].items()},
        graded_question=re.compile(raw["graded_question"]),
        statement_question=re.compile(raw["statement_question"]),
        choice_question=re.compile(raw["choice_question"]),
    )


def detect_scale(
    options: Sequence[str], question: str = "", codes: Sequence[float] | None = None
) -> Scale:
    """Find the scale of a list of substantive options (without "Refused") by rules.

    Args:
        options: option texts in the order asked.
        codes: of the options in the file; they tell where the worded ends of a numbered scale
            stand, and points that nobody chose leave a gap.
        question: the wording; tells "How much ..." from "Which of these ..." where the options
            leave it open.

    Raises:
        InputError: an empty list of options.
    """
    if not options:
        raise InputError("A scale needs options", expected="option texts", found=list(options))
    texts = [normal_option(o) for o in options]
    off = _off_scale(texts)
    middle = _middle(texts, off)
    on = [i for i in range(len(texts)) if not off[i]]
    if len(on) < 2:
        # "Yes" beside "Not sure" is still a question with two answers.
        off, on, middle = [False] * len(texts), list(range(len(texts))), None
    line = rating_values([texts[i] for i in on], None if codes is None else [codes[i] for i in on])
    if line is not None and len(on) > 2:
        return _on_line(line, on, len(texts))
    outer = [i for i in on if i != middle]
    decided = _decide([texts[i] for i in outer], question.casefold(), middle is not None)
    if decided is None:
        return Scale((0.0,) * len(texts), "none", "", "no scale")
    ranks, name, direction, rule = decided
    positions = [OFF_SCALE] * len(texts)
    for i, rank in zip(outer, ranks, strict=True):
        positions[i] = rank
    if middle is not None:
        positions[middle] = float(np.mean(ranks))
        if 2 * on.index(middle) == len(outer) and list(ranks) == sorted(ranks):
            for rank, i in enumerate(on, start=1):
                positions[i] = float(rank)
    return Scale(tuple(positions), name, direction, rule)


def _on_line(line: Sequence[int], on: Sequence[int], k: int) -> Scale:
    """A numbered scale: positions from 1, with gaps where points are not among the options."""
    positions = [OFF_SCALE] * k
    last = max(line)
    for i, value in zip(on, line, strict=True):
        positions[i] = float((value if line[0] < line[-1] else last - value) + 1)
    return Scale(tuple(positions), "numbers", _direction([float(v) for v in line]), "numbers")


def off_scale_options(options: Sequence[str]) -> list[bool]:
    """Which options are off the scale that the others form ("Don't know", "Other")."""
    return _off_scale([normal_option(o) for o in options])


def same_scale(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether two scales give the same normalised Wasserstein distances.

    True when the same options are off the scale and the positions agree after reversal, shift and
    stretch; two lists without a scale agree.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.shape != b.shape:
        return False
    scaled_a, scaled_b = _unit(a), _unit(b)
    if scaled_a is None or scaled_b is None:
        return scaled_a is scaled_b
    if not np.array_equal(a == OFF_SCALE, b == OFF_SCALE):
        return False
    on = a != OFF_SCALE
    x, y = scaled_a[on], scaled_b[on]
    return bool(np.allclose(x, y) or np.allclose(x, 1 - y))


def _unit(values: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    on = values[values != OFF_SCALE]
    if on.size == 0 or np.ptp(on) == 0:
        return None
    return (values - on.min()) / np.ptp(on)


def normal_option(option: str) -> str:
    """An option in lower case, with straight apostrophes and without outer punctuation."""
    text = option.casefold().replace("’", "'").replace("‘", "'")
    text = re.sub(r"[“”\"*]", "", text)
    return re.sub(r"\s+", " ", text).strip(" .,;:'")


def _off_scale(texts: Sequence[str]) -> list[bool]:
    """Options off the scale, wherever they stand.

    "I am uncertain" right between two halves of a scale may be a place on it, unless another option
    is its middle; so may "both". First, last or elsewhere they are none.
    """
    lexicon = _lexicon()
    listed = [listed_reading(t) for t in texts]  # "weiß nicht", "sin opinión"
    offered = [r is not None and r.sort is Sort.OFFERED for r in listed]
    off = [
        bool(lexicon.off_scale.fullmatch(t)) or (r is not None and not o)
        for t, r, o in zip(texts, listed, offered, strict=True)
    ]
    soft = [
        not gone and (o or bool(lexicon.unsure.fullmatch(t)))
        for gone, o, t in zip(off, offered, texts, strict=True)
    ]
    other_middle = "both" in texts or any(
        lexicon.midpoint.fullmatch(t) and not lexicon.bare_neither.fullmatch(t) for t in texts
    )
    if other_middle:
        soft = [
            o or bool(lexicon.bare_neither.fullmatch(t)) for o, t in zip(soft, texts, strict=True)
        ]
    scale = [i for i in range(len(texts)) if not off[i] and not soft[i]]
    midpoint = any(lexicon.midpoint.fullmatch(texts[i]) for i in scale)
    for i in (i for i, o in enumerate(soft) if o):
        before = sum(j < i for j in scale)
        off[i] = midpoint or 2 * before != len(scale)
    return off


def _middle(texts: Sequence[str], off: Sequence[bool]) -> int | None:
    """Index of the option that is the middle of the others, if there is exactly one."""
    lexicon = _lexicon()
    on = [i for i in range(len(texts)) if not off[i]]
    found = [i for i in on if lexicon.midpoint.fullmatch(texts[i])]
    outer = len(on) - 1
    if len(found) == 1 and outer >= 2 and outer % 2 == 0:
        return found[0]
    return None


def _decide(
    texts: list[str], question: str, has_middle: bool
) -> tuple[Positions, str, str, str] | None:
    """Ranks of the outer options, name, direction and rule; None where there is no scale."""
    listed = tuple(float(i) for i in range(1, len(texts) + 1))
    numbers = _numbers(texts)
    if numbers is not None:
        return _ranks(numbers), "numbers", _direction(numbers), "numbers"
    axis, scores = _scores(texts)
    complete = [s for s in scores if s is not None]
    direction = _direction(complete) if len(complete) == len(texts) else ""
    if len(texts) == 2:
        return listed, axis or "binary", direction, "two options"
    ladder = _ladder(texts)
    if ladder is not None:
        return _ranks(ladder[1]), ladder[0], _direction(ladder[1]), "ladder"
    if len(complete) == len(texts):
        if _monotone(complete, strict=False) and len(set(complete)) > 1:
            return listed, axis or "degree", direction, "poles" if axis else "degrees"
        if not axis and len(set(complete)) == len(texts) and _one_stem(texts):
            return _ranks(complete), "degree", "", "degrees"
    lexicon = _lexicon()
    inside = any(lexicon.midpoint.fullmatch(t) for t in texts[1:-1])
    if has_middle or inside or _graded(texts, scores, question):
        return listed, axis or "listed", "", "listed order"
    return None


def _graded(texts: Sequence[str], scores: Sequence[float | None], question: str) -> bool:
    """Evidence that a list the lexicon cannot order is listed in order of a scale."""
    lexicon = _lexicon()
    if lexicon.graded_question.search(question):
        return True
    sentences = np.mean([len(t.split()) for t in texts]) >= 5
    if sentences and len(texts) <= 7 and lexicon.statement_question.search(question):
        return True
    worded = sum(s is not None for s in scores)
    if lexicon.choice_question.search(question) and worded < len(texts) - 1:
        return False
    return 2 * worded > len(texts) or _shared_words(texts) >= 0.25


def _shared_words(texts: Sequence[str]) -> float:
    """Mean overlap (Jaccard) of the words of neighbouring options."""
    words = [set(re.findall(r"[a-z']{4,}", t)) for t in texts]
    overlaps = [len(a & b) / len(a | b) if a | b else 0.0 for a, b in pairwise(words)]
    return float(np.mean(overlaps)) if overlaps else 0.0


def _one_stem(texts: Sequence[str]) -> bool:
    """Whether the options say one thing in different degrees ("Strong", "Somewhat strong")."""
    lasts = [re.sub(r"\bat all\b", "", t).split() for t in texts]
    stems = [words[-1] for words in lasts if words]
    return len(stems) == len(texts) and max(stems.count(s) for s in stems) >= len(texts) - 1


def _scores(texts: Sequence[str]) -> tuple[str, list[float | None]]:
    """Axis name ("" for a scale with one pole) and a score per option, None where no word fits."""
    lexicon = _lexicon()
    best: tuple[int, str, list[int]] = (0, "", [])
    for name, (positive, negative) in lexicon.poles.items():
        signs = [-1 if negative.search(t) else int(bool(positive.search(t))) for t in texts]
        both = 1 in signs and -1 in signs
        hits = sum(s != 0 for s in signs)
        if both and hits > best[0] and (hits == len(texts)):
            best = (hits, name, signs)
    degrees = [degree_of(t) for t in texts]
    if best[1]:
        bare = lexicon.bare_degree
        signed: list[float | None] = [
            s * (1 + (bare if d is None else d)) for s, d in zip(best[2], degrees, strict=True)
        ]
        if _monotone([s for s in signed if s is not None], strict=False):
            return best[1], signed
        if best[2] == sorted(best[2]) or best[2] == sorted(best[2], reverse=True):
            return best[1], [float(s) for s in best[2]]
    return "", list(degrees)


def degree_of(text: str) -> float | None:
    """How strongly a normalised option puts it, 0 (not at all) to 6; None without such a word."""
    for phrase, degree in _lexicon().degrees:
        # most phrases are not there at all, which costs a hundredth of a pattern
        if phrase in text and re.search(rf"(?<![\w']){re.escape(phrase)}(?![\w'])", text):
            return degree
    return None


def _ladder(texts: Sequence[str]) -> tuple[str, list[float]] | None:
    for name, rungs in _lexicon().ladders.items():
        at = [max((r for r in rungs if r in t), key=len, default=None) for t in texts]
        steps = [float(rungs.index(r)) for r in at if r is not None]
        if len(steps) == len(texts) == len(set(steps)):
            return name, steps
    return None


_UNITS = {
    "day": 1.0,
    "week": 7.0,
    "month": 30.4,
    "year": 365.25,
    "minute": 1 / 1440,
    "hour": 1 / 24,
}
_UNIT = re.compile(r"\b(minute|hour|day|week|month|year)s?\b")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_WORDS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "ten": "10"}


def _numbers(texts: Sequence[str]) -> list[float] | None:
    """Ratings, ranges, durations or frequencies the options stand for; None if not all do."""
    per_year = _lexicon().per_year
    rates = [per_year.get(re.sub(r"^(about|at least) ", "", t)) for t in texts]
    known = [r for r in rates if r is not None]
    if len(known) == len(texts) == len(set(known)):
        return known
    values: list[float] = []
    for text in texts:
        spelled = re.sub(r"\b[a-z]+\b", lambda m: _WORDS.get(m.group(), m.group()), text)
        spelled = re.sub(r"^(yes|about|at least|for|born),? ", "", spelled)
        found = _NUMBER.search(spelled)
        if found is None:
            if not re.fullmatch(r"none|never|zero|no .*|it will never happen", spelled):
                return None
            values.append(_beyond(values))
            continue
        unit = _UNIT.search(spelled)
        number, below, above = float(found.group().replace(",", "")), False, False
        if band := read_band(text):  # "< 18", "unter 18", "$100k or more"
            below, above = math.isinf(band.low), math.isinf(band.high)
            number = band.high if below else band.low
        value = number * (_UNITS[unit.group(1)] if unit else 1.0)
        below = below or bool(re.match(r"(less|fewer|under|below|younger|before)\b", spelled))
        above = above or bool(re.match(r"(more|over|above|older|after)\b", spelled))
        values.append(value - 1e-6 * below + 1e-6 * above)
    return values if len(set(values)) == len(values) else None


def _beyond(values: Sequence[float]) -> float:
    """Where "Never" or "None" stands: it goes on in the direction of the list so far."""
    rising = len(values) > 1 and values[-1] > values[0]
    return values[-1] + 1 if rising else min(values, default=0.0) - 1


def _monotone(values: Sequence[float], strict: bool = True) -> bool:
    steps = np.diff(np.asarray(values, float))
    if strict:
        return bool((steps > 0).all() or (steps < 0).all())
    return bool((steps >= 0).all() or (steps <= 0).all())


def _ranks(values: Sequence[float]) -> Positions:
    """Ranks from 1, counted in the direction in which the list begins."""
    order = np.argsort(np.argsort(np.asarray(values, float)))
    ranks = order + 1
    if values[0] > values[-1]:
        ranks = len(values) + 1 - ranks
    return tuple(float(r) for r in ranks)


def _direction(values: Sequence[float]) -> str:
    if len(values) < 2 or values[0] == values[-1]:
        return ""
    return "high to low" if values[0] > values[-1] else "low to high"
