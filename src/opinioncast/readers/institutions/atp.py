"""Pew Research Center's American Trends Panel: one file per wave (``ATP W82.sav``).

Respondents are keyed by ``QKEY``, questions end in ``_W82``, weights start with ``WEIGHT`` (often
several in one file), demographics start with ``F_`` in one of two codings. 99 is "Refused", 98 a
volunteered "don't know"; an empty cell was not asked. A "Not sure" or "Don't know" that the
questionnaire offered has an ordinary code and is an answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from opinioncast.errors import DataError
from opinioncast.readers.conventions import DONT_KNOW_CODES, Conventions
from opinioncast.survey.wave import Design, Missing

TRAITS: Mapping[str, tuple[str, ...]] = {
    "CREGION": ("F_CREGION", "F_CREGION_FINAL"),
    "AGE": ("F_AGECAT", "F_AGECAT_FINAL"),
    "SEX": ("F_GENDER", "F_SEX", "F_SEX_FINAL", "F_GENDER_FINAL"),
    "EDUCATION": ("F_EDUCCAT2", "F_EDUCCAT2_FINAL", "F_EDUCCAT", "F_EDUCCAT_FINAL"),
    "RACE": ("F_RACETHNMOD", "F_RACETHN", "F_RACETHN_RECRUITMENT", "F_RACETHN_FINAL"),
    "MARITAL": ("F_MARITAL", "F_MARITAL_FINAL"),
    "CITIZEN": ("F_CITIZEN", "F_CITIZEN_FINAL", "F_CITIZEN2"),
    "RELIG": ("F_RELIG", "F_RELIG_FINAL"),
    "RELIGATTEND": ("F_ATTEND", "F_ATTEND_FINAL"),
    "POLPARTY": ("F_PARTY_FINAL", "F_PARTY"),
    "POLIDEOLOGY": ("F_IDEO", "F_IDEO_FINAL"),
    "INCOME": ("F_INC_SDT1", "F_INC_TIER2", "F_INCOME", "F_INCOME_FINAL", "F_INCOME_RECODE_FINAL"),
}
"""Demographic variables by attribute, the newer names before the older (``..._FINAL``)."""

_SUFFIX = re.compile(r"_W(\d+)$")
_WEIGHT = re.compile(r"WEIGHT(_.*)?")


def traits(names: Sequence[str]) -> dict[str, str]:
    """Attribute -> its variable in this file; an attribute the file lacks is left out.

    The two codings number their categories differently: the group recipe for the variable that was
    found must be used, not the attribute's.
    """
    present = set(names)
    found = {
        a: next((v for v in candidates if v in present), None) for a, candidates in TRAITS.items()
    }
    return {attribute: variable for attribute, variable in found.items() if variable}


_STEM = re.compile(r"\s*[A-Za-z][\w-]*\.\s*")


def question_in_label(label: str) -> str:
    """The question in a variable's label (``SATIS_W82. All in all, are you satisfied ...``).

    Pew ships no wording file; its labels hold name, full stop, question. "" where they do not.
    """
    match = _STEM.match(label)
    return label[match.end() :].strip() if match else ""


def _layout(names: Sequence[str], wave: str, design: Design) -> tuple[Design, str | None]:
    number = _number(wave)
    suffixes = Counter(m[1] for name in names if (m := _SUFFIX.search(name)))
    if suffixes and number not in suffixes:
        raise DataError(
            "The file is of another wave",
            expected=f"variables that end in _W{number}",
            found=", ".join(f"_W{s} ({n} variables)" for s, n in suffixes.most_common(3)),
            hint="check the file name and the wave in the recipe",
        )
    key = next((k for k in ("QKEY", f"QKEY_W{number}") if k in names), None)
    if key is None:
        raise DataError(
            "The file has no respondent key of the American Trends Panel",
            expected=f"QKEY or QKEY_W{number}",
            found=f"{len(names)} variables, none of that name",
        )
    if design.weight is None:
        design = Design(only_weight(names), design.strata, design.psu)
    return design, key


def _number(wave: str) -> str:
    match = re.fullmatch(r"[Ww]?(\d+)", wave)
    if match is None:
        raise DataError(
            "A wave of the American Trends Panel has no number",
            expected='a wave like "82" or "W82"',
            found=wave,
        )
    return match[1]


def only_weight(names: Sequence[str]) -> str:
    """The one weight among ``names``; DataError lists them if there are several, or none."""
    candidates = [name for name in names if _WEIGHT.fullmatch(name)]
    if len(candidates) != 1:
        raise DataError(
            "The file has several weights and none was chosen"
            if candidates
            else "The file has no weight",
            expected="one weight variable, or one named in the recipe",
            found=", ".join(candidates) or "no variable that starts with WEIGHT",
            hint="name the weight of the sample you report on (the full panel's is usually WEIGHT_W"
            "...; others belong to a subsample or to several waves taken together)"
            if candidates
            else "name the weight variable in the recipe",
        )
    return candidates[0]


def _recognise(names: frozenset[str]) -> str | None:
    if "qkey" in names and any(n.startswith("f_") for n in names):
        return "it has QKEY and F_ variables, as Pew's American Trends Panel"
    return None


CONVENTIONS = Conventions(
    name="ATP",
    recognise=_recognise,
    reasons={
        99.0: Missing.REFUSED,
        999.0: Missing.REFUSED,
        98.0: Missing.DONT_KNOW,
        998.0: Missing.DONT_KNOW,
    },
    dont_know=DONT_KNOW_CODES,
    system_missing=Missing.NOT_ASKED,
    layout=_layout,
    question_in_label=question_in_label,
)
