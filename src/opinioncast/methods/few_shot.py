"""Few-shot prompting: a group's answers to similar questions, then a distribution in words.

The paper's baseline (section 4.1, Appendix D, Figure 15): the model sees the shares the same group
gave to the k most similar training questions and writes the asked question's as JSON. Without a
training table it writes it with no example to go by: zero-shot for models behind services that give
no log-probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from opinioncast.backends.protocol import GeneratedText, Generator, TextRequest
from opinioncast.errors import InputError, ModelError
from opinioncast.methods.asking import ask_texts
from opinioncast.methods.embedding_features import TextEncoder
from opinioncast.methods.label_answers import row_doubts
from opinioncast.methods.neighbours import Neighbour, TrainingQuestions
from opinioncast.methods.prediction import Prediction, Problem, Progress
from opinioncast.methods.row_cache import RowCache
from opinioncast.methods.verbalised import (
    Unreadable,
    Verbalised,
    parse_shares,
    repair_counts,
    share_schema,
)
from opinioncast.prompts.few_shot import FewShotPrompt, few_shot_prompt, few_shot_template_hash
from opinioncast.survey import (
    GroupScheme,
    OpinionTable,
    Question,
    Subpopulation,
    opinion_row,
)

PAPER_NEIGHBOURS = 5

_TOKENS_ALWAYS, _TOKENS_PER_OPTION = 64, 16
"""Room for an answer in free text: an option's share takes about ten tokens."""


@dataclass(frozen=True, slots=True)
class _Cell:
    question: Question
    group: Subpopulation
    neighbours: tuple[Neighbour, ...]
    prompt: FewShotPrompt


@dataclass(frozen=True)
class FewShot:
    """Predict by showing what the group answered to similar questions.

    Attributes:
        backend: the language model that writes the distribution.
        train: answers to other questions, with the groups wanted; None with k = 0 only.
        encoder: sentence model that says which questions are similar; None with k = 0 only.
        k: examples shown; fewer where the group has no more.
        refusal: text of the last option; None shows none.
        structured: hold the model to the JSON form. None: where the backend can.
        chat: put the prompt through the model's chat template.
        cache: finished texts are kept there; None keeps none.

    Raises:
        InputError: k below 1 with a training table, or above 0 without.
        ModelError: structured decoding was demanded of a backend that cannot do it.
    """

    backend: Generator
    train: OpinionTable | None
    encoder: TextEncoder | None
    k: int = PAPER_NEIGHBOURS
    refusal: str | None = "Refused"
    structured: bool | None = None
    chat: bool = False
    cache: RowCache | None = None

    def __post_init__(self) -> None:
        if self.k < 0 or (self.k > 0) != (self.train is not None and self.encoder is not None):
            raise InputError(
                "Few-shot prompting needs examples",
                expected="k of 1 or more with a training table, or k = 0 without one",
                found=f"k = {self.k} with{'out' if self.train is None else ''} a training table",
            )
        if self.structured and not self.backend.supports_schema:
            raise ModelError(
                "The model cannot be held to a JSON form",
                where=self.backend.name,
                expected="a backend with structured decoding",
                hint="run with --no-structured: its answers are then parsed as they come",
            )

    @property
    def name(self) -> str:
        return f"few-shot, {self.k} examples" + (", chat" if self.chat else "")

    @property
    def holds_form(self) -> bool:
        """Whether answers are held to the JSON form."""
        return self.backend.supports_schema if self.structured is None else self.structured

    @cached_property
    def _known(self) -> TrainingQuestions | None:
        if self.train is None or self.encoder is None:
            return None
        return TrainingQuestions(self.train, self.encoder)

    def predict(
        self,
        questions: Sequence[Question],
        groups: GroupScheme,
        *,
        progress: Progress | None = None,
    ) -> Prediction:
        """Predict every question x subpopulation. An answer that cannot be read is a problem, and
        so is a group without training questions: no row is made up for either.

        Raises:
            InputError: a question with too many options or with the refusal among them.
            ModelError: a prompt too long for the model. StorageError: the cache cannot be written.
        """
        cells, problems = self._cells(questions, groups)
        answers = ask_texts(
            self.backend, [self._request(c.prompt) for c in cells], self.cache, progress
        )
        rows: list[dict[str, Any]] = []
        details: list[Mapping[str, Any]] = []
        read: list[Verbalised | Unreadable] = []
        for cell, said in zip(cells, answers.found, strict=True):
            found = _read(said, cell.prompt, chat=self.chat)
            read.append(found)
            row, reason = self._row(cell, found)
            if row is None:
                problems.append(_missing(cell.question, cell.group, reason))
            else:
                rows.append(row)
                if doubts := row_doubts(row):
                    what = "; ".join(doubts)
                    told = (cell.question.question_id, *cell.group.key)
                    problems.append(Problem(*told, what, missing=False))
            details.append(_detail(cell, said, found))
        record = {
            "method": self.name,
            "model": self.backend.name,
            "backend": dict(self.backend.fingerprint),
            "sentence_model": None if self.encoder is None else self.encoder.fingerprint,
            "train": None if self.train is None else self.train.content_hash,
            "k": self.k,
            "refusal_option": self.refusal,
            "structured": self.holds_form,
            "chat": self.chat,
            "prompt_template": few_shot_template_hash(
                self.refusal, self.backend.chat_text if self.chat else None
            ),
            "cells_with_fewer_examples": sum(len(c.neighbours) < self.k for c in cells),
            "texts": len(cells),
            "texts_from_cache": answers.reused,
            "parse_failures": sum(isinstance(r, Unreadable) for r in read),
            "all_on_refusal": sum(self._substantive(r) <= 0 for r in read),
            "repairs": repair_counts(read),
            "tokens_in": answers.tokens_in,
            "tokens_out": answers.tokens_out,
        }
        return Prediction.of_rows(rows, record, problems, details)

    def _cells(
        self, questions: Sequence[Question], groups: GroupScheme
    ) -> tuple[list[_Cell], list[Problem]]:
        template = self.backend.chat_text if self.chat else None
        cells: list[_Cell] = []
        problems: list[Problem] = []
        known = self._known
        rankings = [[]] * len(questions) if known is None else known.ranking(questions)
        for question, ranking in zip(questions, rankings, strict=True):
            for group in groups:
                near = () if known is None else tuple(known.nearest(ranking, group, self.k))
                if known is not None and not near:
                    what = "no other training question has the group"
                    problems.append(_missing(question, group, what))
                    continue
                prompt = few_shot_prompt(
                    question,
                    group,
                    groups,
                    [n.example for n in near],
                    refusal=self.refusal,
                    chat_template=template,
                )
                cells.append(_Cell(question, group, near, prompt))
        return cells, problems

    def _request(self, prompt: FewShotPrompt) -> TextRequest:
        most = _TOKENS_ALWAYS + _TOKENS_PER_OPTION * len(prompt.labels)
        return TextRequest(
            prompt.text, most, share_schema(prompt.labels) if self.holds_form else None
        )

    def _substantive(self, found: Verbalised | Unreadable) -> float:
        """Share of the substantive options together; 1 for an answer that cannot be read."""
        if isinstance(found, Unreadable) or self.refusal is None:
            return 1.0
        return sum(found.shares[:-1])

    def _row(
        self, cell: _Cell, found: Verbalised | Unreadable
    ) -> tuple[dict[str, Any] | None, str]:
        """The row, or None and what is wrong."""
        if isinstance(found, Unreadable):
            return None, f"the answer cannot be read: {found.reason}"
        total = self._substantive(found)
        if total <= 0:
            return None, "the model put everything on the refusal"
        options = len(cell.question.options)
        row = opinion_row(
            cell.question,
            cell.group,
            [s / total for s in found.shares[:options]],
            refusal_rate=None if self.refusal is None else found.shares[options],
            model=self.backend.name,
            method=self.name,
        )
        return row, ""


def _read(
    said: GeneratedText | None, prompt: FewShotPrompt, *, chat: bool
) -> Verbalised | Unreadable:
    if said is None or said.why_not:
        return Unreadable("the model gave no answer" if said is None else said.why_not)
    # a model that only continues the prompt goes on until its tokens are spent: that cuts nothing
    return parse_shares(said.text, prompt.labels, prompt.options, cut=said.cut and chat)


def _missing(question: Question, group: Subpopulation, what: str) -> Problem:
    return Problem(question.question_id, group.attribute, group.group, what, missing=True)


def _detail(
    cell: _Cell, said: GeneratedText | None, found: Verbalised | Unreadable
) -> dict[str, Any]:
    return {
        "question_id": cell.question.question_id,
        "attribute": cell.group.attribute,
        "group": cell.group.group,
        "examples": [
            {
                "family": n.example.question.family,
                "wave": n.example.question.wave,
                "question_id": n.example.question.question_id,
                "cosine": round(n.cosine, 4),
            }
            for n in cell.neighbours
        ],
        "answer": None if said is None else said.text,
        "repairs": list(found.repairs) if isinstance(found, Verbalised) else [],
        "unreadable": found.reason if isinstance(found, Unreadable) else None,
    }
