"""Asking a model many things at once: what is in the cache is not asked, what comes is kept.

Scores and texts go the same way. What was finished before an interruption is on disk. Of a model
that keeps its answers itself (:class:`AnswerKeeper`) nothing is cached, and its own count of tokens
is taken.
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
    Model,
    TextRequest,
    answer_keeper,
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


@dataclass(frozen=True)
class _Shelf(Generic[Answer]):
    """Where the answers to some requests are in the cache."""

    keys: Sequence[bytes]
    get: Callable[[Sequence[bytes]], Mapping[bytes, Answer]]
    put: Callable[[Iterable[tuple[bytes, Answer]]], None]


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
    ids = getattr(backend, "token_ids", None)
    keys = cache.keys(requests, backend.fingerprint) if cache else []
    shelf = _Shelf(keys, cache.get, cache.put) if cache else None
    return _ask(
        backend,
        requests,
        backend.score,
        shelf,
        usable=lambda scores: not np.isnan(scores.log_probs).any(),
        count=lambda _: (None if ids is None else sum(len(ids(r.text)) for r in requests), 0),
        keep_every=_KEEP_EVERY,
        progress=progress,
    )


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
    shelf = _Shelf(keys, cache.get_texts, cache.put_texts) if cache else None
    return _ask(
        generator,
        requests,
        generator.generate,
        shelf,
        usable=lambda said: not said.why_not,
        count=lambda said: (sum(t.tokens_in for t in said), sum(t.tokens_out for t in said)),
        keep_every=_KEEP_TEXTS_EVERY,
        progress=progress,
    )


def _ask(
    model: Model,
    requests: Sequence[Any],
    ask: Callable[[Sequence[Any]], Iterator[tuple[int, Answer]]],
    shelf: _Shelf[Answer] | None,
    *,
    usable: Callable[[Answer], bool],
    count: Callable[[Sequence[Answer]], tuple[int | None, int]],
    keep_every: int,
    progress: Progress | None,
) -> Answers[Answer]:
    """Answers in the order of ``requests``.

    Args:
        ask: of ``model``.
        shelf: None where nothing is cached.
        usable: whether an answer may be cached.
        count: tokens read and written for the answers found.
    """
    keeper = answer_keeper(model)
    before = keeper.tokens if keeper else (0, 0)
    if keeper:
        shelf = None
    keys = shelf.keys if shelf else []
    known = shelf.get(keys) if shelf else {}
    found: list[Answer | None] = [known.get(key) for key in keys] or [None] * len(requests)
    todo = [i for i, answer in enumerate(found) if answer is None]
    reused = done = len(requests) - len(todo)
    if progress:
        progress(done, len(requests))
    waiting: list[tuple[bytes, Answer]] = []
    try:
        for place, answer in ask([requests[i] for i in todo]) if todo else ():
            found[todo[place]] = answer
            if shelf and usable(answer):
                waiting.append((keys[todo[place]], answer))
            done += 1
            if progress:
                progress(done, len(requests))
            if shelf and len(waiting) >= keep_every:
                shelf.put(waiting)
                waiting = []
    finally:
        if shelf and waiting:
            shelf.put(waiting)
    if keeper:
        tokens = (keeper.tokens[0] - before[0], keeper.tokens[1] - before[1])
        return Answers(found, reused, *tokens)
    return Answers(found, reused, *count([answer for answer in found if answer is not None]))


def add_up(counts: Iterable[int | None]) -> int | None:
    """The sum of counts; None where one of them is not known."""
    listed = list(counts)
    known = [c for c in listed if c is not None]
    return sum(known) if len(known) == len(listed) else None
