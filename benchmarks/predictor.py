"""A predictor that stays open: the first question against a second one, and what the command costs.

    python benchmarks/predictor.py            # the default method, 22 groups
    python benchmarks/predictor.py --quick    # without a language model

Seconds are CPU seconds of this process (user and system), or of the command's, so that a busy
machine does not change them; ``wall`` stands beside them where a person waits. ``again`` is the
same question once more (its language model's rows are in the cache); ``changed`` is the question
with a word changed, which the language model reads anew. The rows are 20,000 uniform ones.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

COMMANDS = {
    "import": ["-c", "import opinioncast"],
    "names": ["-c", "from opinioncast import Predictor, Question, predict, load_groups"],
    "help": ["-m", "opinioncast", "--help"],
    "groups": ["-m", "opinioncast", "groups"],
    # the embedded sentence model, and the library that its kind is read without
    "sentences": [
        "-c",
        "from opinioncast.backends.sentences import SentenceModel\n"
        "SentenceModel.load().model.vectors(['Are rents too high?'])",
    ],
    "sentence_transformers": [
        "-c",
        "from opinioncast.backends.catalogue import EMBEDDED_SENTENCES, folder_of\n"
        "from sentence_transformers import SentenceTransformer\n"
        "SentenceTransformer(folder_of(EMBEDDED_SENTENCES)).encode(['Are rents too high?'])",
    ],
}


def seconds_of(work: Any) -> tuple[float, float]:
    """(CPU seconds, wall seconds) of a call."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def command(arguments: list[str]) -> tuple[float, float]:
    """(CPU seconds, peak MB) of a command of this Python, the best of three."""
    found = []
    for _ in range(3):
        child = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)} ended with status {child.returncode}")
        found.append((used.ru_utime + used.ru_stime, used.ru_maxrss / 1024))
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="the method network")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    print(f"{'command':<22}{'CPU s':>8}{'MB':>8}")
    for name, arguments in COMMANDS.items():  # first: a child starts with its parent's memory
        figures[f"{name}_s"], figures[f"{name}_mb"] = (round(v, 2) for v in command(arguments))
        print(f"{name:<22}{figures[f'{name}_s']:>8.2f}{figures[f'{name}_mb']:>8.0f}")
    figures |= of_questions({"method": "network"} if options.quick else {})
    figures["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(figures))


def of_questions(method: dict[str, Any]) -> dict[str, float]:
    """20,000 rows, and one question three times."""
    from opinioncast import Cells, Predictor, Question, load_groups
    from opinioncast.methods.row_cache import RowCache
    from opinioncast.methods.uniform import Uniform

    question = Question(
        "transit",
        "Should the city spend more, less, or the same as now on public transport?",
        ("More", "The same as now", "Less"),
        (1, 2, 3),
    )
    groups = load_groups("paper22")
    cells = Cells.cross(
        [replace(question, question_id=f"q{i}") for i in range(1000)],
        groups.with_subpopulations(list(groups)[:20]),
    )
    figures: dict[str, float] = {}
    figures["rows_20k_s"] = round(seconds_of(lambda: Uniform().predict(cells))[0], 3)
    print(f"\n{len(cells):,} rows as a table: {figures['rows_20k_s']:.3f} CPU s")
    changed = replace(question, text=question.text.replace("the city", "this city"))
    print(f"\n{'question':<12}{'CPU s':>8}{'wall s':>8}")
    with (
        tempfile.TemporaryDirectory() as folder,
        RowCache(Path(folder) / "rows.sqlite") as cache,
        Predictor(cache=cache, **method) as predictor,
    ):
        for name, asked in (("first", question), ("again", question), ("changed", changed)):
            cpu, wall = seconds_of(lambda q=asked: predictor.predict([q]))
            figures[f"{name}_s"], figures[f"{name}_wall_s"] = round(cpu, 3), round(wall, 3)
            print(f"{name:<22}{cpu:>8.2f}{wall:>8.2f}")
    return figures


if __name__ == "__main__":
    main()
