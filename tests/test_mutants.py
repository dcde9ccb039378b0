"""The benchmark that puts faults into the sources, on a toy package: what a test notices is killed,
what it does not survives, and the files in place stay as they are."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("mutmut")
pytest.importorskip("coverage")
if not hasattr(os, "fork"):
    pytest.skip("tests of mutants are forked", allow_module_level=True)

from mutant_nursery import Request
from mutant_operators import MutableFile, changed_lines, draw
from mutant_runs import BenchmarkError, Nursery, Results, reaching, tree_digest
from mutants import Bench, Equivalent, Named, Notes, Room, named_mutant, summary, try_room

TOY = '''\
"""A toy."""

import functools


def share(part: float, whole: float) -> float:
    """Part of a whole."""
    if whole < 0:
        raise ValueError("a whole is not negative " + str(whole - 1))
    return part / whole


def unseen(values):
    return min(values)


@functools.cache
def known():
    return share(2, 8)
'''
TESTS = """\
import time

import pytest
from opinioncast.toy import known, share

called = []


@pytest.fixture(scope="module")
def quarter():
    return known()


def test_fails_by_itself():
    assert share(1, 2) == 3


def test_comes_first():
    assert not called
    until = time.process_time() + 0.5  # slower than the others, whatever else is running
    while time.process_time() < until:
        pass
    assert share(3, 2) > 0


def test_half():
    called.append(1)
    assert share(1, 2) == 0.5


def test_a_negative_whole():
    with pytest.raises(ValueError):
        share(1, -1)


def test_first(quarter):
    assert quarter


def test_second(quarter):
    assert quarter == 0.25
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    root = tmp_path / "toy"
    package = root / "src" / "opinioncast"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", "utf-8")
    (package / "toy.py").write_text(TOY, "utf-8")
    (root / "tests").mkdir()
    (root / "tests" / "test_toy.py").write_text(TESTS, "utf-8")
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\n", "utf-8")
    return root


def lines(source: str, **changes: int) -> set[str]:
    """What the changed lines of a source become, of some kinds of change."""
    file = MutableFile("toy.py", source)
    texts = [file.text(c) for c in file.changes if not changes or c.kind in changes]
    return {changed_lines(source, text)[1] for text in texts if text is not None}


def test_what_becomes_of_a_line() -> None:
    found = lines("x = min(a, b) - 1\n")
    assert found == {
        "x = None",
        "x = min(a, b) + 1",
        "x = min(a, b) - 2",
        "x = min(None, b) - 1",
        "x = min(a, None) - 1",
        "x = min(b) - 1",
        "x = min(a, ) - 1",
        "x = max(a, b) - 1",
        "x = min(b, a) - 1",
    }
    assert lines("if a:\n    step()\n") == {"if not (a):", "pass"}
    assert "o = AdamW(p, lr=20 * (r.rate))" in lines("o = AdamW(p, lr=r.rate)\n")
    assert lines("def f():\n    return model.eval()\n") == {"return model.train()"}


@pytest.mark.parametrize(
    "source",
    [
        '"""Only said."""\n',
        "def f(x: int | None) -> list[int]: ...\n",
        "def f():\n    raise ValueError(a + 1, f'{b - 1}')\n",
        "import a.b\nfrom a import b\n",
        "@cache(1)\nclass A: ...\n",
    ],
)
def test_what_is_left_alone(source: str) -> None:
    assert MutableFile("toy.py", source).changes == ()


def test_a_draw_is_the_seeds_and_a_smaller_one_its_beginning() -> None:
    def drawn(count: int, seed: int) -> list[str]:
        return [text for _, text in draw([MutableFile("toy.py", TOY)], count, seed, "toy")]

    assert drawn(8, 1) == drawn(8, 1)
    assert drawn(8, 1)[:3] == drawn(3, 1)
    assert drawn(8, 1) != drawn(8, 2)
    every = drawn(10_000, 1)
    assert len(set(every)) == len(every)
    assert TOY not in every


def test_lines_and_statements_of_a_change() -> None:
    changes = MutableFile("toy.py", TOY).changes
    (compared,) = [c for c in changes if c.kind == "swap_op" and c.line == 8]
    assert (compared.span, compared.at_import) == ((8, 8), False)
    (number,) = [
        c for c in MutableFile("t.py", "A = (\n    1,\n    b,\n)\n").changes if c.line == 2
    ]
    assert (number.span, number.at_import) == ((1, 4), True)


def test_a_fault_put_in_by_hand_fits_once(toy: Path) -> None:
    note = Named("toy", "shares turned round", "toy.py", "part / whole", "whole / part")
    mutant = named_mutant(note, toy)
    assert mutant.change.span == (10, 10)
    assert mutant.after == TOY.replace("part / whole", "whole / part")
    for before in ("share(", "nowhere"):
        with pytest.raises(BenchmarkError, match="times in"):
            named_mutant(Named("toy", "x", "toy.py", before, ""), toy)


def test_equivalents_must_still_be_made() -> None:
    file = MutableFile("toy.py", TOY)
    fits = Equivalent("toy.py", "return min(values)", "return max(values)", "one value")
    stale = Equivalent("toy.py", "return min(values)", "return median(values)", "gone")
    notes = Notes(equivalent=(fits, stale))
    assert notes.stale([file]) == ["toy.py: return min(values) -> return median(values)"]
    assert notes.reason("toy.py", TOY, TOY.replace("min(", "max(")) == "one value"
    assert notes.reason("toy.py", TOY, TOY.replace("min(", "sum(")) is None


@pytest.mark.slow
def test_noticed_ones_are_killed_and_the_others_survive(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    room = Room(("toy.py",), ("tests",))
    notes = Notes(
        named=(
            Named("toy", "turned round", "toy.py", "part / whole", "whole / part"),
            Named("toy", "the bound is included", "toy.py", "whole < 0", "whole <= 0"),
            Named("toy", "the largest", "toy.py", "min(", "max("),
            Named("toy", "nothing raised", "toy.py", "whole < 0", "whole < -9"),
            Named("toy", "does not import", "toy.py", "import functools", "import no_such"),
            Named("toy", "a shared fixture's", "toy.py", "share(2, 8)", "share(3, 8)"),
        ),
        equivalent=(Equivalent("toy.py", "return min(values)", "return max(values)", "one value"),),
    )
    before = tree_digest(toy)
    with Bench(tmp_path / "out", root=toy, heavy=False, seed=1) as bench:
        found = try_room(bench, "toy", room, notes, count=8, seed=1)
        tests = {t.name.split("::")[1]: t for t in bench.measured(["tests/test_toy.py"])}
    assert tree_digest(toy) == before
    said = capsys.readouterr().out
    assert [t.passed for t in tests.values()] == [False, True, True, True, True, True]
    # it passes where it is measured, but not after quicker ones: it kills nothing
    assert "left out: tests/test_toy.py::test_comes_first" in said
    # known() ran once, inside the fixture: both tests that ask for it reach its line
    assert all(19 in tests[f"test_{n}"].lines["toy.py"] for n in ("first", "second"))
    counts = found.as_json()
    assert (counts["named"], counts["named_killed"]) == (6, 4)
    assert "whole <= 0" in said
    assert counts["equivalent"] == 1
    assert counts["mutants"] == counts["killed"] + counts["equivalent"] + len(found.survivors) - 2
    survivors = "\n".join(found.survivors)
    assert "no test runs the line" in survivors
    assert "+    return part * whole" not in survivors
    assert summary({"toy": found})["killed"] == counts["killed"]

    # the same again, and only what survived: nothing is run twice
    (kept,) = (tmp_path / "out").glob("*/results.jsonl")
    results = Results(kept)
    alive = frozenset(k for k in results if not results.get(k).killed)
    size = kept.stat().st_size
    with Bench(tmp_path / "out", root=toy, heavy=False, seed=1) as bench:
        again = try_room(bench, "toy", room, notes, count=8, seed=1)
        only = try_room(bench, "toy", room, notes, count=8, seed=1, only=alive)
    assert again.as_json() | {"seconds": 0} == counts | {"seconds": 0}
    assert kept.stat().st_size == size
    assert only.killed == 0
    assert only.survivors == found.survivors


@pytest.mark.slow
def test_a_mutant_without_end_is_stopped(toy: Path, tmp_path: Path) -> None:
    endless = textwrap.dedent("""
        import time
        def test_turns():
            while True:
                pass
        def test_sleeps():
            time.sleep(60)
        """)
    (toy / "tests" / "test_endless.py").write_text(endless, "utf-8")
    nursery = Nursery(toy, heavy=False)
    for test, cpu, wall in (("turns", 1.0, 50.0), ("sleeps", 50.0, 3.0)):
        names = (f"tests/test_endless.py::test_{test}",)
        answer = nursery.ask(
            Request(("tests/test_endless.py",), names, cpu, wall, str(tmp_path / "scratch"), 0)
        )
        assert answer.late
        assert answer.seconds < 40
    nursery.close()


@pytest.mark.slow
def test_another_package_than_the_copys_is_an_error(toy: Path, tmp_path: Path) -> None:
    (toy / "src" / "opinioncast" / "__init__.py").rename(toy / "elsewhere.py")
    (toy / "src" / "opinioncast" / "toy.py").unlink()
    (toy / "src" / "opinioncast").rmdir()
    nursery = Nursery(toy, heavy=False)
    with pytest.raises(BenchmarkError, match="do not import opinioncast from"):
        nursery.ask(Request(("tests/test_toy.py",), (), 5.0, 20.0, str(tmp_path / "scratch"), 0))
    nursery.close()


def test_tests_that_reach_come_first_quick_ones_before_slow() -> None:
    from mutant_operators import Change
    from mutant_runs import Test

    def one(name: str, seconds: float, *numbers: int, apart: bool = False, passed: bool = True):
        return Test(name, passed, seconds, apart, {"toy.py": frozenset(numbers)})

    tests = [
        one("a.py::slow", 9.0, 3),
        one("a.py::quick", 1.0, 2, 3),
        one("a.py::beside", 0.1, 7),
        one("b.py::other", 0.1, 7),
        one("b.py::process", 5.0, apart=True),
        one("a.py::broken", 0.1, 3, passed=False),
    ]
    change = Change("toy.py", "number", 3, (3, 4), False, 0)
    names = [t.name for t in reaching(change, tests)]
    assert names == ["a.py::quick", "a.py::slow", "a.py::beside", "b.py::process"]
    at_import = Change("toy.py", "number", 1, (1, 1), True, 0)
    assert {t.name for t in reaching(at_import, tests)} == {t.name for t in tests if t.passed}
    assert reaching(Change("toy.py", "number", 99, (99, 99), False, 0), tests[:4]) == []
