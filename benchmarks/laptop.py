"""A plain laptop: seconds and memory of each step, held to AVX2 and two threads.

Every step is a process of its own, as a user starts it, with an empty row cache; the models are
prepared beforehand. ``first`` is a machine's first prediction by the default, of one question: it
also embeds the training questions, whose vectors are kept; ``default_40x22`` is of a machine that
has done so, every question of it new. PyTorch and oneDNN are held to AVX2, where
a 16-bit model is computed in float32 as on a processor without bfloat16.

    python benchmarks/laptop.py [--quick] [--no-hold] [--repeat 3]

The last line is one JSON object. ``--quick`` leaves these two and the demo out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from opinioncast.files import cache_folder
from opinioncast.models import SHIPPED_TRAINING
from opinioncast.survey import OpinionTable

HELD = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
TWO_CORES = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
PROGRAM = (sys.executable, "-m", "opinioncast")


@dataclass(frozen=True)
class Took:
    """A step: seconds on the clock, of the processor, and the most memory it held."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def run(command: tuple[str, ...], environment: dict[str, str], folder: Path) -> Took:
    """One process, waited for with what the system counted of it."""
    begun = time.monotonic()
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            command, env=os.environ | environment, cwd=folder, stdout=said, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said_last = (folder / "said").read_text("utf-8", "replace")[-800:]
        raise SystemExit(f"{command}: status {process.returncode}\n{said_last}")
    seconds = time.monotonic() - begun
    return Took(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def questionnaire(path: Path, count: int) -> None:
    asked = OpinionTable.read(SHIPPED_TRAINING).questions()[:: max(1, 440 // count)][:count]
    listed = [
        # other words than those of the table: the answer is not looked up
        {"id": f"q{i}", "question": "Thinking of today: " + q.text, "options": list(q.options)}
        for i, q in enumerate(asked)
    ]
    path.write_text(yaml.safe_dump({"questions": listed}, allow_unicode=True), "utf-8")


def steps(quick: bool, file: Path, one: Path) -> dict[str, tuple[str, ...]]:
    """Name of a step -> its command; ``{out}`` is a new folder."""
    asked = ("predict", str(file), "-g", "paper22", "-o", "{out}")
    found = {
        "import": (sys.executable, "-c", "import opinioncast"),
        "help": (*PROGRAM, "--help"),
        "groups": (*PROGRAM, "groups"),
        "network_40x22": (*PROGRAM, *asked, "--method", "network"),
    }
    if not quick:
        found |= {
            "first": (*PROGRAM, "predict", str(one), "-g", "paper22", "-o", "{out}"),
            "default_40x22": (*PROGRAM, *asked),
            "demo": (*PROGRAM, "demo", "-o", "{out}"),
        }
    return found


def link_prepared(cache: Path) -> None:
    """A cache with the user's prepared models and nothing else: no row was computed before."""
    cache.mkdir()
    models = cache_folder() / "models"
    if models.is_dir():
        (cache / "models").symlink_to(models)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="the short steps alone")
    parser.add_argument("--no-hold", action="store_true", help="as the processor is")
    parser.add_argument("--repeat", type=int, default=3, help="times each step is run; the median")
    options = parser.parse_args()
    repeat = 1 if options.quick else options.repeat
    figures: dict[str, Any] = {"held_to": "the processor" if options.no_hold else "AVX2"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, one = folder / "questionnaire.yaml", folder / "one.yaml"
        questionnaire(file, 40)
        questionnaire(one, 1)
        held = TWO_CORES | ({} if options.no_hold else HELD)
        peak = 0.0
        for step, command in steps(options.quick, file, one).items():
            times = []
            for i in range(repeat):
                cache = folder / f"cache-{step}-{i}"
                if step == "demo":
                    link_prepared(cache)
                if step == "default_40x22":
                    shutil.copytree(folder / "cache-first-0" / "embeddings", cache / "embeddings")
                fresh = {"OPINIONCAST_CACHE": str(cache)}
                out = str(folder / f"out-{step}-{i}")
                given = tuple(out if part == "{out}" else part for part in command)
                times.append(run(given, held | fresh, folder))
            middle = statistics.median(t.seconds for t in times)
            cpu = statistics.median(t.cpu_seconds for t in times)
            most = max(t.peak_mb for t in times)
            peak = max(peak, most)
            figures[f"{step}_s"] = round(middle, 2)
            figures[f"{step}_cpu_s"] = round(cpu, 2)
            figures[f"{step}_mb"] = round(most)
            print(f"{step}: {middle:.2f} s, {cpu:.2f} CPU s, {most:.0f} MB", flush=True)
    whole = {"demo_s": None, "default_40x22_s": None} | figures | {"peak_mb": round(peak)}
    print(json.dumps(whole))


if __name__ == "__main__":
    main()
