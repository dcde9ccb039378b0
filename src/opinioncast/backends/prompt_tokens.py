"""From a prompt's text to the token ids a model reads, the same for prediction and training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opinioncast.backends.labels import LabelPlan, plan_labels, plan_words
from opinioncast.backends.protocol import LabelRequest
from opinioncast.errors import ModelError

_CONTEXT_CHARS = 32


class PromptTokenizer:
    """A Hugging Face tokenizer as prompts use it."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._opening = _opening_tokens(tokenizer)
        self._plans: dict[tuple[str, tuple[str, ...], bool], LabelPlan] = {}

    def bare(self, text: str) -> tuple[int, ...]:
        """``text`` without special tokens."""
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def ids(self, text: str) -> tuple[int, ...]:
        """``text`` as the model reads it: opened as the tokenizer opens a text (unless a chat
        template wrote that already), and never closed, because the answer is still to come."""
        begin = self._tokenizer.bos_token
        templated = bool(begin) and text.startswith(begin)
        return (() if templated else self._opening) + self.bare(text)

    def plan(self, text: str, labels: Sequence[str], *, words: bool = False) -> LabelPlan:
        """How ``labels`` are written after ``text``: letters (:func:`plan_labels`), or options in
        their own words (:func:`plan_words`); both list the errors."""
        key = (text[-_CONTEXT_CHARS:], tuple(labels), words)
        if key not in self._plans:
            make = plan_words if words else plan_labels
            self._plans[key] = make(self._tokenizer, *key[:2])
        return self._plans[key]

    @property
    def has_chat_template(self) -> bool:
        return bool(getattr(self._tokenizer, "chat_template", None))

    def chat_text(self, message: str) -> str:
        """``message`` as a user's turn, up to where the model's turn begins.

        Raises:
            ModelError: the tokenizer has no chat template.
        """
        if not self.has_chat_template:
            raise ModelError(
                "The model has no chat template",
                where=str(self._tokenizer.name_or_path),
                expected="a tokenizer with a chat template (an instruction-tuned model)",
                hint="ask without it: no --chat, chat: false in a recipe",
            )
        return str(
            self._tokenizer.apply_chat_template(
                [{"role": "user", "content": message}], tokenize=False, add_generation_prompt=True
            )
        )


class TokenizesPrompts:
    """What backends with a tokenizer of their own say of prompts; they set ``_prompts``."""

    _prompts: PromptTokenizer

    @property
    def has_chat_template(self) -> bool:
        return self._prompts.has_chat_template

    def chat_text(self, message: str) -> str:
        return self._prompts.chat_text(message)

    def label_plan(self, request: LabelRequest) -> LabelPlan:
        """How the request's labels are written after its text (:meth:`PromptTokenizer.plan`)."""
        return self._prompts.plan(request.text, request.labels, words=request.words)

    def token_ids(self, text: str) -> tuple[int, ...]:
        """``text`` as the model reads it (:meth:`PromptTokenizer.ids`)."""
        return self._prompts.ids(text)


def _opening_tokens(tokenizer: Any) -> tuple[int, ...]:
    """The special tokens ``tokenizer`` puts before a text (usually a beginning-of-text token)."""
    bare = tokenizer("A", add_special_tokens=False)["input_ids"]
    whole = tokenizer("A")["input_ids"]
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return tuple(whole[:start])
    return ()
