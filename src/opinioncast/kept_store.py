"""What is kept between runs, and can be trusted: values under keys in one SQLite file, each sealed.

A seal is a checksum over the table, the key and the value, so a value with a flipped byte, one that
is cut, and one that stands under another key are all found when they are read: they are dropped,
counted, and the caller makes them again. A key is a hash of all that shapes its value. A file that
SQLite itself cannot read is set aside; the entries in it that are whole are taken over.
"""

from __future__ import annotations

import glob
import hashlib
import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from opinioncast.errors import InputError, StorageError

FORMAT = 2
"""Of the tables; SQLite's ``user_version``. 1 had no seals."""
LIMIT = "OPINIONCAST_CACHE_LIMIT"
_DEFAULT_LIMIT = 10.0
_LOOKUP = 500  # keys per query; SQLite allows at least 999 variables
_DAY = 86_400
_LOOK_EVERY = 256  # writes, between looks at the size
_DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What a damaged file gives: SQLite quotes what it could not read, which may be no text at all."""


class DroppedWarning(UserWarning):
    """Something kept was damaged, and is made again."""


@dataclass(frozen=True)
class Table:
    """A table of a store.

    Attributes:
        name: of the table.
        old: columns of the table of the same name in format 1, key first; none: there was none.
        convert: a row of ``old`` without its key, texts as bytes -> value.
    """

    name: str
    old: str = ""
    convert: Callable[..., bytes] = bytes


class KeptStore:
    """Sealed values in one SQLite file; safe for several threads and processes at once.

    Args:
        path: the file.
        tables: what is in it.
        what: the file in words, for errors.
        bounded: whether the oldest entries are dropped where the file is larger than
            :func:`size_limit`.
        hint: what to do where it cannot be used.
        setup: statements that make further tables, where they are not there.

    Attributes:
        dropped: damaged entries met so far.

    Raises:
        StorageError: the file cannot be opened or written (no permission, full disk), or a newer
            version of this program made it.
    """

    def __init__(
        self,
        path: Path,
        tables: Sequence[Table],
        *,
        what: str,
        bounded: bool,
        hint: str,
        setup: Sequence[str] = (),
    ) -> None:
        self.path, self._tables, self._what, self._hint = path, tables, what, hint
        self._setup = setup
        self._limit = size_limit() if bounded else None
        self.dropped = 0
        self._writes = 0
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._db = self._opened()
            except _DAMAGE as error:
                if not _is_damaged(error):
                    raise
                self._set_aside()
        except (sqlite3.Error, OSError) as error:
            raise self.failed(error) from error

    def get(self, table: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values that are there and whole, by key."""
        found: dict[bytes, bytes] = {}
        bad: list[bytes] = []
        with self._using():
            try:
                for start in range(0, len(keys), _LOOKUP):
                    part = keys[start : start + _LOOKUP]
                    marks = ",".join("?" * len(part))
                    rows = self._db.execute(
                        f"SELECT key, value, seal FROM kept_{table} WHERE key IN ({marks})", part
                    )
                    for key, value, mark in rows:
                        if mark == seal(table, key, value):
                            found[key] = value
                        else:
                            bad.append(key)
            except _DAMAGE as error:
                if not _is_damaged(error):
                    raise
                self._set_aside()
            if bad:
                self.delete(table, bad)
                self.count_dropped(len(bad))
            if self._limit is not None and found:
                self._used(table, list(found))
        return found

    def put(self, table: str, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep values; they are with the operating system when this returns, all or none."""
        day = int(time.time()) // _DAY
        sealed = [(k, v, seal(table, k, v), day) for k, v in rows]
        with self._using():
            try:
                self._insert(table, sealed)
            except _DAMAGE as error:
                if not _is_damaged(error):
                    raise
                self._set_aside()
                self._insert(table, sealed)
        self._writes += len(sealed)
        if self._limit is not None and self._writes >= _LOOK_EVERY:
            self._writes = 0
            self._shrink(self._limit)

    def delete(self, table: str, keys: Sequence[bytes]) -> None:
        with self.writing() as db:
            db.executemany(f"DELETE FROM kept_{table} WHERE key = ?", [(k,) for k in keys])

    def _insert(self, table: str, rows: Sequence[tuple[bytes, bytes, bytes, int]]) -> None:
        with self._db:
            self._db.executemany(
                f"INSERT OR REPLACE INTO kept_{table} VALUES (?, ?, ?, ?)",
                rows,
            )

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of the block or none.

        Raises:
            StorageError: it cannot be written. A file that is damaged is begun anew first.
        """
        with self._using():
            try:
                with self._db:
                    yield self._db
            except _DAMAGE as error:
                if not _is_damaged(error):
                    raise
                self._set_aside()  # what was to be deleted or noted there is gone with it

    def count_dropped(self, number: int) -> None:
        """Note entries that were damaged, and say so."""
        self.dropped += number
        entries = "1 entry" if number == 1 else f"{number} entries"
        warnings.warn(
            f"{entries} of {self.path} were damaged: dropped and made again",
            DroppedWarning,
            stacklevel=3,
        )

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def failed(self, error: BaseException) -> StorageError:
        return StorageError(
            f"{self._what} cannot be used",
            where=str(self.path),
            expected="an SQLite file that can be written, with free space",
            found=error,
            hint=self._hint,
        )

    # --- inside -----------------------------------------------------------------------------------

    @contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (sqlite3.Error, OSError) as error:
                raise self.failed(error) from error

    def _opened(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=60, check_same_thread=False)
        db.text_factory = bytes  # a damaged row may be no text
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            (found,) = db.execute("PRAGMA user_version").fetchone()
            if found > FORMAT:
                raise StorageError(
                    f"{self._what} is of a newer version of opinioncast",
                    where=str(self.path),
                    expected=f"format {FORMAT} or older",
                    found=f"format {found}",
                    hint="set OPINIONCAST_CACHE to another folder, or run with --no-cache",
                )
            wanted = {f"kept_{t.name}".encode() for t in self._tables}
            if found < FORMAT or not wanted <= _tables_of(db):
                self._make(db, found)
        except BaseException:
            db.close()
            raise
        return db

    def _make(self, db: sqlite3.Connection, found: int) -> None:
        with db:
            db.execute("BEGIN IMMEDIATE")
            for table in self._tables:
                db.execute(
                    f"CREATE TABLE IF NOT EXISTS kept_{table.name} (key BLOB PRIMARY KEY, "
                    "value BLOB NOT NULL, seal BLOB NOT NULL, day INTEGER NOT NULL)"
                )
                if found < FORMAT:
                    _take_over(db, table)
            for statement in self._setup:
                db.execute(statement)
            db.execute(f"PRAGMA user_version={FORMAT}")

    def _set_aside(self) -> None:
        """Begin a new file with what is whole in the damaged one, which is kept beside it."""
        with suppress(AttributeError, sqlite3.Error):
            self._db.close()
        if self._limit is not None:  # what is made again is kept damaged once, or it has no limit
            for older in self.path.parent.glob(f"{glob.escape(self.path.name)}.damaged-*"):
                with suppress(OSError):
                    older.unlink()
        number = 1
        while (aside := Path(f"{self.path}.damaged-{number}")).exists():
            number += 1
        for part in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{part}").rename(f"{aside}{part}")
        self._db = self._opened()
        saved = 0
        for table in self._tables:
            for key, value, mark, day in _readable(aside, table.name):
                if mark == seal(table.name, key, value):
                    self._insert(table.name, [(key, value, mark, day)])
                    saved += 1
        self.dropped += 1
        warnings.warn(
            f"{self.path} was damaged: begun anew with {saved} of its entries; the old one is "
            f"{aside.name}",
            DroppedWarning,
            stacklevel=4,
        )

    def _used(self, table: str, keys: Sequence[bytes]) -> None:
        """Note that entries are still wanted, once a day: the oldest go first."""
        day = int(time.time()) // _DAY
        # a disk that is full now is full when it matters
        with suppress(*_DAMAGE, sqlite3.Error), self._db:
            self._db.executemany(
                f"UPDATE kept_{table} SET day = ? WHERE key = ? AND day < ?",
                [(day, k, day) for k in keys],
            )

    def _shrink(self, limit: float) -> None:
        """Drop the entries that were not used for longest until a fifth of the limit is free."""
        with self.writing() as db:
            pages, free, size = (
                db.execute(f"PRAGMA {p}").fetchone()[0]
                for p in ("page_count", "freelist_count", "page_size")
            )
            taken = (pages - free) * size
            if taken <= limit:
                return
            part = 1 - 0.8 * limit / taken
            for table in self._tables:
                (count,) = db.execute(f"SELECT count(*) FROM kept_{table.name}").fetchone()
                db.execute(
                    f"DELETE FROM kept_{table.name} WHERE key IN "
                    f"(SELECT key FROM kept_{table.name} ORDER BY day LIMIT ?)",
                    (int(part * count) + 1,),
                )


def seal(table: str, key: bytes, value: bytes) -> bytes:
    """What a value must carry: sixteen bytes of its table, key and content."""
    if not isinstance(key, bytes) or not isinstance(value, bytes):
        return b""  # a damaged row may hold anything
    made = hashlib.blake2b(digest_size=16, person=table.encode()[:16])
    made.update(len(key).to_bytes(4, "big") + key + value)
    return made.digest()


def size_limit() -> float:
    """Bytes that each kept file may take: ``$OPINIONCAST_CACHE_LIMIT`` (GB), 10 GB by default.

    Raises:
        InputError: the variable is no positive number.
    """
    said = os.environ.get(LIMIT)
    try:
        limit = _DEFAULT_LIMIT if not said else float(said)
    except ValueError:
        limit = -1
    if not limit > 0:
        raise InputError(
            "The size limit of the cache cannot be used",
            where=LIMIT,
            expected="gigabytes, such as 5",
            found=said,
        )
    return limit * 1e9


def count_entries(path: Path) -> Mapping[str, int]:
    """Entries by table of a store's file; {} where it is none."""
    try:  # rw: a reader of a WAL file that may not write leaves SQLite's own files behind
        db = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=5)
        try:
            names = [
                name
                for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                if name.startswith("kept_")
            ]
            return {
                n.removeprefix("kept_"): db.execute(f'SELECT count(*) FROM "{n}"').fetchone()[0]
                for n in names
            }
        finally:
            db.close()
    except (*_DAMAGE, sqlite3.Error):
        return {}


def _is_damaged(error: BaseException) -> bool:
    """Whether it is the file that is wrong, not the disk or another process."""
    if isinstance(error, UnicodeDecodeError):
        return True
    return type(error) is sqlite3.DatabaseError or str(error).startswith("no such table")


def _tables_of(db: sqlite3.Connection) -> set[bytes]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _take_over(db: sqlite3.Connection, table: Table) -> None:
    """Entries of format 1; a seal is of what they are now."""
    if not table.old or table.name.encode() not in _tables_of(db):
        return
    day = int(time.time()) // _DAY
    for key, *rest in db.execute(f"SELECT {table.old} FROM {table.name}").fetchall():
        try:
            value = table.convert(*rest)
        except (TypeError, ValueError):
            continue
        db.execute(
            f"INSERT OR IGNORE INTO kept_{table.name} VALUES (?, ?, ?, ?)",
            (key, value, seal(table.name, key, value), day),
        )
    db.execute(f"DROP TABLE {table.name}")


def _readable(path: Path, table: str) -> Iterator[tuple[bytes, bytes, bytes, int]]:
    """Rows of a damaged file, from both ends up to where it cannot be read."""
    for order in ("ASC", "DESC"):
        with suppress(*_DAMAGE, sqlite3.Error):
            db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
            try:
                yield from db.execute(
                    f"SELECT key, value, seal, day FROM kept_{table} ORDER BY key {order}"
                )
            finally:
                db.close()
