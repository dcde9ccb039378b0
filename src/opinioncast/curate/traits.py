"""Which variables look like region, sex, age, education, ..., and which answers make which group.

Guesses for a person to check, by the words of names, labels and answers (``traits.yaml``); nothing
is decided here. Ages and incomes are read as intervals: a group is offered only if answers cover it
exactly, with none reaching over its edge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import pairwise
from math import inf
from typing import NamedTuple

from opinioncast.documents import parse_yaml
from opinioncast.survey.groups import standard_attributes

Code = float | str


class Bounds(NamedTuple):
    """Lowest and highest whole number (years, dollars) of an answer, both included."""

    low: float
    high: float


MIN_SHARE = 0.5
"""Of those who answered, how many must be in groups that have been recognised."""
ENOUGH = 0.85
"""Where the standard groups hold fewer, the file's own answers are offered as groups too."""
HISPANIC = "HISPANIC"
"""No attribute by itself: of surveys that ask it apart from race (:mod:`.starter`)."""

AGE_GROUPS: Mapping[str, Bounds] = {
    "18-29": Bounds(-inf, 29),
    "30-49": Bounds(30, 49),
    "50-64": Bounds(50, 64),
    "65+": Bounds(65, inf),
}
INCOME_GROUPS: Mapping[str, Bounds] = {
    "Less than $30,000": Bounds(-inf, 29_999),
    "$30,000-$50,000": Bounds(30_000, 49_999),
    "$50,000-$75,000": Bounds(50_000, 74_999),
    "$75,000-$100,000": Bounds(75_000, 99_999),
    "$100,000 or more": Bounds(100_000, inf),
}
_YOUNGEST, _OLDEST = 14, 120


@dataclass(frozen=True, slots=True)
class Answers:
    """What a variable offers.

    Attributes:
        texts: of each answer, by code (text columns: the text itself), missing ones left out.
        counts: respondents per answer or number.
        number: the variable holds numbers that count something, labels or not.
        bare: codes without labels; their texts are the numbers themselves.
    """

    name: str
    label: str
    texts: Mapping[Code, str]
    counts: Mapping[Code, int]
    number: bool = False
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Trait:
    """A variable that looks like an attribute.

    Attributes:
        attribute: standard name (``CREGION``), or its own where the groups are the file's answers.
        like: the standard attribute it resembles.
        groups: group -> codes, or bounds where the variable is a number; none where the codes have
            no labels.
        share: of those who answered, how many are in these groups.
        own: the groups are the file's own answers, not the standard ones.
        evidence: what gave it away.
        left: answers in no group.
        rank: how sure, to choose among several variables.
    """

    attribute: str
    like: str
    variable: str
    groups: Mapping[str, tuple[Code, ...] | Bounds]
    share: float
    own: bool
    evidence: str
    left: tuple[str, ...] = ()
    rank: float = 0.0


@dataclass(frozen=True, slots=True)
class _Lexicon:
    names: re.Pattern[str]
    labels: re.Pattern[str]
    ruled_out: re.Pattern[str]
    groups: Mapping[str, re.Pattern[str]]


@cache
def _lexicon() -> Mapping[str, _Lexicon]:
    text = (resources.files("opinioncast.curate") / "traits.yaml").read_text("utf-8")
    raw = parse_yaml(text, where="traits.yaml", what="A lexicon")

    def compiled(pattern: str) -> re.Pattern[str]:
        return re.compile(pattern, re.IGNORECASE)

    return {
        name: _Lexicon(
            compiled(entry["names"]),
            compiled(entry["labels"]),
            compiled(entry["not"] if entry.get("not") else r"(?!)"),
            {g: compiled(p) for g, p in (entry.get("groups") or {}).items()},
        )
        for name, entry in raw.items()
    }


def traits_of(variable: Answers, year: int | None = None) -> list[Trait]:
    """Every attribute that a variable looks like, surest first.

    Args:
        year: of the survey; None: a year of birth tells no age.
    """
    found = []
    for attribute, lexicon in _lexicon().items():
        named = lexicon.names.fullmatch(variable.name)
        said = lexicon.labels.search(variable.label or variable.name)
        ruled_out = lexicon.ruled_out.search(variable.label) if variable.label else None
        if ruled_out or not (named or said):
            continue
        evidence = [f'its name is "{variable.name}"'] if named else []
        if said and variable.label:
            evidence.append(f'its label has "{said.group()}"')
        sure = 2.0 * bool(named) + bool(said and variable.label)
        for trait in _readings(attribute, lexicon, variable, year):
            if named or not trait.own:  # a word in a label is not enough for groups of one's own
                found.append(_ranked(trait, sure, "; ".join(evidence)))
    return sorted(found, key=lambda t: -t.rank)


def _ranked(trait: Trait, sure: float, evidence: str) -> Trait:
    """A trait with its rank: words first, then how many people and how many groups it tells."""
    known = standard_attributes().get(trait.attribute)
    told = len(trait.groups) / len(known.groups) if known and not trait.own else 0.0
    rank = sure + trait.share + told - 1.5 * trait.own
    evidence = "; ".join(filter(None, [evidence, trait.evidence]))
    return replace(trait, evidence=evidence, rank=rank)


def _readings(
    attribute: str, lexicon: _Lexicon, variable: Answers, year: int | None
) -> Iterator[Trait]:
    """The variable as the standard groups, and, where they leave many people out, as its own."""
    if attribute == "AGE" and variable.number:
        trait = _age_in_years(variable, year)
        if trait is not None:
            yield trait
        return
    if len(variable.texts) < 2:
        return
    if variable.bare:
        yield Trait(attribute, attribute, variable.name, {}, 0.0, True, "its codes have no labels")
        return
    if attribute in ("AGE", "INCOME"):
        standard = AGE_GROUPS if attribute == "AGE" else INCOME_GROUPS
        read = {c: interval(t, money=attribute == "INCOME") for c, t in variable.texts.items()}
        if sum(b is not None for b in read.values()) < max(2, len(read) // 2):
            return
        groups = _covered(standard, read)
    else:
        groups = _by_words(lexicon.groups, variable.texts)
    if attribute == HISPANIC and groups:
        rest = tuple(c for c in variable.texts if c not in groups.get("No", ()))
        groups = {"No": groups.get("No", ()), "Yes": rest} if groups.get("No") else {}
    share = _share(groups, variable)
    in_groups = {c for codes in groups.values() for c in codes}
    left = tuple(t for c, t in variable.texts.items() if c not in in_groups)
    told = len(groups) >= 2 and share >= MIN_SHARE
    if told:
        yield Trait(attribute, attribute, variable.name, groups, share, False, "", left)
    if attribute != HISPANIC and (not told or (share < ENOUGH and attribute != "RELIG")):
        own = _own(attribute, variable)
        if own is not None:
            yield own


def _own(attribute: str, variable: Answers) -> Trait | None:
    """The file's own answers as groups, where the standard ones cannot be told."""
    texts = [" ".join(t.replace("&", "and").split()) for t in variable.texts.values()]
    if not 2 <= len(texts) <= 26 or len(set(texts)) != len(texts) or not all(texts):
        return None
    groups: dict[str, tuple[Code, ...] | Bounds] = {
        text: (code,) for text, code in zip(texts, variable.texts, strict=True)
    }
    name = re.sub(r"\W+", "_", variable.name).strip("_").upper()[:24] or "OWN"
    if name in standard_attributes():
        name += "_OWN"
    return Trait(name, attribute, variable.name, groups, 1.0, True, f"like {attribute}")


def _share(groups: Mapping[str, Sequence[Code]], variable: Answers) -> float:
    answered = sum(variable.counts.get(c, 0) for c in variable.texts)
    inside = sum(variable.counts.get(c, 0) for codes in groups.values() for c in codes)
    return inside / answered if answered else 0.0


def _by_words(
    patterns: Mapping[str, re.Pattern[str]], texts: Mapping[Code, str]
) -> dict[str, tuple[Code, ...]]:
    groups: dict[str, list[Code]] = {}
    for code, text in texts.items():
        plain = " ".join(text.replace("’", "'").split()).strip(" .")
        fits = [g for g, p in patterns.items() if p.fullmatch(plain)]
        if len(fits) == 1:
            groups.setdefault(fits[0], []).append(code)
    return {g: tuple(groups[g]) for g in patterns if g in groups}


# --- numbers --------------------------------------------------------------------------------------

_BIRTH = re.compile(r"year of (your )?birth|birth ?year|(were you|year) born", re.IGNORECASE)
_BIRTH_NAME = re.compile(r"birth_?(yr|year)|yob|yrborn|year_?born|cohort", re.IGNORECASE)
_AGE_MARKED = (66.0, 77.0, 88.0, 98.0, 99.0, 997.0, 998.0, 999.0)


def _age_in_years(variable: Answers, year: int | None) -> Trait | None:
    """Bands of a variable that holds years, if nearly all its numbers can be ages of adults."""
    numbers = {float(c): n for c, n in variable.counts.items() if not isinstance(c, str)}
    total = sum(numbers.values())
    born = bool(_BIRTH.search(variable.label) or _BIRTH_NAME.fullmatch(variable.name))
    if born and year is None:
        return None
    age = {c: (year - c if born and year else c) for c in numbers}
    ages = {c: n for c, n in numbers.items() if _YOUNGEST <= age[c] <= _OLDEST}
    if not total or len(ages) < 20 or sum(ages.values()) < 0.9 * total:
        return None
    left = tuple(f"{c:g}" for c in sorted(set(numbers) - set(ages)))
    if born and year:
        bounds = {
            g: Bounds(year - min(high, _OLDEST), year - max(low, 18.0))
            for g, (low, high) in AGE_GROUPS.items()
        }
        inside = sum(n for c, n in ages.items() if age[c] >= 18)
        why = f"a year of birth, taken from {year}"
        return Trait("AGE", "AGE", variable.name, bounds, inside / total, False, why, left)
    top = max(ages)
    # 98 and 99 after a gap are marks of a missing answer, not the oldest people
    while top in _AGE_MARKED and not any(top - 3 <= c < top for c in ages if c not in _AGE_MARKED):
        ages.pop(top)
        top = max(ages)
    left = tuple(f"{c:g}" for c in sorted(set(numbers) - set(ages)))
    groups = {
        g: Bounds(max(low, 18.0), min(high, top))
        for g, (low, high) in AGE_GROUPS.items()
        if low <= top
    }
    inside = sum(n for c, n in ages.items() if 18 <= c <= top)
    return Trait("AGE", "AGE", variable.name, groups, inside / total, False, "", left)


_NUMBER = r"\$? ?(\d[\d,]*(?:\.\d+)?) ?(k\b|thousand\b|m\b|million\b)?"
_RANGE = re.compile(
    rf"{_NUMBER}\W*(?:-|–|—|to|and|through|up to)\W*(?:(?:under|less than) )?{_NUMBER}"
)
_OPEN_LOW = re.compile(
    rf"(?:under|less than|below|up to|lt|<|younger than)\W*{_NUMBER}"
    rf"|{_NUMBER}\W*(?:or|and)\W*(?:less|under|younger|below)"
)
_OPEN_HIGH = re.compile(
    rf"(?:over|more than|above|older than|>)\W*{_NUMBER}"
    rf"|{_NUMBER} ?(?:\+|(?:years? )?(?:or|and|&)\W*(?:more|over|older|above|up)\b)"
)
_EXCLUSIVE_LOW = re.compile(r"under|less than|below|lt|<|younger than")
_EXCLUSIVE_HIGH = re.compile(r"over \$?\d|more than|above|older than|>")


def interval(text: str, *, money: bool) -> Bounds | None:
    """The whole numbers an answer stands for ("$25,000 to $29,999", "30-44", "> 60", "65+").

    "$25K to under $30K" ends at 29,999. None: the answer is no interval.
    """
    plain = " ".join(text.casefold().replace("years", "").split())
    if (found := _RANGE.search(plain)) is not None:
        low, high = _value(found[1], found[2] or found[4]), _value(found[3], found[4])
        if "under" in found[0] or "less than" in found[0] or (money and high % 1000 == 0 < high):
            high -= 1
        return Bounds(low, high) if low <= high else None
    if (found := _OPEN_HIGH.search(plain)) is not None:
        edge = _value(found[1] or found[3], found[2] or found[4])
        exclusive = _EXCLUSIVE_HIGH.search(found[0]) is not None
        return Bounds(edge + 1 if exclusive and not money else edge, inf)
    if (found := _OPEN_LOW.search(plain)) is not None:
        edge = _value(found[1] or found[3], found[2] or found[4])
        exclusive = _EXCLUSIVE_LOW.search(found[0]) is not None and edge % 10 != 9
        return Bounds(-inf, edge - 1 if exclusive or (money and edge % 1000 == 0) else edge)
    return None


def _value(digits: str, unit: str | None) -> float:
    times = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6}
    return float(digits.replace(",", "")) * times.get(unit or "", 1.0)


def _covered(
    groups: Mapping[str, Bounds], answers: Mapping[Code, Bounds | None]
) -> dict[str, tuple[Code, ...]]:
    """Groups that answers cover exactly: from edge to edge, without a gap, none reaching over."""
    found = {}
    for group, (low, high) in groups.items():
        parts = sorted(
            (bounds, code)
            for code, bounds in answers.items()
            if bounds is not None and bounds[0] >= low and bounds[1] <= high
        )
        over = any(
            b is not None and b[0] <= high and b[1] >= low and not (b[0] >= low and b[1] <= high)
            for b in answers.values()
        )
        if not parts or over:
            continue
        begins = parts[0][0][0]
        # the lowest answer may begin at 18 years or at $1 instead of nothing
        whole = begins == low or (low == -inf and begins <= 18)
        for (before, _), (after, _) in pairwise(parts):
            whole &= after[0] == before[1] + 1
        if whole and parts[-1][0][1] == high:
            found[group] = tuple(code for _, code in parts)
    return found
