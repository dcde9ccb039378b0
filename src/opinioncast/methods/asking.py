"""Asking a model many things at once: what is in the cache is not asked, what comes is kept.

Scores and texts go the same way. What was finished before an interruption is on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from opinioncast.backends.protocol import (
    Backend,
    GeneratedText,
    Generator,
    LabelRequest,
    LabelScores,
    TextRequest,
)
from opinioncast.methods.prediction import Progress
from opinioncast.methods.row_cache import RowCache

_KEEP_EVERY = 64  # label scores per write to the cache: a killed run loses a second's work at most
_KEEP_TEXTS_EVERY = 8  # a text takes as long as dozens of scores

Answer = TypeVar("Answer", LabelScores, GeneratedText)


@dataclass(frozen=True)
class Answers(Generic[Answer]):
    """Answers in the order of the requests; None where the model gave none. Scores that cannot be
    used are among them (NaN): they say why not.

    Attributes:
        reused: how many came from the cache.
        tokens_in, tokens_out: read and written for all of them, those from the cache included;
            None where the backend does not tell.
    """

    found: Sequence[Answer | None]
    reused: int
    tokens_in: int | None
    tokens_out: int | None


def ask_scores(
    backend: Backend,
    requests: Sequence[LabelRequest],
    cache: RowCache | None = None,
    progress: Progress | None = None,
) -> Answers[LabelScores]:
    """Label scores of ``requests``; scores with a NaN are no answer and are not kept in the cache.

    Raises:
        ModelError: what :meth:`Backend.score` raises. StorageError: the cache cannot be written.
    """
    keys = cache.keys(requests, backend.fingerprint) if cache else []
    found, reused = _ask(
        requests,
        backend.score,
        keys,
        cache.get(keys) if cache else {},
        cache.put if cache else None,
        usable=lambda scores: not np.isnan(scores.log_probs).any(),
        keep_every=_KEEP_EVERY,
        progress=progress,
    )
    count = getattr(backend, "token_ids", None)
    tokens = None if count is None else sum(len(count(r.text)) for r in requests)
    return Answers(found, reused, tokens, 0)


def ask_texts(
    generator: Generator,
    requests: Sequence[TextRequest],
    cache: RowCache | None = None,
    progress: Progress | None = None,
) -> Answers[GeneratedText]:
    """Texts that follow ``requests``.

    Raises:
        ModelError: what :meth:`Generator.generate` raises. StorageError: the cache cannot be
            written.
    """
    keys = cache.text_keys(requests, generator.fingerprint) if cache else []
    found, reused = _ask(
        requests,
        generator.generate,
        keys,
        cache.get_texts(keys) if cache else {},
        cache.put_texts if cache else None,
        usable=lambda said: True,
        keep_every=_KEEP_TEXTS_EVERY,
        progress=progress,
    )
    said = [t for t in found if t is not None]
    return Answers(found, reused, sum(t.tokens_in for t in said), sum(t.tokens_out for t in said))


def _ask(
    requests: Sequence[Any],
    ask: Callable[[Sequence[Any]], Iterator[tuple[int, Answer]]],
    keys: Sequence[bytes],
    known: Mapping[bytes, Answer],
    keep: Callable[[Iterable[tuple[bytes, Answer]]], None] | None,
    *,
    usable: Callable[[Answer], bool],
    keep_every: int,
    progress: Progress | None,
) -> tuple[list[Answer | None], int]:
    """Answers in the order of ``requests``, and how many of them were known.

    Args:
        keys: of the requests in the cache; empty without one.
        keep: writes answers to the cache.
    """
    found: list[Answer | None] = [known.get(key) for key in keys] or [None] * len(requests)
    todo = [i for i, answer in enumerate(found) if answer is None]
    reused = done = len(requests) - len(todo)
    if progress:
        progress(done, len(requests))
    waiting: list[tuple[bytes, Answer]] = []
    try:
        for place, answer in ask([requests[i] for i in todo]) if todo else ():
            found[todo[place]] = answer
            if keep and usable(answer):
                waiting.append((keys[todo[place]], answer))
            done += 1
            if progress:
                progress(done, len(requests))
            if keep and len(waiting) >= keep_every:
                keep(waiting)
                waiting = []
    finally:
        if keep and waiting:
            keep(waiting)
    return found, reused


def add_up(counts: Iterable[int | None]) -> int | None:
    """The sum of counts; None where one of them is not known."""
    listed = list(counts)
    known = [c for c in listed if c is not None]
    return sum(known) if len(known) == len(listed) else None
