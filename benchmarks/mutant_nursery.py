"""Runs tests in forked processes that have their libraries already: PyTorch takes 15 s to import.

A process of its own in a copy of the repository, which imports libraries and never opinioncast. It
reads one request a line from standard input, forks, runs pytest in the child, and answers in one
line. With ``measure`` the child also writes which lines each test runs, and for how long.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LIBRARIES = ("pytest", "hypothesis", "numpy", "polars", "pydantic", "yaml", "rich")
HEAVY = ("scipy.stats", "typer", "matplotlib.pyplot", "torch", "transformers", "peft", "accelerate")
MEMORY = 8 << 30  # bytes of data a child may hold: a mutant's array without end is stopped
WRONG_TREE = 97


@dataclass(frozen=True)
class Request:
    """One run of pytest.

    Attributes:
        files: test files, relative to the copy.
        tests: ids to run, in this order; empty: all that the files hold.
        cpu, wall: seconds after which the child is ended.
        scratch: folder for what the tests write; its ``log`` holds what pytest said.
        seed: of Hypothesis.
        measure: file to write reach to, or "".
    """

    files: tuple[str, ...]
    tests: tuple[str, ...]
    cpu: float
    wall: float
    scratch: str
    seed: int
    measure: str = ""


@dataclass(frozen=True)
class Answer:
    """How a run ended: pytest's exit code, negative for a signal; whether its time ran out."""

    code: int
    late: bool
    seconds: float


class Chosen:
    """pytest plugin: only the tests asked for, in the order asked for."""

    def __init__(self, tests: tuple[str, ...]) -> None:
        self._place = {test: i for i, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._place),
            key=lambda item: self._place[item.nodeid],
        )


class Measured:
    """pytest plugin: lines of ``source`` that each test runs, those of shared fixtures too.

    What a fixture of a module or session runs is counted to every test that asks for it. What a
    test starts as another process isn't seen; such a test is said to be ``apart``.
    """

    def __init__(self, source: Path, target: Path) -> None:
        import coverage

        self._source = source
        self._target = target
        self._coverage = coverage.Coverage(
            data_file=None, include=[f"{source}/*"], config_file=False, messages=False
        )
        self._coverage.start()
        self._context = ""
        self._tests: dict[str, dict[str, Any]] = {}

    @contextlib.contextmanager
    def _inside(self, context: str) -> Generator[None]:
        before, self._context = self._context, context
        self._coverage.switch_context(context)
        try:
            yield
        finally:
            self._context = before
            self._coverage.switch_context(before)

    def hooks(self) -> Any:
        """The plugin's hooks; pytest is imported by now."""
        import pytest

        measured = self

        class Hooks:
            @pytest.hookimpl(wrapper=True)
            def pytest_runtest_protocol(self, item: Any) -> Generator[None, Any, Any]:
                started = time.process_time()
                children = resource.getrusage(resource.RUSAGE_CHILDREN)
                test = measured._tests.setdefault(item.nodeid, {"passed": True, "apart": False})
                test["fixtures"] = sorted(item.fixturenames)
                with measured._inside(item.nodeid):
                    result = yield
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                spent = after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime
                test["seconds"] = time.process_time() - started + spent
                test["apart"] = spent > 0.3
                return result

            @pytest.hookimpl(wrapper=True)
            def pytest_fixture_setup(
                self, fixturedef: Any, request: Any
            ) -> Generator[None, Any, Any]:
                if fixturedef.scope == "function":
                    return (yield)
                with measured._inside(f"fixture {fixturedef.argname}"):
                    return (yield)

            def pytest_runtest_logreport(self, report: Any) -> None:
                test = measured._tests.setdefault(report.nodeid, {"passed": True, "apart": False})
                if report.outcome != "passed" and not hasattr(report, "wasxfail"):
                    test["passed"] = False

            def pytest_sessionfinish(self) -> None:
                measured._write()

        return Hooks()

    def _write(self) -> None:
        self._coverage.stop()
        data = self._coverage.get_data()
        lines: dict[str, dict[str, list[int]]] = {}
        for file in data.measured_files():
            short = Path(file).relative_to(self._source).as_posix()
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    lines.setdefault(context, {}).setdefault(short, []).append(line)
        for name, test in self._tests.items():
            reached: dict[str, set[int]] = {}
            for context in (name, *(f"fixture {f}" for f in test.pop("fixtures", ()))):
                for short, found in lines.get(context, {}).items():
                    reached.setdefault(short, set()).update(found)
            test["lines"] = {short: sorted(found) for short, found in sorted(reached.items())}
        self._target.write_text(json.dumps(self._tests), "utf-8")


def child(request: Request) -> int:
    """Run pytest as asked; its exit code."""
    import pytest

    scratch = Path(request.scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    out = os.open(scratch / "log", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    cpu = int(request.cpu) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(scratch / "hypothesis")
    source = Path.cwd() / "src" / "opinioncast"
    plugins: list[Any] = []
    if request.tests:
        plugins.append(Chosen(request.tests))
    if request.measure:
        plugins.append(Measured(source, Path(request.measure)).hooks())
    else:
        plugins.append(_StopsAtFirst())
    sys.path.insert(0, str(source.parent))
    found = importlib.util.find_spec("opinioncast")
    if found is None or found.origin is None or not Path(found.origin).is_relative_to(source):
        return WRONG_TREE  # another tree would be tested, and every mutant survive
    return int(
        pytest.main(
            [
                *("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=line", "-rN"),
                f"--hypothesis-seed={request.seed}",
                f"--basetemp={scratch / 'tmp'}",
                *request.files,
            ],
            plugins=plugins,
        )
    )


class _StopsAtFirst:
    """pytest plugin: one failure is enough (-x would still finish its fixtures' teardown)."""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            sys.stdout.write(f"\nkilled by {report.nodeid}\n")
            sys.stdout.flush()
            os._exit(1)


def attend(request: Request) -> Answer:
    """Fork a child and wait for it."""
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        code = 3
        try:
            code = child(request)
        except BaseException as error:  # a fault of the mutant or of this file: said in the log
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    late = False
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() - started > request.wall:
            late = True
            os.killpg(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            break
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what its tests started
    code = os.waitstatus_to_exitcode(status)
    late = late or code == -signal.SIGXCPU
    return Answer(code, late, time.monotonic() - started)


def main() -> None:
    for name in (*LIBRARIES, *(HEAVY if "--heavy" in sys.argv else ())):
        with contextlib.suppress(ImportError):  # tests that need it skip
            importlib.import_module(name)
    for line in sys.stdin:
        wanted = json.loads(line)
        wanted["files"], wanted["tests"] = tuple(wanted["files"]), tuple(wanted["tests"])
        print(json.dumps(asdict(attend(Request(**wanted)))), flush=True)


if __name__ == "__main__" and "--serve" in sys.argv:
    main()
