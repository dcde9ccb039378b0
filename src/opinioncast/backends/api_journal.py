"""Every answer of a service on disk the moment it comes, so that a killed run asks nothing twice.

An answer is keyed by everything that was asked: address, path, request body and how it was read.
Before a request is sent it is noted as under way; a note without an answer tells the next run which
requests a killed one may have had under way. The API key is in neither.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opinioncast.documents import parse_json
from opinioncast.errors import InputError
from opinioncast.files import cache_folder
from opinioncast.kept_store import KeptStore, Table

FILE = "answers.sqlite"


class Journal:
    """Answers in one file (:class:`opinioncast.kept_store.KeptStore`), safe for several threads and
    processes at once; damaged ones are dropped and asked anew, none is dropped for its age.

    A commit reaches the operating system, so a killed process loses nothing; a power cut may lose
    the last seconds.

    Args:
        path: the file; ``answers.sqlite`` in the user's cache when left out.

    Raises:
        StorageError: the file cannot be opened or written (no permission, full disk).
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path else cache_folder() / FILE
        self._store = KeptStore(
            self.path,
            [Table("answers", "key, answer")],
            what="The journal of answers",
            bounded=False,  # they were paid for
            hint="free some space, set OPINIONCAST_CACHE to another folder, or run with --no-cache",
            setup=["CREATE TABLE IF NOT EXISTS under_way (key BLOB PRIMARY KEY) WITHOUT ROWID"],
        )

    @staticmethod
    def key(*asked: Any) -> bytes:
        """Of everything that shapes an answer; JSON values."""
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()

    def get(self, key: bytes) -> dict[str, Any] | None:
        """The answer, if it came and is whole."""
        found = self._store.get("answers", [key]).get(key)
        if found is None:
            return None
        try:
            return dict(parse_json(found, where=str(self.path), what="A kept answer", lenient=True))
        except (InputError, ValueError, TypeError):
            self.forget(key)
            self._store.count_dropped(1)
            return None

    def begin(self, key: bytes) -> bool:
        """Note that a request is about to be sent; True if one was noted and never answered."""
        noted = 1
        with self._store.writing() as db:
            noted = db.execute("INSERT OR IGNORE INTO under_way VALUES (?)", (key,)).rowcount
        return noted == 0

    def refused(self, key: bytes) -> None:
        """The service answered, with an error: nothing is under way."""
        with self._store.writing() as db:
            db.execute("DELETE FROM under_way WHERE key = ?", (key,))

    def keep(self, key: bytes, answer: Mapping[str, Any]) -> None:
        """Keep an answer and strike its note. Killed between the two, the note stays beside an
        answer: then the answer is found first, and nothing is asked."""
        self._store.put("answers", [(key, json.dumps(answer).encode())])
        self.refused(key)

    def forget(self, key: bytes) -> None:
        """Drop an answer that no longer holds."""
        self._store.delete("answers", [key])

    @property
    def dropped(self) -> int:
        """Damaged answers met so far."""
        return self._store.dropped

    def close(self) -> None:
        self._store.close()
