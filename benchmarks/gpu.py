"""On a GPU, in under ten minutes and without a network: training and inference at a real shape.

Models are made of a configuration with random weights: Llama-2-7B in bfloat16 (nothing is
downloaded), or tiny ones. Three things are measured, each in a process of its own:

- training: rows per second and peak memory of our step (prompts as trees) against the published
  one (one prompt a row, padded batches, the whole vocabulary at every position);
- inference: rows per second packed against the published way, and vLLM's where it is installed;
- equality: label probabilities packed against prompts one by one, in float32, at the real widths
  with fewer layers.

    python benchmarks/gpu.py [--quick] [--questions 8] [--layers N]

Without a GPU, and with ``--quick``, shapes are tiny, so that it runs to its end on a processor. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tokenizers
import torch
import transformers

import finetune as training
from opinioncast.backends.prompt_tokens import PromptTokenizer
from opinioncast.backends.protocol import LabelRequest, LabelScores
from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.backends.torch_model import LoadedModel
from opinioncast.backends.vllm_backend import VllmBackend
from opinioncast.backends.vllm_settings import VllmSettings
from opinioncast.finetune.model import DistributionModel, add_adapter
from opinioncast.finetune.objective import batch_losses
from opinioncast.finetune.packing import Packer
from opinioncast.finetune.recipe import LoraRecipe
from opinioncast.jobs.demo import demo_table
from opinioncast.prompts import Layout, Prompting, build_prompt

LLAMA_2_7B = {"vocab_size": 32_000, "max_position_embeddings": 4_096}
"""As published; the rest are transformers' defaults for a Llama, which are its shape."""
TINY = LLAMA_2_7B | {
    "hidden_size": 128,
    "intermediate_size": 344,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}


@dataclass(frozen=True)
class Shape:
    """What is measured on what.

    Attributes:
        config: of the model. layers: of the model that is computed in float32.
        pack_tokens: of our training step. batch: prompts of the published way.
    """

    config: dict[str, Any]
    device: str
    dtype: str
    layers: int
    questions: int
    pack_tokens: int
    batch: int


@dataclass(frozen=True)
class Speed:
    """Of one way; megabytes are the device's where it is a GPU, else of the process."""

    rows: int
    seconds: float
    peak_mb: float

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds

    def figures(self) -> dict[str, float]:
        return {"rows_per_s": round(self.rows_per_s, 2), "peak_mb": round(self.peak_mb)}


def tokenizer() -> Any:
    """Byte pairs of the demo's wordings, opened as Llama's."""
    raw = tokenizers.Tokenizer(tokenizers.models.BPE())
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=4_000,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<s>", "</s>"],
        show_progress=False,
    )
    texts = [t for q in demo_table().questions() for t in (q.text, *q.options)]
    letters = [f"Answer: {letter}" for letter in "ABCDEFGHIJ"]
    raw.train_from_iterator([*texts, *letters * 20], trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )


def model(shape: Shape, dtype: str, **changed: Any) -> Any:
    """Random weights, made where they are to be."""
    config = transformers.LlamaConfig(**(shape.config | changed))
    torch.manual_seed(0)
    with torch.device(shape.device):
        made = transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    return made.eval()


def backend(causal: Any, words: Any, **how: Any) -> TorchBackend:
    return TorchBackend(LoadedModel(causal, words, "random Llama", "", ""), **how)


def requests(questions: int) -> list[LabelRequest]:
    scheme = training.groups()
    asked = demo_table().questions()[:questions]
    style = Prompting(Layout.QUESTION_FIRST)
    prompts = [build_prompt(q, g, scheme, style) for q in asked for g in scheme]
    return [LabelRequest(p.text, p.labels, p.tree) for p in prompts]


@contextmanager
def clock(shape: Shape) -> Iterator[list[float]]:
    """Seconds until the device has done its work, and its peak memory in MB."""
    gpu = shape.device == "cuda"
    if gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    found: list[float] = []
    begun = time.perf_counter()
    yield found
    if gpu:
        torch.cuda.synchronize()
    found.append(time.perf_counter() - begun)
    process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found.append(torch.cuda.max_memory_allocated() / 2**20 if gpu else process)


def train(shape: Shape, way: Literal["ours", "published"]) -> Speed:
    """One update: rows forward and backward in micro-batches, and AdamW's step."""
    ours = way == "ours"
    words = tokenizer()
    causal = model(shape, shape.dtype)
    if ours and shape.device == "cpu":
        causal.config._attn_implementation = "eager"  # as training does there
    layout = Layout.QUESTION_FIRST if ours else Layout.PAPER
    made = add_adapter(causal, LoraRecipe(dropout=0.0 if ours else 0.05), seed=0)
    if not ours:
        training.use_peft_arithmetic(made)
    wrapped = DistributionModel(made)
    packer = Packer(PromptTokenizer(words), training.groups(), Prompting(layout))
    asks = training.asks_of(layout, shape.questions)
    if not ours:
        asks = asks[: 2 * shape.batch]
    update = packer.update(asks, shape.pack_tokens if ours else 1)
    batches = update.micro_batches() if ours else training.unpacked(update, shape.batch)
    optimizer = torch.optim.AdamW(p for p in wrapped.parameters() if p.requires_grad)
    wrapped.train()

    def step(trees: Sequence[Any]) -> None:
        batch = update.batch(trees).to(torch.device(shape.device))
        if ours:
            log_shares = wrapped(batch.pack, batch.reading)
        else:
            with torch.device(shape.device):
                log_shares = training.padded(causal, words, batch, trees, "everything")
        parts = batch_losses(log_shares, batch, update.weight, update.scaled_weight)
        torch.autograd.backward(parts["kl"])

    step(batches[0])  # kernels are chosen, memory is reserved
    optimizer.zero_grad()
    with clock(shape) as found:
        for trees in batches:
            step(trees)
        optimizer.step()
    return Speed(len(asks), *found)


def infer(shape: Shape, way: Literal["packed", "published"]) -> Speed:
    """Label probabilities of every row."""
    words = tokenizer()
    asked = requests(shape.questions)
    opened = backend(model(shape, shape.dtype), words, shared_prefix=None)

    def once(part: Sequence[LabelRequest]) -> None:
        if way == "packed":
            list(opened.score(part))
            return
        for start in range(0, len(part), shape.batch):
            ids = [opened.token_ids(r.text) for r in part[start : start + shape.batch]]
            width = max(map(len, ids))
            with torch.inference_mode(), torch.device(shape.device):
                rows = torch.tensor([[*row, *[1] * (width - len(row))] for row in ids])
                mask = torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r in ids])
                logits = opened.loaded.causal(input_ids=rows, attention_mask=mask).logits
                torch.softmax(logits.float(), dim=-1)[range(len(ids)), [len(r) - 1 for r in ids]]

    if way == "published":
        asked = asked[: 4 * shape.batch]
    once(asked[: shape.batch])
    with clock(shape) as found:
        once(asked)
    return Speed(len(asked), *found)


def equality(shape: Shape) -> dict[str, float]:
    """The largest difference of a label probability, in float32."""
    words = tokenizer()
    causal = model(shape, "float32", num_hidden_layers=shape.layers, initializer_range=0.1)
    asked = requests(min(shape.questions, 4))
    packed = dict(backend(causal, words).score(asked))
    plain = dict(backend(causal, words, shared_prefix=False).score(asked))

    def largest(read: Any) -> float:
        return max(float(np.abs(read(packed[i]) - read(plain[i])).max()) for i in packed)

    def probabilities(scores: LabelScores) -> Any:
        return np.exp(scores.log_probs)

    return {
        "largest_difference": largest(probabilities),
        "largest_share_difference": largest(lambda scores: scores.shares),
    }


def with_vllm(shape: Shape) -> dict[str, Any]:
    """vLLM and ours on one model of fewer layers, which vLLM reads from a folder."""
    words = tokenizer()
    asked = requests(shape.questions)
    with tempfile.TemporaryDirectory() as folder:
        causal = model(shape, shape.dtype, num_hidden_layers=shape.layers)
        causal.save_pretrained(folder)
        words.save_pretrained(folder)
        here = backend(causal, words)
        list(here.score(asked[:8]))
        with clock(shape) as ours:
            list(here.score(asked))
        del here, causal
        there = VllmBackend(VllmSettings(str(Path(folder)), dtype=shape.dtype, gpu_memory=0.5))
        list(there.score(asked[:8]))
        with clock(shape) as theirs:
            list(there.score(asked))
        there.close()
    return {
        "layers": shape.layers,
        "rows_per_s_ours": round(len(asked) / ours[0], 2),
        "rows_per_s_vllm": round(len(asked) / theirs[0], 2),
    }


def apart(work: Any, *given: Any) -> Any:
    """In a process of its own, so that its peak memory is its own; libraries are there already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["opinioncast.finetune.model", "opinioncast.jobs.demo"])
    with context.Pool(1) as pool:
        return pool.apply(work, given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="tiny shapes")
    parser.add_argument("--questions", type=int)
    parser.add_argument("--layers", type=int, default=2, help="of the model in float32")
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    large = gpu and not options.quick
    shape = Shape(
        config=LLAMA_2_7B if large else TINY,
        device="cuda" if gpu else "cpu",
        dtype="bfloat16" if gpu and torch.cuda.is_bf16_supported() else "float32",
        layers=options.layers,
        questions=options.questions or (8 if large else 2),
        pack_tokens=4_096 if gpu else 512,
        batch=16 if gpu else 4,
    )
    figures: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "model": "Llama-2-7B, random weights" if large else "tiny Llama, random weights",
        "dtype": shape.dtype,
    }
    steps = {
        "train_ours": (train, "ours"),
        "train_published": (train, "published"),
        "infer_packed": (infer, "packed"),
        "infer_published": (infer, "published"),
    }
    speeds: dict[str, Speed] = {}
    for name, (work, way) in steps.items():
        speeds[name] = apart(work, shape, way)
        figures[name] = speeds[name].figures()
        print(f"{name}: {figures[name]}", flush=True)
    figures["train_speedup"] = round(
        speeds["train_ours"].rows_per_s / speeds["train_published"].rows_per_s, 2
    )
    figures["train_memory_share"] = round(
        speeds["train_ours"].peak_mb / speeds["train_published"].peak_mb, 3
    )
    figures["infer_speedup"] = round(
        speeds["infer_packed"].rows_per_s / speeds["infer_published"].rows_per_s, 2
    )
    figures["float32"] = apart(equality, shape)
    print(f"packed against plain: {figures['float32']}", flush=True)
    there = find_spec("vllm") is not None and gpu
    figures["vllm"] = apart(with_vllm, shape) if there else "not installed, or no GPU"
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
