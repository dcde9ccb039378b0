"""Three large commands at a quarter, half and all of their size: seconds, memory, share of figures.

`curate` of 600 variables x 200,000 respondents (SPSS, 22 groups), `evaluate` of a million rows,
`predict --method network` of 4,000 questions x 22 groups, each as it is typed with all that it
writes by default. Each runs in a process of its own that has its libraries already.

    python benchmarks/sizes.py [--quick] [--only COMMAND ...]

``--quick`` takes a twentieth of each. ``mb`` is the peak of resident memory above that of a process
that has done nothing yet. ``figures`` is the share of the seconds in which the room that draws
figures and writes pages (``opinioncast.report``) was at work, or what it calls: a thread looks at
the stack every 10 ms. ``growth`` is the power of the work in the seconds of the processor from half
to all: 1 is in proportion. The last line is one JSON object; ``faster_than_work`` names what has a
power above 1.3 in seconds of the processor or memory.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import evaluate
from growth import POWER_MOST, Size, apart, groups, run, write_questionnaire, write_survey

GROUPS = 22
PARTS = (4, 2, 1)
_LOOK = 0.01  # seconds between two looks at the stack


@dataclass(frozen=True)
class Measured:
    """A command at one size.

    Attributes:
        seconds: of the processor, which other programs on the machine change little.
        mb: above a process that has done nothing yet.
        figures: share of the time in ``opinioncast.report``.
    """

    seconds: float
    mb: float
    figures: float


def curate(folder: Path, questions: int, respondents: int) -> list[str]:
    recipe = write_survey(folder, Size(questions, GROUPS, respondents))
    return ["curate", str(recipe), "-o", str(folder / "out")]


def scores(folder: Path, rows: int) -> list[str]:
    observed, predicted = evaluate.tables(rows)
    paths = [str(folder / f"{name}.parquet") for name in ("predictions", "opinions")]
    for table, path in zip((predicted, observed), paths, strict=True):
        table.write(path)
    return ["evaluate", *paths, "-o", str(folder / "out")]


def predict(folder: Path, questions: int) -> list[str]:
    asked = str(write_questionnaire(folder, Size(questions, GROUPS, 0)))
    given = [part for g in groups(GROUPS) for part in ("-g", g)]
    out = ["-o", str(folder / "out")]
    return ["predict", asked, *given, "--method", "network", "--no-library", *out]


SIZES: dict[str, tuple[Callable[..., list[str]], tuple[int, ...]]] = {
    "curate": (curate, (600, 200_000)),
    "evaluate": (scores, (1_000_000,)),
    "predict": (predict, (4_000,)),
}
"""What writes the inputs of a command, and its whole size; the last number is divided."""


def watched(typed: Sequence[str]) -> Measured:
    """The command in this process, with the share of its seconds in figures and pages."""
    main = threading.main_thread().ident
    over = threading.Event()
    drawing = 0.0

    def look() -> None:
        nonlocal drawing
        before = time.monotonic()
        while not over.wait(_LOOK):
            frame = sys._current_frames().get(main or 0)
            now = time.monotonic()
            while frame is not None:
                if frame.f_globals.get("__name__", "").startswith("opinioncast.report"):
                    drawing += now - before
                    break
                frame = frame.f_back
            before = now

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    begun = time.monotonic()
    try:
        took = run(typed)
    finally:
        over.set()
        watcher.join()
    return Measured(took.seconds, took.mb, drawing / (time.monotonic() - begun))


def measure(context: Any, name: str, divided: int, quick: bool) -> Measured:
    write, whole = SIZES[name]
    *same, last = whole
    size = (*(n // 10 if quick else n for n in same), last // divided // (20 if quick else 1))
    with tempfile.TemporaryDirectory() as folder:
        typed = apart(context, write, Path(folder), *size)
        found: Measured = apart(context, watched, typed)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a twentieth of the work")
    parser.add_argument("--only", nargs="*", default=list(SIZES), choices=list(SIZES))
    given = parser.parse_args()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([Path(__file__).stem, "torch", "matplotlib.pyplot"])
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    table: dict[str, Any] = {}
    fast = []
    for name in given.only:
        found = []
        for divided in PARTS:
            found.append(measure(context, name, divided, given.quick))
            # it may be stopped before its end
            print(f"{name:9}1/{divided}  {found[-1]}", flush=True)
        grown = {
            what: round(
                math.log2(max(getattr(found[-1], what), 1) / max(getattr(found[-2], what), 1)), 2
            )
            for what in ("seconds", "mb")
        }
        table[name] = {
            "seconds": [round(f.seconds, 1) for f in found],
            "mb": [round(f.mb) for f in found],
            "figures": [round(f.figures, 2) for f in found],
            "growth": grown,
        }
        fast += [f"{name}, {what}" for what, power in grown.items() if power > POWER_MOST]
        figures = "".join(
            f"{f.seconds:9.1f} s {f.mb:5.0f} MB {f.figures:4.0%} figures" for f in found
        )
        print(f"{name:9}{figures}  {grown}", flush=True)
    print(json.dumps({"parts": [f"1/{p}" for p in PARTS], **table, "faster_than_work": fast}))


if __name__ == "__main__":
    main()
