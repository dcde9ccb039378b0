"""More than one process: a run whole, and the same run in parts side by side, put together.

Each is the command as a user would type it, in processes of its own, with a row cache of its own;
questions are the shipped training table's. A part is killed
(kill -9) in mid-run and run again alone.

    python benchmarks/scale.py [--quick] [--method network] [--questions 400] [--parts 2]

The last line is one JSON object: rows per second of one process and of the parts (all of their
time, loading included), whether the tables are the same, and what the killed part lost.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from opinioncast.jobs.shards import Shard
from opinioncast.models import SHIPPED_TRAINING
from opinioncast.survey import OpinionTable, PredictionTable

GROUPS = ("paper22", "total")


def questionnaire(path: Path, count: int) -> None:
    """``count`` questions in a file."""
    asked = OpinionTable.read(SHIPPED_TRAINING).questions()
    listed = [
        {
            "id": f"q{i}",
            "question": asked[i % len(asked)].text + (f" (form {i})" if i >= len(asked) else ""),
            "options": list(asked[i % len(asked)].options),
        }
        for i in range(count)
    ]
    path.write_text(yaml.safe_dump({"questions": listed}, allow_unicode=True), "utf-8")


def command(file: Path, out: Path, options: argparse.Namespace, *more: str) -> list[str]:
    groups = [part for g in GROUPS for part in ("-g", g)]
    return [
        *(sys.executable, "-m", "opinioncast", "predict", str(file), "--method", options.method),
        *(*groups, "-o", str(out), *more),
    ]


def started(given: list[str], cache: Path) -> subprocess.Popen[bytes]:
    one_thread = {f"{n}_NUM_THREADS": "1" for n in ("OMP", "OPENBLAS", "MKL")}
    return subprocess.Popen(
        given,
        env=os.environ | one_thread | {"OPINIONCAST_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def ended(process: subprocess.Popen[bytes]) -> None:
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args!r}: status {process.returncode}\n{said.decode()}")


def merged(out: Path, cache: Path) -> str:
    ended(
        started(
            [sys.executable, "-m", "opinioncast", "merge", str(out), "--write", "parquet"], cache
        )
    )
    return PredictionTable.read(out / "predictions.parquet").content_hash


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Every way once, on the same rows."""
    file = folder / "questionnaire.yaml"
    questionnaire(file, options.questions)
    rows = options.questions * 23

    begun = time.monotonic()
    ended(started(command(file, folder / "one", options, "--write", "parquet"), folder / "c1"))
    one = time.monotonic() - begun
    whole = PredictionTable.read(folder / "one" / "predictions.parquet").content_hash

    begun = time.monotonic()
    parts = [
        started(
            command(file, folder / "parts", options, "--shard", f"{n}/{options.parts}"),
            folder / f"c2-{n}",
        )
        for n in range(1, options.parts + 1)
    ]
    for part in parts:
        ended(part)
    of_parts = merged(folder / "parts", folder / "c2")
    together = time.monotonic() - begun

    # the first part is killed on its way, and run again alone
    shard = command(file, folder / "parts", options, "--shard", f"1/{options.parts}")
    shutil.rmtree(Shard(options.parts, 1).folder(folder / "parts"))
    dying = started(shard, folder / "c3")
    time.sleep(one * 0.3)
    dying.send_signal(signal.SIGKILL)
    dying.communicate()
    refused = started(
        [sys.executable, "-m", "opinioncast", "merge", str(folder / "parts")], folder / "c3"
    )
    _, said = refused.communicate()
    ended(started(shard, folder / "c3"))
    again = merged(folder / "parts", folder / "c3")
    return {
        "rows": rows,
        "rows_per_s_one": round(rows / one, 1),
        "rows_per_s_two_shards": round(rows / together, 1),
        "rows_per_s_ray": None,
        "parts": options.parts,
        "equal": whole == of_parts == again,
        "killed_part_refused": refused.returncode == 3 and b"1/" in said
        if dying.returncode == -signal.SIGKILL
        else None,
        "ray": "not built" if find_spec("ray") is None else "installed, not used",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few questions")
    parser.add_argument("--method", default="network")
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--parts", type=int, default=2)
    options = parser.parse_args()
    if options.quick:
        options.questions = 40
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options, Path(folder))
    for key, value in figures.items():
        print(f"{key}: {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
