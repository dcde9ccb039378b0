"""The cells that are to be predicted: which question for which subpopulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.errors import InputError
from opinioncast.survey.groups import GroupScheme, Subpopulation
from opinioncast.survey.question import Question
from opinioncast.survey.tables import OpinionTable

Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cells:
    """Questions x subpopulations, or part of that product: a cell is asked for or it is not.

    >>> from opinioncast import Cells, Question, load_groups
    >>> rent = Question("rent", "Are rents too high?", ("Yes", "No"))
    >>> [str(group) for _, group in Cells.cross([rent], load_groups("SEX=Female", "total"))]
    ['SEX=Female', 'TOTAL']

    Cells stand question by question, so that the prompts of one question are put together and
    share how they begin.

    Attributes:
        questions: every question that has a cell.
        groups: every subpopulation that has a cell, with the attributes they are made of.
        question, group: of each cell, its place in ``questions`` and ``groups``; shape (cells,).
    """

    questions: tuple[Question, ...]
    groups: GroupScheme
    question: Index
    group: Index

    @classmethod
    def cross(cls, questions: Sequence[Question], groups: GroupScheme) -> Cells:
        """Every question for every subpopulation.

        Raises:
            InputError: one question key stands twice.
        """
        keys = [(q.family, q.wave, q.question_id) for q in questions]
        if len(set(keys)) < len(keys):
            twice = next(k for i, k in enumerate(keys) if k in keys[:i])
            raise InputError(
                "Two questions have one id",
                expected="different ids within a family and wave",
                found="/".join(filter(None, twice)),
            )
        n, m = len(questions), len(groups)
        return cls(tuple(questions), groups, np.repeat(np.arange(n), m), np.tile(np.arange(m), n))

    @classmethod
    def of_table(cls, observed: OpinionTable, groups: GroupScheme | None = None) -> Cells:
        """The cells of a table: no question for a group that was not asked it.

        Args:
            groups: attributes and order of the groups; None: those of the table, by the standard
                attributes.

        Raises:
            InputError: a group that the attributes do not describe.
        """
        scheme = groups or GroupScheme.of_standard(observed.subpopulations(), "the table scored")
        questions = observed.questions()
        place = {(q.family, q.wave, q.question_id): i for i, q in enumerate(questions)}
        number = {s.key: i for i, s in enumerate(scheme)}
        pairs = np.array(
            [
                (place[f, w, q], number[a, g])
                for f, w, q, a, g in observed.frame.select(
                    "family", "wave", "question_id", "attribute", "group"
                ).iter_rows()
                if (a, g) in number
            ],
            dtype=np.int64,
        ).reshape(-1, 2)
        pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        return cls(tuple(questions), scheme, pairs[:, 0], pairs[:, 1])

    def __len__(self) -> int:
        return len(self.question)

    def __iter__(self) -> Iterator[tuple[Question, Subpopulation]]:
        groups = self.groups.subpopulations
        for q, g in zip(self.question.tolist(), self.group.tolist(), strict=True):
            yield self.questions[q], groups[g]

    def of_question(self, question: int) -> range:
        """The cells of a question, by its place."""
        first, last = np.searchsorted(self.question, [question, question + 1])
        return range(int(first), int(last))

    def by_question(self) -> Iterator[tuple[Question, list[tuple[int, Subpopulation]]]]:
        """Each question with its cells: their places and subpopulations."""
        groups = self.groups.subpopulations
        ends = np.searchsorted(self.question, np.arange(len(self.questions) + 1)).tolist()
        numbers = self.group.tolist()
        for i, question in enumerate(self.questions):
            yield question, [(c, groups[numbers[c]]) for c in range(ends[i], ends[i + 1])]

    def frame(self, cells: Sequence[int] | Index | None = None) -> pl.DataFrame:
        """The columns that a table has of ``cells`` (all when left out): key, wording, options,
        scale. Built by column: a question's texts are repeated by their place."""
        chosen = slice(None) if cells is None else np.asarray(cells, dtype=np.int64)
        asked = self.questions
        by_question = pl.DataFrame(
            {
                "family": [q.family for q in asked],
                "wave": [q.wave for q in asked],
                "question_id": [q.question_id for q in asked],
                "question": [q.text for q in asked],
                "options": [list(q.options) for q in asked],
                "ordinal": [list(q.ordinal) for q in asked],
            },
            schema=_QUESTION,
        )
        by_group = pl.DataFrame(
            {
                "attribute": [g.attribute for g in self.groups],
                "group": [g.group for g in self.groups],
            },
            schema={"attribute": pl.String, "group": pl.String},
        )
        return pl.concat(
            [by_question[self.question[chosen]], by_group[self.group[chosen]]], how="horizontal"
        )


_QUESTION: dict[str, Any] = {
    "family": pl.String,
    "wave": pl.String,
    "question_id": pl.String,
    "question": pl.String,
    "options": pl.List(pl.String),
    "ordinal": pl.List(pl.Float64),
}
