"""Zero-shot prompting (paper, section 4.1, Appendix D): steer with words, read off the labels.

The same code predicts with a fine-tuned adapter: the adapter is part of the backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from opinioncast.backends.protocol import Backend, LabelRequest, LabelScores
from opinioncast.methods.prediction import Prediction, Problem, Progress
from opinioncast.methods.row_cache import RowCache
from opinioncast.prompts import PromptStyle, build_prompt, orders
from opinioncast.survey import (
    GroupScheme,
    Question,
    Subpopulation,
    opinion_row,
)

Array = npt.NDArray[np.float64]

MIN_LABEL_MASS = 0.01
"""Below this the model would say something else 99 times in 100: its shares are not an answer."""

_KEEP_EVERY = 64  # rows per write to the cache: a killed run loses a second's work at most


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
    """

    backend: Backend
    style: PromptStyle = field(default_factory=PromptStyle)
    option_orders: str = "reversed"
    chat: bool = False
    cache: RowCache | None = None
    seed: int = 0

    @property
    def name(self) -> str:
        kind = f"zero-shot {self.style.format}, {self.style.layout} layout"
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
        scores, reused = self._score(asked, progress)
        template = self.style.template_hash(self.backend.chat_text if self.chat else None)
        rows: list[dict[str, Any]] = []
        problems: list[Problem] = []
        by_row: dict[int, list[LabelScores | None]] = {}
        for prompt, found in zip(asked, scores, strict=True):
            by_row.setdefault(prompt.row, []).append(found)
        for i, (question, group) in enumerate(cells):
            self._collect(question, group, by_row[i], rows, problems)
        record = {
            "method": self.name,
            "model": self.backend.name,
            "backend": dict(self.backend.fingerprint),
            "layout": str(self.style.layout),
            "format": str(self.style.format),
            "refusal_option": self.style.refusal,
            "option_orders": self.option_orders,
            "chat": self.chat,
            "seed": self.seed,
            "prompt_template": template,
            "prompts": len(asked),
            "prompts_from_cache": reused,
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
                asked.append(_Asked(i, LabelRequest(prompt.text, prompt.labels, prompt.tree)))
        return asked

    def _score(
        self, asked: Sequence[_Asked], progress: Progress | None
    ) -> tuple[list[LabelScores | None], int]:
        """Scores in the order of ``asked``, and how many came from the cache."""
        scores: list[LabelScores | None] = [None] * len(asked)
        requests = [a.request for a in asked]
        keys: list[bytes] = []
        if self.cache is not None:
            keys = self.cache.keys(requests, self.backend.fingerprint)
            known = self.cache.get(keys)
            scores = [known.get(key) for key in keys]
        todo = [i for i, found in enumerate(scores) if found is None]
        reused = done = len(asked) - len(todo)
        if progress:
            progress(done, len(asked))
        waiting: list[tuple[bytes, LabelScores]] = []
        try:
            for place, found in self.backend.score([requests[i] for i in todo]):
                if not np.isnan(found.log_probs).any():
                    scores[todo[place]] = found
                    if self.cache is not None:
                        waiting.append((keys[todo[place]], found))
                done += 1
                if progress:
                    progress(done, len(asked))
                if self.cache is not None and len(waiting) >= _KEEP_EVERY:
                    self.cache.put(waiting)
                    waiting = []
        finally:
            if self.cache is not None and waiting:
                self.cache.put(waiting)
        return scores, reused

    def _collect(
        self,
        question: Question,
        group: Subpopulation,
        found: Sequence[LabelScores | None],
        rows: list[dict[str, Any]],
        problems: list[Problem],
    ) -> None:
        """Average one cell over option orders into ``rows``; what is wrong goes to ``problems``."""

        def problem(what: str, *, missing: bool) -> None:
            problems.append(
                Problem(question.question_id, group.attribute, group.group, what, missing)
            )

        usable = [s for s in found if s is not None and np.isfinite(s.log_probs.max())]
        if len(usable) < len(found):
            problem(
                f"the model gave no usable probabilities in {len(found) - len(usable)} of "
                f"{len(found)} option orders",
                missing=True,
            )
            return
        shares = np.stack([s.shares for s in usable])  # (orders, options [+ refusal])
        options = len(question.options)
        substantive = shares[:, :options]
        if not (substantive.sum(axis=1) > 0).all():
            problem("the model put everything on the refusal", missing=True)
            return
        refusal = shares[:, options].mean() if self.style.refusal is not None else None
        by_order = substantive / substantive.sum(axis=1, keepdims=True)
        mass = float(np.mean([s.mass for s in usable]))
        mean = substantive.mean(axis=0)
        rows.append(
            opinion_row(
                question,
                group,
                (mean / mean.sum()).tolist(),
                refusal_rate=None if refusal is None else float(refusal),
                label_mass=mass,
                order_spread=float(np.ptp(by_order, axis=0).max()) if len(usable) > 1 else None,
                model=self.backend.name,
                method=self.name,
            )
        )
        if mass < MIN_LABEL_MASS:
            problem(
                f"label mass {mass:.2g} is below {MIN_LABEL_MASS:g}: the model does not answer "
                "with a letter",
                missing=False,
            )
