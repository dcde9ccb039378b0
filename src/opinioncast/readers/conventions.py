"""How an institution marks missing answers, where its file does not say so itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from opinioncast.survey.wave import Design, Missing

Layout = Callable[[Sequence[str], str, Design], tuple[Design, str | None]]
"""(the file's column names, wave, design asked for) -> (design, respondent id column)."""

DONT_KNOW_CODES = frozenset(
    {77.0, 88.0, 97.0, 98.0, 99.0, 777.0, 888.0, 997.0, 998.0, 999.0, 9998.0}
)
"""Codes set apart from the options by custom: a "don't know" at one of them was not offered."""


@dataclass(frozen=True, slots=True)
class Conventions:
    """A missing-code policy. What a file declares (user-missing values, missing letters) and what a
    label says come first; the codebook overrides all of it.

    Attributes:
        name: shown in the wave's provenance; in lower case, what a recipe calls it.
        reasons: reason of a missing code whose label does not give one.
        negative_missing: a labelled negative code, or an unlabelled one that ``reasons`` names, is
            missing whether declared or not.
        dont_know: codes at which a label "don't know" is no answer rather than an offered option.
        system_missing: what an empty cell means.
        layout: checks the file's columns against the institution's layout and completes the design.
        question_in_label: the question that a variable label holds, "" if none.
        recognise: from a file's variable names, in lower case, why it is theirs, or None.
        order: place in lists, and in which the institutions are asked whether a file is theirs.
    """

    name: str = "none"
    reasons: Mapping[float, Missing] = field(default_factory=dict)
    negative_missing: bool = False
    dont_know: frozenset[float] = frozenset()
    system_missing: Missing = Missing.UNKNOWN
    layout: Layout | None = None
    question_in_label: Callable[[str], str] | None = None
    recognise: Callable[[frozenset[str]], str | None] | None = None
    order: int = 100


PLAIN = Conventions()
"""Only what the file and its labels say."""
