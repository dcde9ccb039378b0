"""Every answer of a service on disk the moment it comes, so that a killed run asks nothing twice.

An answer is keyed by everything that was asked: address, path, request body and how it was read.
Before a request is sent it is noted as under way; a note without an answer tells the next run which
requests a killed one may have had under way. The API key is in neither.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opinioncast.errors import StorageError
from opinioncast.files import cache_folder


class Journal:
    """Answers in one SQLite file; safe for several threads and processes at once.

    A commit reaches the operating system, so a killed process loses nothing; a power cut may lose
    the last seconds.

    Args:
        path: the file; ``answers.sqlite`` in the user's cache when left out.

    Raises:
        StorageError: the file cannot be opened or written (no permission, full disk, damaged).
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path else cache_folder() / "answers.sqlite"
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=60, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            with self._db:
                self._db.execute(
                    "CREATE TABLE IF NOT EXISTS answers "
                    "(key BLOB PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
                )
                self._db.execute(
                    "CREATE TABLE IF NOT EXISTS under_way (key BLOB PRIMARY KEY) WITHOUT ROWID"
                )
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error

    @staticmethod
    def key(*asked: Any) -> bytes:
        """Of everything that shapes an answer; JSON values."""
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()

    def get(self, key: bytes) -> dict[str, Any] | None:
        """The answer, if it came."""
        found = self._run("SELECT answer FROM answers WHERE key = ?", key)
        return None if found is None else dict(json.loads(found[0]))

    def begin(self, key: bytes) -> bool:
        """Note that a request is about to be sent; True if one was noted and never answered."""
        with self._lock:
            try:
                with self._db:
                    added = self._db.execute("INSERT OR IGNORE INTO under_way VALUES (?)", (key,))
                return added.rowcount == 0
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def refused(self, key: bytes) -> None:
        """The service answered, with an error: nothing is under way."""
        self._run("DELETE FROM under_way WHERE key = ?", key)

    def keep(self, key: bytes, answer: Mapping[str, Any]) -> None:
        """Keep an answer and strike its note, both or neither."""
        with self._lock:
            try:
                with self._db:
                    self._db.execute(
                        "INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, json.dumps(answer))
                    )
                    self._db.execute("DELETE FROM under_way WHERE key = ?", (key,))
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def forget(self, key: bytes) -> None:
        """Drop an answer that no longer holds."""
        self._run("DELETE FROM answers WHERE key = ?", key)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _run(self, sql: str, key: bytes) -> Any:
        with self._lock:
            try:
                with self._db:
                    return self._db.execute(sql, (key,)).fetchone()
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def _failed(self, error: Exception) -> StorageError:
        return StorageError(
            "The journal of answers cannot be used",
            where=str(self.path),
            expected="an SQLite file that can be written, with free space",
            found=error,
            hint="free some space, delete the file if it is damaged (paid answers go with it), set "
            "OPINIONCAST_CACHE to another folder, or run with --no-cache",
        )
