"""Few-shot prompting: a group's answers to similar questions, then a distribution in words.

The paper's baseline (section 4.1, Appendix D, Figure 15): the model sees the shares the same group
gave to the k most similar training questions and writes the asked question's as JSON. Without a
training table it writes it with no example to go by: zero-shot for models behind services that give
no log-probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from opinioncast.backends.protocol import GeneratedText, Generator, TextRequest, writer
from opinioncast.errors import InputError, ModelError
from opinioncast.methods.asking import ask_texts
from opinioncast.methods.declaration import MethodKind, Resources
from opinioncast.methods.embedding.features import TextEncoder
from opinioncast.methods.label_answers import share_doubts
from opinioncast.methods.neighbours import Neighbour, TrainingQuestions
from opinioncast.methods.prediction import Prediction, Progress, Rows
from opinioncast.methods.row_cache import RowCache
from opinioncast.methods.verbalised import (
    Unreadable,
    Verbalised,
    parse_shares,
    repair_counts,
    share_schema,
)
from opinioncast.models import SHIPPED_TRAINING
from opinioncast.options import check_types, option
from opinioncast.prompts.few_shot import FewShotPrompt, few_shot_prompt, few_shot_template_hash
from opinioncast.survey import REFUSED, Cells, OpinionTable, Question, Subpopulation

PAPER_NEIGHBOURS = 5

_TOKENS_ALWAYS, _TOKENS_PER_OPTION = 64, 16
"""Room for an answer in free text: an option's share takes about ten tokens."""


@dataclass(frozen=True, slots=True)
class FewShotSettings:
    """Of the method few-shot.

    Attributes:
        train: opinion table that the examples are taken from; None: the one that ships.
        neighbours: examples shown; None: the paper's five; 0: none, and no table.
        structured: hold answers to the JSON form; None: where the backend can.
        refusal: show "Refused" as the last option; None: as the adapter was trained, else shown.
        chat: through the model's chat template; None: as the adapter was trained, else not.
        sentence_model: says which questions are similar; None: the embedded one.

    Raises:
        InputError: a value that cannot be.
    """

    train: Path | None = option(None, "Opinion table that examples are taken from.")
    neighbours: int | None = option(None, "Examples shown.", flags=("--neighbours", "-k"))
    structured: bool | None = option(
        None, "few-shot: hold the model to JSON (default: where the backend can)."
    )
    refusal: bool | None = option(
        None, 'Show "Refused" as the last option (default: as trained, else yes).'
    )
    chat: bool | None = option(None, "Use the model's chat template.")
    sentence_model: str | None = option(
        None, "Sentence model: a folder or hub name (default: the embedded one)."
    )

    def __post_init__(self) -> None:
        check_types(self)
        if self.neighbours is not None and self.neighbours < 0:
            raise InputError(
                "Few-shot prompting cannot show fewer examples than none",
                where="--neighbours",
                expected="0 or more",
                found=self.neighbours,
            )


@dataclass(frozen=True, slots=True)
class _Cell:
    place: int
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
    refusal: str | None = REFUSED
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

    def predict(self, cells: Cells, *, progress: Progress | None = None) -> Prediction:
        """Predict every cell. An answer that cannot be read is a problem, and so is a group without
        training questions: no row is made up for either.

        Raises:
            InputError: a question with too many options or with the refusal among them.
            ModelError: a prompt too long for the model. StorageError: the cache cannot be written.
        """
        rows = Rows(cells, model=self.backend.name, method=self.name)
        asked = self._cells(cells, rows)
        answers = ask_texts(
            self.backend, [self._request(c.prompt) for c in asked], self.cache, progress
        )
        details: list[Mapping[str, Any]] = []
        read: list[Verbalised | Unreadable] = []
        for cell, said in zip(asked, answers.found, strict=True):
            found = _read(said, cell.prompt, chat=self.chat)
            read.append(found)
            self._put(rows, cell, found)
            details.append(_detail(cell, said, found))
        record = {
            "method": self.name,
            "model": self.backend.name,
            "backend": dict(self.backend.fingerprint),
            "sentence_model": None if self.encoder is None else self.encoder.fingerprint,
            "train": None if self.train is None else self.train.content_hash,
            "k": self.k,
            # by key or wording: left out of its own examples
            "same_questions": None
            if self._known is None
            else self._known.sameness(cells.questions).record(),
            "refusal_option": self.refusal,
            "structured": self.holds_form,
            "chat": self.chat,
            "prompt_template": few_shot_template_hash(
                self.refusal, self.backend.chat_text if self.chat else None
            ),
            "cells_with_fewer_examples": sum(len(c.neighbours) < self.k for c in asked),
            "texts": len(asked),
            "texts_from_cache": answers.reused,
            "parse_failures": sum(isinstance(r, Unreadable) for r in read),
            "all_on_refusal": sum(self._substantive(r) <= 0 for r in read),
            "repairs": repair_counts(read),
            "tokens_in": answers.tokens_in,
            "tokens_out": answers.tokens_out,
        }
        return rows.prediction(record, details)

    def _cells(self, cells: Cells, rows: Rows) -> list[_Cell]:
        """What is asked; cells without examples are told to ``rows``."""
        template = self.backend.chat_text if self.chat else None
        asked: list[_Cell] = []
        known = self._known
        questions = cells.questions
        rankings = [[]] * len(questions) if known is None else known.ranking(questions)
        for (question, of_question), ranking in zip(cells.by_question(), rankings, strict=True):
            for place, group in of_question:
                near = () if known is None else tuple(known.nearest(ranking, group, self.k))
                if known is not None and not near:
                    rows.lack(place, "no other training question has the group")
                    continue
                prompt = few_shot_prompt(
                    question,
                    group,
                    cells.groups,
                    [n.example for n in near],
                    refusal=self.refusal,
                    chat_template=template,
                )
                asked.append(_Cell(place, question, group, near, prompt))
        return asked

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

    def _put(self, rows: Rows, cell: _Cell, found: Verbalised | Unreadable) -> None:
        """The row of a cell, or what is wrong."""
        if isinstance(found, Unreadable):
            rows.lack(cell.place, f"the answer cannot be read: {found.reason}")
            return
        total = self._substantive(found)
        if total <= 0:
            rows.lack(cell.place, "the model put everything on the refusal")
            return
        options = len(cell.question.options)
        refused = None if self.refusal is None else found.shares[options]
        rows.put(cell.place, [s / total for s in found.shares[:options]], refusal_rate=refused)
        if doubts := share_doubts(refused, None):
            rows.doubt(cell.place, "; ".join(doubts))


def _read(
    said: GeneratedText | None, prompt: FewShotPrompt, *, chat: bool
) -> Verbalised | Unreadable:
    if said is None or said.why_not:
        return Unreadable("the model gave no answer" if said is None else said.why_not)
    # a model that only continues the prompt goes on until its tokens are spent: that cuts nothing
    return parse_shares(said.text, prompt.labels, prompt.options, cut=said.cut and chat)


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


def build(settings: FewShotSettings, resources: Resources) -> FewShot:
    """The method on the language model of a run.

    Raises:
        ModelError: the model cannot write text.
    """
    k = PAPER_NEIGHBOURS if settings.neighbours is None else settings.neighbours
    train = None
    if k > 0 or settings.train is not None:
        train = resources.table(settings.train or SHIPPED_TRAINING)
    return FewShot(
        backend=writer(resources.language_model()),
        train=train,
        encoder=None if train is None else resources.sentence_model(settings.sentence_model),
        k=k,
        refusal=resources.prompting.refusal_text,
        structured=settings.structured,
        chat=resources.prompting.chat,
        cache=resources.cache,
    )


METHOD = MethodKind(
    name="few-shot",
    help="The language model shown the group's answers to similar questions, writing shares.",
    settings=FewShotSettings,
    build=build,
    language_model=True,
    shapes=("method", "prompt_template", "sentence_model", "train", "k", "structured"),
    advice="try --chat with a chat model, or another model",
    order=30,
)
