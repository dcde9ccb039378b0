"""Finished rows on disk, so that an interrupted run resumes and a repeated one costs nothing.

A row is keyed by everything that shapes it: the prompt's whole text (wording, option order,
template), what was asked of it (the labels read; the length and JSON schema of a text), the
backend's fingerprint (weights, adapter, tokenizer, dtype), and this package's version: a mended one
asks anew. Numbers come back bit for bit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from opinioncast.backends.protocol import GeneratedText, LabelRequest, LabelScores, TextRequest
from opinioncast.documents import parse_json
from opinioncast.errors import InputError
from opinioncast.files import cache_folder
from opinioncast.kept_store import KeptStore, Table

FILE = "rows.sqlite"

_ANSWERS = 1
"""To be raised where a change alters what backends answer and the package's version stays."""


class RowCache:
    """Label scores and generated texts in one file (:class:`opinioncast.kept_store.KeptStore`):
    damaged ones are dropped and asked anew, those unused for longest go where it is too large.

    Args:
        path: the file; ``rows.sqlite`` in the user's cache when left out.

    Raises:
        StorageError: the file cannot be opened or written (no permission, full disk).
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path else cache_folder() / FILE
        self._store = KeptStore(
            self.path,
            [
                Table("rows", "key, log_probs", bytes),
                Table("texts", "key, text, tokens_in, tokens_out", _old_text),
            ],
            what="The cache of finished rows",
            bounded=True,
            hint="free some space, set OPINIONCAST_CACHE to another folder, or run with --no-cache",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._store.close()

    @property
    def dropped(self) -> int:
        """Damaged entries met so far."""
        return self._store.dropped

    def keys(self, requests: Iterable[LabelRequest], fingerprint: Mapping[str, Any]) -> list[bytes]:
        """The key of each request under a backend's fingerprint."""
        return _keys(([r.text, r.labels, r.words] for r in requests), fingerprint)

    def text_keys(
        self, requests: Iterable[TextRequest], fingerprint: Mapping[str, Any]
    ) -> list[bytes]:
        """The key of each text asked for under a generator's fingerprint."""
        asked = ([r.text, r.max_new_tokens, r.schema and dict(r.schema)] for r in requests)
        return _keys(asked, fingerprint)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, LabelScores]:
        """The scores that are there, by key."""
        found: dict[bytes, LabelScores] = {}
        bad: list[bytes] = []
        for key, blob in self._store.get("rows", keys).items():
            numbers = np.frombuffer(blob, dtype="<f8") if len(blob) % 8 == 0 else np.array([])
            if len(numbers) and not np.isnan(numbers).any() and not (numbers == np.inf).any():
                found[key] = LabelScores(numbers.astype(np.float64))
            else:
                bad.append(key)
        self._drop("rows", bad)
        return found

    def put(self, rows: Iterable[tuple[bytes, LabelScores]]) -> None:
        """Keep ``rows``; they are on disk when this returns, all or none."""
        self._store.put("rows", ((key, s.log_probs.astype("<f8").tobytes()) for key, s in rows))

    def get_texts(self, keys: Sequence[bytes]) -> dict[bytes, GeneratedText]:
        """The texts that are there, by key."""
        found: dict[bytes, GeneratedText] = {}
        bad: list[bytes] = []
        for key, blob in self._store.get("texts", keys).items():
            try:
                found[key] = GeneratedText(
                    *parse_json(blob, where=str(self.path), what="A kept text", lenient=True)
                )
            except (InputError, TypeError):
                bad.append(key)
        self._drop("texts", bad)
        return found

    def put_texts(self, rows: Iterable[tuple[bytes, GeneratedText]]) -> None:
        """Keep texts, as :meth:`put` keeps scores."""
        self._store.put(
            "texts",
            (
                (key, _text_bytes(s.text, s.tokens_in, s.tokens_out, s.cut, s.why_not))
                for key, s in rows
            ),
        )

    def _drop(self, table: str, keys: Sequence[bytes]) -> None:
        """Entries that are whole and no answer: what an earlier version kept of a fault."""
        if keys:
            self._store.delete(table, keys)
            self._store.count_dropped(len(keys))


def _old_text(text: bytes, tokens_in: int, tokens_out: int) -> bytes:
    return _text_bytes(text.decode(), tokens_in, tokens_out)


def _text_bytes(text: str, tokens_in: int, tokens_out: int, *more: bool | str) -> bytes:
    return json.dumps([text, tokens_in, tokens_out, *more]).encode()


def _keys(asked: Iterable[Any], fingerprint: Mapping[str, Any]) -> list[bytes]:
    shape = [version("opinioncast"), _ANSWERS, dict(fingerprint)]
    base = hashlib.sha256(json.dumps(shape, sort_keys=True).encode())
    found = []
    for request in asked:
        digest = base.copy()
        digest.update(json.dumps(request).encode())
        found.append(digest.digest())
    return found
