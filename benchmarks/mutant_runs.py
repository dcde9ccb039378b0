"""Copies of the repository in which mutants are tried, which tests reach a line, and results.

Nothing is changed in the working tree: each worker has a copy, in which one file at a time is
another. Reach and results are kept beside the copies, under the digest of sources and tests, so
that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mutant_nursery import WRONG_TREE, Answer, Request
from mutant_operators import Change

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = (".git", ".venv", "out", "opinioncast-out*", "__pycache__", ".*_cache", ".hypothesis")
PACKAGE = Path("src") / "opinioncast"

_SLACK = 15.0  # seconds of processor beyond the measured ones, before a mutant counts as caught
_FACTOR = 4.0
NOTHING_TO_RUN = 5  # pytest's exit code


class BenchmarkError(RuntimeError):
    """The benchmark itself does not work here; no mutant is judged by it."""


@dataclass(frozen=True)
class Test:
    """One test, as it ran on the unchanged sources.

    Attributes:
        name: pytest's id.
        seconds: of processor, its fixtures' and child processes' included, measured.
        apart: part of it runs in another process, where lines are not seen.
        lines: file (relative to the package) -> lines it runs.
    """

    name: str
    passed: bool
    seconds: float
    apart: bool
    lines: dict[str, frozenset[int]]

    @property
    def file(self) -> str:
        return self.name.split("::", 1)[0]


@dataclass(frozen=True)
class Result:
    """What became of one mutant.

    Attributes:
        key: names file and whole changed text.
        outcome: ``killed``, ``late`` (killed by its time), ``survived``, or ``unreached``: no test
            runs the line, so it survives untried.
        by: the test that failed, where there is one.
        tests: how many reach it.
    """

    key: str
    outcome: str
    by: str
    tests: int
    seconds: float

    @property
    def killed(self) -> bool:
        return self.outcome in ("killed", "late")


def tree_digest(root: Path, package: Path = PACKAGE) -> str:
    """SHA-256 of the paths and bytes of all sources and tests."""
    digest = hashlib.sha256()
    for folder in (package, Path("tests")):
        for file in sorted((root / folder).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(root)}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def copy_tree(root: Path, target: Path) -> Path:
    """The repository in ``target/main``, with what lies beside it under ``shared`` as a link."""
    if target.exists():
        shutil.rmtree(target)
    main = target / "main"
    shutil.copytree(root, main, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    beside = root.parent / "shared"
    if beside.is_dir():
        (target / "shared").symlink_to(beside, target_is_directory=True)
    return main


class Nursery:
    """A process that forks the tests of one copy (``mutant_nursery.py``)."""

    def __init__(self, main: Path, *, heavy: bool) -> None:
        self.main = main
        self._heavy = heavy
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: Request) -> Answer:
        """Run tests; the process is started at the first request.

        Raises:
            BenchmarkError: it ended, or tests would not see the copy.
        """
        if self._process is None:
            self._process = self._start()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(request)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(f"the process that forks tests ended: {self._process.wait()}")
        answer = Answer(**json.loads(line))
        if answer.code == WRONG_TREE:
            raise BenchmarkError(f"tests do not import opinioncast from {self.main}")
        return answer

    def _start(self) -> subprocess.Popen[str]:
        environment = dict(os.environ)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = "1"
        environment |= {
            "PYTHONPATH": str(self.main / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",  # a stale .pyc would be the file unchanged
            "HF_HUB_OFFLINE": "1",
            "MPLBACKEND": "Agg",
        }
        script = str(Path(__file__).with_name("mutant_nursery.py"))
        command = [sys.executable, script, "--serve", *(["--heavy"] if self._heavy else [])]
        return subprocess.Popen(
            command,
            cwd=self.main,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(timeout=30)
            self._process = None


class Workplace:
    """One copy, its nursery, and what was measured in it.

    Args:
        folder: of this workplace; the copy is made in it.
        heavy: PyTorch and the like are imported before tests are forked.
        seed: of Hypothesis.
    """

    def __init__(
        self,
        folder: Path,
        *,
        root: Path = ROOT,
        package: Path = PACKAGE,
        heavy: bool = True,
        seed: int = 0,
    ) -> None:
        self.main = copy_tree(root, folder / "copy")
        self.package = package
        self._scratch = folder / "scratch"
        self._seed = seed
        self._nursery = Nursery(self.main, heavy=heavy)

    def close(self) -> None:
        self._nursery.close()

    def tests_of(self, file: str, reach: Path, limit: float = 900.0) -> tuple[Test, ...]:
        """The tests of one test file with their reach, measured once and kept in ``reach``.

        None where the file does not run on the unchanged sources; that is printed.
        """
        kept = reach / (file.replace("/", "__") + ".json")
        if not kept.is_file():
            reach.mkdir(parents=True, exist_ok=True)
            fresh = kept.with_suffix(f".{os.getpid()}")
            answer = self._run((file,), (), cpu=limit, wall=3 * limit, measure=str(fresh))
            if answer.code not in (0, 1) or not fresh.is_file():
                print(f"left out, as it does not run: {file} ({answer})\n{self.said()[-1500:]}")
                return ()
            os.replace(fresh, kept)
        return tuple(
            Test(
                name,
                bool(t["passed"]),
                float(t.get("seconds", 0.0)),
                bool(t["apart"]),
                {short: frozenset(lines) for short, lines in t["lines"].items()},
            )
            for name, t in json.loads(kept.read_text("utf-8")).items()
        )

    def try_mutant(
        self, key: str, change: Change, text: str, tests: Sequence[Test], sound: Path
    ) -> Result:
        """Put the change into the copy, run the tests that reach it, take it out again.

        A test that kills for the first time is tried on the unchanged sources too, after the same
        tests: one that fails by itself kills nothing and is left out.

        Args:
            sound: file of the tests that were tried so, a name a line, after ``not`` where they
                failed.

        Raises:
            BenchmarkError: pytest does not run here, with or without the change.
        """
        tried = sound.read_text("utf-8").splitlines() if sound.is_file() else []
        reached = reaching(change, tests)
        chosen = [t for t in reached if f"not {t.name}" not in tried]
        started = time.monotonic()

        def result(outcome: str, by: str) -> Result:
            return Result(key, outcome, by, len(reached), time.monotonic() - started)

        while chosen:
            answer = self._changed(change, text, chosen)
            by = _killer(self.said())
            if answer.code == 0:
                return result("survived", "")
            if answer.late:
                return result("late", by)
            if answer.code == NOTHING_TO_RUN:
                raise BenchmarkError(f"no test was found for {change}: {self.said()[-2000:]}")
            if self._is_sound(by, chosen, sound):
                return result("killed", by or "does not run")
            print(f"fails on the unchanged sources, left out: {by}", flush=True)
            chosen = [t for t in chosen if t.name != by]
        return result("unreached", "")

    def _changed(self, change: Change, text: str, chosen: Sequence[Test]) -> Answer:
        path = self.main / self.package / change.file
        before = path.read_bytes()
        try:
            for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
                stale.unlink()
            path.write_text(text, "utf-8")
            return self._run_tests(chosen)
        finally:
            path.write_bytes(before)

    def _is_sound(self, by: str, chosen: Sequence[Test], sound: Path) -> bool:
        """Whether the tests up to the one that killed pass on the unchanged sources."""
        names = [t.name for t in chosen]
        number = names.index(by) + 1 if by in names else 1
        name = by or f"{names[0]} and what it imports"
        if sound.is_file() and name in sound.read_text("utf-8").splitlines():
            return True
        answer = self._run_tests(chosen[:number])
        if answer.code != 0 and (_killer(self.said()) != by or not by):
            raise BenchmarkError(f"unchanged sources: {answer}\n{self.said()[-2000:]}")
        with sound.open("a", encoding="utf-8") as file:
            file.write(f"{name}\n" if answer.code == 0 else f"not {name}\n")
        return answer.code == 0

    def _run_tests(self, chosen: Sequence[Test]) -> Answer:
        seconds = _SLACK + _FACTOR * sum(t.seconds for t in chosen)
        files = tuple(dict.fromkeys(t.file for t in chosen))
        return self._run(files, tuple(t.name for t in chosen), cpu=seconds, wall=4 * seconds)

    def said(self) -> str:
        """What the last run of pytest printed."""
        log = self._scratch / "log"
        return log.read_text("utf-8", errors="replace") if log.is_file() else ""

    def _run(
        self,
        files: tuple[str, ...],
        tests: tuple[str, ...],
        *,
        cpu: float,
        wall: float,
        measure: str = "",
    ) -> Answer:
        shutil.rmtree(self._scratch, ignore_errors=True)
        return self._nursery.ask(
            Request(files, tests, cpu, wall, str(self._scratch), self._seed, measure)
        )


def _killer(said: str) -> str:
    mark = "killed by "
    return next((x[len(mark) :] for x in said.splitlines() if x.startswith(mark)), "")


def reaching(change: Change, tests: Iterable[Test]) -> list[Test]:
    """The tests that run a line of the change's statement, quick ones first; then, as a fixture or
    a helper may have run once for all, the others of the same files and those that run part of
    their work in another process.

    What runs at import is reached by whatever runs the module.
    """
    sound = [t for t in tests if t.passed]
    first, last = change.span
    wanted = frozenset(range(first, last + 1))

    def runs(test: Test) -> bool:
        lines = test.lines.get(change.file, frozenset())
        return bool(lines if change.at_import else lines & wanted)

    direct = [t for t in sound if runs(t)]
    files = {t.file for t in direct}
    others = [t for t in sound if t not in direct and (t.file in files or t.apart)]
    if not direct and not any(t.apart for t in others):
        return []

    def quick(test: Test) -> float:
        return test.seconds

    return [*sorted(direct, key=quick), *sorted(others, key=quick)]


class Results:
    """Results in a file of one JSON object a line, appended as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, Result] = {}
        for entry in _lines(path):
            self._found[entry["key"]] = Result(**entry)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def get(self, key: str) -> Result | None:
        return self._found.get(key)

    def add(self, result: Result) -> None:
        self._found[result.key] = result
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Entries of a file; a last line that was cut off is left out."""
    if not path.is_file():
        return
    for line in path.read_text("utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue
