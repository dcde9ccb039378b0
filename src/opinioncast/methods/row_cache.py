"""Finished rows on disk, so that an interrupted run resumes and a repeated one costs nothing.

A row is keyed by everything that shapes it: the prompt's whole text (wording, option order,
template), what was asked of it (the labels read; the length and JSON schema of a text), the
backend's fingerprint (weights, adapter, tokenizer, dtype), and this package's version: a mended one
asks anew. Numbers come back bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from opinioncast.backends.protocol import GeneratedText, LabelRequest, LabelScores, TextRequest
from opinioncast.errors import StorageError
from opinioncast.files import cache_folder

_ANSWERS = 1
"""To be raised where a change alters what backends answer and the package's version stays."""

_LOOKUP = 500  # keys per query; SQLite allows at least 999 variables


class RowCache:
    """Label scores and generated texts in one SQLite file; safe for several processes at once.

    Args:
        path: the file; ``rows.sqlite`` in the user's cache when left out.

    Raises:
        StorageError: the file cannot be opened or written (no permission, full disk, damaged).
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path else cache_folder() / "rows.sqlite"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=60)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            with self._db:
                self._db.execute(
                    "CREATE TABLE IF NOT EXISTS rows "
                    "(key BLOB PRIMARY KEY, log_probs BLOB NOT NULL) WITHOUT ROWID"
                )
                self._db.execute(
                    "CREATE TABLE IF NOT EXISTS texts (key BLOB PRIMARY KEY, text TEXT NOT NULL, "
                    "tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL) WITHOUT ROWID"
                )
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error

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
        self._db.close()

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
        return {
            key: LabelScores(np.frombuffer(blob, dtype="<f8").astype(np.float64))
            for key, blob in self._rows("SELECT key, log_probs FROM rows", keys)
        }

    def put(self, rows: Iterable[tuple[bytes, LabelScores]]) -> None:
        """Keep ``rows``; they are on disk when this returns, all or none."""
        self._write(
            "INSERT OR REPLACE INTO rows VALUES (?, ?)",
            ((key, scores.log_probs.astype("<f8").tobytes()) for key, scores in rows),
        )

    def get_texts(self, keys: Sequence[bytes]) -> dict[bytes, GeneratedText]:
        """The texts that are there, by key."""
        found = self._rows("SELECT key, text, tokens_in, tokens_out FROM texts", keys)
        return {key: GeneratedText(*said) for key, *said in found}

    def put_texts(self, rows: Iterable[tuple[bytes, GeneratedText]]) -> None:
        """Keep texts, as :meth:`put` keeps scores."""
        self._write(
            "INSERT OR REPLACE INTO texts VALUES (?, ?, ?, ?)",
            ((key, said.text, said.tokens_in, said.tokens_out) for key, said in rows),
        )

    def _rows(self, select: str, keys: Sequence[bytes]) -> Iterator[Any]:
        try:
            for start in range(0, len(keys), _LOOKUP):
                part = keys[start : start + _LOOKUP]
                marks = ",".join("?" * len(part))
                yield from self._db.execute(f"{select} WHERE key IN ({marks})", part)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _write(self, insert: str, rows: Iterable[tuple[Any, ...]]) -> None:
        try:
            with self._db:
                self._db.executemany(insert, rows)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> StorageError:
        return StorageError(
            "The cache of finished rows cannot be used",
            where=str(self.path),
            expected="an SQLite file that can be written, with free space",
            found=error,
            hint="free some space, delete the file if it is damaged, set OPINIONCAST_CACHE to "
            "another folder, or run with --no-cache",
        )


def _keys(asked: Iterable[Any], fingerprint: Mapping[str, Any]) -> list[bytes]:
    shape = [version("opinioncast"), _ANSWERS, dict(fingerprint)]
    base = hashlib.sha256(json.dumps(shape, sort_keys=True).encode())
    found = []
    for request in asked:
        digest = base.copy()
        digest.update(json.dumps(request).encode())
        found.append(digest.digest())
    return found
