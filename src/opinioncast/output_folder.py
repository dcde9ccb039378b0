"""The door to an output folder: who writes through it replaces and deletes only what is its own.

A folder's manifest lists what a run wrote, with hashes. The next run replaces those files, and
removes those it no longer writes, where their content is still what was written. Whatever else is
in the way - a user's file, one that a person edited - is moved to ``kept-N.NAME`` beside it and
named in a warning. A folder in a file's place is refused before anything is made.

While a run writes, ``.opinioncast-TOKEN.jsonl`` stands in place of the manifest: what the folder's
owner wrote before, and each file of this run with its hash, before it is put there. So a killed
run's files are known for its own, and the next one sweeps up its temporary files, which carry
its token in their names.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from opinioncast.errors import InputError
from opinioncast.files import OWNERS, atomic_path, checksum, storing
from opinioncast.json_text import json_text
from opinioncast.output_records import (
    EARLIER,
    LEDGER,
    WrittenFile,
    hold,
    is_held,
    is_ours,
    loaded,
    of_ledger,
    of_manifest,
    places,
    usable,
)

MANIFEST = "manifest.json"
OF_FOLDER = (EARLIER, "kept_aside")
"""Keys of a manifest that tell of its folder, not of what was written."""
P = ParamSpec("P")
R = TypeVar("R")


class KeptAsideWarning(UserWarning):
    """A file that is not the command's own was in its way, and is kept under another name."""


class OutputFolder:
    """A folder that a run of ``command`` writes to; see the module. Made by :func:`output_folder`.

    Attributes:
        folder: where it is, ``~`` expanded.
        token: in the names of this run's temporary files.
        kept: what was in the way -> what it is called now, both relative to the folder.
    """

    def __init__(
        self,
        folder: Path,
        command: str,
        manifest: str | None = MANIFEST,
        apart: Sequence[str] = (),
    ) -> None:
        self.folder, self.command, self.manifest = usable(folder), command, manifest
        self.apart = frozenset(apart)
        self.token = secrets.token_hex(4)
        self.kept: dict[str, str] = {}
        self._real = Path(os.path.realpath(self.folder))
        self._ledger: Any = None
        self._written: dict[str, str] = {}  # by the name as written
        self._names: dict[str, str] = {}  # casefolded -> as written
        self._owned = self._earlier()
        self._unfinished = {name for path in self._ledgers() for name in of_ledger(path)}
        self._sweep()

    # --- what is asked by opinioncast.files -------------------------------------------------------

    def holds(self, target: Path) -> bool:
        try:
            parts = Path(self._relative(target)).parts
        except ValueError:
            return False
        in_work = any(p.startswith(".") and f".{self.token}" in p for p in parts[:-1])
        return not in_work and parts[0] not in self.apart

    def check(self, target: Path) -> None:
        """Refuse, before its content is made, a file that cannot be put there.

        Raises:
            InputError: a folder is in its place, or this run wrote a file of that name.
            StorageError: the folder cannot be written.
        """
        name = self._relative(target)
        self.refuse_folders([name])
        taken = self._names.get(name.casefold())
        if taken is not None:
            raise InputError(
                "Two files of one run would have the same name",
                where=str(target),
                expected="names that differ in more than upper and lower case",
                found=f"{taken} and {name}",
                hint="rename the part, group or question that the file is named after",
            )
        self._begin()
        self._note({"in": str(Path(name).parent)})

    def settle(self, target: Path, made: Path) -> None:
        """Make way for ``made``, which is about to be renamed to ``target``, and note it."""
        name = self._relative(target)
        self.refuse_folders([name])
        self._out_of_the_way(name)
        found = checksum(made)
        self._note({"file": name, "sha256": found, "command": self.command})
        self._written[name] = found
        self._names[name.casefold()] = name

    def discard(self, target: Path) -> None:
        """Remove a file that an earlier run wrote and nobody changed."""
        name = self._relative(target)
        if os.path.lexists(target) and name not in self._written:
            if self._is_own(name):
                self._begin()
                with storing(target):
                    target.unlink()
            else:
                self._say(name, f"{name} is not of an earlier run of this program: it is left")

    # --- what jobs ask ----------------------------------------------------------------------------

    def may_make(self, target: Path) -> bool:
        """Whether nothing of a person's is at ``target``: it is free, or holds what a killed run
        put there and nobody changed. For jobs that refuse what is there already."""
        name = self._relative(target)
        return not self._there(name) or (name in self._unfinished and self._is_own(name))

    def refuse_folders(self, names: Sequence[str]) -> None:
        """Raise InputError where a folder has the name of a file to be written."""
        for name in names:
            path = self.folder / name
            if os.path.isdir(path) and not os.path.islink(path):
                raise InputError(
                    "A folder is where a file is to be written",
                    where=str(path),
                    expected="a file, or nothing",
                    found="a folder",
                    hint="rename it, or give another folder with --out",
                )

    def finish(self, record: Mapping[str, Any], files: Sequence[Path] = ()) -> Path:
        """Remove what earlier runs of this command wrote and this one did not; write the manifest,
        last, with each file's hash.

        Args:
            files: to be listed beside those that were written through the door.

        Raises:
            StorageError: as :func:`opinioncast.files.atomic_path`.
            OSError: one of ``files`` is not there.
        """
        assert self.manifest is not None
        for file in files:
            name = self._relative(file)
            if name not in self._written:
                self._written[name] = checksum(file)
        path = self.folder / self.manifest
        self._begin()
        left = {}
        for name, known in self._owned.items():
            if name in self._written or name == self.manifest or not self._there(name):
                continue
            if not self._is_own(name):
                continue  # a person's by now
            if known.command == self.command:
                self._remove(name)
            else:
                left[name] = {"sha256": checksum(self.folder / name), "command": known.command}
        whole = dict(record) | {"command": self.command, "files": dict(self._written)}
        if left:
            whole[EARLIER] = left
        if self.kept:
            whole[OF_FOLDER[1]] = dict(self.kept)
        text = json_text(whole, indent=2)
        self._names.pop(self.manifest.casefold(), None)
        with atomic_path(path) as temporary:
            temporary.write_text(text, "utf-8")
        self.close(finished=True)
        return path

    def close(self, *, finished: bool) -> None:
        """Let go of the folder; an unfinished run's notes stay for the next one."""
        if self._ledger is None:
            return
        notes = Path(self._ledger.name)
        self._ledger.close()
        self._ledger = None
        if finished:
            notes.unlink(missing_ok=True)

    # --- inside -----------------------------------------------------------------------------------

    def _relative(self, target: Path) -> str:
        """A path below the folder by its name in there; ValueError where it is elsewhere."""
        full = Path(os.path.realpath(target.parent)) / target.name
        return full.relative_to(self._real).as_posix()

    def _earlier(self) -> dict[str, WrittenFile]:
        """Files of earlier runs by name: of the manifest, and of killed runs' notes."""
        owned: dict[str, WrittenFile] = {}
        if self.manifest is not None:
            owned |= of_manifest(self.folder / self.manifest)
        for path in self._ledgers():
            for name, found in of_ledger(path).items():
                known = owned.setdefault(name, found)
                known.hashes |= found.hashes
        return {name: found for name, found in owned.items() if self._inside(name)}

    def _inside(self, name: str) -> bool:
        """Whether a name that a file lists is one of a file in this folder; it may say anything."""
        parts = Path(name).parts
        if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
            return False
        return (Path(os.path.realpath((self.folder / name).parent)) / parts[-1]).is_relative_to(
            self._real
        )

    def _ledgers(self) -> list[Path]:
        """Notes of runs that ended without a manifest."""
        try:
            found = [p for p in self.folder.iterdir() if LEDGER.fullmatch(p.name)]
        except OSError:
            return []
        return sorted(p for p in found if p.is_file() and not is_held(p))

    def _sweep(self) -> None:
        """Remove temporary files of runs that were killed."""
        for path in self._ledgers():
            match = LEDGER.fullmatch(path.name)
            assert match is not None
            mark = re.compile(rf"\..*\.{match[1]}[0-9a-f]{{4}}(?:\..*)?", re.DOTALL)
            for place in {self.folder, *(self.folder / p for p in places(path))}:
                if not self._inside(str(place.relative_to(self.folder) / "x")):
                    continue
                for file in list(place.iterdir()) if place.is_dir() else []:
                    if not mark.fullmatch(file.name) or file.is_symlink():
                        continue
                    if file.is_dir():
                        shutil.rmtree(file, ignore_errors=True)
                    else:
                        file.unlink(missing_ok=True)

    def _begin(self) -> None:
        """Take the manifest's place, once, before the first file is written."""
        if self._ledger is not None:
            return
        path = self.folder / f".opinioncast-{self.token}.jsonl"
        with storing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            done = self._ledgers()
            self._ledger = path.open("a", encoding="utf-8")
            hold(self._ledger)
            for name, known in self._owned.items():
                for sha256 in sorted(known.hashes):
                    self._note({"file": name, "sha256": sha256, "command": known.command})
            if self.manifest is not None and is_ours(loaded(self.folder / self.manifest)):
                # its files are about to change; a folder without one holds an unfinished run
                (self.folder / self.manifest).unlink(missing_ok=True)
            for old in done:
                old.unlink(missing_ok=True)

    def _note(self, said: Mapping[str, str]) -> None:
        with storing(self.folder):
            self._ledger.write(json.dumps(said) + "\n")
            self._ledger.flush()

    def _there(self, name: str) -> bool:
        return os.path.lexists(self.folder / name)

    def _is_own(self, name: str) -> bool:
        """Whether a file is one that an earlier run wrote, as it wrote it."""
        path = self.folder / name
        if path.is_symlink() or not path.is_file():
            return False
        known = self._owned.get(name)
        return known is not None and known.fits(path)

    def _out_of_the_way(self, name: str) -> None:
        """Keep what is at ``name``, unless it is an earlier run's own."""
        if not self._there(name) or self._is_own(name):
            return
        now = self._earlier().get(name)  # another run may have written here since
        path = self.folder / name
        if now is not None and not path.is_symlink() and path.is_file() and now.fits(path):
            return
        number = 1
        while os.path.lexists(aside := path.with_name(f"kept-{number}.{path.name}")):
            number += 1
        with storing(path):
            path.rename(aside)
        self.kept[name] = aside.relative_to(self.folder).as_posix()
        why = "was changed since it was written" if name in self._owned else "was there already"
        self._say(name, f"{path} {why}: kept as {aside.name}")

    def _remove(self, name: str) -> None:
        path = self.folder / name
        with storing(path):
            path.unlink()
        for parent in path.relative_to(self.folder).parents:
            if parent == Path():
                break
            try:
                (self.folder / parent).rmdir()
            except OSError:
                break  # something else is in it

    def _say(self, name: str, text: str) -> None:
        warnings.warn(text, KeptAsideWarning, stacklevel=2)


@contextmanager
def output_folder(
    folder: str | Path,
    command: str,
    *,
    plan: Sequence[str] = (),
    manifest: str | None = MANIFEST,
    apart: Sequence[str] = (),
) -> Iterator[OutputFolder]:
    """Hold ``folder`` for a run of ``command``: whatever it writes there by
    :func:`opinioncast.files.atomic_path` goes through the door.

    Args:
        command: whose files an earlier manifest lists; another command's are replaced where they
            are in the way and else left.
        plan: names of files that are sure to be written, refused at once where a folder has one.
        manifest: name of the file that lists what was written; None: no list is kept, and what was
            written is the user's from then on.
        apart: names in the folder that the job looks after itself: what it resumes from.

    Raises:
        InputError: it is no folder, or a folder is in a file's place.
        StorageError: it cannot be written.
    """
    if isinstance(plan, str):
        raise TypeError(f"plan is a list of names, not one text: {plan!r}")
    owner = OutputFolder(Path(folder), command, manifest, apart)
    owner.refuse_folders([*plan, *([] if manifest is None else [manifest])])
    OWNERS.append(owner)
    finished = False
    try:
        yield owner
        finished = manifest is None
    finally:
        OWNERS.remove(owner)
        owner.close(finished=finished)


def output_file(path: str | Path, command: str) -> AbstractContextManager[OutputFolder]:
    """:func:`output_folder` for a run that writes ``path``, with files beside it that are named
    after it, into a folder of the user's. They are listed in ``NAME.manifest.json``."""
    path = Path(path)
    name = f"{path.name}.manifest.json"
    return output_folder(path.parent, command, plan=[path.name], manifest=name)


def holds_folder(
    command: str,
    *,
    plan: Sequence[str] = (),
    manifest: str | None = MANIFEST,
    apart: Sequence[str] = (),
    argument: str = "out",
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """:func:`output_folder` around a job, for its ``argument``, which it gets expanded."""

    def around(job: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(job)

        @wraps(job)
        def held(*args: P.args, **kwargs: P.kwargs) -> R:
            given = signature.bind(*args, **kwargs)
            with output_folder(
                given.arguments[argument], command, plan=plan, manifest=manifest, apart=apart
            ) as owner:
                given.arguments[argument] = owner.folder
                return job(*given.args, **given.kwargs)

        return cast("Callable[P, R]", held)

    return around


def held(folder: Path) -> OutputFolder | None:
    """The door that holds exactly this folder at the moment, if there is one."""
    real = Path(os.path.realpath(folder))
    for owner in reversed(OWNERS):
        if isinstance(owner, OutputFolder) and owner._real == real:
            return owner
    return None
