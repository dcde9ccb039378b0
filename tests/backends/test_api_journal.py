"""The journal of answers: what is kept, what was under way, and disks that fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from opinioncast.backends.api_journal import Journal
from opinioncast.errors import StorageError


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


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"this is no database, not even nearly" * 100)
    with pytest.raises(StorageError, match="--no-cache") as caught:
        Journal(path)
    assert str(path) in str(caught.value)
    assert "--no-cache" in str(caught.value)


def test_a_full_disk_is_named_and_earlier_answers_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    journal = Journal(path)
    journal.keep(Journal.key(1), {"text": "kept"})
    journal._db.execute("PRAGMA max_page_count=4")  # what SQLite does when the disk is full
    with pytest.raises(StorageError, match="full"):
        journal.keep(Journal.key(2), {"text": "x" * 100_000})
    assert Journal(path).get(Journal.key(1)) == {"text": "kept"}
