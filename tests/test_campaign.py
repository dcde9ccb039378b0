"""The campaign counts what it is there to count, and its short form finds nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


def fails() -> int:
    raise ValueError("no")


def is_wrong() -> int:
    raise AssertionError("0.5 is not 0.4")


def loses() -> int:
    from campaign_inputs import SilentLossError

    raise SilentLossError("one of two questions")


def hangs() -> int:
    time.sleep(60)
    return 0


def dies() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def refuses() -> int:
    print("opinioncast: no\n  where:      a.yaml", file=sys.stderr)
    return 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "word"),
    [
        (fails, "faults"),
        (is_wrong, "wrong"),
        (loses, "silent"),
        (hangs, "hangs"),
        (dies, "crashes"),
        (refuses, "refused"),
        (lambda: 0, "read"),
        (lambda: 1, "faults"),
    ],
)
def test_what_comes_of_a_process(tmp_path: Path, work: Callable[[], int], word: str) -> None:
    from campaign_processes import in_process

    (tmp_path / "f").mkdir()
    found = in_process(tmp_path / "f", work, seconds=1.5)
    assert (found.word, found.odd) == (word, ())


def test_what_is_odd(tmp_path: Path) -> None:
    from campaign_inputs import OUT
    from campaign_processes import in_process

    (tmp_path / "f" / OUT).mkdir(parents=True)

    def work() -> int:
        print("an \x1b[2J")
        Path(OUT, ".half.csv").touch()
        Path(OUT, ".opinioncast-1.jsonl").touch()
        print("opinioncast: long" + "\nx" * 40, file=sys.stderr)
        return 2

    found = in_process(tmp_path / "f", work, seconds=5)
    assert [o.split()[0] for o in found.odd] == ["the", "an", "left"]


def test_a_seed_is_a_try(tmp_path: Path) -> None:
    from campaign_inputs import damaged, questionnaire, swapped

    assert damaged(random.Random(3), b"abc" * 50) == damaged(random.Random(3), b"abc" * 50)
    assert damaged(random.Random(3), b"abc" * 50) != b"abc" * 50
    value = {"a": [1, {"b": 2}]}
    assert repr(swapped(random.Random(5), value)) == repr(swapped(random.Random(5), value))
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        questionnaire(random.Random("7"), tmp_path / name)
        made.append([(p.name, p.read_bytes()) for p in sorted((tmp_path / name).iterdir())])
    assert made[0] == made[1]


@pytest.mark.slow
def test_the_short_campaign_finds_nothing() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "campaign.py"), "--quick"],
        capture_output=True,
        text=True,
        env=os.environ | ONE_THREAD,
    )
    line = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout
    assert line["refused"] + line["read"] == line["tries"] > 0
    assert line["disks"] > 0
