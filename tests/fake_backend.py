"""A backend whose answers are known in advance: it needs no model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from opinioncast.backends.protocol import (
    GeneratedText,
    LabelRequest,
    LabelScores,
    TextRequest,
)

Answer = Callable[[LabelRequest], Sequence[float]]
Write = Callable[[TextRequest], str]


class FakeBackend:
    """Gives ``answer(request)`` as probabilities and ``write(request)`` as text; stops with
    ``fail_after`` answers if told to. A text's tokens are its words."""

    name = "fake"
    has_chat_template = True

    def __init__(
        self,
        answer: Answer,
        weights: str = "w",
        fail_after: int | None = None,
        *,
        write: Write = lambda request: "",
        name: str = "fake",
        supports_schema: bool = False,
    ) -> None:
        self._answer = answer
        self._write = write
        self.name = name
        self.supports_schema = supports_schema
        self.fingerprint: Mapping[str, Any] = {"weights": weights, "tokenizer": "t"}
        self.fail_after = fail_after
        self.asked: list[str] = []
        self.requests: list[TextRequest] = []

    def chat_text(self, message: str) -> str:
        return f"<user>{message}</user><model>"

    def _count(self, text: str) -> None:
        if self.fail_after is not None and len(self.asked) >= self.fail_after:
            raise KeyboardInterrupt
        self.asked.append(text)

    def score(self, requests: Sequence[LabelRequest]) -> Iterator[tuple[int, LabelScores]]:
        for i, request in reversed(list(enumerate(requests))):  # any order is allowed
            self._count(request.text)
            with np.errstate(divide="ignore"):
                yield i, LabelScores(np.log(np.asarray(self._answer(request), dtype=float)))

    def generate(self, requests: Sequence[TextRequest]) -> Iterator[tuple[int, GeneratedText]]:
        for i, request in reversed(list(enumerate(requests))):
            self._count(request.text)
            self.requests.append(request)
            said = self._write(request)
            yield i, GeneratedText(said, len(request.text.split()), len(said.split()))


class FakeWriter:
    """A backend that only writes: it cannot score labels."""

    has_chat_template = False
    supports_schema = False

    def __init__(self, write: Write, name: str = "writer") -> None:
        self._inner = FakeBackend(lambda request: [], write=write)
        self.name = name
        self.fingerprint: Mapping[str, Any] = {"weights": name}

    def chat_text(self, message: str) -> str:
        raise AssertionError("it has no chat template")

    def generate(self, requests: Sequence[TextRequest]) -> Iterator[tuple[int, GeneratedText]]:
        return self._inner.generate(requests)
