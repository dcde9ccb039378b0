"""Finished steps on disk: shared between recipes, keyed by what shapes them, never half of one."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from opinioncast.documents import read_document
from opinioncast.errors import OpinioncastError
from opinioncast.files import checksum, storing
from opinioncast.output_folder import output_folder

VERSION = version("opinioncast")
RECORD = "step.json"
"""Written last into a step's folder: a folder without it holds an unfinished step."""


@dataclass(frozen=True)
class Done:
    """A step that was asked for: its folder, and whether it was there already."""

    kind: str
    name: str
    folder: Path
    reused: bool
    seconds: float


@dataclass
class Store:
    """Steps in ``folder/KIND/NAME-KEY``.

    The key is a hash of the step's shape (settings and content hashes of what it reads) and the
    package's version: whatever changes, the step is done anew beside the old one.

    Attributes:
        say: told what is done and what is reused.
        done: every step asked for, once, in order.
        asked: the same each time it is asked for; whoever wants to know what a piece of work
            stands on clears it before.
    """

    folder: Path
    say: Callable[[str], None] = lambda _: None
    done: list[Done] = field(default_factory=list)
    asked: list[Done] = field(default_factory=list)

    def step(
        self, kind: str, name: str, shape: Mapping[str, Any], make: Callable[[Path], None]
    ) -> Path:
        """The folder of a finished step; ``make`` fills it where it is not there, or not whole.

        ``make`` is given the folder an interrupted run left: what it can go on with, it may.
        """
        key = shape_key(kind, shape)
        folder = self.folder / kind / f"{name}-{key}"
        started = time.monotonic()
        reused = is_whole(folder)
        if not reused:
            self.say(f"{kind} {name} ...")
            with output_folder(folder, "reproduce", manifest=RECORD, apart=("checkpoints",)) as own:
                with storing(folder):
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / RECORD).unlink(missing_ok=True)
                make(folder)
                record = {
                    "kind": kind,
                    "name": name,
                    "key": key,
                    "version": VERSION,
                    "shape": shape,
                    "seconds": round(time.monotonic() - started, 1),
                }
                own.finish(record, _files(folder))
        seconds = time.monotonic() - started
        done = Done(kind, name, folder, reused, round(seconds, 1))
        self.asked.append(done)
        if all((d.kind, d.folder) != (kind, folder) for d in self.done):
            self.say(f"{kind} {name}: " + ("there already" if reused else f"{seconds:.0f} s"))
            self.done.append(done)
        return folder


def shape_key(kind: str, shape: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits of everything that shapes a step."""
    text = json.dumps([kind, VERSION, shape], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_whole(folder: Path) -> bool:
    """Whether a step's folder holds every file its record lists, unchanged."""
    try:
        files = read_document(folder / RECORD, "The record of a step")["files"]
        return all(file_hash(folder / name) == found for name, found in files.items())
    except (OSError, OpinioncastError, KeyError, TypeError, AttributeError):
        return False


def file_hash(path: Path) -> str:
    """SHA-256 of a file; of a folder, over the names and hashes of all files in it."""
    if path.is_dir():
        parts = [f"{f.relative_to(path)} {file_hash(f)}" for f in _files(path)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return checksum(path)


def _files(folder: Path) -> list[Path]:
    """Every file below ``folder`` but checkpoints, which are only there to be resumed from, notes
    of a run that is at work (:mod:`opinioncast.output_folder`), and what it kept of a user's."""
    return sorted(
        f
        for f in folder.rglob("*")
        if f.is_file()
        and "checkpoints" not in f.relative_to(folder).parts
        and not f.name.startswith((".opinioncast-", "kept-"))
    )
