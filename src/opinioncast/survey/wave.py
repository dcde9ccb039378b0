"""One wave of a survey: its respondents, its variables, and its sampling design.

A wave is what a reader makes of an institution's file, before anything is decided about it. Answers
stay the file's own codes; what a code means, and why an answer is missing, is said by its
:class:`Variable`. Nothing is dropped here: selection, refinement and aggregation come later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import polars as pl

from opinioncast.errors import DataError


class Missing(StrEnum):
    """Why there is no substantive answer. Kept apart because they mean different things.

    A refusal is a reaction to the question; "not asked" says nothing about the respondent.
    """

    REFUSED = "refused"
    DONT_KNOW = "don't know"
    NO_ANSWER = "no answer"
    """Asked, and left blank or not recorded; the source does not tell refusal from oversight."""
    NOT_ASKED = "not asked"
    """Skipped by design: a filter, a split ballot, a panel wave the person was not in."""
    NOT_IN_WAVE = "not in wave"
    UNKNOWN = "unknown"
    """Missing for a reason the file does not give (system missing without a policy)."""


TAGGED_BASE = -9_000_000.0
"""Stata and SAS missing letters ``.a`` to ``.z`` are stored as TAGGED_BASE - 1 ... - 26."""


def tagged(letter: str) -> float:
    """The code under which an extended missing letter is stored (``tagged("a") == -9000001.0``)."""
    position = "abcdefghijklmnopqrstuvwxyz".find(letter.lower()) + 1
    if len(letter) != 1 or not position:
        raise DataError("An extended missing code is not a letter", expected="a to z", found=letter)
    return TAGGED_BASE - position


@dataclass(frozen=True, slots=True)
class Variable:
    """One column of a wave and what its codes mean.

    Attributes:
        name: column name in the file.
        label: the file's variable label.
        wording: question as asked, raw (interviewer instructions and all); empty if unknown.
        codes: codes of the substantive options, in the order asked.
        options: text of each, same length as ``codes``.
        ordinal: position of each option on its scale (-1 off the scale); None: not known yet.
        missing: every code that is not a substantive answer, with its reason.
        system_missing: what an empty cell means.
        weight: weight variable of this question where it is not the wave's (pre- and post-election
            interviews in one file).
        wording_source: where ``wording`` comes from ("verbatim: ...", "from_label: ...").
        texts: code of each text, where the file's answers are texts.
        undecided: what a person has to say before this can be a question, empty if nothing.
    """

    name: str
    label: str = ""
    wording: str = ""
    codes: tuple[float, ...] = ()
    options: tuple[str, ...] = ()
    ordinal: tuple[float, ...] | None = None
    missing: Mapping[float, Missing] = field(default_factory=dict)
    system_missing: Missing = Missing.UNKNOWN
    weight: str | None = None
    wording_source: str = ""
    texts: Mapping[str, float] = field(default_factory=dict)
    undecided: str = ""

    def __post_init__(self) -> None:
        for what, values in (("options", self.options), ("ordinal", self.ordinal)):
            if values is not None and len(values) != len(self.codes):
                raise DataError(
                    f"A variable does not have as many {what} as codes",
                    where=f"variable {self.name}",
                    expected=f"{len(self.codes)} {what}, one per code",
                    found=values,
                )
        if len(set(self.codes)) != len(self.codes):
            raise DataError(
                "A variable lists a code twice",
                where=f"variable {self.name}",
                expected="different codes",
                found=self.codes,
            )
        both = set(self.codes) & set(self.missing)
        if both:
            raise DataError(
                "A code is both an answer and missing",
                where=f"variable {self.name}",
                expected="either",
                found=sorted(both),
            )


ReplicateMethod = Literal["brr", "fay", "jk1", "jkn", "jk2", "bootstrap", "sdr", "other"]


@dataclass(frozen=True, slots=True)
class ReplicateWeights:
    """Replicate weights as an institution ships them, and how its variance formula takes them.

    Attributes:
        columns: one per replicate.
        method: balanced repeated replication, Fay's variant of it, delete-one jackknife without
            (``jk1``) or with strata (``jkn``, ``jk2`` for paired units), bootstrap, successive
            differences (American Community Survey, Current Population Survey).
        fay: Fay's factor (0 to 1), for ``fay``.
        scale: factor of the sum over replicates; None: the method's.
        rscales: factor of each replicate, or one for all; None: 1.
        combined: True where the columns are weights, False where they are factors of the weight.
        centre: deviations are taken from the full-sample ``estimate`` or the mean of the
            ``replicates`` (R's ``mse = TRUE`` and ``FALSE``).
    """

    columns: tuple[str, ...]
    method: ReplicateMethod
    fay: float | None = None
    scale: float | None = None
    rscales: tuple[float, ...] | None = None
    combined: bool = True
    centre: Literal["estimate", "replicates"] = "estimate"


@dataclass(frozen=True)
class Design:
    """How respondents were sampled: names of columns in the wave, None where the file has none.

    Attributes:
        fpc: finite population correction, a column or one number for all: how many primary units
            (respondents, without ``psu``) the population of the stratum has, or, if at most 1,
            which fraction of them was drawn.
        replicates: replicate weights, instead of strata and PSUs.
    """

    weight: str | None = None
    strata: str | None = None
    psu: str | None = None
    fpc: str | float | None = None
    replicates: ReplicateWeights | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of the design."""
        fpc = self.fpc if isinstance(self.fpc, str) else None
        named = (self.weight, self.strata, self.psu, fpc)
        replicates = self.replicates.columns if self.replicates else ()
        return (*(name for name in named if name), *replicates)


@dataclass(frozen=True)
class Wave:
    """The respondents of one wave.

    Attributes:
        family, wave: who fielded it and which wave or year (``GSS``, ``2018``).
        respondents: one row each. Numeric variables are Float64 codes (extended missing letters as
            :func:`tagged` codes, empty cells null); text variables are strings.
        variables: by column name, for every column that is a question or a trait.
        design: weight, strata and PSU columns.
        respondent_id: column that identifies a person across waves of a panel, if any.
        meta: provenance: file name, SHA-256, reader, redistribution terms, notes.
    """

    family: str
    wave: str
    respondents: pl.DataFrame
    variables: Mapping[str, Variable]
    design: Design = field(default_factory=Design)
    respondent_id: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = set(self.respondents.columns)
        named = {
            *self.variables,
            *self.design.columns,
            *([self.respondent_id] if self.respondent_id else []),
            *(v.weight for v in self.variables.values() if v.weight),
        }
        absent = sorted(named - columns)
        if absent:
            raise DataError(
                "A wave names variables its file does not have",
                where=f"{self.family} {self.wave}",
                expected=f"columns among the file's {len(columns)}",
                found=", ".join(absent[:10]) + (" ..." if len(absent) > 10 else ""),
                hint="check the spelling in the codebook or recipe; names are case sensitive",
            )

    def __len__(self) -> int:
        return self.respondents.height
