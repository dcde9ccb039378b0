"""Rows per second of fine-tuning: ours against the published step, same model and table, one run.

The published step is what common trainers do: one prompt a row, padded batches, logits and softmax
of the whole vocabulary at every position, PEFT's defaults (float32 adapter arithmetic, dropout).
Between the two, one cause is changed at a time. All ways use the paper's adapter (rank 8 on query
and value) on a base in the dtype that training takes on this processor, and accumulate gradients
over their rows into one AdamW step. Trees get all rows. Padded batches get the first of the same
rows, two batches of them (with --all-rows, all): no row there costs less for being one of many, and
all would take ten minutes more.

    python benchmarks/finetune.py [--quick] [--questions N] [--batch N] [--compile] [--cpu-time]
                                   [--all-rows]

The published step at batches of 16 needs about 19 GB; --quick uses batches of 4 (4 GB) and compares
its two ends only, the published step with ours in both layouts, on few rows; the compiled ways are
there too if --compile asks for them. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from accelerate import Accelerator

from opinioncast.backends.packed_forward import after_head
from opinioncast.backends.prompt_tokens import PromptTokenizer
from opinioncast.backends.torch_model import choose_dtype
from opinioncast.finetune.base import open_base
from opinioncast.finetune.epoch import Ask, epoch_plan
from opinioncast.finetune.model import (
    DistributionModel,
    add_adapter,
    compile_layers,
    label_log_shares,
)
from opinioncast.finetune.objective import batch_losses
from opinioncast.finetune.packing import Packer
from opinioncast.finetune.recipe import FinetuneRecipe, LoraRecipe
from opinioncast.finetune.targets import training_rows
from opinioncast.jobs.demo import demo_table
from opinioncast.prompts import Layout
from opinioncast.survey import GroupScheme, load_groups


@dataclass(frozen=True)
class Way:
    """One way of computing the same training step.

    Attributes:
        read: logits and softmax of the whole vocabulary at every position, of the whole vocabulary
            at the last one, or of the option labels at the last one.
        trees: share prefixes; else padded batches of ``batch`` prompts.
        light: adapter products accumulated in bfloat16; else PEFT's own forward.
        attention: transformers' implementation.
    """

    name: str
    layout: Layout
    read: Literal["everything", "last", "labels"] = "everything"
    trees: bool = False
    batch: int = 16
    light: bool = False
    dropout: float = 0.05
    attention: str = "sdpa"
    pack_tokens: int = 512
    compile: bool = False


@dataclass(frozen=True)
class Timing:
    """What a way took for ``rows`` rows, optimizer step included; seconds of wall and processor."""

    rows: int
    tokens: int
    seconds: float
    processor_seconds: float
    first_seconds: float
    peak_mb: float
    kl: float


def groups() -> GroupScheme:
    """Those of the paper's 22 groups that the demo table has (two religions are too small)."""
    scheme, present = load_groups("paper22"), set(demo_table().subpopulations())
    return scheme.with_subpopulations(g for g in scheme if g in present)


def asks_of(layout: Layout, questions: int) -> list[Ask]:
    """The demo's first questions for 20 of the paper's groups, in the order of an epoch."""
    rows = training_rows(demo_table(), groups(), refusal=True)
    kept = list(dict.fromkeys(r.question for r in rows))[:questions]
    (update,) = epoch_plan(
        [r for r in rows if r.question in kept],
        layout=layout,
        batch_rows=len(rows),
        option_order="given",
        target="explicit",
        augment=None,
        epoch=0,
        seed=0,
    )
    return update


def use_peft_arithmetic(model: Any) -> None:
    """Take the project's own LoRA forward out of a model."""
    for module in model.modules():
        vars(module).pop("forward", None)


def unpacked(update: Any, size: int) -> list[list[Any]]:
    """Prompts one by one, in the order of the epoch, ``size`` a micro-batch."""
    single = sorted(update.trees, key=lambda t: t.owners)
    return [single[i : i + size] for i in range(0, len(single), size)]


def measure(way: Way, questions: int, most_rows: int | None) -> Timing:
    """Run one step of ``way`` in this process; the first micro-batch is run once before."""
    recipe = FinetuneRecipe(
        name="benchmark",
        table="demo",
        layout=way.layout,
        lora=LoraRecipe(dropout=way.dropout),
    )
    base = open_base(recipe, Accelerator(cpu=True))
    base.causal.config._attn_implementation = way.attention
    assert recipe.lora is not None
    model = DistributionModel(add_adapter(base.causal, recipe.lora, seed=0))
    if not way.light:
        use_peft_arithmetic(model)
    if way.compile:
        compile_layers(base.causal)
    packer = Packer(PromptTokenizer(base.tokenizer), groups(), recipe.prompting)
    asks = asks_of(way.layout, questions)[:most_rows]
    update = packer.update(asks, way.pack_tokens if way.trees else 1)
    batches = update.micro_batches() if way.trees else unpacked(update, way.batch)
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    model.train()

    def run(trees: Any) -> tuple[float, int]:
        batch = update.batch(trees)
        if way.trees:
            log_shares = model(batch.pack, batch.reading)
        else:
            log_shares = padded(base.causal, base.tokenizer, batch, trees, way.read)
        parts = batch_losses(log_shares, batch, update.weight, update.scaled_weight)
        torch.autograd.backward(parts["kl"])
        return float(parts["kl"].detach()), batch.tokens

    started = time.perf_counter()
    run(batches[0])
    optimizer.zero_grad()
    first = time.perf_counter() - started
    started, processor = time.perf_counter(), time.process_time()
    kl, tokens = map(sum, zip(*map(run, batches), strict=True))
    optimizer.step()
    return Timing(
        len(asks),
        int(tokens),
        time.perf_counter() - started,
        time.process_time() - processor,
        first,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        kl,
    )


def padded(causal: Any, tokenizer: Any, batch: Any, trees: Any, read: str) -> torch.Tensor:
    """Log-shares of the labels from a right-padded batch of whole prompts."""
    rows = [tree.prompts[0].ids for tree in trees]
    width = max(map(len, rows))
    pad = tokenizer.pad_token_id or 0
    ids = torch.tensor([list(r) + [pad] * (width - len(r)) for r in rows])
    mask = torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r in rows])
    last = torch.tensor([len(r) - 1 for r in rows])
    each = torch.arange(len(rows))
    if read == "everything":
        logits = causal(input_ids=ids, attention_mask=mask, use_cache=False).logits
        return label_log_shares(
            torch.log_softmax(logits.float(), dim=-1)[each, last][:, batch.reading.tokens],
            batch.reading,
        )
    hidden = causal.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    hidden = hidden[each, last]
    head = causal.get_output_embeddings()
    if read == "last":
        whole = torch.log_softmax(after_head(causal, head(hidden).float()), dim=-1)
        return label_log_shares(whole[:, batch.reading.tokens], batch.reading)
    few = hidden.float() @ head.weight[batch.reading.tokens].float().T
    return label_log_shares(after_head(causal, few), batch.reading)


def ladder(batch: int, *, ends: bool, compiled: bool) -> list[Way]:
    """From the published step to ours, one cause at a time; or the ``ends`` alone."""
    published = Way("published step", Layout.PAPER, batch=batch)
    last = replace(published, name="answer-only: last position only", read="last")
    labels = replace(last, name="option rows instead of the vocabulary", read="labels")
    trees = replace(labels, name="trees, paper layout", trees=True)
    paper = replace(trees, name="adapter arithmetic in bfloat16", light=True, dropout=0.05)
    dry = replace(paper, name="no dropout", dropout=0.0)
    ours = replace(dry, name="explicit attention = ours, paper layout", attention="eager")
    large = replace(ours, name="micro-batches of 2,048 tokens instead of 512", pack_tokens=2_048)
    first = replace(ours, name="ours, question first", layout=Layout.QUESTION_FIRST)
    steps = [published, ours, first]
    if not ends:
        steps = [published, last, labels, trees, paper, dry, ours, large, first]
        steps.append(replace(first, name="micro-batches of 2,048 tokens", pack_tokens=2_048))
        steps.append(replace(first, name="micro-batches of 256 tokens", pack_tokens=256))
    if compiled:
        steps.append(replace(ours, name="layers compiled, paper layout", compile=True))
        steps.append(replace(first, name="layers compiled, question first", compile=True))
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="batches of 4, few rows, the ends only"
    )
    parser.add_argument("--questions", type=int)
    parser.add_argument("--batch", type=int, help="prompts per batch of the published step")
    parser.add_argument("--compile", action="store_true", help="also compiled layers (slow start)")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="compare processor seconds, not wall seconds: for a machine that is busy",
    )
    parser.add_argument("--all-rows", action="store_true", help="for padded batches too")
    options = parser.parse_args()
    batch = options.batch or (4 if options.quick else 16)
    questions = options.questions or (2 if options.quick else 12)
    few = batch if options.quick else 2 * batch
    context = multiprocessing.get_context("spawn")
    results: dict[str, Timing] = {}
    print(f"{torch.get_num_threads()} threads; rows/s, times the published step, MB, tokens a row")
    compiled = options.compile or not options.quick
    for way in ladder(batch, ends=options.quick, compiled=compiled):
        with context.Pool(1) as pool:  # a process of its own: its peak memory is its own
            most = None if way.trees or options.all_rows else few
            timing = pool.apply(measure, (way, questions, most))
        results[way.name] = timing
        speed = rate(timing, options.cpu_time)
        base = rate(results["published step"], options.cpu_time)
        note = f", first pass {timing.first_seconds:.0f} s" if way.compile else ""
        print(
            f"{way.name:48} {speed:8.2f} {speed / base:7.1f}x {timing.peak_mb:8.0f} MB "
            f"{timing.tokens / timing.rows:6.1f}  ({timing.rows} rows, KL {timing.kl:.4f}{note})",
            flush=True,
        )
    published = results["published step"]
    best = {
        layout: max(
            (t for n, t in results.items() if n.endswith(layout)),
            key=lambda t: rate(t, options.cpu_time),
        )
        for layout in ("question first", "paper layout")
        if layout
    }
    ours, paper = best["question first"], best["paper layout"]
    base = rate(published, options.cpu_time)
    figures = {
        "speedup_question_first": rate(ours, options.cpu_time) / base,
        "speedup_paper_layout": rate(paper, options.cpu_time) / base,
        "rows": ours.rows,
        "rows_published": published.rows,
        "rows_per_s_ours": rate(ours, options.cpu_time),
        "rows_per_s_published": base,
        "peak_mb_ours": ours.peak_mb,
        "peak_mb_published": published.peak_mb,
        "rows_per_s_ours_paper_layout": rate(paper, options.cpu_time),
        "peak_mb_ours_paper_layout": paper.peak_mb,
    }
    dtype = str(choose_dtype(torch.device("cpu"))).removeprefix("torch.")
    print(json.dumps({k: round(v, 2) for k, v in figures.items()} | {"dtype": dtype}))


def rate(timing: Timing, processor: bool) -> float:
    return timing.rows / (timing.processor_seconds if processor else timing.seconds)


if __name__ == "__main__":
    main()
