"""Writing files so that a reader never meets half of one, and one error where that fails."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from opinioncast.errors import OpinioncastError, StorageError

_SPACE = (
    "free some space or choose another folder; finished rows are in the cache, so the same command "
    "goes on where it stopped"
)
_SYSTEM = re.compile(
    r"os error \d|errno \d|no space left|permission denied|read-only file ?system|disk quota|"
    r"disk is full|input/output error|i/o error|too many open files|file too large|"
    r"pytorchstreamwriter|unexpected pos",
    re.IGNORECASE,
)
"""How libraries that raise errors of their own (polars, safetensors, PyTorch, Arrow) word the
system's: none of them keeps its number."""


def is_storage_problem(error: BaseException) -> bool:
    """Whether an error, of whatever library, is the disk's: full, not permitted, broken."""
    if isinstance(error, OSError):
        return not isinstance(error, ConnectionError | TimeoutError)
    if isinstance(error, sqlite3.Error):
        return True
    return isinstance(error, Exception) and bool(_SYSTEM.search(str(error)))


def storage_error(
    error: BaseException,
    place: str | Path | None = None,
    *,
    title: str = "A file could not be written",
    expected: str = "a folder that can be written, with free space",
    hint: str = _SPACE,
) -> StorageError:
    """The error a user sees for one that :func:`is_storage_problem` knows."""
    named = place or getattr(error, "filename", None)
    return StorageError(
        title,
        where=None if named is None else str(named),
        expected=expected,
        found=error,
        hint=hint,
    )


@contextmanager
def storing(place: str | Path, *, hint: str = _SPACE) -> Iterator[None]:
    """Whatever library writes in the block, what the disk refuses is a :class:`StorageError`.

    Raises:
        StorageError: with ``place``, the cause, and what to do.
    """
    try:
        yield
    except Exception as error:
        if not is_storage_problem(error):
            raise
        raise storage_error(error, place, hint=hint) from error


class Owner(Protocol):
    """Of an output folder, who knows what in it may be replaced
    (:class:`opinioncast.output_folder.OutputFolder`)."""

    token: str

    def holds(self, target: Path) -> bool: ...

    def check(self, target: Path) -> None: ...

    def settle(self, target: Path, made: Path) -> None: ...

    def discard(self, target: Path) -> None: ...


OWNERS: list[Owner] = []
"""Of the folders that jobs of this process write at the moment; the last one that holds a file
decides. Here and not in a context variable, because threads write too."""


def _owner(target: Path) -> Owner | None:
    return next((o for o in reversed(OWNERS) if o.holds(target)), None)


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it onto ``target`` when the block succeeds.

    In an output folder that a job holds, what is in the way and is not the job's own is kept
    (:mod:`opinioncast.output_folder`). A link to a file is written through, and so is what is no
    file (``/dev/stdout``, a pipe). The mode is what the user's umask makes of a new file.

    Raises:
        StorageError: the folder cannot be written or the disk is full; ``target`` keeps what it
            held before and the temporary file is removed.
        InputError: ``target`` is a folder, in an output folder.
    """
    target = Path(target)
    owner = _owner(target)
    temporary: Path | None = None
    try:
        if owner is not None:
            owner.check(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        # behind a link; in a folder that is held, a link is in the way like anything else
        place = target if owner is not None else Path(os.path.realpath(target))
        stream = owner is None and _is_stream(place)
        mark = secrets.token_hex(4) if owner is None else f"{owner.token}{secrets.token_hex(2)}"
        beside = Path(tempfile.gettempdir()) if stream else place.parent
        temporary = beside / f".{_short(target.name)}.{mark}{target.suffix[-20:]}"
        # not by tempfile: here the system itself applies the user's umask
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        mode = os.fstat(handle).st_mode & 0o777
        os.close(handle)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(mode)  # some libraries put a file of their own in its place
        if owner is not None:
            owner.settle(target, temporary)
        if stream:
            place.write_bytes(temporary.read_bytes())
        else:
            temporary.replace(place)
    except Exception as error:
        if isinstance(error, OpinioncastError) or not is_storage_problem(error):
            raise
        raise storage_error(error, target) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def made_apart(folder: str | Path) -> Iterator[Path]:
    """Yield an empty folder for a library that writes several files; when the block succeeds, they
    are put into ``folder``, one whole file after the other, as :func:`atomic_path` puts them.

    Raises:
        StorageError, InputError: as :func:`atomic_path`; ``folder`` has then all of them or, where
            putting them there failed, no manifest.
    """
    folder = Path(folder)
    owner = _owner(folder / "x")
    mark = secrets.token_hex(4) if owner is None else f"{owner.token}{secrets.token_hex(2)}"
    work = folder / f".{_short(folder.name)}.{mark}"
    try:
        with storing(folder):
            work.mkdir(parents=True)
            yield work
            made = sorted(f for f in work.rglob("*") if f.is_file())
        for file in made:
            with atomic_path(folder / file.relative_to(work)) as temporary:
                file.replace(temporary)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _is_stream(place: Path) -> bool:
    """Whether it is there and neither file nor folder: a terminal, a pipe, a device."""
    return place.exists() and not place.is_file() and not place.is_dir()


def _short(name: str) -> str:
    """As much of a name as leaves room for the mark of a temporary one (255 bytes in all)."""
    return name.encode()[:180].decode(errors="ignore")


def discard(target: Path) -> None:
    """Remove a file that an earlier run of the same job wrote, if it is there; in an output folder
    that a job holds, what is not the job's own is kept and named."""
    owner = _owner(target)
    if owner is not None:
        owner.discard(target)
        return
    with storing(target):
        target.unlink(missing_ok=True)


_UNSAFE = re.compile(r"[^\w.,+=@~ -]+")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)", re.IGNORECASE)
_LONGEST = 80


def safe_name(text: str) -> str:
    """A file's name made of a text that comes from data: letters, digits and a few signs.

    What is left out would leave the folder (separators, dots in front), or be refused by some
    system (control characters, names of devices, length). A text that is changed gets six digits of
    its hash, so that two texts never share a name because of that.

    >>> safe_name("train"), safe_name("../../etc/passwd")
    ('train', 'etc_passwd-3754d6')
    """
    name = _UNSAFE.sub("_", text).strip("._- ")[:_LONGEST].strip()
    reserved = _RESERVED.match(name)
    if name and name == text and not reserved:
        return name
    mark = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:6]
    return f"{'file-' if reserved else ''}{name or 'unnamed'}-{mark}"


def safe_names(texts: Iterable[str]) -> dict[str, str]:
    """:func:`safe_name` of each, told apart where they differ in case only (Windows and macOS take
    them for one).

    >>> safe_names(["Age", "AGE", "sex"])
    {'Age': 'Age', 'AGE': 'AGE-2', 'sex': 'sex'}
    """
    given: dict[str, str] = {}
    taken: set[str] = set()
    for text in texts:
        if text in given:
            continue
        base, number = safe_name(text), 1
        name = base
        while name.casefold() in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name.casefold())
        given[text] = name
    return given


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
