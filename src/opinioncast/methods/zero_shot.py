"""Zero-shot prompting (paper, section 4.1, Appendix D): steer with words, read off the labels.

The same code predicts with a fine-tuned adapter: the adapter is part of the backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from opinioncast.backends.protocol import Backend, LabelRequest, LabelScores
from opinioncast.methods.asking import ask_scores
from opinioncast.methods.label_answers import label_row
from opinioncast.methods.prediction import Prediction, Problem, Progress
from opinioncast.methods.row_cache import RowCache
from opinioncast.prompts import Answers, PromptStyle, build_prompt, orders
from opinioncast.survey import (
    GroupScheme,
    Question,
    Subpopulation,
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One prompt: which row it belongs to and the labels in the order of the options as given."""

    row: int
    request: LabelRequest


@dataclass(frozen=True)
class ZeroShot:
    """Predict from option-label probabilities of one prompt per question, group and option order.

    Attributes:
        backend: the language model.
        style: layout, steering format and refusal option.
        option_orders: ``given``, ``reversed`` or a number; predictions are averaged over orders.
        chat: put the prompt through the model's chat template.
        cache: finished rows are kept there; None keeps none.
        seed: of random option orders.
        judge_mass: hardly any label mass is a problem. Not for an adapter of ``opinioncast
            finetune``: it was trained on the shares among the options, whatever their mass.
    """

    backend: Backend
    style: PromptStyle = field(default_factory=PromptStyle)
    option_orders: str = "reversed"
    chat: bool = False
    cache: RowCache | None = None
    seed: int = 0
    judge_mass: bool = True

    @property
    def name(self) -> str:
        kind = f"zero-shot {self.style.format}, {self.style.layout} layout"
        if self.style.answers is Answers.WORDS:
            kind += ", answers in words"
        return f"{kind}, chat" if self.chat else kind

    def predict(
        self,
        questions: Sequence[Question],
        groups: GroupScheme,
        *,
        progress: Progress | None = None,
    ) -> Prediction:
        """Predict every question x subpopulation.

        Raises:
            InputError: a question with too many options for the style, unknown option orders.
            ModelError: a prompt too long for the model, labels its tokenizer cannot write.
            StorageError: the cache cannot be written; rows finished before are in it.
        """
        cells = [(q, g) for q in questions for g in groups]
        asked = self._prompts(cells, groups)
        answers = ask_scores(self.backend, [a.request for a in asked], self.cache, progress)
        template = self.style.template_hash(self.backend.chat_text if self.chat else None)
        rows: list[dict[str, Any]] = []
        problems: list[Problem] = []
        by_row: dict[int, list[LabelScores | None]] = {}
        for prompt, found in zip(asked, answers.found, strict=True):
            by_row.setdefault(prompt.row, []).append(found)
        for i, (question, group) in enumerate(cells):
            row, wrong = label_row(
                question,
                group,
                by_row[i],
                refusal=self.style.refusal is not None,
                model=self.backend.name,
                method=self.name,
                judge_mass=self.judge_mass,
            )
            rows += [row] if row else []
            problems += wrong
        record = {
            "method": self.name,
            "model": self.backend.name,
            "backend": dict(self.backend.fingerprint),
            "layout": str(self.style.layout),
            "format": str(self.style.format),
            "answers": str(self.style.answers),
            "refusal_option": self.style.refusal,
            "option_orders": self.option_orders,
            "chat": self.chat,
            "seed": self.seed,
            "label_mass_judged": self.judge_mass,
            "prompt_template": template,
            "prompts": len(asked),
            "prompts_from_cache": answers.reused,
            "tokens_in": answers.tokens_in,
            "tokens_out": answers.tokens_out,
        }
        return Prediction.of_rows(rows, record, problems)

    def _prompts(
        self, cells: Sequence[tuple[Question, Subpopulation]], groups: GroupScheme
    ) -> list[_Asked]:
        template = self.backend.chat_text if self.chat else None
        asked = []
        for i, (question, group) in enumerate(cells):
            for order in orders(len(question.options), self.option_orders, seed=self.seed):
                prompt = build_prompt(
                    question, group, groups, self.style, order=order, chat_template=template
                )
                request = LabelRequest(prompt.text, prompt.labels, prompt.tree, prompt.words)
                asked.append(_Asked(i, request))
        return asked
