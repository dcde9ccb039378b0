"""How often the rule of divergence stops healthy runs, and how soon one that diverges.

    python benchmarks/divergence.py [--runs N] [--updates N] [--quick] [-o DIR]

First simulated: losses without any trend (a question's loss is log-normal, sigma 1), updates of 1,
4 and 12 questions, 300 updates a run. The rule of before stopped where the mean of ten updates was
twice that of the first three; now such a rise is a suspicion, and what stops a run is the loss on
the same rows as before the first update, which a model that stands still does not change.

Then real: the embedded model on shipped General Social Survey questions, one question an update, at
the rate of its recipe (each run another seed), and at a rate two hundred times as high. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from opinioncast.errors import ModelError
from opinioncast.finetune.divergence import WINDOW, Start, is_suspicious
from opinioncast.finetune.recipe import parse_finetune
from opinioncast.jobs.demo import demo_table
from opinioncast.jobs.finetune import finetune_to_folder

UPDATES, RUNS = 300, 2_000
RATE, TOO_HIGH = 5e-4, 0.1


def simulated(questions: int, seed: int = 0) -> dict[str, float]:
    """Shares of trendless runs that the old rule stops and that the new one looks at."""
    draw = np.random.default_rng(seed)
    old = looked = 0
    for _ in range(RUNS):
        losses = draw.lognormal(0, 1, (UPDATES, questions)).mean(axis=1)
        recent = np.convolve(losses, np.ones(WINDOW) / WINDOW, "valid")
        old += bool((recent[3:] > 2 * losses[:3].mean()).any())
        watched = draw.lognormal(0, 1, max(12, questions)).mean()
        start = Start(float(watched), float(watched))
        looked += any(is_suspicious(losses[:i].tolist(), start) for i in range(WINDOW, UPDATES))
    return {"old_rule_stops": old / RUNS, "looked_at": looked / RUNS, "stopped": 0.0}


def trained(table: Path, out: Path, *, rate: float, seed: int, updates: int) -> dict[str, Any]:
    """Whether a run of the embedded model is stopped, and at which update."""
    raw = {
        "name": f"seed-{seed}",
        "table": str(table),
        "answers": "words",
        "groups": ["POLPARTY=Democrat", "POLPARTY=Republican"],
        "loss": {"kl": 1.0},
        "lora": {"rank": 16, "alpha": 32, "dropout": 0.0, "targets": "all-linear"},
        "optimizer": {
            "learning_rate": rate,
            "batch_rows": 1,
            "epochs": max(1, updates // 40),
            "schedule": "constant",
        },
        "checks": {"every": 1_000_000},
        "pack_tokens": 512,
        "seed": seed,
    }
    try:
        run = finetune_to_folder(parse_finetune(raw, "benchmark"), out)
    except ModelError as error:
        return {"rate": rate, "seed": seed, "stopped": str(error.where)}
    state = run.training.state
    last = [e["loss"] for e in state.curve if e.get("loss") is not None][-WINDOW:]
    mean = sum(float(loss or 0) for loss in last) / len(last)
    return {"rate": rate, "seed": seed, "stopped": None, "start": state.start_loss, "end": mean}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--updates", type=int, default=80)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {"simulated": {q: simulated(q) for q in (1, 4, 12)}}
    for questions, shares in found["simulated"].items():
        print(f"{questions} question(s) an update: {shares}")
    if not options.quick:
        with tempfile.TemporaryDirectory() as scratch:
            folder = options.out or Path(scratch)
            table = demo_table().write(folder / "table.parquet")
            found["trained"] = []
            for seed in range(options.runs + 1):
                rate = TOO_HIGH if seed == options.runs else RATE
                one = trained(
                    table, folder / f"run-{seed}", rate=rate, seed=seed, updates=options.updates
                )
                print(one, flush=True)
                found["trained"].append(one)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
