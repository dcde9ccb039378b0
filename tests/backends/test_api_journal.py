"""The journal of answers: what is kept, what was under way, and disks that fail."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from opinioncast.backends.api_journal import Journal
from opinioncast.errors import StorageError
from opinioncast.kept_store import DroppedWarning


def test_answers_come_back_and_notes_are_struck(tmp_path: Path) -> None:
    key, other = Journal.key("url", {"prompt": "x"}), Journal.key("url", {"prompt": "y"})
    assert key != other
    first = Journal(tmp_path / "a.sqlite")
    assert first.begin(key) is False
    first.keep(key, {"log_probs": [0.1, float("-inf")]})
    assert first.begin(other) is False  # never answered: this run is killed
    second = Journal(tmp_path / "a.sqlite")
    assert second.get(key) == {"log_probs": [0.1, float("-inf")]}
    assert second.get(other) is None
    assert second.begin(key) is False, "its note was struck"
    assert second.begin(other) is True, "it may have been asked"
    second.refused(other)
    assert second.begin(other) is False
    second.forget(key)
    assert first.get(key) is None


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"this is no database, not even nearly" * 100)
    with pytest.warns(DroppedWarning, match="a.sqlite was damaged"):
        journal = Journal(path)
    assert journal.begin(Journal.key(1)) is False
    journal.keep(Journal.key(1), {"text": "kept"})
    assert journal.get(Journal.key(1)) == {"text": "kept"}
    assert journal.dropped == 1


def test_an_answer_under_another_key_is_asked_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.sqlite")
    one, two = Journal.key(1), Journal.key(2)
    journal.keep(one, {"text": "one"})
    journal.keep(two, {"text": "two"})
    with sqlite3.connect(tmp_path / "a.sqlite") as db:
        db.execute("DELETE FROM kept_answers WHERE key = ?", (two,))
        db.execute("UPDATE kept_answers SET key = ? WHERE key = ?", (two, one))
    with pytest.warns(DroppedWarning, match="1 entry"):
        assert journal.get(two) is None


def test_a_full_disk_is_named_and_earlier_answers_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    journal = Journal(path)
    journal.keep(Journal.key(1), {"text": "kept"})
    journal._store._db.execute("PRAGMA max_page_count=8")  # what SQLite does when the disk is full
    with pytest.raises(StorageError, match="full"):
        journal.keep(Journal.key(2), {"text": "x" * 100_000})
    assert Journal(path).get(Journal.key(1)) == {"text": "kept"}
