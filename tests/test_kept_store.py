"""What is kept is whole or made again: flipped, cut, swapped, of another format, too much of it."""

from __future__ import annotations

import random
import sqlite3
import time
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from opinioncast import kept_store
from opinioncast.errors import InputError, StorageError
from opinioncast.kept_store import DroppedWarning, KeptStore, Table, count_entries, seal, size_limit

KEYS = [bytes([i]) * 32 for i in range(60)]
VALUES = {key: f"value {i} ".encode() * 9 for i, key in enumerate(KEYS)}


def store(path: Path, *, bounded: bool = False) -> KeptStore:
    tables = [Table("rows", "key, log_probs"), Table("texts")]
    return KeptStore(path, tables, what="The store", bounded=bounded, hint="-")


def filled(path: Path) -> None:
    made = store(path)
    made.put("rows", VALUES.items())
    made.close()


def test_values_come_back_and_tables_are_apart(tmp_path: Path) -> None:
    filled(tmp_path / "a.sqlite")
    again = store(tmp_path / "a.sqlite")
    assert again.get("rows", [*KEYS, b"absent"]) == VALUES
    assert again.get("texts", KEYS) == {}
    again.delete("rows", KEYS[:1])
    assert again.get("rows", KEYS[:2]) == {KEYS[1]: VALUES[KEYS[1]]}
    assert count_entries(tmp_path / "a.sqlite") == {"rows": 59, "texts": 0}
    assert again.dropped == 0


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE kept_rows SET value = substr(value, 1, 20) WHERE key = ?",
        "UPDATE kept_rows SET value = zeroblob(9) WHERE key = ?",
        "UPDATE kept_rows SET value = 'text' WHERE key = ?",
        "UPDATE kept_rows SET value = CAST(x'fffe' AS TEXT) WHERE key = ?",
        "UPDATE kept_rows SET value = 7 WHERE key = ?",
        "UPDATE kept_rows SET seal = x'00' WHERE key = ?",
        # another entry's, seal and all
        "UPDATE kept_rows SET (value, seal) = (SELECT value, seal FROM kept_rows WHERE key = "
        f"x'{KEYS[1].hex()}') WHERE key = ?",
    ],
)
def test_a_spoilt_entry_is_dropped_and_counted(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / "a.sqlite"
    filled(path)
    with sqlite3.connect(path) as db:
        db.execute(spoil, (KEYS[0],))
    again = store(path)
    with pytest.warns(DroppedWarning, match="1 entry"):
        found = again.get("rows", KEYS)
    assert found == {k: v for k, v in VALUES.items() if k != KEYS[0]}
    assert again.dropped == 1
    again.put("rows", [(KEYS[0], b"anew")])
    assert again.get("rows", KEYS[:1]) == {KEYS[0]: b"anew"}


@pytest.mark.parametrize("seed", range(60))
def test_a_file_that_was_damaged_anywhere_gives_no_wrong_value(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "a.sqlite"
    filled(path)
    raw = bytearray(path.read_bytes())
    draw = random.Random(seed)
    if seed % 3 == 0:
        del raw[draw.randrange(len(raw)) :]  # cut
    for _ in range(draw.choice([1, 1, 20])):
        if raw:
            raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    path.write_bytes(raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DroppedWarning)
        try:
            again = store(path)
        except StorageError as error:  # the byte that says the format
            assert "newer version" in error.title and str(path) in str(error)  # noqa: PT017, PT018
            return
        found = again.get("rows", KEYS)
        again.put("rows", VALUES.items())
        assert again.get("rows", KEYS) == VALUES
    assert found.items() <= VALUES.items()


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"this is no database, not even nearly" * 100)
    with pytest.warns(DroppedWarning, match=r"a\.sqlite\.damaged-1"):
        again = store(path)
    assert again.dropped == 1
    again.put("rows", VALUES.items())
    assert again.get("rows", KEYS) == VALUES
    assert (tmp_path / "a.sqlite.damaged-1").read_bytes().startswith(b"this is no database")


@pytest.mark.parametrize(("bounded", "left"), [(True, 1), (False, 3)])
def test_damaged_files_of_what_is_made_again_do_not_pile_up(
    tmp_path: Path, bounded: bool, left: int
) -> None:
    """Answers that were paid for (unbounded) are all kept, however damaged."""
    path = tmp_path / "kept.sqlite"
    for number in range(3):
        path.write_bytes(f"no database {number}".encode() * 200)
        with pytest.warns(DroppedWarning, match="begun anew"):
            opened = KeptStore(path, (Table("rows"),), what="It", bounded=bounded, hint="")
        opened.close()
    asides = sorted(tmp_path.glob("kept.sqlite.damaged-*"))
    assert len(asides) == left
    assert asides[-1].read_bytes().startswith(b"no database 2")


def test_what_is_whole_in_a_damaged_file_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    many = {i.to_bytes(32, "big"): bytes(500) for i in range(400)}
    made = store(path)
    made.put("rows", many.items())
    made.close()
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2 // 4096 * 4096
    raw[middle : middle + 4096] = b"\xff" * 4096  # a page of it
    path.write_bytes(raw)
    again = store(path)
    with pytest.warns(DroppedWarning):
        again.get("rows", list(many))
    found = again.get("rows", list(many))
    assert 200 < len(found) < 400
    assert found.items() <= many.items()


def test_a_store_without_seals_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE rows (key BLOB PRIMARY KEY, log_probs BLOB NOT NULL)")
        db.executemany("INSERT INTO rows VALUES (?, ?)", VALUES.items())
    assert store(path).get("rows", KEYS) == VALUES


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    filled(tmp_path / "a.sqlite")
    with sqlite3.connect(tmp_path / "a.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(StorageError, match="newer version") as caught:
        store(tmp_path / "a.sqlite")
    assert "format 99" in str(caught.value)


def test_the_entries_unused_for_longest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPINIONCAST_CACHE_LIMIT", "0.0002")  # 200 kB
    monkeypatch.setattr(kept_store, "_LOOK_EVERY", 50)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    made = store(tmp_path / "a.sqlite", bounded=True)
    old = [bytes([0, i]) for i in range(100)]
    made.put("rows", ((k, bytes(1000)) for k in old))
    monkeypatch.setattr(time, "time", lambda: 10 * 86_400.0)
    made.get("rows", old[:20])  # still wanted
    made.put("rows", ((bytes([1, i]), bytes(1000)) for i in range(60)))
    left = made.get("rows", old)
    assert set(old[:20]) <= set(left)
    assert len(left) < 90
    made.close()


@pytest.mark.parametrize("said", ["x", "-1", "nan", "0"])
def test_a_limit_that_is_none(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("OPINIONCAST_CACHE_LIMIT", said)
    with pytest.raises(InputError, match="size limit"):
        size_limit()


def test_a_seal_is_of_table_key_and_value() -> None:
    assert len({seal("a", b"k", b"v"), seal("b", b"k", b"v"), seal("a", b"kv", b"")}) == 3


def test_a_file_whose_damage_sqlite_quotes_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite names the part that it cannot read; of a damaged schema that is no UTF-8."""
    path = tmp_path / "x.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE abcdefgh (i)")
        db.commit()
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"CREATE TABLE abcdefgh", b"CREATE TIBLE \xd2bcdefgh"))
    with pytest.warns(DroppedWarning, match="begun anew"):
        store = KeptStore(path, [Table("t")], what="It", bounded=False, hint="none")
    store.put("t", [(b"k", b"v")])
    assert store.get("t", [b"k"]) == {b"k": b"v"}
    store.close()
    assert list(count_entries(path)) == ["t"]
