"""Inputs of every kind gone wrong, runs killed and disks full: what comes of thousands of tries.

    python benchmarks/campaign.py [--seed 1] [--tries 200] [--kills 12] [--disks 12]
        [--only KIND ...] [--commands NAME ...] [--at-once 2] [--keep DIR] [--ledger FILE] [--quick]

Each try is drawn from the seed (``campaign_inputs.py``, ``campaign_models.py``,
``campaign_files.py``), run in a process of its own (``campaign_processes.py``: forked from one that
has imported what tries need) with 4 GiB of memory and 60 s, and counted as one of: refused (an
error that says what to do), read (and right, as far as it is known), fault (a traceback, or status
1), wrong, silent (something vanished without a word), hang, crash; and odd besides: a control or
direction mark that reached the terminal, an error longer than a screen, a temporary file left.
Kills (``campaign_kills.py``): a command is killed (SIGKILL) at moments of the run, then run again
to its end; its tables must be those of a run that nobody killed. Disks: what the same
commands write, or their cache, on a file system of a part of its size (a tmpfs where one can be
mounted, else a limit of the process's file sizes): whole files only, and an error that names the
place. What is odd is printed, with the try's number;
``--keep`` keeps those folders. With ``--ledger`` every outcome is written down at once, and the
same command goes on after the last one. POSIX only.

The last line is one JSON object: ``tries, refused, read, faults, wrong, silent, hangs, crashes,
kills, odd``, and ``disks``.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from campaign_files import FILE_KINDS
from campaign_inputs import KINDS as INPUT_KINDS
from campaign_inputs import Try
from campaign_kills import STOPPED, Report, full, killed
from campaign_models import MODEL_KINDS
from campaign_processes import Outcome, Process, called, command, serving

KINDS = (*INPUT_KINDS, *MODEL_KINDS, *FILE_KINDS)
_LEARNS = 12  # tries of each kind whose imports the next ones have already


def one(seed: str, make: Callable[[random.Random, Path], Try], folder: Path) -> Process:
    """A try, made and run and checked in its own process."""

    def work() -> int:
        trial = make(random.Random(seed), folder)
        if callable(trial.arguments):
            return called(trial.arguments)
        with serving(trial.answer) as port:
            code = command([a.replace("{port}", str(port)) for a in trial.arguments])
        if code == 0:
            sys.stdout.flush()
            trial.check((folder.parent / f"{folder.name}.out").read_text("utf-8", "replace"))
        return code

    folder.mkdir()
    return Process(folder, work)


def tried(
    given: argparse.Namespace, tries: int, root: Path, report: Report, done: Collection[str]
) -> None:
    """Tries from 1, several at once, without those ``done``."""
    kinds = [k for k in KINDS if k.__name__ in given.only]
    numbers = (n for n in range(1, tries + 1) if f"try {n}" not in done) if kinds else iter(())
    running: dict[int, tuple[str, Process]] = {}
    ended = 0
    while True:
        while (
            len(running) < given.at_once and not STOPPED.is_set() and (number := next(numbers, 0))
        ):
            make = kinds[(number - 1) % len(kinds)]
            process = one(f"{given.seed}/{make.__name__}/{number}", make, root / f"try{number}")
            running[number] = make.__name__, process
        if not running:
            return
        for number, (kind, process) in list(running.items()):
            if (found := process.outcome()) is None:
                continue
            del running[number]
            report(f"try {number}", kind, found, process.folder)
            if ended < _LEARNS * len(kinds):
                process.learn()
                gc.freeze()
            ended += 1
            for left in root.glob(f"try{number}.*"):
                left.unlink()
            shutil.rmtree(process.folder, ignore_errors=True)
        time.sleep(0.002)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--disks", type=int, default=12)
    parser.add_argument("--only", nargs="*", default=[k.__name__ for k in KINDS])
    parser.add_argument(
        "--commands", nargs="*", default=(), help="Kill, or give small disks, only these."
    )
    parser.add_argument("--at-once", type=int, default=2, help="Tries that run at the same time.")
    parser.add_argument("--keep", type=Path, help="Keep folders of tries that went wrong.")
    parser.add_argument("--ledger", type=Path, help="Go on with the tries that are in this file.")
    parser.add_argument("--quick", action="store_true", help="Under a minute.")
    given = parser.parse_args()
    tries, kills, disks = (16, 2, 2) if given.quick else (given.tries, given.kills, given.disks)
    if "OPENBLAS_NUM_THREADS" not in os.environ:  # a library's threads do not survive a fork
        one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | one_thread)
    _warm()
    book = _Ledger(given.ledger, given.seed)

    def report(where: str, kind: str, outcome: Outcome, folder: Path, died: bool = False) -> None:
        book.note(where, kind, outcome, died)
        if outcome.fine and not outcome.odd:
            return
        print(f"{where} ({kind}): {outcome.word} {'; '.join(outcome.odd)}")
        print("    " + "\n    ".join(outcome.said.strip().splitlines()[-12:])[-1800:], flush=True)
        if given.keep is not None and folder.exists():
            shutil.copytree(folder, given.keep / where.replace(" ", "_"), dirs_exist_ok=True)

    for number in (signal.SIGTERM, signal.SIGINT):  # stopped: what was found till then
        signal.signal(number, lambda *_: STOPPED.set())
    filled = 0
    with tempfile.TemporaryDirectory(prefix="campaign", ignore_cleanup_errors=True) as name:
        root = Path(name)
        tried(given, tries, root, report, book.done)
        killed(given.seed, root, kills, report, book.done, given.commands)
        filled = full(random.Random(f"{given.seed}/disk"), root, disks, report, given.commands)
    counts = book.counts
    names = ("refused", "read", "faults", "wrong", "silent", "hangs", "crashes")
    line = {n: counts[n] for n in ("tries", *names, "kills", "odd")}
    print(json.dumps(line | {"disks": filled}))
    sys.exit(bool(sum(counts[n] for n in names[2:]) or counts["odd"]))


class _Ledger:
    """Outcomes, on disk a line each, so that a long campaign can be stopped and gone on with.

    Attributes:
        done: places of this seed's outcomes.
        counts: of their words; of ``tries``, ``kills`` and ``odd``.
    """

    def __init__(self, path: Path | None, seed: int) -> None:
        self.path, self.seed = path, seed
        self.done: set[str] = set()
        self.counts: Counter[str] = Counter()
        for line in path.read_text("utf-8").splitlines() if path and path.exists() else ():
            said = json.loads(line)
            if not said["where"].startswith("disk "):  # made again
                self._count(said)

    def note(self, where: str, kind: str, outcome: Outcome, died: bool) -> None:
        said = {"seed": self.seed, "where": where, "kind": kind, "word": outcome.word}
        said |= {"odd": list(outcome.odd), "died": died}
        self._count(said)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as book:
                book.write(json.dumps(said) + "\n")

    def _count(self, said: Mapping[str, Any]) -> None:
        where, word = said["where"], said["word"]
        if said["seed"] != self.seed or where in self.done:
            return
        self.done.add(where)
        is_try = where.startswith("try ")
        self.counts["tries"] += is_try
        self.counts["kills"] += said.get("died", False)
        self.counts["odd"] += bool(said["odd"])
        if is_try or word not in ("read", "refused"):  # kills and disks have counts of their own
            self.counts[word] += 1


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
