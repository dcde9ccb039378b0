"""One run at a time in an output folder, and one writer at a time of a document."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from opinioncast.documents import read_document
from opinioncast.errors import InputError, StorageError
from opinioncast.files import atomic_path

LOCK = ".lock"
HOLDER = ".lock.json"
"""Beside the lock: who holds it. The system lets go of the lock when its process ends, however."""
PATIENCE = 60.0
"""Seconds to wait for another that writes the same document, which takes it one or two."""


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Hold ``folder`` until the block ends: two runs would fill the same steps' folders.

    Raises:
        StorageError: another run holds it, or it cannot be written.
    """
    lock = _acquired(folder, 0)
    if lock is None:
        raise StorageError(
            "Another run is at work in this folder",
            where=str(folder),
            expected="one run at a time in an output folder",
            found=_holder(folder),
            hint="wait until it has ended, or give this one another --out",
        )
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"process": os.getpid(), "host": platform.node(), "since": since}
        with atomic_path(folder / HOLDER) as temporary:
            temporary.write_text(json.dumps(record) + "\n", "utf-8")
        yield
    finally:
        (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold a document's ``folder`` until the block ends, once others have written there.

    Raises:
        StorageError: another does not let go of it, or it cannot be written.
    """
    lock = _acquired(folder, PATIENCE)
    if lock is None:
        raise StorageError(
            "Another run is writing this document",
            where=str(folder),
            expected=f"the document free within {PATIENCE:g} seconds",
            found="held all that time",
            hint="when it is free, the same command writes this run's results; steps done are kept",
        )
    try:
        yield
    finally:
        lock.release()


def _acquired(folder: Path, wait: float) -> FileLock | None:
    """The lock of ``folder``, held; None where another holds it for all of ``wait`` seconds."""
    lock = FileLock(folder / LOCK, timeout=wait)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        return None
    except OSError as error:
        raise StorageError(
            "The output folder cannot be written",
            where=str(folder),
            expected="a folder that can be written",
            found=error,
        ) from error
    return lock


def _holder(folder: Path) -> str:
    try:
        found = read_document(folder / HOLDER, "The note of who holds a folder")
        return f"process {found['process']} on {found['host']}, since {found['since']}"
    except (InputError, TypeError, KeyError):
        return "a process that has only just begun"
