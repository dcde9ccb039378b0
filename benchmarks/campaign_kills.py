"""Commands of `campaign.py` killed and run again, and run onto disks too small for them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

from campaign_commands import COMMANDS, Command
from campaign_inputs import OUT
from campaign_processes import Outcome, Process, command, in_process, leftovers

Report = Callable[..., None]
STOPPED = threading.Event()
"""Set by a signal: nothing new is begun. An exception would be lost where a library runs."""
_LONGEST = 300  # seconds of a command that nobody kills


class Templates:
    """Inputs of each command of :mod:`campaign_commands`, and what a whole run of it makes; both
    made once, then copied."""

    def __init__(self, root: Path) -> None:
        self.root = root / "templates"
        self._took: dict[str, float] = {}

    def laid(self, name: str, folder: Path) -> float:
        """Put a command's inputs into ``folder``; seconds that a whole run takes."""
        made = COMMANDS[name]
        place = self.root / name.replace(" ", "_")
        if name not in self._took:
            place.mkdir(parents=True)
            ready = in_process(place, partial(_prepared, made, place), _LONGEST)
            whole = place.with_name(f"{place.name}-whole")
            shutil.copytree(place, whole)
            run = Process(whole, partial(command, made.arguments), _LONGEST)
            while (found := run.outcome()) is None:
                time.sleep(0.005)
            if ready.word != "read" or found.word != "read":
                raise RuntimeError(f"{name} does not run: {ready.said}\n{found.said}")
            self._took[name] = time.monotonic() - run.began
            run.learn()
        shutil.copytree(place, folder)
        return self._took[name]

    def ran(self, name: str, seconds: float) -> None:
        """A whole run took no longer than so."""
        self._took[name] = min(seconds, self._took[name])

    def whole(self, name: str) -> Path:
        """The folder of a run that nobody killed."""
        return self.root / f"{name.replace(' ', '_')}-whole"


def _prepared(made: Command, folder: Path) -> int:
    made.prepare(folder)
    for arguments in made.before:
        if status := command(arguments):
            return status
    return 0


def killed(
    seed: int, root: Path, rounds: int, report: Report, done: Collection[str], only: Sequence[str]
) -> int:
    """Kill and run again, each drawn from the seed and its number; how many were killed before
    their end, without those ``done``."""
    kills = 0
    templates = Templates(root)
    names = sorted(n for n in COMMANDS if not only or n in only)
    random.Random(f"{seed}/kill").shuffle(names)
    for number in range(rounds if names else 0):
        where = f"kill {number}"
        if STOPPED.is_set():
            break
        if where in done:
            continue
        folder = root / f"kill{number}"
        name = names[number % len(names)]
        made = COMMANDS[name]
        took = templates.laid(name, folder)
        run = Process(folder, partial(command, made.arguments))
        moment = random.Random(f"{seed}/kill/{number}").uniform(0.0, took)
        while (ran := time.monotonic() - run.began) < moment:
            if os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                templates.ran(name, ran)  # it has what the first run had to import
                break
            time.sleep(0.002)
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.pid, signal.SIGKILL)
        _, status = os.waitpid(run.pid, 0)
        died = os.WIFSIGNALED(status)
        kills += died
        found = in_process(folder, partial(command, made.arguments), _LONGEST)
        whole = templates.whole(name) / made.out
        report(where, name, _again(found, made, folder / made.out, whole), folder, died)
        shutil.rmtree(folder, ignore_errors=True)
    return kills


def _again(found: Outcome, made: Command, out: Path, whole: Path) -> Outcome:
    """What came of running a killed command again."""
    whole_before = found.word == "refused" and made.refuses and made.refuses in found.said
    if found.word != "read" and not whole_before:
        return Outcome("faults", found.said)
    if left := sorted({*leftovers(out)} - {*leftovers(whole)}):  # a lock stays, by design
        return Outcome("read", "", (f"left: {left}",))
    there, wanted = ({str(p.relative_to(f)) for p in f.rglob("*")} for f in (out, whole))
    if there != wanted:
        return Outcome("wrong", f"other files: {sorted(there ^ wanted)}")
    for table in made.tables:
        if (out / table).read_bytes() != (whole / table).read_bytes():
            return Outcome("wrong", f"another {table}")
    return Outcome("read", "")


def full(
    chance: random.Random,
    root: Path,
    rounds: int,
    report: Callable[..., None],
    only: Sequence[str] = (),
) -> int:
    """Commands onto a disk too small for what they write, or for their cache; how many runs."""
    templates = Templates(root / "d")
    names = sorted(n for n, c in COMMANDS.items() if c.out == OUT and (n in only or not only))
    for number in range(rounds if names else 0):
        if STOPPED.is_set():
            return number
        folder = root / f"disk{number}"
        name = chance.choice(names)
        made = COMMANDS[name]
        templates.laid(name, folder)
        whole = templates.whole(name)
        small = chance.choice((OUT, OUT, "cache"))
        before = folder / small
        held, taken = (_pages(place / small) for place in (folder, whole))
        kilobytes = 4 * (1 + held + int(chance.uniform(0.0, 1.1) * max(taken - held, 1)))
        there = shutil.move(before, root / "there") if before.exists() else None
        with _disk(before, kilobytes) as limit:
            if there:  # what earlier commands put there
                shutil.copytree(there, before, dirs_exist_ok=True)
                shutil.rmtree(there)
            found = in_process(folder, partial(_limited, limit, made.arguments), _LONGEST)
            problem = _half(folder, small, made, found, whole)
            if problem:
                word = found.word if found.word in ("faults", "hangs", "crashes") else "wrong"
                where = f"disk {number} of {kilobytes} kB ({small})"
                report(where, name, Outcome(word, problem), folder)
        shutil.rmtree(folder, ignore_errors=True)
    return rounds


def _pages(folder: Path) -> int:
    """Pages of 4 kB that a tmpfs takes for what is in a folder."""
    return sum(1 + p.is_file() * (p.stat().st_size // 4096) for p in folder.rglob("*"))


def _limited(limit: int, arguments: Sequence[str]) -> int:
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return command(arguments)


@contextlib.contextmanager
def _disk(folder: Path, kilobytes: int) -> Iterator[int]:
    """``folder`` as a small file system, and 0; else bytes that no file may exceed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0:
        try:
            yield 0
        finally:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=True)
    else:
        yield kilobytes * 256


def _half(folder: Path, small: str, made: Command, found: Outcome, whole: Path) -> str:
    """What is wrong after a run onto a full disk; "" where nothing is."""
    out = folder / OUT
    if found.word == "refused" and small not in found.said:
        return f"the place is not named: {found.said[-600:]}"
    if found.word not in ("read", "refused"):
        return found.said[-1500:]
    expected = {p.relative_to(whole / OUT): p for p in (whole / OUT).rglob("*") if p.is_file()}
    for name in expected if found.word == "read" else ():
        if not (out / name).exists():
            return f"status 0 without {name}"
    for path in out.rglob("*"):
        name = path.relative_to(out)
        if not path.is_file() or name not in expected:
            continue
        if path.stat().st_size == 0 < expected[name].stat().st_size:
            return f"{name} is empty"
        if str(name) in made.tables and path.read_bytes() != expected[name].read_bytes():
            return f"{name} is another"
        if path.suffix == ".json":
            try:
                json.loads(path.read_text("utf-8"))
            except ValueError:
                return f"{name} is half written"
    left = sorted({*leftovers(out)} - {*leftovers(whole / OUT)})
    return f"left behind: {left}" if left else ""
