"""Runs: a process each, so that a closed browser loses nothing and a reopened one finds them.

A run's folder holds what was asked (``request.json``), how far it is (``status.json``, replaced as
a whole), what the process said (``log.txt``) and the files it wrote (``out``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from opinioncast.app.projects import Project
from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.files import atomic_path
from opinioncast.json_text import json_text

REQUEST, STATUS, LOG, OUT, CANCEL = "request.json", "status.json", "log.txt", "out", "cancel"
RUNNING, DONE, FAILED, CANCELLED, DIED = "running", "done", "failed", "cancelled", "died"
_SILENT = 60.0
"""Seconds that a process may take until its first word."""
AT_ONCE = 2
"""Runs of one project at the same time: more would only wait for each other."""


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Attributes:
        state: one of the words above.
        done, total: rows; total 0 while models are loaded.
        message: what went wrong, in the words of the program.
        pid: of its process.
        begun, changed: seconds since 1970.
    """

    state: str = RUNNING
    done: int = 0
    total: int = 0
    message: str = ""
    pid: int = 0
    begun: float = 0.0
    changed: float = 0.0

    def write(self, folder: Path) -> Self:
        now = replace(self, changed=time.time())
        with atomic_path(folder / STATUS) as temporary:
            temporary.write_text(json_text(asdict(now)), "utf-8")
        return now


@dataclass(frozen=True)
class Run:
    """A run's folder."""

    folder: Path

    @property
    def number(self) -> int:
        return int(self.folder.name.removeprefix("run-"))

    @property
    def out(self) -> Path:
        return self.folder / OUT

    @property
    def request(self) -> dict[str, Any]:
        found: dict[str, Any] = read_document(self.folder / REQUEST, "A run")
        return found

    @property
    def status(self) -> Status:
        """How far it is; ``died`` where its process ended without a word."""
        try:
            found = Status(**read_document(self.folder / STATUS, "A run's status"))
        except (InputError, TypeError):
            found = Status(message="nothing was heard of it yet")
        if found.state == RUNNING and not self._alive(found):
            # it may have said its last word between the two looks
            again = Status(**read_document(self.folder / STATUS, "A run's status"))
            if again.state == RUNNING:
                return replace(again, state=DIED, message=_last_words(self.folder / LOG))
            return again
        return found

    def _alive(self, status: Status) -> bool:
        """Whether the run's process is there; another one may have got its number since."""
        own = _STARTED.get(self.folder)
        if own is not None:
            return own.poll() is None
        if not status.pid:
            return time.time() - status.begun < _SILENT
        command = Path(f"/proc/{status.pid}/cmdline")
        if command.parent.parent.joinpath("self").exists():
            try:
                return self.folder.name.encode() in command.read_bytes()
            except OSError:
                return False
        try:
            os.kill(status.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def cancel(self) -> None:
        """Ask the process to stop between two batches; finished rows are kept in the cache."""
        (self.folder / CANCEL).touch()


def runs(project: Project) -> list[Run]:
    """The project's runs, the latest first."""
    found = [p for p in project.folder.glob("run-*") if (p / REQUEST).is_file()]
    return sorted((Run(p) for p in found), key=lambda run: -run.number)


def start(project: Project) -> Run:
    """Start a run of what the project holds now.

    Raises:
        InputError: no questionnaire yet, or as many runs as may go on at once.
        StorageError: the folder cannot be written.
    """
    source = project.questionnaire
    if source is None:
        raise InputError("There is no questionnaire yet", expected="an instrument that was read")
    there = runs(project)
    if sum(run.status.state == RUNNING for run in there) >= AT_ONCE:
        raise InputError(
            "Other runs are still going on", expected=f"at most {AT_ONCE} at once", found="more"
        )
    run = Run(project.folder / f"run-{max((r.number for r in there), default=0) + 1}")
    run.folder.mkdir()
    # a copy: what is edited later does not change what this run was asked
    with atomic_path(run.folder / source.name) as temporary:
        temporary.write_bytes(source.read_bytes())
    request: dict[str, Any] = asdict(project.choices) | {"questionnaire": source.name}
    for part in ("known", "pilot", "recipe"):
        kept = project.file_of(part)
        request[part] = kept.name if kept else None
        if kept:
            with atomic_path(run.folder / kept.name) as temporary:
                temporary.write_bytes(kept.read_bytes())
    with atomic_path(run.folder / REQUEST) as temporary:
        temporary.write_text(json_text(request), "utf-8")
    Status(begun=time.time()).write(run.folder)
    with (run.folder / LOG).open("wb") as log:
        _STARTED[run.folder] = subprocess.Popen(
            [sys.executable, "-m", "opinioncast.app.worker", str(run.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # closing the page's server does not end it
            cwd=run.folder,
        )
    return run


_STARTED: dict[Path, subprocess.Popen[bytes]] = {}
"""Processes that this server began: asked for their end, so that none stays a zombie."""


def _last_words(log: Path) -> str:
    text = log.read_text("utf-8", errors="replace").strip() if log.is_file() else ""
    said = text.splitlines()[-3:]
    return "its process ended without a word" + (f": {' / '.join(said)}" if said else "")
