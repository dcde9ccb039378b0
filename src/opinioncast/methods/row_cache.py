"""Finished rows on disk, so that an interrupted run resumes and a repeated one costs nothing.

A row is keyed by everything that shapes its numbers: the prompt's whole text (wording, option
order, template), the labels read, and the backend's fingerprint (weights, adapter, tokenizer,
dtype). Numbers come back bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from opinioncast.backends.protocol import LabelRequest, LabelScores
from opinioncast.errors import StorageError
from opinioncast.files import cache_folder

_LOOKUP = 500  # keys per query; SQLite allows at least 999 variables


class RowCache:
    """Label scores in one SQLite file; safe for several processes at once.

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
        base = hashlib.sha256(json.dumps(dict(fingerprint), sort_keys=True).encode())
        found = []
        for request in requests:
            digest = base.copy()
            digest.update(json.dumps([request.text, request.labels]).encode())
            found.append(digest.digest())
        return found

    def get(self, keys: Sequence[bytes]) -> dict[bytes, LabelScores]:
        """The scores that are there, by key."""
        found: dict[bytes, LabelScores] = {}
        try:
            for start in range(0, len(keys), _LOOKUP):
                part = keys[start : start + _LOOKUP]
                marks = ",".join("?" * len(part))
                rows = self._db.execute(
                    f"SELECT key, log_probs FROM rows WHERE key IN ({marks})", part
                )
                for key, blob in rows:
                    found[key] = LabelScores(np.frombuffer(blob, dtype="<f8").astype(np.float64))
        except sqlite3.Error as error:
            raise self._failed(error) from error
        return found

    def put(self, rows: Iterable[tuple[bytes, LabelScores]]) -> None:
        """Keep ``rows``; they are on disk when this returns, all or none."""
        try:
            with self._db:
                self._db.executemany(
                    "INSERT OR REPLACE INTO rows VALUES (?, ?)",
                    [(key, scores.log_probs.astype("<f8").tobytes()) for key, scores in rows],
                )
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
