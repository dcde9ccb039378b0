"""What a run will need of memory, before anything is loaded, and what to change if it is too much.

The parts that are counted exactly: weights, gradients and AdamW's two moments. Activations are an
estimate: what a decoder layer keeps per token for the backward pass.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from opinioncast.backends.torch_model import choose_dtype
from opinioncast.errors import ModelError
from opinioncast.finetune.recipe import FinetuneRecipe, LoraRecipe

GB = 1e9
_OVERHEAD = 0.8 * GB  # Python, PyTorch, tables
_CPU_TOKENS, _GPU_TOKENS = 1_024, 4_096
_HIDDEN_KEPT, _INNER_KEPT = 16, 5
"""Activations a layer keeps per token, in units of the hidden and of the MLP's inner width."""


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes of one process.

    Attributes:
        parameters, trained: how many there are in the whole model.
        weights: of the base model as loaded.
        training: trained weights, their gradients and AdamW's moments.
        activations: of the largest micro-batch.
    """

    parameters: int
    trained: int
    weights: float
    training: float
    activations: float

    @property
    def total(self) -> float:
        return self.weights + self.training + self.activations + _OVERHEAD

    def __str__(self) -> str:
        return (
            f"{self.total / GB:.1f} GB: weights {self.weights / GB:.1f}, training "
            f"{self.training / GB:.1f}, activations {self.activations / GB:.1f}"
        )


def estimate(where: str, recipe: FinetuneRecipe, *, device: str, shards: int = 1) -> MemoryEstimate:
    """Memory of one process.

    Args:
        where: folder or hub name of the base model; only its configuration is read.
        shards: processes the weights are spread over (FSDP); 1 for one process or DDP.
    """
    config = AutoConfig.from_pretrained(where)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    parameters = sum(p.numel() for p in model.parameters())
    lora = recipe.lora
    text = config.get_text_config()
    wide = choose_dtype(torch.device(device), recipe.dtype).itemsize
    if lora is None:
        trained, weights = parameters, 0.0
    else:
        trained = sum(
            lora.rank * (m.in_features + m.out_features)
            for name, m in model.named_modules()
            if _is_target(model, name, m, lora)
        )
        linear = sum(
            m.weight.numel()
            for m in model.modules()
            if isinstance(m, torch.nn.Linear) and m is not model.get_output_embeddings()
        )
        weights = wide * parameters
        if lora.quantize:
            weights = 0.55 * linear + 2 * (parameters - linear)
    width = 4 if lora is None else wide
    tokens = recipe.pack_tokens or (_CPU_TOKENS if device == "cpu" else _GPU_TOKENS)
    inner = getattr(text, "intermediate_size", 4 * text.hidden_size)
    per_layer = tokens * width * (_HIDDEN_KEPT * text.hidden_size + _INNER_KEPT * inner)
    if device == "cpu":  # attention scores are kept there, once per head and pair of tokens
        per_layer += 3 * width * text.num_attention_heads * tokens**2
    # with activations checkpointed, one layer's are kept at a time and every layer's input
    layers = 1 if recipe.checkpoint_activations else text.num_hidden_layers
    activations = layers * per_layer
    if recipe.checkpoint_activations:
        activations += text.num_hidden_layers * tokens * width * text.hidden_size
    return MemoryEstimate(
        parameters, trained, weights / shards, 16 * trained / shards, float(activations)
    )


def available(device: torch.device) -> float | None:
    """Free bytes on ``device``; None where the system does not tell."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return float(torch.mps.recommended_max_memory())
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        found = dict(line.split(":", 1) for line in lines)
        return float(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return None


def check_memory(
    where: str, recipe: FinetuneRecipe, *, device: torch.device, shards: int, free: float | None
) -> MemoryEstimate | None:
    """Estimate, and refuse a run that cannot fit. None where the configuration cannot be read
    (loading will say why).

    Raises:
        ModelError: the estimate is above what is free.
    """
    try:
        needed = estimate(where, recipe, device=device.type, shards=shards)
    except Exception:  # loading words this better
        return None
    if free is not None and needed.total > free:
        raise ModelError(
            "The model is too large for this machine",
            where=f"{where} on {device.type}",
            expected=f"{free / GB:.1f} GB that are free",
            found=str(needed),
            hint=_advice(needed, recipe, free),
        )
    return needed


def _advice(needed: MemoryEstimate, recipe: FinetuneRecipe, free: float) -> str:
    advice = []
    if recipe.lora is None:
        advice.append("train an adapter (lora:) instead of the whole model")
    elif recipe.dtype == "float32":
        advice.append("dtype: bfloat16")
    elif not recipe.lora.quantize and needed.weights > 0.5 * free:
        advice.append("lora.quantize: 4bit on a CUDA device")
    if needed.activations > 0.2 * needed.total:
        if not recipe.checkpoint_activations:
            advice.append("checkpoint_activations: true")
        advice.append("a smaller pack_tokens")
    advice.append("more processes with FSDP (docs/finetuning.md), or a smaller model")
    return "; ".join(advice)


def _is_target(model: Any, name: str, module: torch.nn.Module, lora: LoraRecipe) -> bool:
    if not isinstance(module, torch.nn.Linear) or module is model.get_output_embeddings():
        return False
    if lora.targets != "all-linear" and not name.endswith(tuple(lora.targets)):
        return False
    if lora.layers is None:
        return True
    numbers = [int(part) for part in name.split(".") if part.isdecimal()]
    return bool(numbers) and numbers[0] in lora.layers
