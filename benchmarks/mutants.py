"""Mutation testing: small faults put into the sources, and the share of them that a test notices.

For each room ``--mutants`` changes are drawn with ``--seed`` (the kinds of change in turn,
``mutant_operators.py``), each is put into a copy of the repository, and the tests that run the
changed line are run there, quick ones first, until one fails. Which tests run a line is measured
first, by coverage with a context a test. ``mutants.toml`` holds faults put in by hand, tried
besides the drawn ones, and the drawn ones that make no other program, each with a reason; an entry
that no longer fits the sources is an error.

    python benchmarks/mutants.py [--rooms survey evaluate ...] [--mutants 200] [--seed 1]
        [--workers 1] [--out out/mutants] [--most SECONDS] [--survivors] [--quick] [--root DIR]

A run that was stopped goes on where it was (results are kept under ``--out`` by the digest of
sources and tests). ``--survivors``: only what survived in an earlier run, after tests were
written. ``--most``: without the tests that take longer; what survives may be theirs. A mutant whose
tests take more than four times their processor time, and 15 s, is killed. POSIX only.

The last line is one JSON object with ``mutants``, ``killed``, ``equivalent``, ``share`` (killed of
those that aren't equivalent), the same by room, and ``named``, ``named_killed``.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import runpy
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from mutant_operators import Change, MutableFile, changed_lines, difference, draw, key
from mutant_runs import (
    PACKAGE,
    ROOT,
    BenchmarkError,
    Result,
    Results,
    Test,
    Workplace,
    reaching,
    tree_digest,
)

NOTES = Path(__file__).with_suffix(".toml")
QUICK_MUTANTS = 4


@dataclass(frozen=True)
class Room:
    """What is changed, and the test files that are measured for it: files or folders, relative to
    the package and to the repository. Tests that mirror a source are measured besides."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "survey": Room(("survey",), ("tests/survey",)),
    "curate": Room(
        ("curate/aggregate.py", "curate/design.py"),
        (
            "tests/curate/test_design.py",
            "tests/curate/test_designs.py",
            "tests/curate/test_r_survey.py",
            "tests/curate/test_domains.py",
            "tests/curate/test_bands.py",
        ),
    ),
    "evaluate": Room(
        ("evaluate",),
        (
            "tests/evaluate",
            "tests/jobs/test_evaluate.py",
            "tests/reproduce/test_improvements.py",
        ),
    ),
    "finetune": Room(
        ("finetune", "jobs/finetune.py"),
        (
            "tests/finetune",
            "tests/jobs/test_train_community.py",
            "tests/jobs/test_training_data.py",
        ),
    ),
    "methods": Room(
        (
            "methods/blend.py",
            "methods/error_bars.py",
            "methods/nearest.py",
            "methods/neighbours.py",
            "methods/prediction.py",
            "methods/scale_map.py",
            "methods/total.py",
            "methods/uniform.py",
            "methods/embedding",
        ),
        ("tests/methods", "tests/predictor/test_declarations.py"),
    ),
    "evidence": Room(
        ("evidence",),
        (
            "tests/evidence",
            "tests/jobs/test_update.py",
            "tests/jobs/test_plan.py",
            "tests/jobs/test_estimate.py",
            "tests/jobs/test_learn_prior.py",
        ),
    ),
}


@dataclass(frozen=True)
class Named:
    """A fault put in by hand: ``before``, which stands once in the file, becomes ``after``."""

    room: str
    what: str
    file: str
    before: str
    after: str


@dataclass(frozen=True)
class Equivalent:
    """A change that makes no other program; the changed lines as :func:`changed_lines` has them."""

    file: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class Notes:
    """What ``mutants.toml`` says."""

    named: tuple[Named, ...] = ()
    equivalent: tuple[Equivalent, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Notes:
        found = tomllib.loads(path.read_text("utf-8"))
        return cls(
            tuple(Named(**entry) for entry in found.get("named", ())),
            tuple(Equivalent(**entry) for entry in found.get("equivalent", ())),
        )

    def reason(self, file: str, before: str, after: str) -> str | None:
        """Why this change makes no other program; None where nothing says so."""
        lines = changed_lines(before, after)
        for entry in self.equivalent:
            if entry.file == file and (entry.before, entry.after) == lines:
                return entry.reason
        return None

    def stale(self, files: Iterable[MutableFile]) -> list[str]:
        """Equivalent entries of these files that no change makes any more."""
        gone = []
        for file in files:
            for entry in (e for e in self.equivalent if e.file == file.file):
                if not any(lines == (entry.before, entry.after) for lines in _lines(file, entry)):
                    gone.append(f"{entry.file}: {entry.before} -> {entry.after}")
        return gone


def _lines(file: MutableFile, entry: Equivalent) -> Iterator[tuple[str, str]]:
    """Changed lines of the changes of a file on the entry's lines."""
    source = [line.strip() for line in file.source.splitlines()]
    places = {i + 1 for i, line in enumerate(source) if line and entry.before.startswith(line)}
    for change in file.changes:
        if places & set(range(change.span[0], change.span[1] + 1)):
            text = file.text(change)
            if text is not None:
                yield changed_lines(file.source, text)


@dataclass(frozen=True)
class Mutant:
    """One change to be tried; ``what`` of a named one."""

    room: str
    change: Change
    before: str
    after: str
    what: str = ""

    @property
    def key(self) -> str:
        return key(self.change.file, self.after)

    def __str__(self) -> str:
        where = f"{self.change.file}:{self.change.line}"
        said = self.what or self.change.kind.replace("_", " ")
        return f"{where}  {said}\n{difference(self.change.file, self.before, self.after)}"


def named_mutant(note: Named, root: Path, package: Path = PACKAGE) -> Mutant:
    """The mutant of a named fault.

    Raises:
        BenchmarkError: its text isn't in the file, or more than once.
    """
    path = root / package / note.file
    source = path.read_text("utf-8") if path.is_file() else ""
    count = source.count(note.before)
    if count != 1:
        raise BenchmarkError(f"{note.what}: {note.before!r} stands {count} times in {note.file}")
    first = source[: source.index(note.before)].count("\n") + 1
    span = (first, first + note.before.strip("\n").count("\n"))
    after = source.replace(note.before, note.after)
    inside = any(
        isinstance(node, ast.FunctionDef) and node.body[0].lineno <= first <= (node.end_lineno or 0)
        for node in ast.walk(ast.parse(source))
    )
    change = Change(note.file, "named", first, span, not inside, -1)
    return Mutant(note.room, change, source, after, note.what)


def sources_of(room: Room, root: Path, package: Path = PACKAGE) -> list[str]:
    """The room's source files, relative to the package."""
    found = []
    for name in room.sources:
        place = root / package / name
        files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        found += [
            f.relative_to(root / package).as_posix() for f in files if f.name != "__init__.py"
        ]
    return found


def tests_of(room: Room, sources: Sequence[str], root: Path, *, mirrored: bool) -> list[str]:
    """The room's test files; ``mirrored``: only those that mirror ``sources``."""
    mirror = root / "tests" / "test_mirror.py"
    elsewhere = runpy.run_path(str(mirror))["ELSEWHERE"] if mirror.is_file() else {}
    found = []
    for name in sources:
        own = (Path(name).parent / f"test_{Path(name).name}").as_posix()
        found.append("tests/" + elsewhere.get(name, own))
    for name in () if mirrored else room.tests:
        place = root / name
        files = sorted(place.rglob("test_*.py")) if place.is_dir() else [place]
        found += [f.relative_to(root).as_posix() for f in files]
    return [name for name in dict.fromkeys(found) if (root / name).is_file()]


class Bench:
    """Workplaces, one a worker, and what they share."""

    def __init__(
        self,
        out: Path,
        *,
        root: Path = ROOT,
        package: Path = PACKAGE,
        workers: int = 1,
        heavy: bool = True,
        seed: int = 0,
    ) -> None:
        self.package = package
        first = Workplace(out / "worker0", root=root, package=package, heavy=heavy, seed=seed)
        self.root = first.main  # from here on the working tree may change
        self.folder = out / tree_digest(self.root, package)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._places = [first] + [
            Workplace(out / f"worker{i}", root=self.root, package=package, heavy=heavy, seed=seed)
            for i in range(1, workers)
        ]
        self._free: SimpleQueue[Workplace] = SimpleQueue()
        for place in self._places:
            self._free.put(place)
        self.results = Results(self.folder / "results.jsonl")

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        for place in self._places:
            place.close()

    def measured(self, files: Sequence[str]) -> list[Test]:
        """The tests of test files, with their reach."""

        def one(file: str) -> tuple[Test, ...]:
            place = self._free.get()
            try:
                return place.tests_of(file, self.folder / "reach")
            finally:
                self._free.put(place)

        with ThreadPoolExecutor(len(self._places)) as pool:
            return [test for tests in pool.map(one, files) for test in tests]

    def tried(self, mutants: Sequence[Mutant], tests: Sequence[Test]) -> Iterator[Result]:
        """Results of mutants in their order, those found before included."""

        def one(mutant: Mutant) -> Result:
            known = self.results.get(mutant.key)
            if known is not None and (
                known.killed or known.tests >= len(reaching(mutant.change, tests))
            ):
                return known
            place = self._free.get()
            try:
                result = place.try_mutant(
                    mutant.key, mutant.change, mutant.after, tests, self.folder / "sound.txt"
                )
            finally:
                self._free.put(place)
            self.results.add(result)
            return result

        with ThreadPoolExecutor(len(self._places)) as pool:
            yield from pool.map(one, mutants)


@dataclass
class Count:
    """What became of a room's mutants."""

    killed: int = 0
    late: int = 0
    equivalent: list[str] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)
    named: int = 0
    named_killed: int = 0
    seconds: float = 0.0

    @property
    def mutants(self) -> int:
        return self.killed + len(self.equivalent) + len(self.survivors) - self._named_survivors

    @property
    def _named_survivors(self) -> int:
        return self.named - self.named_killed

    def as_json(self) -> dict[str, float]:
        counted = self.mutants - len(self.equivalent)
        share = self.killed / counted if counted else float("nan")
        return {
            "mutants": self.mutants,
            "killed": self.killed,
            "late": self.late,
            "equivalent": len(self.equivalent),
            "share": round(share, 4) if counted else 0.0,
            "named": self.named,
            "named_killed": self.named_killed,
            "seconds": round(self.seconds, 1),
        }


def try_room(
    bench: Bench,
    name: str,
    room: Room,
    notes: Notes,
    *,
    count: int,
    seed: int,
    quick: bool = False,
    only: frozenset[str] | None = None,
    most: float | None = None,
) -> Count:
    """Draw a room's mutants and try them; survivors are printed as they come.

    Args:
        quick: of one module only, against the tests that mirror it.
        only: keys of the mutants to try; None: all.
        most: seconds of processor above which a test is not run; None: every test.

    Raises:
        BenchmarkError: a note fits nothing any more; tests cannot be run.
    """
    started = time.monotonic()
    sources = sources_of(room, bench.root, bench.package)
    named = [named_mutant(n, bench.root, bench.package) for n in notes.named if n.room == name]
    if quick:
        sources = [random.Random(seed).choice(sources)]
        named = [m for m in named if m.change.file in sources]
    files = [MutableFile(s, (bench.root / bench.package / s).read_text("utf-8")) for s in sources]
    if gone := notes.stale(files):
        raise BenchmarkError("no change makes these any more:\n" + "\n".join(gone))
    of = {f.file: f.source for f in files}
    drawn = [Mutant(name, c, of[c.file], text) for c, text in draw(files, count, seed, name)]
    mutants = [m for m in (*named, *drawn) if only is None or m.key in only]
    if not mutants:
        return Count()
    more = [m.change.file for m in named]  # may lie in another room
    tests = [
        t
        for t in bench.measured(tests_of(room, [*sources, *more], bench.root, mirrored=quick))
        if most is None or t.seconds <= most
    ]
    found = Count()
    for mutant, result in zip(mutants, bench.tried(mutants, tests), strict=True):
        _count(found, mutant, result, notes)
    found.seconds = time.monotonic() - started
    return found


def _count(found: Count, mutant: Mutant, result: Result, notes: Notes) -> None:
    found.named += bool(mutant.what)
    if result.killed:
        found.late += result.outcome == "late"
        if mutant.what:
            found.named_killed += 1
        else:
            found.killed += 1
        return
    reason = notes.reason(mutant.change.file, mutant.before, mutant.after)
    if reason is not None and not mutant.what:
        found.equivalent.append(f"{mutant}\n  equivalent: {reason}")
        return
    tried = f"{result.tests} tests" if result.tests else "no test runs the line"
    found.survivors.append(f"{mutant}\n  {tried}")
    print(f"survived  {mutant}\n  {tried}\n", flush=True)


def survived_before(out: Path) -> frozenset[str]:
    """Keys of the mutants that survived in any earlier run."""
    found: dict[str, bool] = {}
    for path in sorted(out.glob("*/results.jsonl"), key=lambda p: p.stat().st_mtime):
        results = Results(path)
        found |= {k: results.get(k).killed for k in results}  # type: ignore[union-attr]
    return frozenset(k for k, killed in found.items() if not killed)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=list(ROOMS))
    parser.add_argument("--mutants", type=int, default=200, help="of each room")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "mutants")
    parser.add_argument("--root", type=Path, default=ROOT, help="repository to copy")
    parser.add_argument("--survivors", action="store_true", help="only what survived before")
    parser.add_argument("--most", type=float, help="seconds above which a test is not run")
    parser.add_argument("--quick", action="store_true", help="four mutants of one module")
    args = parser.parse_args()
    rooms = args.rooms[:1] if args.quick else args.rooms
    notes = Notes.read(NOTES)
    only = survived_before(args.out) if args.survivors else None
    counts: dict[str, Count] = {}
    with Bench(
        args.out, root=args.root, workers=args.workers, heavy=not args.quick, seed=args.seed
    ) as bench:
        for name in rooms:
            counts[name] = try_room(
                bench,
                name,
                ROOMS[name],
                notes,
                count=QUICK_MUTANTS if args.quick else args.mutants,
                seed=args.seed,
                quick=args.quick,
                only=only,
                most=args.most,
            )
    print(table(counts, args.seed))
    print(json.dumps(summary(counts) | {"seed": args.seed}))


def table(counts: dict[str, Count], seed: int) -> str:
    """Counts as Markdown, a row a room."""
    head = f"| seed {seed} | mutants | killed | equivalent | survived | share | by hand | seconds |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for name, found in counts.items():
        j = found.as_json()
        survived = j["mutants"] - j["killed"] - j["equivalent"]
        lines.append(
            f"| {name} | {j['mutants']} | {j['killed']} | {j['equivalent']} | {survived} | "
            f"{j['share']:.1%} | {j['named_killed']} of {j['named']} | {j['seconds']:.0f} |"
        )
    return "\n".join(lines)


def summary(counts: dict[str, Count]) -> dict[str, object]:
    """What the last line says."""
    rooms = {name: found.as_json() for name, found in counts.items()}
    whole: dict[str, object] = {
        name: sum(room[name] for room in rooms.values())
        for name in ("mutants", "killed", "late", "equivalent", "named", "named_killed")
    }
    counted = sum(room["mutants"] - room["equivalent"] for room in rooms.values())
    killed = sum(room["killed"] for room in rooms.values())
    whole["share"] = round(killed / counted, 4) if counted else None
    return whole | {"rooms": rooms}


if __name__ == "__main__":
    try:
        main()
    except BenchmarkError as error:
        sys.exit(f"mutants: {error}")
