"""Inputs of every kind gone wrong, runs killed and disks full: what comes of thousands of tries.

    python benchmarks/campaign.py [--seed 1] [--tries 200] [--kills 12] [--disks 12]
        [--only KIND ...] [--keep DIR] [--ledger FILE] [--quick]

Each try is drawn from the seed (``campaign_inputs.py``, ``campaign_models.py``), run in a process
of its own with 4 GiB of memory and 60 s, and counted as one of: refused (an error that says what to
do), read (and right, as far as it is known), fault (a traceback, or status 1), wrong, silent
(something vanished without a word), hang, crash; and odd besides: a control or direction mark that
reached the terminal, an error longer than a screen, a temporary file left. Kills: a command is
killed (SIGKILL) at moments of the run, then run again to its end; its tables must be those of a run
that nobody killed. Disks: the same commands onto a file system of few kB (a tmpfs where one can be
mounted, else a limit of the process's file sizes): whole files only, and an error that names the
place. What is odd is printed, with the try's number; ``--keep`` keeps those folders. With
``--ledger`` every outcome is written down at once, and the same command goes on after the last one.
POSIX only.

The last line is one JSON object: ``tries, refused, read, faults, wrong, silent, hangs, crashes,
kills, odd``, and ``disks``.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from campaign_commands import COMMANDS, ON_SMALL_DISKS, Command
from campaign_inputs import KINDS as INPUT_KINDS
from campaign_inputs import OUT, SilentLossError, Try
from campaign_models import MODEL_KINDS

KINDS = (*INPUT_KINDS, *MODEL_KINDS)

SECONDS = 60
MEMORY = 4 * 2**30
_WRONG, _SILENT = 98, 97
_MARKS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_JOURNAL = re.compile(r"\.opinioncast-\w+\.jsonl")
_ROWS, _WIDTH = 26, 80


@dataclass(frozen=True)
class Outcome:
    """What came of a process: a word of the last line, what it printed, and what was odd."""

    word: str
    said: str
    odd: tuple[str, ...] = ()


def in_process(folder: Path, work: Callable[[], int], seconds: float = SECONDS) -> Outcome:
    """``work``'s status in a forked process, its output in files beside ``folder``."""
    texts = [folder.parent / f"{folder.name}.{end}" for end in ("out", "err")]
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _child(folder, work, texts)
    began = time.monotonic()
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() - began > seconds:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return Outcome("hangs", _read(texts))
        time.sleep(0.01)
    said = _read(texts)
    if os.WIFSIGNALED(status):
        return Outcome("crashes", f"signal {os.WTERMSIG(status)}\n{said}")
    code = os.waitstatus_to_exitcode(status)
    word = {0: "read", 2: "refused", 3: "refused", _WRONG: "wrong", _SILENT: "silent"}.get(code)
    if word is None or ("Traceback (most recent" in said and word == "refused"):
        word = "faults"
    fine = word in ("refused", "read")
    return Outcome(word, said, tuple(_odd(folder, said, texts[1])) if fine else ())


def _child(folder: Path, work: Callable[[], int], texts: Sequence[Path]) -> None:
    """Never returns."""
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        os.environ["OPINIONCAST_CACHE"] = str(folder / "cache")
        for number, path in zip((1, 2), texts, strict=True):
            opened = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            os.dup2(opened, number)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        code = work()
    except SilentLossError as error:
        print(f"SILENT {error}", file=sys.stderr)
        code = _SILENT
    except AssertionError:
        traceback.print_exc()
        code = _WRONG
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def command(arguments: Sequence[str]) -> int:
    """The status of a command line."""
    from opinioncast.cli.main import main

    try:
        main(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def _read(texts: Sequence[Path]) -> str:
    return "\n".join(p.read_text("utf-8", "replace") for p in texts if p.exists())


def _odd(folder: Path, said: str, errors: Path) -> Iterator[str]:
    if found := _MARKS.search(said):
        yield f"the terminal got {found[0]!r}"
    text = errors.read_text("utf-8", "replace")
    error = text[text.find("opinioncast: ") :] if "opinioncast: " in text else ""
    if sum(max(1, -(-len(line) // _WIDTH)) for line in error.splitlines()) > _ROWS:
        yield "an error longer than a screen"
    for left in _leftovers(folder / OUT):
        yield f"left behind: {left}"


def one(seed: str, make: Callable[[random.Random, Path], Try], folder: Path) -> Outcome:
    """A try, made and run and checked in its own process."""

    def work() -> int:
        trial = make(random.Random(seed), folder)
        if callable(trial.arguments):
            return _called(trial.arguments)
        with serving(trial.answer) as port:
            code = command([a.replace("{port}", str(port)) for a in trial.arguments])
        if code == 0:
            sys.stdout.flush()
            trial.check((folder.parent / f"{folder.name}.out").read_text("utf-8", "replace"))
        return code

    return in_process(folder, work)


def _called(work: Callable[[], None]) -> int:
    from opinioncast.errors import OpinioncastError

    try:
        work()
    except OpinioncastError as error:
        print(f"opinioncast: {error}", file=sys.stderr)
        return error.exit_code
    return 0


@contextlib.contextmanager
def serving(answer: bytes | None) -> Iterator[int]:
    """A service on loopback that says one thing; its port, 0 where there is none."""
    if answer is None:
        yield 0
        return

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer or b"")))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(answer or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()


def _leftovers(out: Path) -> list[str]:
    """Temporary files; not the record of a run that ended early, by which the next one knows what
    it may replace."""
    there = (str(p.relative_to(out)) for p in out.rglob(".*") if p.is_file())
    return [name for name in there if not _JOURNAL.fullmatch(name)]


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
            ready = in_process(place, partial(_prepared, made, place))
            whole = place.with_name(f"{place.name}-whole")
            shutil.copytree(place, whole)
            began = time.monotonic()
            found = in_process(whole, partial(command, made.arguments))
            if ready.word != "read" or found.word != "read":
                raise RuntimeError(f"{name} does not run: {ready.said}\n{found.said}")
            self._took[name] = time.monotonic() - began
        shutil.copytree(place, folder)
        return self._took[name]

    def whole(self, name: str) -> Path:
        """The output of a run that nobody killed."""
        return self.root / f"{name.replace(' ', '_')}-whole" / OUT


def _prepared(made: Command, folder: Path) -> int:
    made.prepare(folder)
    for arguments in made.before:
        if status := command(arguments):
            return status
    return 0


def killed(chance: random.Random, root: Path, rounds: int, report: Callable[..., None]) -> int:
    """Kill and run again; how many were killed before their end."""
    kills = 0
    templates = Templates(root)
    names = sorted(COMMANDS)
    chance.shuffle(names)
    for number in range(rounds):
        folder = root / f"kill{number}"
        name = names[number % len(names)]
        made = COMMANDS[name]
        took = templates.laid(name, folder)
        pid = os.fork()
        if pid == 0:
            _child(folder, partial(command, made.arguments), [root / "k.out", root / "k.err"])
        time.sleep(chance.uniform(0.0, took))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        kills += os.WIFSIGNALED(status)
        found = in_process(folder, partial(command, made.arguments))
        report(
            f"kill {number}", name, _again(found, made, folder / OUT, templates.whole(name)), folder
        )
        shutil.rmtree(folder, ignore_errors=True)
    return kills


def _again(found: Outcome, made: Command, out: Path, whole: Path) -> Outcome:
    """What came of running a killed command again."""
    if found.word != "read":
        return Outcome("faults", found.said)
    for table in made.tables:
        if (out / table).read_bytes() != (whole / table).read_bytes():
            return Outcome("wrong", f"another {table}")
    there, wanted = ({str(p.relative_to(f)) for p in f.rglob("*")} for f in (out, whole))
    if left := _leftovers(out):
        return Outcome("read", "", (f"left: {left}",))
    if there != wanted:
        return Outcome("wrong", f"other files: {sorted(there ^ wanted)}")
    return Outcome("read", "")


def full(chance: random.Random, root: Path, rounds: int, report: Callable[..., None]) -> int:
    """Commands onto a disk too small for them; how many runs there were."""
    templates = Templates(root / "d")
    for number in range(rounds):
        folder = root / f"disk{number}"
        name = chance.choice(ON_SMALL_DISKS)
        templates.laid(name, folder)
        arguments = COMMANDS[name].arguments
        kilobytes = chance.choice((4, 8, 16, 32, 64, 128))
        with _disk(folder / OUT, kilobytes) as limit:
            found = in_process(folder, partial(_limited, limit, arguments))
            problem = _half(folder / OUT, found)
            if problem:
                word = found.word if found.word in ("faults", "hangs", "crashes") else "wrong"
                report(f"disk {number} of {kilobytes} kB", name, Outcome(word, problem), folder)
        shutil.rmtree(folder, ignore_errors=True)
    return rounds


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


def _half(out: Path, found: Outcome) -> str:
    """What is wrong after a run onto a full disk; "" where nothing is."""
    if found.word == "refused" and str(out.name) not in found.said:
        return f"the place is not named: {found.said[-600:]}"
    if found.word not in ("read", "refused"):
        return found.said[-1500:]
    if found.word == "read" and not (out / "manifest.json").is_file():
        return "status 0 without a manifest"
    for path in out.rglob("*"):
        if path.is_file() and path.stat().st_size == 0 and not path.name.startswith("."):
            return f"{path.name} is empty"
        if path.suffix == ".json":
            try:
                json.loads(path.read_text("utf-8"))
            except ValueError:
                return f"{path.name} is half written"
    left = _leftovers(out)
    return f"left behind: {left}" if left and found.word == "read" else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--disks", type=int, default=12)
    parser.add_argument("--only", nargs="*", default=[k.__name__ for k in KINDS])
    parser.add_argument("--keep", type=Path, help="Keep folders of tries that went wrong.")
    parser.add_argument("--ledger", type=Path, help="Go on with the tries that are in this file.")
    parser.add_argument("--quick", action="store_true", help="Under a minute.")
    given = parser.parse_args()
    tries, kills, disks = (16, 2, 2) if given.quick else (given.tries, given.kills, given.disks)
    if "OPENBLAS_NUM_THREADS" not in os.environ:  # a library's threads do not survive a fork
        one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | one_thread)
    _warm()
    counts: Counter[str] = Counter()

    book = _Ledger(given.ledger, given.seed)
    counts.update(book.counts)

    def report(where: str, kind: str, outcome: Outcome, folder: Path) -> None:
        fine = outcome.word in ("read", "refused")
        if where.startswith("try ") or not fine:  # kills and disks have counts of their own
            counts[outcome.word] += 1
        counts["odd"] += bool(outcome.odd)
        book.note(where, kind, outcome)
        if fine and not outcome.odd:
            return
        print(f"{where} ({kind}): {outcome.word} {'; '.join(outcome.odd)}")
        print("    " + "\n    ".join(outcome.said.strip().splitlines()[-12:])[-1800:], flush=True)
        if given.keep is not None and folder.exists():
            shutil.copytree(folder, given.keep / where.replace(" ", "_"), dirs_exist_ok=True)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped: what was found till then
    kinds = [k for k in KINDS if k.__name__ in given.only]
    done = died = filled = 0
    with (
        tempfile.TemporaryDirectory(prefix="campaign") as name,
        contextlib.suppress(KeyboardInterrupt),
    ):
        root = Path(name)
        for done in range(1, tries + 1 if kinds else 1):
            if f"try {done}" in book.done:
                continue
            make = kinds[(done - 1) % len(kinds)]
            folder = root / f"try{done}"
            folder.mkdir()
            found = one(f"{given.seed}/{make.__name__}/{done}", make, folder)
            report(f"try {done}", make.__name__, found, folder)
            shutil.rmtree(folder, ignore_errors=True)
        died = killed(random.Random(f"{given.seed}/kill"), root, kills, report)
        filled = full(random.Random(f"{given.seed}/disk"), root, disks, report)
    names = ("refused", "read", "faults", "wrong", "silent", "hangs", "crashes")
    line = {"tries": done} | {n: counts[n] for n in names}
    print(json.dumps(line | {"kills": died, "odd": counts["odd"], "disks": filled}))
    sys.exit(bool(sum(counts[n] for n in names[2:]) or counts["odd"]))


class _Ledger:
    """Outcomes on disk, a line each, so that a long campaign can be stopped and gone on with.

    Attributes:
        done: places of this seed's outcomes that were there.
        counts: their words.
    """

    def __init__(self, path: Path | None, seed: int) -> None:
        self.path, self.seed = path, seed
        self.done: set[str] = set()
        self.counts: Counter[str] = Counter()
        for line in path.read_text("utf-8").splitlines() if path and path.exists() else ():
            said = json.loads(line)
            if not said["where"].startswith("try "):  # kills and disks are made again
                continue
            if said["seed"] == seed and said["where"] not in self.done:
                self.done.add(said["where"])
                self.counts[said["word"]] += 1
                self.counts["odd"] += bool(said["odd"])

    def note(self, where: str, kind: str, outcome: Outcome) -> None:
        if self.path is not None:
            said = {"seed": self.seed, "where": where, "kind": kind, "word": outcome.word}
            with self.path.open("a", encoding="utf-8") as book:
                book.write(json.dumps(said | {"odd": list(outcome.odd)}) + "\n")


def _warm() -> None:
    """Import what every try needs, once; a forked process has it already. Nothing is computed:
    threads of a library do not survive a fork."""
    import safetensors.torch  # noqa: F401

    import opinioncast.backends.adapter_files
    import opinioncast.cli.curate
    import opinioncast.cli.evaluate
    import opinioncast.cli.inspect
    import opinioncast.cli.main
    import opinioncast.cli.predict
    import opinioncast.jobs.predict
    import opinioncast.methods.embedding.network
    import opinioncast.questionnaires
    import opinioncast.readers.microdata
    import opinioncast.report.chart
    import opinioncast.report.page  # noqa: F401

    gc.collect()
    gc.freeze()  # or each process copies all that is imported when its own garbage is looked for


if __name__ == "__main__":
    main()
