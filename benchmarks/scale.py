"""More than one process: a run whole, in parts side by side and put together, and on Ray workers.

Each is the command as a user would type it, in processes of its own, with a row cache of its own;
questions are the shipped training table's, put to the embedded language model in float32 (tables
are to be equal). One process has all cores, parts and Ray workers share them. A part and a Ray
worker are killed (kill -9) in mid-run; the part is run again alone.

    python benchmarks/scale.py [--quick] [--method zero-shot] [--questions 24] [--parts 2]

``--quick`` asks few questions and kills nothing. The last line is one JSON object: rows per second
of one process, of the parts and of Ray (all of their time, starting and loading included; None
where Ray is not installed, or the method puts prompts to no model), whether all tables are the
same, and whether anything died.
"""

from __future__ import annotations

import argparse
import json
import math
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

import numpy as np
import yaml

from opinioncast.files import cache_folder
from opinioncast.jobs.shards import Shard
from opinioncast.methods.declaration import method_kind
from opinioncast.models import SHIPPED_TRAINING
from opinioncast.survey import OpinionTable, PredictionTable
from opinioncast.survey.tables import KEY

GROUPS = ("paper22", "total")
ROUNDING = 1e-5
"""Of float32: sums in another order, as many threads or prompts in one pass give it."""


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
    of_model = ("--adapter", "shipped", "--dtype", "float32")
    asked = of_model if method_kind(options.method).language_model else ()
    return [
        *(sys.executable, "-m", "opinioncast", "predict", str(file), "--method", options.method),
        *(*groups, "-o", str(out), *asked, *more),
    ]


def started(given: list[str], cache: Path, *, share: int = 1) -> subprocess.Popen[bytes]:
    """A process, with its share of the cores."""
    threads = str(max(1, (os.cpu_count() or 1) // share))
    held = {f"{n}_NUM_THREADS": threads for n in ("OMP", "OPENBLAS", "MKL")}
    cache.mkdir(exist_ok=True)
    prepared = cache / "models"  # only rows are to be new
    if not prepared.is_symlink():
        prepared.symlink_to(cache_folder() / "models")
    return subprocess.Popen(
        given,
        env=os.environ | held | {"OPINIONCAST_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def ended(process: subprocess.Popen[bytes]) -> None:
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args!r}: status {process.returncode}\n{said.decode()}")


def merged(out: Path, cache: Path) -> PredictionTable:
    whole = [sys.executable, "-m", "opinioncast", "merge", str(out), "--write", "parquet"]
    ended(started(whole, cache))
    return PredictionTable.read(out / "predictions.parquet")


def ray_workers(of: int) -> list[int]:
    """Processes below ``of`` that hold a Ray worker of ours."""
    parents: dict[int, int] = {}
    named: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
            if (entry / "cmdline").read_bytes().startswith(b"ray::RayWorker"):
                named.append(int(entry.name))
        except (OSError, ValueError):
            continue

    def below(pid: int) -> bool:
        while pid > 1 and pid != of:
            pid = parents.get(pid, 0)
        return pid == of

    return [pid for pid in named if below(pid)]


def difference(one: PredictionTable, other: PredictionTable) -> float:
    """The largest difference of any share; infinite where rows or their order differ."""
    if not one.frame.select(KEY).equals(other.frame.select(KEY)):
        return math.inf
    pairs = zip(one.frame["distribution"], other.frame["distribution"], strict=True)
    return max(float(np.abs(a.to_numpy() - b.to_numpy()).max()) for a, b in pairs)


def told(way: str, table: PredictionTable, one: PredictionTable) -> None:
    """What is done so far, for the whole takes minutes."""
    same = "the same" if table.content_hash == one.content_hash else "another"
    print(f"{way}: {same} hash, {difference(table, one):.1e} apart", flush=True)


def _part_killed(
    options: argparse.Namespace, folder: Path, file: Path, seconds: float
) -> bool | None:
    """The first part is killed on its way, and run again alone.

    Args:
        seconds: that one process took for all rows.

    Returns:
        Whether ``merge`` refused the parts in between; None where nothing was left to kill.
    """
    shard = command(file, folder / "parts", options, "--shard", f"1/{options.parts}")
    shutil.rmtree(Shard(options.parts, 1).folder(folder / "parts"))
    dying = started(shard, folder / "c3")
    time.sleep(seconds * 0.3)
    dying.send_signal(signal.SIGKILL)
    dying.communicate()
    refused = started(
        [sys.executable, "-m", "opinioncast", "merge", str(folder / "parts")], folder / "c3"
    )
    _, said = refused.communicate()
    ended(started(shard, folder / "c3"))
    if dying.returncode != -signal.SIGKILL:
        return None
    return refused.returncode == 3 and b"1/" in said


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Every way once, on the same rows."""
    file = folder / "questionnaire.yaml"
    questionnaire(file, options.questions)
    rows = options.questions * 23
    seconds: dict[str, float] = {}
    tables: dict[str, PredictionTable] = {}

    begun = time.monotonic()
    ended(started(command(file, folder / "one", options, "--write", "parquet"), folder / "c1"))
    seconds["one"] = time.monotonic() - begun
    tables["one"] = PredictionTable.read(folder / "one" / "predictions.parquet")
    print(f"one process: {seconds['one']:.1f} s", flush=True)

    begun = time.monotonic()
    parts = [
        started(
            command(file, folder / "parts", options, "--shard", f"{n}/{options.parts}"),
            folder / f"c2-{n}",
            share=options.parts,
        )
        for n in range(1, options.parts + 1)
    ]
    for part in parts:
        ended(part)
    tables["parts"] = merged(folder / "parts", folder / "c2")
    seconds["parts"] = time.monotonic() - begun
    told(f"{options.parts} parts, {seconds['parts']:.1f} s", tables["parts"], tables["one"])

    refused_for_it = None if options.quick else _part_killed(options, folder, file, seconds["one"])
    if refused_for_it is not None:
        tables["parts, one killed"] = merged(folder / "parts", folder / "c3")
        said = f"a part killed, the parts refused: {refused_for_it}, run again"
        told(said, tables["parts, one killed"], tables["one"])

    killed_worker = None
    if find_spec("ray") is not None and method_kind(options.method).language_model:
        on_ray = ("--backend", "ray", "--workers", str(options.parts), "--write", "parquet")
        for way, kill in (("ray", False), ("ray, one killed", True))[: 1 if options.quick else 2]:
            out = folder / way
            begun = time.monotonic()
            process = started(
                command(file, out, options, *on_ray), folder / f"c-{way}", share=options.parts
            )
            if kill:
                time.sleep(seconds["ray"] * 0.6)
                workers = ray_workers(process.pid)
                while not workers and process.poll() is None:  # a busy machine is late
                    time.sleep(0.2)
                    workers = ray_workers(process.pid)
                for worker in workers[:1]:
                    os.kill(worker, signal.SIGKILL)
            ended(process)
            seconds[way] = time.monotonic() - begun
            tables[way] = PredictionTable.read(out / "predictions.parquet")
            usage = json.loads((out / "manifest.json").read_text())["backend_usage"]
            killed_worker = sum(part["workers_lost"] for part in usage.values())
            said = f"{way}, {seconds[way]:.1f} s, workers lost: {killed_worker}"
            told(said, tables[way], tables["one"])
    one = tables["one"]
    return {
        "rows": rows,
        "method": options.method,
        "parts": options.parts,
        "killed_part_refused": refused_for_it,
        "ray_workers_killed": killed_worker,
        "seconds": {way: round(took, 1) for way, took in seconds.items()},
        "largest_difference": {w: difference(one, t) for w, t in tables.items() if w != "one"},
        "same_hash": [w for w, t in tables.items() if t.content_hash == one.content_hash],
        "rows_per_s_one": round(rows / seconds["one"], 2),
        "rows_per_s_two_shards": round(rows / seconds["parts"], 2),
        "rows_per_s_ray": round(rows / seconds["ray"], 2) if "ray" in seconds else None,
        "equal": all(difference(one, t) <= ROUNDING for t in tables.values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few questions")
    parser.add_argument("--method", default="zero-shot")
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--parts", type=int, default=2)
    options = parser.parse_args()
    if options.quick:
        options.questions = 4
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options, Path(folder))
    for key, value in figures.items():
        print(f"{key}: {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
