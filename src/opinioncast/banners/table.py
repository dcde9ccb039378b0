"""A book of banner tables: columns of groups, a table per question, what each figure rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from opinioncast.banners.settings import BannerSettings
from opinioncast.survey import Question, Subpopulation

Array = npt.NDArray[np.float64]

SURVEY: Final = "survey"
PREDICTION: Final = "prediction"
Kind = Literal["survey", "prediction"]
LineKind = Literal["option", "net", "mean", "refused"]

STAR, STARS = "*", "**"
"""A small base; one too small to show."""


@dataclass(frozen=True, slots=True)
class Column:
    """A group at the head of the tables.

    Attributes:
        attribute: what groups it, in words ("age", "race and ethnicity"); empty for the whole.
        letter: what other columns call it; empty for the whole and where nothing is tested.
    """

    subpopulation: Subpopulation
    attribute: str
    letter: str = ""

    @property
    def name(self) -> str:
        return self.subpopulation.group

    @property
    def is_total(self) -> bool:
        return not self.subpopulation.conditions


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes:
        values: share (or mean) of each column, NaN where there is none; shape (columns,).
        low, high: 90% interval of each, for predictions; None where there are none.
        observed: what people answered, beside predictions.
        marks: letters or arrows of each column.
    """

    kind: LineKind
    label: str
    values: Array
    low: Array | None = None
    high: Array | None = None
    observed: Array | None = None
    marks: tuple[str, ...] = ()

    @property
    def difference(self) -> Array | None:
        """Predicted minus observed."""
        return None if self.observed is None else self.values - self.observed


@dataclass(frozen=True)
class Bases:
    """How many people each column rests on, NaN where that is not known; shape (columns,)."""

    unweighted: Array
    weighted: Array
    effective: Array


@dataclass(frozen=True)
class QuestionTable:
    """One question for all groups.

    Attributes:
        bases: of what people answered: the table itself, or what stands beside predictions; None
            where nobody was asked.
        flags: :data:`STAR`, :data:`STARS` or nothing for each column.
        base_text: who the figures are about.
        notes: what a reader of this table must know.
    """

    question: Question
    lines: tuple[Line, ...]
    bases: Bases | None
    flags: tuple[str, ...]
    base_text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Banner:
    """All tables of a book.

    Attributes:
        kind: whether the figures are people's or a model's.
        footer: how to read every table, and how it was made.
        meta: of the table it was made of.
    """

    kind: Kind
    columns: tuple[Column, ...]
    tables: tuple[QuestionTable, ...]
    settings: BannerSettings
    footer: tuple[str, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> int | None:
        """Place of the column of the whole; None where it was not asked for."""
        return next((i for i, c in enumerate(self.columns) if c.is_total), None)

    @property
    def compared(self) -> bool:
        """Whether observed shares stand beside predicted ones."""
        return any(line.observed is not None for t in self.tables for line in t.lines)

    def heads(self) -> list[tuple[str, int, int]]:
        """Runs of columns of one attribute: its words, first column, last column."""
        runs: list[tuple[str, int, int]] = []
        for i, column in enumerate(self.columns):
            if runs and runs[-1][0] == column.attribute:
                runs[-1] = (column.attribute, runs[-1][1], i)
            else:
                runs.append((column.attribute, i, i))
        return runs
