"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from opinioncast.errors import StorageError


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it onto ``target`` when the block succeeds.

    Raises:
        StorageError: the folder cannot be written or the disk is full; ``target`` keeps what it
            held before and the temporary file is removed.
    """
    target = Path(target)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644 & ~_umask())
        temporary.replace(target)
    except (OSError, pl.exceptions.PolarsError) as error:
        # polars words a full disk as an error of its own, with the system's message inside
        if isinstance(error, pl.exceptions.PolarsError) and "os error" not in str(error):
            raise
        raise StorageError(
            "A file could not be written",
            where=str(target),
            expected="a folder that can be written, with free space",
            found=error,
            hint="free some space or choose another folder; finished rows are in the cache, "
            "so the same command goes on where it stopped",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def checksum(file: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits; the file is not held in memory.

    >>> file = Path("empty.txt")
    >>> file.touch()
    >>> checksum(file)[:16]
    'e3b0c44298fc1c14'

    Raises:
        OSError: it is not there, or cannot be read.
    """
    with Path(file).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def cache_folder() -> Path:
    """``$OPINIONCAST_CACHE``, else ``$XDG_CACHE_HOME/opinioncast``, else ~/.cache/opinioncast."""
    chosen = os.environ.get("OPINIONCAST_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "opinioncast"


def end_of_path(path: str | Path) -> str:
    """The last two parts of a path: a table that is passed on need not name this machine's."""
    return "/".join(Path(path).parts[-2:])
