"""Rows per second of few-shot and pluralism: prompts in batches against one at a time, one model.

    python benchmarks/generation.py [--quick] [--model NAME] [--questions N] [--batch N]

Few-shot shows five examples of the demo's questions and holds the model to JSON, and also runs
without the form, where a base model writes on to its limit. Pluralism uses the model as two
modules, chooser and answerer; its comments are 32 tokens (4 with --quick). Nothing is cached. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from opinioncast.backends.catalogue import EMBEDDED
from opinioncast.backends.sentences import SentenceModel
from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.jobs.demo import demo_table
from opinioncast.methods.few_shot import FewShot
from opinioncast.methods.pluralism import ModularPluralism
from opinioncast.methods.prediction import Method
from opinioncast.predictor import Predictor
from opinioncast.survey import Cells, load_groups

GROUPS = ("SEX=Female", "SEX=Male", "POLPARTY=Democrat", "POLPARTY=Republican")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one question, one example")
    parser.add_argument("--model", default=EMBEDDED)
    parser.add_argument("--questions", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    table = demo_table()
    questions = table.questions()[: 1 if options.quick else options.questions]
    groups = load_groups(*GROUPS)
    opened = Predictor(method="zero-shot", model=options.model).language_model
    if not isinstance(opened, TorchBackend):
        raise TypeError("this benchmark times the PyTorch backend")
    encoder = SentenceModel.load()
    encoder.encode([q.text for q in table.questions()])  # outside the timing
    tokens = 4 if options.quick else 32
    examples = 1 if options.quick else 5
    figures: dict[str, Any] = {"model": opened.name, "rows": len(questions) * len(groups)}
    print(f"{'method':<28}{'batch':>6}{'rows/s':>8}{'tokens in':>11}{'tokens out':>12}{'s':>8}")
    for batch in (options.batch, 1):
        backend = TorchBackend(opened.loaded, shared_prefix=True, generate_batch=batch)
        methods: dict[str, Method] = {
            "few-shot": FewShot(backend, table, encoder, k=examples),
            "pluralism": ModularPluralism(
                [backend, backend], backend, backend, comment_tokens=tokens
            ),
        }
        if not options.quick:
            methods["few-shot, free"] = FewShot(
                backend, table, encoder, k=examples, structured=False
            )
        for name, method in methods.items():
            started = time.perf_counter()
            record = method.predict(Cells.cross(questions, groups)).record
            seconds = time.perf_counter() - started
            rate = figures["rows"] / seconds
            print(
                f"{name:<28}{batch:>6}{rate:>8.2f}{record['tokens_in']:>11}"
                f"{record['tokens_out']:>12}{seconds:>8.1f}",
                flush=True,
            )
            key = "batches" if batch == options.batch else "one_at_a_time"
            figures.setdefault(name, {})[key] = {
                "rows_per_s": round(rate, 3),
                "tokens_in": record["tokens_in"],
                "tokens_out": record["tokens_out"],
                "parse_failures": record["parse_failures"],
            }
    for found in figures.values():
        if isinstance(found, dict) and "one_at_a_time" in found:
            ratio = found["batches"]["rows_per_s"] / found["one_at_a_time"]["rows_per_s"]
            found["speedup"] = round(ratio, 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
