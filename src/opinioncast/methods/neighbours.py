"""The training questions that mean most like a question, never the question itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from opinioncast.methods.embedding.features import TextEncoder, Vectors
from opinioncast.prompts.few_shot import Example
from opinioncast.survey import OpinionTable, Question, Subpopulation
from opinioncast.survey.sameness import Mark, Sameness, find_same, marks, same_question

_SAME_COSINE = 5
"""Decimals: one wording's embeddings differ by less, from one batch of texts to another."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training question with one group's answer to it.

    Attributes:
        cosine: of its wording's embedding with the asked question's.
    """

    example: Example
    cosine: float


@dataclass(frozen=True)
class TrainingQuestions:
    """The questions of a table, ready to be searched by meaning (paper, Appendix D).

    Attributes:
        table: what was answered, with the groups wanted.
        encoder: sentence model.
    """

    table: OpinionTable
    encoder: TextEncoder

    @cached_property
    def questions(self) -> list[Question]:
        return self.table.questions()

    @cached_property
    def vectors(self) -> Vectors:
        """Embeddings of the questions, in their order."""
        return self.encoder.encode([q.text for q in self.questions])

    def cosines(self, asked: Sequence[Question]) -> Vectors:
        """How alike each asked question and each training question are; shape (asked, training)."""
        return self.encoder.encode([q.text for q in asked]) @ self.vectors.T

    @cached_property
    def _sameness(self) -> dict[Mark, list[int]]:
        """Numbers of the training questions, by what tells that two are the same."""
        found: dict[Mark, list[int]] = {}
        for i, question in enumerate(self.questions):
            for mark in marks(question):
                found.setdefault(mark, []).append(i)
        return found

    def same_as(self, question: Question) -> frozenset[int]:
        """Numbers of the training questions that are ``question``, by key or wording."""
        return frozenset(i for mark in marks(question) for i in self._sameness.get(mark, ()))

    def sameness(self, asked: Sequence[Question]) -> Sameness:
        """Which of the asked questions the table asks too, by key, wording or meaning."""
        return find_same(asked, self.questions, self.encoder.encode)

    @cached_property
    def answers(self) -> dict[tuple[str, str], dict[int, Example]]:
        """Group key -> number of the question -> its answer."""
        place = {(q.family, q.wave, q.question_id): i for i, q in enumerate(self.questions)}
        columns = ("family", "wave", "question_id", "attribute", "group")
        found: dict[tuple[str, str], dict[int, Example]] = {}
        for f, w, i, a, g, shares, rate in self.table.frame.select(
            *columns, "distribution", "refusal_rate"
        ).iter_rows():
            number = place[f, w, i]
            example = Example(self.questions[number], tuple(shares), rate)
            found.setdefault((a, g), {})[number] = example
        return found

    def ranking(self, asked: Sequence[Question]) -> list[list[tuple[int, float]]]:
        """For each question, (number, cosine) of the training questions, most alike first; of those
        equally alike (one wording in several waves) the newest wave first.

        The question itself is left out, by key or wording (:mod:`opinioncast.survey.sameness`).
        """
        if not asked or not self.questions:
            return [[] for _ in asked]
        cosines = self.cosines(asked)
        found = []
        by_wave = sorted(range(len(self.questions)), key=lambda i: self.questions[i].wave)[::-1]
        for row, question in zip(cosines, asked, strict=True):
            alike = np.round(row[by_wave], _SAME_COSINE)
            order = np.array(by_wave)[np.argsort(-alike, kind="stable")]
            itself = self.same_as(question)
            found.append([(int(i), float(row[i])) for i in order if int(i) not in itself])
        return found

    def nearest(
        self, ranking: Sequence[tuple[int, float]], group: Subpopulation, k: int
    ) -> list[Neighbour]:
        """The ``k`` most alike questions that ``group`` answered, the most alike last.

        Questions the group was not asked are passed over, and so is a question that was taken from
        another wave already: it would be the same example again. Fewer than ``k`` where there are
        no more.
        """
        answered = self.answers.get(group.key, {})
        near: list[Neighbour] = []
        for number, cosine in ranking:
            if len(near) == k:
                break
            taken = (n.example.question for n in near)
            if number in answered and not any(
                same_question(self.questions[number], question) for question in taken
            ):
                near.append(Neighbour(answered[number], cosine))
        return near[::-1]
