"""The model being trained: base, adapter, and a forward pass from a pack to label log-shares."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from opinioncast.backends.low_rank import lighten
from opinioncast.backends.model_identity import record_base
from opinioncast.backends.packed_forward import (
    after_head,
    has_plain_head,
    last_hidden,
    token_logits,
)
from opinioncast.backends.trees import Pack
from opinioncast.errors import ModelError
from opinioncast.files import made_apart
from opinioncast.finetune.packing import LabelReading
from opinioncast.finetune.recipe import LoraRecipe

_NEVER = -1e9
"""Log-probability of padding: finite, so that its gradient is 0 and not NaN."""


class DistributionModel(nn.Module):
    """A causal model read as distributions over option labels.

    Its forward is all that DDP and FSDP wrap. Only the label rows of the output matrix are
    multiplied, and only at the last token of each prompt.

    Args:
        inner: a Hugging Face causal model, or a PEFT model around one.
    """

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    @property
    def causal(self) -> Any:
        peft = getattr(self.inner, "get_base_model", None)
        return peft() if peft else self.inner

    def forward(self, pack: Pack, reading: LabelReading) -> Tensor:
        """Log of each row's label shares, float32, shape (R, L); about -1e9 in padding."""
        causal = self.causal
        hidden = last_hidden(causal, pack)
        if reading.among and has_plain_head(causal):
            read = token_logits(causal, hidden, reading.tokens)
        else:
            head = causal.get_output_embeddings()
            whole = torch.log_softmax(after_head(causal, head(hidden).float()), dim=-1)
            read = whole[:, reading.tokens]
        return label_log_shares(read, reading)


def label_log_shares(read: Tensor, reading: LabelReading) -> Tensor:
    """Add up each label's spellings and normalise over the row's labels.

    Args:
        read: log-probabilities, shape (rows of the pack, U); logits do where shares are taken
            among what is read.

    Returns:
        Shape (R, L).
    """
    if reading.among:
        wanted = torch.zeros_like(read, dtype=torch.bool)
        wanted[reading.row[reading.used], reading.column[reading.used]] = True
        read = torch.log_softmax(read.masked_fill(~wanted, _NEVER), dim=-1)
    steps = read[reading.row, reading.column].masked_fill(~reading.used, 0.0)
    spelling = steps.sum(dim=-1).masked_fill(~reading.used.any(dim=-1), _NEVER)
    return torch.log_softmax(torch.logsumexp(spelling, dim=-1), dim=-1)


def uniform_log_shares(reading: LabelReading) -> Tensor:
    """What :func:`label_log_shares` gives of a model that knows nothing."""
    there = reading.used.flatten(2).any(dim=-1)
    none = torch.zeros(there.shape, device=there.device).masked_fill(~there, _NEVER)
    return torch.log_softmax(none, dim=-1)


def add_adapter(causal: Any, lora: LoraRecipe, *, seed: int) -> Any:
    """``causal`` with a fresh LoRA adapter, its own weights frozen.

    Adapter weights are float32 whatever the model's dtype (small, and AdamW's steps would be lost
    in bfloat16); their arithmetic runs in the model's dtype.

    Raises:
        ModelError: no module of the model matches the targets.
    """
    from peft import LoraConfig, get_peft_model

    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    if lora.layers is not None and isinstance(targets, str):  # PEFT wants names to choose layers
        head = causal.get_output_embeddings()
        targets = sorted(
            {
                name.rpartition(".")[2]
                for name, module in causal.named_modules()
                if isinstance(module, nn.Linear) and module is not head
            }
        )
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        layers_to_transform=None if lora.layers is None else list(lora.layers),
        task_type="CAUSAL_LM",
    )
    try:
        model = get_peft_model(causal, config, autocast_adapter_dtype=True)
    except ValueError as error:
        raise ModelError(
            "The adapter's targets are not in the model",
            where=f"lora.targets {targets}",
            expected="ends of module names, such as q_proj and v_proj, or all-linear",
            found=error,
        ) from error
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_A" in name:
            fresh = torch.empty(parameter.shape).normal_(0, lora.init_sigma, generator=generator)
            parameter.data.copy_(fresh)
        elif "lora_B" in name:
            parameter.data.zero_()
    lighten(model)
    return model


def compile_layers(causal: Any) -> None:
    """Compile the decoder's layers, one by one: they share their code, so it is made once.

    Raises:
        ModelError: the family keeps its layers elsewhere, or there is no C++ compiler (on a CPU).
    """
    layers = getattr(getattr(causal, causal.base_model_prefix), "layers", None)
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if layers is None or (causal.device.type == "cpu" and compiler is None):
        raise ModelError(
            "The model's layers cannot be compiled",
            where="compile: true",
            expected="a model with decoder layers, and on a CPU a C++ compiler (g++ or clang++)",
            found="no compiler" if layers is not None else type(causal).__name__,
            hint="leave compile out: the result is the same, about a fifth slower",
        )
    for layer in layers:
        layer.compile(dynamic=True)


def save_trained(
    model: DistributionModel,
    weights: Mapping[str, Tensor],
    folder: Path,
    *,
    base: str,
    tokenizer: Any = None,
) -> list[Path]:
    """Write a PEFT adapter folder (a whole model where all of it was trained); safetensors only.

    Args:
        weights: of :class:`opinioncast.finetune.trainer.TrainingRun`, by name in ``model``.
        base: what the adapter's configuration names as its base model.
        tokenizer: written with a whole model; an adapter goes with its base's.

    Raises:
        StorageError: the folder cannot be written.
    """
    own = {k.removeprefix("inner."): v for k, v in weights.items()}
    peft = getattr(model.inner, "peft_config", None)
    with made_apart(folder) as work:
        if peft is None:
            model.inner.save_pretrained(work, state_dict=own)
            if tokenizer is not None:
                tokenizer.save_pretrained(work)
        else:
            peft["default"].base_model_name_or_path = base
            model.inner.save_pretrained(work, state_dict=own, save_embedding_layers=False)
            (work / "README.md").unlink(missing_ok=True)  # PEFT's, of which there is our own
            record_base(work, base)
        made = sorted(f.relative_to(work) for f in work.rglob("*") if f.is_file())
    return [folder / name for name in made]
