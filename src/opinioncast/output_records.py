"""What an output folder says of who wrote in it: its manifest, and the notes of unfinished runs.

For :mod:`opinioncast.output_folder`. Both are read as they may be: lying, cut, another program's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from opinioncast.documents import parse_json, read_document
from opinioncast.errors import InputError, StorageError
from opinioncast.files import checksum, storage_error

try:
    import fcntl
except ImportError:  # not on Windows: there, a killed run's temporary files stay
    fcntl = None  # type: ignore[assignment]

LEDGER = re.compile(r"\.opinioncast-([0-9a-f]{8})\.jsonl")
EARLIER = "earlier_files"
_ANY = ""
"""In place of a hash: of a file that a manifest of an earlier version implies and does not list."""


class WrittenFile:
    """What is known of a file that some run wrote: contents it may have, and the command."""

    __slots__ = ("command", "hashes")

    def __init__(self, command: str, *hashes: str) -> None:
        self.command, self.hashes = command, set(hashes)

    def fits(self, path: Path) -> bool:
        return _ANY in self.hashes or checksum(path) in self.hashes


def hold(ledger: IO[str]) -> None:
    """Tell other runs that the one that keeps these notes is alive."""
    if fcntl is not None:
        fcntl.flock(ledger, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_held(ledger: Path) -> bool:
    """Whether the run that keeps these notes is alive: the system lets go of its lock if not."""
    if fcntl is None:
        return True
    try:
        with ledger.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def loaded(path: Path) -> Any:
    """A manifest's content; None where there is none that can be read."""
    if path.is_symlink() or not path.is_file():
        return None
    try:
        return read_document(path, "A manifest")
    except InputError:
        return None


def is_ours(content: Any) -> bool:
    """Whether a JSON file is a manifest of this program: other programs have ``manifest.json``."""
    return (
        isinstance(content, dict)
        and isinstance(content.get("files"), dict)
        and all(isinstance(v, str) for v in content["files"].values())
        and (isinstance(content.get("versions"), dict) or "shape" in content)
    )


def of_manifest(path: Path) -> dict[str, WrittenFile]:
    content = loaded(path)
    if not is_ours(content):
        return {}
    command = str(content.get("command", ""))
    owned = {name: WrittenFile(command, sha256) for name, sha256 in content["files"].items()}
    for name in list(owned):  # earlier versions did not list what stands beside a table
        if name.endswith((".parquet", ".npz")):
            owned.setdefault(f"{name}.json", WrittenFile(command, _ANY))
    earlier = content.get(EARLIER)
    for name, said in earlier.items() if isinstance(earlier, dict) else ():
        if isinstance(said, dict) and isinstance(said.get("sha256"), str):
            owned.setdefault(name, WrittenFile(str(said.get("command", "")), said["sha256"]))
    owned[path.name] = WrittenFile(command, _ANY)
    return owned


def _lines(ledger: Path) -> Iterator[dict[str, Any]]:
    try:
        text = ledger.read_text("utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            said = parse_json(line, where=str(ledger), what="A run's note")
        except InputError:
            continue  # the line a killed run was writing
        if isinstance(said, dict):
            yield said


def of_ledger(ledger: Path) -> dict[str, WrittenFile]:
    owned: dict[str, WrittenFile] = {}
    for said in _lines(ledger):
        if isinstance(said.get("file"), str) and isinstance(said.get("sha256"), str):
            known = owned.setdefault(said["file"], WrittenFile(str(said.get("command", ""))))
            known.hashes.add(said["sha256"])
            known.command = str(said.get("command", ""))
    return owned


def places(ledger: Path) -> set[str]:
    """Folders that a run wrote to, relative to its own."""
    found = {str(said["in"]) for said in _lines(ledger) if isinstance(said.get("in"), str)}
    return {p for p in found if ".." not in Path(p).parts and not Path(p).is_absolute()}


def is_unfinished(folder: Path) -> bool:
    """Whether a run that was to fill the folder was killed or is still at it."""
    try:
        return any(LEDGER.fullmatch(p.name) for p in folder.iterdir())
    except OSError:
        return False


def usable(folder: Path) -> Path:
    """A folder to write to, ``~`` expanded; it need not be there yet.

    Raises:
        InputError: it, or what it would be in, is a file, a device, a link in a circle.
        StorageError: it cannot be written (permission, read-only disk).
    """
    try:
        folder = Path(folder).expanduser()
        nearest = folder
        with suppress(FileNotFoundError):
            folder.lstat()  # it may have to be made; a name that no system takes is another error
        while not os.path.lexists(nearest) and nearest != nearest.parent:
            nearest = nearest.parent
        nearest.stat()
        if not nearest.is_dir():
            raise NotADirectoryError(20, "Not a directory", str(nearest))
    except PermissionError as error:
        raise storage_error(error, folder, title="The output folder cannot be written") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            "The output folder cannot be used",
            where=str(folder),
            expected="a folder, or a name for a new one",
            found=error,
            hint="give a folder with --out",
        ) from error
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise StorageError(
            "The output folder cannot be written",
            where=str(folder),
            expected="a folder that you may write to",
            found=f"no permission to write in {nearest}",
            hint="give another folder with --out",
        )
    return folder
