"""Rows per second of ``predict``: shared-prefix trees against the plain way, same model, one run.

The plain way is what published code does: one prompt a row, right-padded batches, logits of the
whole vocabulary at every position, softmax, label ids picked out.

    python benchmarks/predict.py [--quick] [--model NAME] [--questions N] [--batch N]

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from opinioncast.backends.catalogue import EMBEDDED
from opinioncast.backends.labels import plan_labels
from opinioncast.backends.protocol import LabelRequest
from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.backends.trees import PromptTokens, plant
from opinioncast.jobs.demo import demo_table
from opinioncast.predictor import Predictor
from opinioncast.prompts import Layout, Prompting, build_prompt
from opinioncast.survey import load_groups


@dataclass(frozen=True)
class Timing:
    """One way of predicting the same rows.

    Attributes:
        seconds: median over repeats.
        peak_mb: peak resident memory of a process that did nothing else.
        shares: probabilities of the labels, to compare the ways.
    """

    rows: int
    tokens: int
    seconds: float
    peak_mb: float
    shares: list[list[float]]

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds


def requests_of(layout: Layout, n_questions: int) -> list[LabelRequest]:
    """Prompts of the demo's first questions for the paper's 22 groups."""
    groups = load_groups("paper22")
    questions = demo_table().questions()[:n_questions]
    prompts = [build_prompt(q, g, groups, Prompting(layout)) for q in questions for g in groups]
    return [LabelRequest(p.text, p.labels, p.tree) for p in prompts]


def plain_scores(
    backend: TorchBackend, requests: list[LabelRequest], batch: int
) -> list[list[float]]:
    """One prompt a row, right-padded, full-vocabulary logits at every position."""
    model, tokenizer = backend.loaded.causal, backend.loaded.tokenizer
    pad = tokenizer.pad_token_id or 0
    found = []
    for start in range(0, len(requests), batch):
        part = requests[start : start + batch]
        rows = [backend.token_ids(r.text) for r in part]
        width = max(map(len, rows))
        ids = torch.tensor([list(r) + [pad] * (width - len(r)) for r in rows])
        mask = torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r in rows])
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=mask).logits
            shares = torch.softmax(logits.float(), dim=-1)
        for i, (request, row) in enumerate(zip(part, rows, strict=True)):
            last = shares[i, len(row) - 1].double().numpy()
            plan = plan_labels(tokenizer, request.text[-32:], request.labels)
            label = [sum(last[plan.wanted[0][p]] for ((_, p),) in s) for s in plan.paths]
            found.append([float(v) for v in label])
    return found


def packed_tokens(backend: TorchBackend, requests: list[LabelRequest]) -> int:
    """Tokens that trees leave to compute."""
    sequences = sorted(
        (PromptTokens(backend.token_ids(r.text), (i, 0), r.tree) for i, r in enumerate(requests)),
        key=lambda s: s.tree,
    )
    return sum(tree.size for tree in plant(sequences, int(backend.details["pack_tokens"])))


def tree_scores(backend: TorchBackend, requests: list[LabelRequest]) -> list[list[float]]:
    found: list[list[float]] = [[]] * len(requests)
    for i, scores in backend.score(requests):
        found[i] = [float(v) for v in np.exp(scores.log_probs)]
    return found


def run(
    way: str,
    layout: str,
    model: str,
    n_questions: int,
    batch: int,
    repeats: int,
    plain_rows: int,
) -> Timing:
    """Time one way in this process."""
    backend = Predictor(method="zero-shot", model=model).language_model
    if not isinstance(backend, TorchBackend):
        raise TypeError(f"{model} does not run in the PyTorch backend")
    requests = requests_of(Layout(layout), n_questions)

    def once(part: list[LabelRequest]) -> list[list[float]]:
        return tree_scores(backend, part) if way == "tree" else plain_scores(backend, part, batch)

    if way == "plain":
        requests = requests[:plain_rows]
    once(requests[: min(22, plain_rows)])  # warm-up
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        shares = once(requests)
        seconds.append(time.perf_counter() - started)
    plain_tokens = sum(len(backend.token_ids(r.text)) for r in requests)
    tokens = packed_tokens(backend, requests) if way == "tree" else plain_tokens
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Timing(len(requests), tokens, statistics.median(seconds), peak, shares)


def apart(*arguments: Any) -> Timing:
    """``run`` in a fresh process, so that peaks do not add up."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few questions, one repeat")
    parser.add_argument("--model", default=EMBEDDED)
    parser.add_argument("--questions", type=int)
    parser.add_argument("--batch", type=int, default=8, help="of the plain way")
    options = parser.parse_args()
    count = options.questions or (4 if options.quick else 6)
    repeats = 1 if options.quick else 3
    # The plain way is slow: in --quick it runs the first of the same rows only.
    plain_rows = 8 if options.quick else count * 22
    results: dict[tuple[str, str], Timing] = {}
    print(f"{'layout':<16}{'way':<8}{'rows':>7}{'tokens/row':>12}{'rows/s':>10}{'peak MB':>9}")
    for layout in (Layout.QUESTION_FIRST, Layout.PAPER):
        for way in ("plain", "tree"):
            timing = apart(
                way, str(layout), options.model, count, options.batch, repeats, plain_rows
            )
            results[str(layout), way] = timing
            print(
                f"{layout:<16}{way:<8}{timing.rows:>7}{timing.tokens / timing.rows:>12.1f}"
                f"{timing.rows_per_s:>10.1f}{timing.peak_mb:>9.0f}",
                flush=True,
            )
    first, paper = str(Layout.QUESTION_FIRST), str(Layout.PAPER)
    difference = max(
        abs(a - b)
        for layout in (first, paper)
        for left, right in zip(
            results[layout, "plain"].shares, results[layout, "tree"].shares, strict=False
        )
        for a, b in zip(left, right, strict=True)
    )
    print(f"largest difference of a label probability between the ways: {difference:.2g}")
    figures = {
        "speedup_question_first": results[first, "tree"].rows_per_s
        / results[first, "plain"].rows_per_s,
        "speedup_paper_layout": results[paper, "tree"].rows_per_s
        / results[paper, "plain"].rows_per_s,
        "rows_per_s_tree": results[first, "tree"].rows_per_s,
        "rows_per_s_plain": results[first, "plain"].rows_per_s,
        "rows_per_s_tree_paper": results[paper, "tree"].rows_per_s,
        "rows_per_s_plain_paper": results[paper, "plain"].rows_per_s,
        "peak_mb_tree": results[first, "tree"].peak_mb,
        "peak_mb_plain": results[first, "plain"].peak_mb,
        "largest_difference": difference,
    }
    print(json.dumps({k: round(v, 4) for k, v in figures.items()}))


if __name__ == "__main__":
    main()
