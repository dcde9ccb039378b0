"""One run at a time in an output folder: two would fill the same steps' folders."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from opinioncast.errors import StorageError
from opinioncast.files import atomic_path

LOCK = ".lock"
HOLDER = ".lock.json"
"""Beside the lock: who holds it. The system lets go of the lock when its process ends, however."""


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Hold ``folder`` until the block ends.

    Raises:
        StorageError: another run holds it, or it cannot be written.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise StorageError(
            "Another run is at work in this folder",
            where=str(folder),
            expected="one run at a time in an output folder",
            found=_holder(folder),
            hint="wait until it has ended, or give this one another --out",
        ) from None
    except OSError as error:
        raise StorageError(
            "The output folder cannot be written",
            where=str(folder),
            expected="a folder that can be written",
            found=error,
        ) from error
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"process": os.getpid(), "host": platform.node(), "since": since}
        with atomic_path(folder / HOLDER) as temporary:
            temporary.write_text(json.dumps(record) + "\n", "utf-8")
        yield
    finally:
        (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


def _holder(folder: Path) -> str:
    try:
        found = json.loads((folder / HOLDER).read_text("utf-8"))
        return f"process {found['process']} on {found['host']}, since {found['since']}"
    except (OSError, ValueError, KeyError):
        return "a process that has only just begun"
