"""From a prompt's text to the token ids a model reads, the same for prediction and training."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self
from unittest import mock

from transformers.utils import chat_template_utils

from opinioncast.backends.labels import LabelPlan, plan_labels, plan_words
from opinioncast.backends.protocol import LabelRequest
from opinioncast.errors import ModelError

TEMPLATE_DATE = dt.date(2024, 7, 26)
"""What a chat template that writes today's date gets, so that tomorrow's run is the same run: the
date that Llama 3's templates write where they are given none."""

_CONTEXT_CHARS = 32
_MESSAGE, _ANSWER, _NEXT = "msgqzx", "ansqzx", "nxtqzx"  # no template writes these by itself


@dataclass(frozen=True, slots=True)
class TurnFrame:
    """What a chat template writes around a message.

    Attributes:
        before, after: around the user's message, up to where the model's turn begins.
        closing: after the model's answer; empty where the template does not say.
        dated: it writes a date.
    """

    before: str
    after: str
    closing: str
    dated: bool

    def holds(self, text: str) -> bool:
        """Whether ``text`` was written by the template."""
        return (
            bool(self.before or self.after)
            and text.startswith(self.before)
            and self.after in text[len(self.before) :]
        )


class PromptTokenizer:
    """A Hugging Face tokenizer as prompts use it."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._opening = _opening_tokens(tokenizer)
        self._plans: dict[tuple[str, tuple[str, ...], str | None], LabelPlan] = {}

    def bare(self, text: str) -> tuple[int, ...]:
        """``text`` without special tokens."""
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def ids(self, text: str) -> tuple[int, ...]:
        """``text`` as the model reads it, never closed, because the answer is still to come.

        It is opened as the tokenizer opens a text, unless a chat template wrote it: that opens a
        text in its own way, with several special tokens, or with none.
        """
        bare = self.bare(text)
        begin = self._tokenizer.bos_token
        opened = (
            bare[: len(self._opening)] == self._opening
            or bool(begin and text.startswith(begin))
            or self._templated(text)
        )
        return bare if opened else self._opening + bare

    def plan(self, text: str, labels: Sequence[str], *, words: bool = False) -> LabelPlan:
        """How ``labels`` are written after ``text``: letters (:func:`plan_labels`), or options in
        their own words (:func:`plan_words`); both list the errors."""
        closing = self._closing(text) if words else None
        key = (text[-_CONTEXT_CHARS:], tuple(labels), closing)
        if key not in self._plans:
            self._plans[key] = (
                plan_labels(self._tokenizer, *key[:2])
                if closing is None
                else plan_words(self._tokenizer, *key[:2], closing=closing)
            )
        return self._plans[key]

    @property
    def has_chat_template(self) -> bool:
        return bool(getattr(self._tokenizer, "chat_template", None))

    @property
    def template_date(self) -> str | None:
        """The date that the chat template writes (:data:`TEMPLATE_DATE`); None where it writes
        none, or there is no template that can be used."""
        frame = self._frame
        return TEMPLATE_DATE.isoformat() if frame is not None and frame.dated else None

    def chat_text(self, message: str) -> str:
        """``message`` as a user's turn, up to where the model's turn begins.

        Raises:
            ModelError: the tokenizer has no chat template, or one that fails.
        """
        if not self.has_chat_template:
            raise ModelError(
                "The model has no chat template",
                where=str(self._tokenizer.name_or_path),
                expected="a tokenizer with a chat template (an instruction-tuned model)",
                hint="ask without it: no --chat, chat: false in a recipe",
            )
        try:
            return self._render([("user", message)], opens=True)[0]
        except Exception as error:  # a template is a program of the model's makers
            raise ModelError(
                "The model's chat template fails",
                where=str(self._tokenizer.name_or_path),
                expected="a template that writes one message of a user",
                found=error,
                hint="ask without it: no --chat, chat: false in a recipe",
            ) from error

    def _render(self, turns: Sequence[tuple[str, str]], *, opens: bool) -> tuple[str, bool]:
        """``turns`` (role, content) through the template, and whether it wrote a date."""
        with _stopped_clock() as asked:
            text = self._tokenizer.apply_chat_template(
                [{"role": role, "content": content} for role, content in turns],
                tokenize=False,
                add_generation_prompt=opens,
            )
        return str(text), bool(asked)

    @cached_property
    def _frame(self) -> TurnFrame | None:
        """None where there is no template, or none that writes a message as it stands."""
        if not self.has_chat_template:
            return None
        try:
            asked, dated = self._render([("user", _MESSAGE)], opens=True)
        except Exception:  # chat_text says why, where a template is wanted
            return None
        if asked.count(_MESSAGE) != 1:
            return None
        before, after = asked.split(_MESSAGE)
        return TurnFrame(before, after, self._turn_end(), dated)

    def _turn_end(self) -> str:
        turns = [("user", _MESSAGE), ("assistant", _ANSWER), ("user", _NEXT)]
        for kept in (turns, turns[:2]):
            try:
                text, _ = self._render(kept, opens=False)
            except Exception:  # a template may want other roles
                continue
            if text.count(_ANSWER) == 1:
                return text.split(_ANSWER)[1].split(_NEXT)[0].strip()
        return ""

    def _templated(self, text: str) -> bool:
        return self._frame is not None and self._frame.holds(text)

    def _closing(self, text: str) -> str:
        """What ends an answer to ``text``: in a chat the model's turn, else a line."""
        if self._frame is None or not self._frame.holds(text):
            return "\n"
        return self._frame.closing or self._tokenizer.eos_token or "\n"


@contextmanager
def _stopped_clock() -> Iterator[list[str]]:
    """Chat templates are given :data:`TEMPLATE_DATE` for today; yields who asked.

    Transformers offers no way to say the date: its templates' ``strftime_now`` reads the clock.
    """
    asked: list[str] = []

    class Stopped(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Self:
            asked.append("now")
            day = TEMPLATE_DATE
            return cls(day.year, day.month, day.day, 12, tzinfo=tz)

    with mock.patch.object(chat_template_utils, "datetime", Stopped):
        yield asked


class TokenizesPrompts:
    """What backends with a tokenizer of their own say of prompts; they set ``_prompts``."""

    _prompts: PromptTokenizer

    @property
    def has_chat_template(self) -> bool:
        return self._prompts.has_chat_template

    @property
    def template_date(self) -> str | None:
        """The date the chat template writes (:attr:`PromptTokenizer.template_date`)."""
        return self._prompts.template_date

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
