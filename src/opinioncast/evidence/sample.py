"""Microdata as evidence: who is in which group, what they answered, and what each counts.

Groups and codes come from a curation recipe (:mod:`opinioncast.curate`), so a pilot, a past wave
and the surveys the prior is learned from are read by the same rules as an opinion table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from opinioncast.curate.coding import code_answers
from opinioncast.curate.design import read_weights
from opinioncast.curate.pipeline import CuratedWave
from opinioncast.evidence.people import Array, Bools, Groups
from opinioncast.survey import Question

COLUMNS_LEFT_OUT = frozenset({"CITIZEN"})
"""Attributes that surveys at hand cannot tell for whole populations."""


@dataclass(frozen=True)
class Answers:
    """The answers to one question.

    Attributes:
        question: with its options in the order of ``choice``.
        choice: option of each respondent, -1 where there is none; shape (respondents,).
        weights: 0 where the respondent does not count; shape (respondents,).
    """

    question: Question
    choice: np.ndarray
    weights: Array

    def counts(self) -> Array:
        """Answers per respondent and option, scaled to the effective size, (respondents, K).

        A person of weight w counts w times (sum w / sum w squared), so that all count as many as
        their answers are worth under equal weights (Kish).
        """
        used = np.where(self.choice >= 0, self.weights, 0.0)
        out = np.zeros((len(used), len(self.question.options)))
        if used.sum() > 0:
            scale = used.sum() / (used**2).sum()
            answered = used > 0
            out[answered, self.choice[answered]] = used[answered] * scale
        return out

    @property
    def n(self) -> int:
        """Respondents who answered and have a weight."""
        return int(((self.choice >= 0) & (self.weights > 0)).sum())

    @property
    def n_eff(self) -> float:
        used = self.weights[self.choice >= 0]
        return float(used.sum() ** 2 / (used**2).sum()) if used.any() else 0.0


@dataclass(frozen=True)
class Sample:
    """Respondents of one wave.

    Attributes:
        name: family and wave.
        groups: columns of ``members``.
        members: shape (respondents, groups).
        answers: by question.
        notes: what a reader should know: groups the file cannot tell, zero weights.
    """

    name: str
    groups: Groups
    members: Bools
    answers: Sequence[Answers]
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.members)

    def keep(self, question_ids: Iterable[str]) -> Sample:
        wanted = set(question_ids)
        kept = [a for a in self.answers if a.question.question_id in wanted]
        return Sample(self.name, self.groups, self.members, kept, self.notes)

    def take(self, rows: np.ndarray) -> Sample:
        """Some of the respondents, by index; one drawn twice counts twice."""
        answers = [Answers(a.question, a.choice[rows], a.weights[rows]) for a in self.answers]
        return Sample(self.name, self.groups, self.members[rows], answers, self.notes)


def read_sample(curated: CuratedWave) -> Sample:
    """The respondents of a curated wave, with every group its recipe could tell."""
    wave = curated.wave
    single = [
        (i, s.conditions[0])
        for i, s in enumerate(curated.groups.subpopulations)
        if len(s.conditions) == 1 and s.conditions[0][0] not in COLUMNS_LEFT_OUT
    ]
    groups = Groups(tuple(c for _, c in single))
    members = curated.groups.masks[:, [i for i, _ in single]]
    coded = code_answers(wave, curated.questions)
    weights: dict[str | None, Array] = {}
    answers = []
    for q, (question, name) in enumerate(curated.questions):
        variable = wave.variables[name].weight or wave.design.weight
        chosen = coded.choice[:, q]
        if variable not in weights:
            nobody = np.zeros(len(wave), dtype=bool)
            weights[variable] = read_weights(wave, variable, nobody).values
        answers.append(Answers(question, chosen, np.nan_to_num(weights[variable])))
    notes = []
    for variable, values in weights.items():
        zero = int((values == 0).sum())
        if zero:
            notes.append(f"{zero} of {len(wave)} respondents weigh nothing ({variable})")
    return Sample(
        f"{wave.family} {wave.wave}".strip(), groups, members, answers, (*notes, *curated.notes)
    )
