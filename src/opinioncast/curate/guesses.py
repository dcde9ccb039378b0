"""Guesses about a file nobody has described: its conventions, its design, its unlabelled codes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from opinioncast.curate.ordinality import detect_scale
from opinioncast.curate.traits import Code
from opinioncast.readers.labels import missing_reason
from opinioncast.survey.question import OFF_SCALE
from opinioncast.survey.wave import TAGGED_BASE, Wave

_MAX_CODES = 11
"""A scale from 0 to 10 has eleven points."""
_CUSTOM = frozenset(
    {7.0, 8.0, 9.0, 66.0, 77.0, 88.0, 96.0, 97.0, 98.0, 99.0, 777.0, 888.0, 997.0, 998.0, 999.0}
)
"""Numbers that institutions set apart from the answers for those who gave none."""
_LOWEST = -100.0
_MARKS = frozenset({8.0, 9.0, 98.0, 99.0})
_MANY = 50
_LEAST_APART = 8.0
"""A 7 by itself is the end of a scale."""


@dataclass(frozen=True, slots=True)
class DesignGuess:
    """Columns that look like the sampling design.

    Attributes:
        weights: every candidate, the one taken first.
        post: the weight of questions whose label begins with "POST", where the file has two.
        replicates: columns that look like replicate weights.
        by_file: the file itself says that it is weighted (SPSS: WEIGHT BY).
        gaps: respondents for whom the first weight is empty or negative.
        odd: what a person should decide.
    """

    weights: tuple[str, ...] = ()
    strata: str | None = None
    psu: str | None = None
    respondent_id: str | None = None
    post: str | None = None
    replicates: tuple[str, ...] = ()
    by_file: bool = False
    gaps: int = 0
    odd: tuple[str, ...] = ()

    @property
    def weight(self) -> str | None:
        return self.weights[0] if self.weights else None

    @property
    def columns(self) -> tuple[str, ...]:
        one = (self.strata, self.psu, self.respondent_id)
        return (*self.weights, *self.replicates, *(c for c in one if c))


# --- conventions ----------------------------------------------------------------------------------


def conventions_by_label(wave: Wave) -> tuple[str, str]:
    """Whether the negative codes of a file are those of missing answers, by their labels."""
    gone = labelled = 0
    for variable in wave.variables.values():
        for code, text in zip(variable.codes, variable.options, strict=True):
            if _LOWEST <= code < 0:
                labelled += 1
                gone += missing_reason(text, declared=True) is not None
        negative = sum(_LOWEST <= code < 0 for code in variable.missing)
        labelled, gone = labelled + negative, gone + negative
    if gone >= 10 and gone > 0.8 * labelled:
        return "anes", "its negative codes are labelled as missing"
    return "none", "nothing says whose missing codes it follows"


# --- design ---------------------------------------------------------------------------------------

_WEIGHT_NAME = re.compile(
    r"w|wt|wgt|wts?_?\w{0,8}|wtss\w*|p?s?p?weight\w*|\w*_?weight(_?\w{0,8})?|\w+_(wgt|wt)\d?"
    r"|wgt\w*|pspwght|anweight|finalwt\w*|gewicht",
    re.IGNORECASE,
)
_WEIGHT_LABEL = re.compile(r"\bweight(s|ing)?\b|\bgewicht\b", re.IGNORECASE)
_NO_WEIGHT = re.compile(
    r"weigh(t|s)? (do|did|are|loss|in (pounds|kg))|pounds|\bkg\b|kilo|overweight|body|birth|height"
    r"|lose weight|weight (rating|of variables)|much do you weigh|your weight",
    re.IGNORECASE,
)
_SPECIAL_WEIGHT = re.compile(
    r"experimental|oversamp|black|base|design|panel|ftf|face|internet|web|split|number of adults"
    r"|household weight|form|phase|half|subset|facebook|draft 2|unweighted|type|trim",
    re.IGNORECASE,
)
_PREFERRED = ("wtssps", "wtssnrps", "wtssall", "wtssnr", "weight_full", "weight", "anweight")
_STRATA = re.compile(r"v?strat(a|um|ification)?\w{0,8}|strata\w*", re.IGNORECASE)
_PSU = re.compile(r"v?psu\w{0,8}|cluster\w{0,4}|sampling_?unit", re.IGNORECASE)
_STRATA_LABEL = re.compile(r"\bstrat(um|a)\b", re.IGNORECASE)
_PSU_LABEL = re.compile(
    r"\bpsu\b|primary sampling unit|variance unit|\bcluster\b|error computing", re.IGNORECASE
)
_ID = re.compile(
    r"(case|resp(ondent)?|person|participant|response|survey)?_?_?id(_?\w{0,6})?|caseid|qkey"
    r"|resp_?id|respondent ?id|response_?id|idno|serial|uuid|v\d+0001",
    re.IGNORECASE,
)


def guess_design(wave: Wave) -> DesignGuess:
    """Weight, strata, PSU and respondent id by name, label and values."""
    scored: dict[str, float] = {}
    for name in wave.respondents.columns:
        score = _weight_score(wave, name)
        if score > 0:
            scored[name] = score
    replicates = _replicates(list(scored))
    order = [n for n in scored if n not in replicates]
    order.sort(key=lambda n: -scored[n])
    odd = []
    if wave.design.weight is not None:  # the reader heard it from the file
        order = [wave.design.weight, *(n for n in order if n != wave.design.weight)]
    if len(order) > 1:
        odd.append(
            f"several weights: {', '.join(order[:6])}; {order[0]} is taken until you say otherwise"
        )
    if not order:
        odd.append("no weight was found: every respondent counts one")
    if replicates:
        odd.append(
            f"{len(replicates)} columns look like replicate weights ({replicates[0]} to "
            f"{replicates[-1]})"
        )
    gaps = 0
    if order:
        values = wave.respondents[order[0]]
        gaps = values.len() - int((values >= 0).sum())
    if gaps:
        odd.insert(0, f"{order[0]} is empty for {gaps} respondent(s): say what they count")
    post = _post_weight(wave, order)
    key, repeated = _id(wave)
    if key and repeated:
        odd.append(f"{repeated} respondent(s) share their {key} with another: rows may be double")
    return DesignGuess(
        weights=tuple(order),
        strata=_found(wave, _STRATA, _STRATA_LABEL),
        psu=_found(wave, _PSU, _PSU_LABEL),
        respondent_id=None if repeated else key,
        post=post,
        replicates=tuple(replicates),
        by_file=wave.design.weight is not None,
        gaps=gaps,
        odd=tuple(odd),
    )


def _label(wave: Wave, name: str) -> str:
    variable = wave.variables.get(name)
    return variable.label if variable is not None and variable.label != name else ""


def _weight_score(wave: Wave, name: str) -> float:
    """How much a column looks like a weight; 0 or less if it cannot be one."""
    column, label = wave.respondents[name], _label(wave, name)
    variable = wave.variables.get(name)
    if not column.dtype.is_numeric() or (variable is not None and len(variable.codes) > 1):
        return 0.0
    named, said = _WEIGHT_NAME.fullmatch(name), _WEIGHT_LABEL.search(label)
    if _NO_WEIGHT.search(label) or (label and not (named or said)):
        return 0.0
    gone = list(variable.missing) if variable is not None else []
    values = column.filter(~column.is_in(gone)).drop_nulls() if gone else column.drop_nulls()
    if values.len() < 2 or values.n_unique() < 3:
        return 0.0
    low, mean = values.min(), values.mean()
    if not isinstance(low, float) or not isinstance(mean, float) or low < 0 or mean <= 0:
        return 0.0
    whole = bool((values == values.round()).all())
    if not (named or said) and (whole or abs(mean - 1) > 0.03 or values.n_unique() < 50):
        return 0.0  # without a word on it, only numbers around 1 look like a weight
    score = 2.0 * bool(named) + 2.0 * bool(said) + 1.5 * (0.9 < mean < 1.1) - 2.0 * whole
    if name.casefold() in _PREFERRED:
        score += 3.0 - _PREFERRED.index(name.casefold()) / 10
    if _SPECIAL_WEIGHT.search(label) or _SPECIAL_WEIGHT.search(name):
        score -= 1.5
    score += values.len() / column.len()
    if re.search(r"\bpre\b|pre-?election", label, re.IGNORECASE):
        score += 0.5
    return max(score, 0.1) if not whole else score


def _replicates(names: Sequence[str]) -> list[str]:
    """Ten or more weights of one stem, numbered."""
    stems = Counter(re.sub(r"\d+$", "", n) for n in names if re.search(r"\d+$", n))
    found = [stem for stem, count in stems.items() if count >= 10]
    return [n for n in names if re.sub(r"\d+$", "", n) in found and re.search(r"\d+$", n)]


def _post_weight(wave: Wave, order: Sequence[str]) -> str | None:
    """The weight of the second interview, where labels say PRE and POST."""
    if not order or not re.search(r"\bpre\b|pre-?election", _label(wave, order[0]), re.IGNORECASE):
        return None
    post = [n for n in order if re.search(r"post-?election", _label(wave, n), re.IGNORECASE)]
    plain = [n for n in post if not _SPECIAL_WEIGHT.search(_label(wave, n).replace("DRAFT", ""))]
    return next(iter(plain or post), None)


def _found(wave: Wave, name: re.Pattern[str], label: re.Pattern[str]) -> str | None:
    """A column of the design: by name, else by label; several values, nearly nobody without."""
    columns = wave.respondents.columns
    likely = [c for c in columns if name.fullmatch(c)]
    likely += [c for c in columns if label.search(_label(wave, c))]
    for column in likely:
        values = wave.respondents[column]
        if (
            not _WEIGHT_LABEL.search(_label(wave, column))
            and 2 <= values.n_unique() < values.len()
            and values.null_count() < 0.05 * values.len()
        ):
            return column
    return None


def _id(wave: Wave) -> tuple[str | None, int]:
    """The column that tells nearly all respondents apart, and how many it does not."""
    best: tuple[int, str] | None = None
    for name in wave.respondents.columns:
        labelled = re.search(
            r"\b(case|respondent|interview) (id|identif)", _label(wave, name), re.IGNORECASE
        )
        if not _ID.fullmatch(name) and not labelled:
            continue
        values = wave.respondents[name]
        repeated = values.len() - values.n_unique()
        if repeated < 0.1 * values.len() and (best is None or repeated < best[0]):
            best = repeated, name
    return (best[1], best[0]) if best else (None, 0)


# --- answers --------------------------------------------------------------------------------------


def apart_codes(columns: Sequence[Sequence[Code]]) -> frozenset[float]:
    """Codes that the file as a whole uses for those who gave no answer: set apart again and again.

    0 is one of them where more than half of 50 variables or more that mark missing answers with
    high codes have a 0 below answers that begin at 1 (not asked, in older studies).

    Args:
        columns: the codes of each number column without labels.
    """
    apart: Counter[float] = Counter()
    adjacent: Counter[float] = Counter()
    marked = with_zero = 0
    for codes in columns:
        numbers = sorted(c for c in codes if not isinstance(c, str))
        if not 2 <= len(numbers) <= _MAX_CODES + 3:
            continue
        tail = set(_tail(numbers))
        for code in numbers:
            if code in _CUSTOM and code >= _LEAST_APART:
                apart[code] += code in tail
                adjacent[code] += code not in tail and code - 1 in numbers
        if tail & _MARKS:
            marked += 1
            with_zero += _zero_below(numbers)
    found = {c for c, n in apart.items() if n >= 5 and n >= adjacent[c]}
    if marked >= _MANY and with_zero > marked / 2:
        found.add(0.0)
    return frozenset(found)


def _zero_below(numbers: Sequence[float]) -> bool:
    """Whether a 0 stands below answers that begin at 1 and are more than one."""
    answers = [c for c in numbers if 0 < c < _LEAST_APART]
    return 0.0 in numbers and len(answers) >= 2 and min(answers) == 1


def _tail(numbers: Sequence[float]) -> list[float]:
    """Codes at the end that custom sets apart, after a gap wider than any before it.

    Of two answers (1 yes, 5 no) the gap between them says nothing.
    """
    ordered = sorted(numbers)
    if not ordered or not _LEAST_APART <= ordered[-1] <= max(_CUSTOM):
        return []
    custom = len(ordered)  # where the codes that custom sets apart begin
    while custom and ordered[custom - 1] in _CUSTOM:
        custom -= 1
    for i in range(max(custom, 2), len(ordered)):
        steps = [after - before for before, after in pairwise(ordered[:i])]
        widest = max(steps) if i > 2 else 1.0
        if ordered[i] - ordered[i - 1] > max(widest, 1.0):
            return ordered[i:]
    return []


def unlabelled_codes(
    counts: Mapping[float, int], file_wide: frozenset[float]
) -> tuple[list[float], dict[float, str]] | None:
    """Answers and missing codes of a number column without labels; None: it counts something.

    Args:
        counts: respondents per number.
        file_wide: codes that stand for no answer in the file as a whole.
    """
    codes = sorted(counts)
    if any(c != int(c) or c <= TAGGED_BASE for c in codes):
        return None
    missing = {c: "negative, beside answers that are not" for c in codes if c < 0}
    if len(missing) == len(codes) or max(codes) < 0:
        return None
    rest = [c for c in codes if c >= 0]
    for code in _tail(rest):
        missing[code] = "set apart from the other codes"
    left = [c for c in rest if c not in missing]
    wide: list[float] = []
    while len(left) >= 2 and left[-1] in file_wide:
        wide.append(left.pop())
    # a 9 after an 8 that is an answer is one more answer
    if wide and (wide[-1] - left[-1] > 1 or left[-1] < _LEAST_APART):
        missing |= dict.fromkeys(wide, "set apart in other variables of the file")
    if 0.0 in file_wide and _zero_below(rest):
        missing[0.0] = "0 marks no answer in most variables of the file"
    answers = [c for c in rest if c not in missing]
    if not 1 <= len(answers) <= _MAX_CODES or answers[-1] - answers[0] > 2 * _MAX_CODES:
        return None
    return answers, missing


def ordered_texts(texts: Sequence[str], counts: Mapping[Code, int]) -> list[str]:
    """Answer texts in the order a person expects: by number, by meaning, else by frequency."""
    if not texts:
        return []  # all of them say why there is no answer
    numbers = [re.search(r"\d[\d,]*", t) for t in texts]
    if sum(n is not None for n in numbers) >= max(2, len(texts) - 1):
        return sorted(texts, key=_by_number)
    frequent = sorted(texts, key=lambda t: (-counts[t], t))
    scale = detect_scale(frequent)
    if not scale.has_scale:
        return frequent
    pairs = zip(frequent, scale.ordinal, strict=True)
    return [t for t, _ in sorted(pairs, key=lambda p: (p[1] == OFF_SCALE, p[1]))]


def _by_number(text: str) -> tuple[float, float]:
    plain = text.casefold()
    found = re.search(r"(\d[\d,]*(?:\.\d+)?)(k?)", plain)
    if found is None:
        lowest = re.search(r"\bnone\b|\bnever\b|\bno\b", plain)
        return (float("-inf") if lowest else float("inf")), 0
    value = float(found[1].replace(",", "")) * (1000 if found[2] else 1)
    if re.search(r"less than|under|below|<|up to", plain):
        return value, -1
    return value, 1 if re.search(r"more|over|above|>|\+", plain) else 0
