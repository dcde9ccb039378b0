"""A backend whose answers are known in advance: it needs no model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from opinioncast.backends.protocol import LabelRequest, LabelScores

Answer = Callable[[LabelRequest], Sequence[float]]


class FakeBackend:
    """Gives ``answer(request)`` as probabilities; stops with ``fail_after`` answers if told to."""

    name = "fake"
    has_chat_template = True

    def __init__(self, answer: Answer, weights: str = "w", fail_after: int | None = None) -> None:
        self._answer = answer
        self.fingerprint: Mapping[str, Any] = {"weights": weights, "tokenizer": "t"}
        self.fail_after = fail_after
        self.asked: list[str] = []

    def chat_text(self, message: str) -> str:
        return f"<user>{message}</user><model>"

    def score(self, requests: Sequence[LabelRequest]) -> Iterator[tuple[int, LabelScores]]:
        for i, request in reversed(list(enumerate(requests))):  # any order is allowed
            if self.fail_after is not None and len(self.asked) >= self.fail_after:
                raise KeyboardInterrupt
            self.asked.append(request.text)
            with np.errstate(divide="ignore"):
                yield i, LabelScores(np.log(np.asarray(self._answer(request), dtype=float)))
