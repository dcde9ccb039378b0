"""What an inspection of a microdata file found: its variables, its design, what looks like what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from opinioncast.curate.guesses import DesignGuess
from opinioncast.curate.traits import Code, Trait
from opinioncast.survey.wave import Missing


class Kind(StrEnum):
    """What a variable is."""

    QUESTION = "question"
    ATTRIBUTE = "about the person"
    DESIGN = "design"
    ADMINISTRATIVE = "administrative"
    KNOWLEDGE = "knowledge test"
    MANY = "many answers"
    NUMBER = "number"
    TEXT = "text"
    ONE_ANSWER = "one answer"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Answer:
    """One code of a variable.

    Attributes:
        missing: why it is no answer; None for an answer.
        why: who says that it is missing, or that the text is a guess.
    """

    code: Code
    text: str
    n: int
    missing: Missing | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One variable as understood.

    Attributes:
        answers: answers first, in order, then missing codes; empty for numbers and texts.
        n: respondents with an answer.
        empty: respondents with an empty cell.
        range: lowest and highest number of a variable that counts something.
        guessed: its answers are no labels of the file.
        odd: what a person should look at.
        text: the column holds texts, not numbers.
        ordinal: the scale that a codebook gives.
        undecided: why a person has to say which of its codes are missing.
    """

    name: str
    label: str
    wording: str
    kind: Kind
    answers: tuple[Answer, ...]
    n: int
    empty: int
    range: tuple[float, float] | None = None
    guessed: bool = False
    odd: tuple[str, ...] = ()
    text: bool = False
    ordinal: tuple[float, ...] | None = None
    undecided: str = ""

    @property
    def options(self) -> tuple[Answer, ...]:
        return tuple(a for a in self.answers if a.missing is None)

    @property
    def missing(self) -> tuple[Answer, ...]:
        return tuple(a for a in self.answers if a.missing is not None)


@dataclass(frozen=True)
class Inspection:
    """A file as understood.

    Attributes:
        conventions: name of the missing-code policy that seems to fit, with the reason.
        design: weight, strata, PSU and respondent id that were found.
        traits: attribute -> candidates, surest first.
        year: of the survey, as its column ``year`` or its name says.
        odd: what to look at before anything else.
        notes: of the reader.
    """

    path: Path
    respondents: int
    conventions: tuple[str, str]
    design: DesignGuess
    columns: Mapping[str, Column]
    traits: Mapping[str, Sequence[Trait]]
    year: int | None
    odd: tuple[str, ...]
    notes: tuple[str, ...]
    codebook: Path | None = None
    wording: Path | None = None

    def of_kind(self, kind: Kind) -> list[Column]:
        return [c for c in self.columns.values() if c.kind is kind]
