"""The Ray backend: an engine of this package on the workers of a cluster, asked as one model.

Its fingerprint is the engine's own, so that rows that one machine finished are not asked of a
cluster again, and the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from opinioncast.backends.prompt_tokens import PromptTokenizer, TokenizesPrompts
from opinioncast.backends.protocol import GeneratedText, LabelRequest, LabelScores, TextRequest
from opinioncast.backends.ray_blocks import block_size, blocks
from opinioncast.backends.ray_crew import MOST_TRIES, Crew
from opinioncast.backends.ray_worker import Ask, PlacedFile

_MOST: Mapping[tuple[str, Ask], int] = {
    ("torch", "score"): 128,
    ("torch", "generate"): 16,
    ("vllm", "score"): 2048,  # one batch of the vLLM backend
    ("vllm", "generate"): 256,
}
"""Requests a block, at most."""

_GIVEN_UP = f"{MOST_TRIES} Ray workers died over these prompts"


class RayBackend(TokenizesPrompts):
    """Scores labels and writes texts on a cluster.

    Args:
        crew: the workers; it may serve other adapters of the run too.
        tokenizer: the model's, as Hugging Face has it.
        adapter: which adapter is asked; None: the base.
    """

    def __init__(self, crew: Crew, tokenizer: Any, adapter: PlacedFile | None = None) -> None:
        self._crew = crew
        self._adapter = adapter
        self._prompts = PromptTokenizer(tokenizer)
        self._closed = False
        crew.join()

    @property
    def crew(self) -> Crew | None:
        """The workers, for other models of the run; None once closed."""
        return None if self._closed else self._crew

    @property
    def name(self) -> str:
        return self._crew.described(self._adapter).name

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """The engine's, alike on all workers."""
        return self._crew.described(self._adapter).fingerprint

    @property
    def details(self) -> Mapping[str, Any]:
        """What a worker says of itself, and Ray's version."""
        told = self._crew.described(self._adapter).details
        return {**told, "ray": self._crew.version, "engine": self._crew.task.engine}

    @property
    def usage(self) -> Mapping[str, Any]:
        """Workers, those that died, and blocks that were given to another one for it."""
        crew = self._crew
        return {"workers": crew.workers, "workers_lost": crew.lost, "retries": crew.again}

    @property
    def supports_schema(self) -> bool:
        return self._crew.described(self._adapter).supports_schema

    def score(self, requests: Sequence[LabelRequest]) -> Iterator[tuple[int, LabelScores]]:
        """Yield (index, scores) block by block; those of one tree are in one block.

        Scores are NaN, with the reason, where a block cost three workers their lives.

        Raises:
            ModelError: what the engine raises; workers that do not start or are unlike.
        """
        keys = [r.tree or f"request {i}" for i, r in enumerate(requests)]
        for i, answer in self._asked("score", requests, keys):
            none = np.full(len(requests[i].labels), np.nan)
            yield i, LabelScores(none, why_not=_GIVEN_UP) if answer is None else answer

    def generate(self, requests: Sequence[TextRequest]) -> Iterator[tuple[int, GeneratedText]]:
        """Yield (index, text) block by block; empty, with the reason, where a block cost three
        workers their lives.

        Raises:
            ModelError: as in :meth:`score`.
        """
        for i, answer in self._asked("generate", requests, range(len(requests))):
            yield i, GeneratedText("", 0, 0, why_not=_GIVEN_UP) if answer is None else answer

    def close(self) -> None:
        """Let the workers go; they end when no other model of the run needs them."""
        if not self._closed:
            self._closed = True
            self._crew.leave()

    def _asked(self, ask: Ask, requests: Sequence[Any], keys: Sequence[Any]) -> Iterator[Any]:
        crew = self._crew
        most = _MOST[crew.task.engine, ask]
        divided = blocks(keys, block_size(len(requests), crew.workers, most))
        given = [[requests[i] for i in block] for block in divided]
        for block, place, answer in crew.answers(ask, self._adapter, given):
            yield divided[block][place], answer
