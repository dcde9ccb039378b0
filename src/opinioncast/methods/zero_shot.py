"""Zero-shot prompting (paper, section 4.1, Appendix D): steer with words, read off the labels.

The same code predicts with a fine-tuned adapter: the adapter is part of the backend.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opinioncast.backends.protocol import Backend, LabelRequest, LabelScores
from opinioncast.methods.asking import ask_scores
from opinioncast.methods.declaration import MethodKind, Resources
from opinioncast.methods.label_answers import put_label_row
from opinioncast.methods.prediction import Prediction, Progress, Rows
from opinioncast.methods.row_cache import RowCache
from opinioncast.prompts import (
    Answers,
    AskedPrompting,
    Prompting,
    build_prompt,
    orders,
    template_hash,
)
from opinioncast.survey import Cells
from opinioncast.survey.sameness import asked_before

OTHER_PROMPTS = "try --chat with a chat model, another --format, or another model"


@dataclass(frozen=True, slots=True)
class ZeroShotSettings(AskedPrompting):
    """Of the method zero-shot: how the question is put."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One prompt: which cell it belongs to and the labels in the order of the options as given."""

    cell: int
    request: LabelRequest


@dataclass(frozen=True)
class ZeroShot:
    """Predict from option-label probabilities of one prompt per question, group and option order.

    Attributes:
        backend: the language model.
        prompting: how the question is put; predictions are averaged over its option orders.
        cache: finished rows are kept there; None keeps none.
        judge_mass: hardly any label mass is a problem. Not for an adapter of ``opinioncast
            finetune``: it was trained on the shares among the options, whatever their mass.
        asked: :func:`opinioncast.survey.sameness.digests` of the questions that the model's adapter
            was trained on; empty: not known.
    """

    backend: Backend
    prompting: Prompting = field(default_factory=Prompting)
    cache: RowCache | None = None
    judge_mass: bool = True
    asked: str = ""

    @property
    def name(self) -> str:
        put = self.prompting
        kind = f"zero-shot {put.format}, {put.layout} layout"
        if put.answers is Answers.WORDS:
            kind += ", answers in words"
        return f"{kind}, chat" if put.chat else kind

    def predict(self, cells: Cells, *, progress: Progress | None = None) -> Prediction:
        """Predict every cell.

        Raises:
            InputError: a question with too many options for its letters.
            ModelError: a prompt too long for the model, labels its tokenizer cannot write.
            StorageError: the cache cannot be written; rows finished before are in it.
        """
        put = self.prompting
        asked = self._prompts(cells)
        answers = ask_scores(self.backend, [a.request for a in asked], self.cache, progress)
        rows = Rows(cells, model=self.backend.name, method=self.name)
        by_cell: dict[int, list[LabelScores | None]] = {}
        for prompt, found in zip(asked, answers.found, strict=True):
            by_cell.setdefault(prompt.cell, []).append(found)
        for cell, scores in by_cell.items():
            put_label_row(rows, cell, scores, refusal=put.refusal, judge_mass=self.judge_mass)
        record: dict[str, Any] = {
            "method": self.name,
            "model": self.backend.name,
            "backend": dict(self.backend.fingerprint),
            "layout": str(put.layout),
            "format": str(put.format),
            "answers": str(put.answers),
            "refusal_option": put.refusal_text,
            "option_orders": put.orders,
            "chat": put.chat,
            "seed": put.seed,
            "label_mass_judged": self.judge_mass,
            "prompt_template": template_hash(put, self.backend.chat_text if put.chat else None),
            "prompts": len(asked),
            "prompts_from_cache": answers.reused,
            "tokens_in": answers.tokens_in,
            "tokens_out": answers.tokens_out,
        }
        if self.asked:
            record["same_questions"] = asked_before(cells.questions, self.asked)
        return rows.prediction(record)

    def _prompts(self, cells: Cells) -> list[_Asked]:
        put = self.prompting
        template = self.backend.chat_text if put.chat else None
        asked = []
        for cell, (question, group) in enumerate(cells):
            for order in orders(len(question.options), put.orders, seed=put.seed):
                prompt = build_prompt(
                    question, group, cells.groups, put, order=order, chat_template=template
                )
                request = LabelRequest(prompt.text, prompt.labels, prompt.tree, prompt.words)
                asked.append(_Asked(cell, request))
        return asked


def build(settings: Any, resources: Resources) -> ZeroShot:
    """The method on the language model of a run, prompted as asked."""
    return ZeroShot(
        backend=resources.language_model(),
        prompting=resources.prompting,
        cache=resources.cache,
        judge_mass=not resources.as_trained,
        asked=resources.trained_questions,
    )


METHOD = MethodKind(
    name="zero-shot",
    help="The language model by itself, with its adapter if it has one.",
    settings=ZeroShotSettings,
    build=build,
    language_model=True,
    shapes=("method", "prompt_template", "option_orders"),
    advice=OTHER_PROMPTS,
    order=20,
)
