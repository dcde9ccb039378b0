"""The base model as training needs it: whole, sharded over processes, or in 4 bits."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from transformers import AutoModelForCausalLM, AutoTokenizer

from opinioncast.backends.catalogue import folder_of, label_of
from opinioncast.backends.model_identity import weight_identity
from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.backends.torch_model import (
    LoadedModel,
    check_folder,
    choose_dtype,
    hash_weights,
    load_model,
)
from opinioncast.errors import ModelError
from opinioncast.finetune.recipe import FinetuneRecipe


@dataclass(frozen=True)
class TrainingBase:
    """A model to train.

    Attributes:
        name: what a person calls it.
        fingerprint: SHA-256 of its weights in memory and their precision, whichever process holds
            them; in 4 bits, of a sample of the weights they were made of.
    """

    causal: Any
    tokenizer: Any
    name: str
    fingerprint: str


def source(recipe: FinetuneRecipe) -> str:
    """Folder or hub name of the recipe's model."""
    return folder_of(recipe.model)


def open_base(recipe: FinetuneRecipe, accelerator: Accelerator) -> TrainingBase:
    """Load the base model of ``recipe``.

    Raises:
        ModelError: it cannot be loaded, or 4 bits were asked for where they cannot be had.
    """
    where = source(recipe)
    check_folder(where)
    loaded = None
    if recipe.lora is not None and recipe.lora.quantize:
        base = _quantized(where, recipe, accelerator)
    elif accelerator.distributed_type.value == "FSDP":
        base = _sharded(where, recipe, accelerator)
    else:
        loaded = load_model(where, device=str(accelerator.device), dtype=_dtype(recipe))
        name = label_of(recipe.model) or loaded.name
        base = TrainingBase(loaded.causal, loaded.tokenizer, name, loaded.weights_hash)
    if accelerator.device.type == "cpu":
        # plain matrix products: on a CPU they beat the fused kernel under a tree's mask
        base.causal.config._attn_implementation = "eager"
    if loaded is not None:
        _check_packing(loaded)
    if recipe.checkpoint_activations:
        base.causal.gradient_checkpointing_enable({"use_reentrant": False})
    return base


def _check_packing(loaded: LoadedModel) -> None:
    """Raise ModelError where packed prompts change the model's results (state spaces, ALiBi)."""
    backend = TorchBackend(loaded)
    if not backend.shared_prefix:
        raise ModelError(
            "The model's prompts cannot be packed, so it cannot be trained here",
            where=loaded.name,
            expected="label probabilities that do not change when prompts share their beginning",
            found=f"a difference of {backend.probe_difference:.3g} (total variation)",
            hint="take a model whose only memory is attention with given positions (Llama, "
            "Mistral, Gemma, Qwen and their like)",
        )


def _dtype(recipe: FinetuneRecipe) -> str | None:
    """AdamW's steps on the whole model would be lost in 16 bits."""
    return recipe.dtype or ("float32" if recipe.lora is None else None)


def _sharded(where: str, recipe: FinetuneRecipe, accelerator: Accelerator) -> TrainingBase:
    """With FSDP. Transformers reads the weights on the first process only; accelerate spreads them
    when the model is prepared. Run here with two processes on a CPU; not run on GPUs.

    The first process hashes what it read, so that the fingerprint is that of one process alone and
    a run begun under FSDP goes on without it, where the precision is the same.
    """
    dtype = choose_dtype(accelerator.device, _dtype(recipe))
    try:
        tokenizer = AutoTokenizer.from_pretrained(where)
        causal = AutoModelForCausalLM.from_pretrained(where, dtype=dtype)
    except Exception as error:  # the libraries raise their own kinds, and bare ones
        raise _cannot_load(where, error) from error
    found = [hash_weights(causal) if accelerator.is_main_process else ""]
    if accelerator.num_processes > 1:
        broadcast_object_list(found)
    return TrainingBase(causal, tokenizer, label_of(recipe.model) or where, found[0])


def quantization() -> Any:
    """How 4 bits are made of 16: NF4, double quantisation, computed in bfloat16."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_quant_storage=torch.bfloat16,  # so that FSDP can shard it
    )


def _quantized(where: str, recipe: FinetuneRecipe, accelerator: Accelerator) -> TrainingBase:
    """QLoRA: weights in 4 bits (NF4, double quantisation). Run on a CPU, not on a GPU."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            "Training in 4 bits needs bitsandbytes",
            where="lora.quantize: 4bit",
            expected="the package bitsandbytes",
            found="not installed",
            hint="pip install 'opinioncast[quantize]', or leave quantize out",
        )
    if accelerator.device.type not in ("cuda", "cpu"):
        raise ModelError(
            "There is no training in 4 bits on this device",
            where="lora.quantize: 4bit",
            expected="cuda, or cpu (slow: for trying things out)",
            found=accelerator.device.type,
            hint="leave quantize out",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(where)
        causal = AutoModelForCausalLM.from_pretrained(
            where,
            dtype=torch.bfloat16,
            quantization_config=quantization(),
            device_map={
                "": "cpu" if accelerator.device.type == "cpu" else accelerator.local_process_index
            },
        )
    except Exception as error:
        raise _cannot_load(where, error) from error
    config = json.dumps(causal.config.to_dict(), sort_keys=True, default=str)
    made_of = f"4 bits of {weight_identity(where) or where} {config}"
    fingerprint = hashlib.sha256(made_of.encode()).hexdigest()
    return TrainingBase(causal, tokenizer, label_of(recipe.model) or where, fingerprint)


def _cannot_load(where: str, error: Exception) -> ModelError:
    return ModelError(
        "The model cannot be loaded",
        where=where,
        expected="a folder with a Hugging Face causal model, or a name on the hub",
        found=error,
    )
