"""Loading a Hugging Face causal model, its tokenizer and an adapter; devices, dtypes, hashes."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from opinioncast.backends.low_rank import lighten
from opinioncast.backends.quiet import quiet_loading
from opinioncast.errors import ModelError
from opinioncast.files import end_of_path

_ADAPTER_CONFIG = "adapter_config.json"
_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_NOT_NUMBERS = {"_name_or_path", "transformers_version"}


@dataclass(frozen=True)
class LoadedModel:
    """A causal model ready for inference.

    Attributes:
        causal: the Hugging Face causal model (inside it the adapter's layers, if any).
        tokenizer: its tokenizer.
        name: what a person calls it.
        weights_hash: SHA-256 over all parameters and buffers in memory, adapter included, and the
            configurations of both (rotary scaling, windows and the like are not in the weights).
        tokenizer_hash: SHA-256 over the tokenizer's whole definition.
        adapter: where the adapter is, if any: the end of its path, which says enough in a table.
    """

    causal: Any
    tokenizer: Any
    name: str
    weights_hash: str
    tokenizer_hash: str
    adapter: str | None = None
    adapter_base: str | None = None

    @property
    def device(self) -> torch.device:
        return next(self.causal.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.causal.parameters()).dtype


def choose_device(wanted: str | None = None) -> torch.device:
    """``wanted``, or CUDA, or MPS, or the CPU.

    Raises:
        ModelError: this machine has no such device.
    """
    if wanted:
        try:
            device = torch.device(wanted)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, ValueError) as error:
            there = ["cpu"]
            there += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
            there += ["mps"] if torch.backends.mps.is_available() else []
            raise ModelError(
                "There is no such device",
                where="device",
                expected=f"one that PyTorch sees here: {', '.join(there)}",
                found=wanted,
                hint="leave it out to take the best there is",
            ) from error
        return device
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def choose_dtype(device: torch.device, wanted: str | None = None) -> torch.dtype:
    """bfloat16 where the device multiplies it in hardware, else float32 (float16 on older GPUs).

    Raises:
        ModelError: an unknown dtype name.
    """
    if wanted:
        found = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
        if wanted not in found:
            raise ModelError(
                "Unknown dtype", where="--dtype", expected=", ".join(found), found=wanted
            )
        return found[wanted]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu" and (
        torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    ):
        return torch.bfloat16
    return torch.float32


def load_model(
    model: str | Path,
    *,
    adapter: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    name: str | None = None,
) -> LoadedModel:
    """Load ``model``, a folder or a name on the Hugging Face hub.

    Raises:
        ModelError: a folder without a model, its weights or its tokenizer; a name that cannot be
            resolved; an adapter that does not fit.
    """
    where = str(model)
    folder = Path(model)
    if folder.is_dir():
        _check_folder(folder)
    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(chosen_device, dtype)
    # Several GPUs: let accelerate spread the layers over them. Not run on a GPU.
    spread = chosen_device.type == "cuda" and device is None and torch.cuda.device_count() > 1
    try:
        tokenizer = AutoTokenizer.from_pretrained(where)
        with quiet_loading():
            causal, loading = AutoModelForCausalLM.from_pretrained(
                where,
                dtype=chosen_dtype,
                output_loading_info=True,
                **({"device_map": "auto"} if spread else {}),
            )
    except Exception as error:  # the libraries raise their own kinds, and bare ones, for bad files
        raise ModelError(
            "The model cannot be loaded",
            where=where,
            expected="a folder with a Hugging Face causal model, or a name on the hub",
            found=error,
            hint="check the spelling; without a network, give the folder of a downloaded model, "
            "or leave --model out for the embedded one",
        ) from error
    absent = sorted(loading["missing_keys"])
    if absent:
        raise ModelError(
            "The model's files lack some of its weights",
            where=where,
            expected="every weight its config.json describes (transformers would fill gaps with "
            "random numbers)",
            found=f"without {', '.join(absent[:3])}{' ...' if len(absent) > 3 else ''}",
            hint="use the folder of a causal (text-generating) model, downloaded whole",
        )
    if causal.can_generate():
        causal.generation_config = _end_tokens_only(causal.generation_config)
    if not spread:
        causal = causal.to(chosen_device)
    if adapter is not None:
        causal = _with_adapter(causal, Path(adapter))
    causal.eval()
    return LoadedModel(
        causal=causal,
        tokenizer=tokenizer,
        name=name or where,
        weights_hash=hash_weights(causal, adapter=None if adapter is None else Path(adapter)),
        tokenizer_hash=hash_tokenizer(tokenizer),
        adapter=None if adapter is None else end_of_path(adapter),
    )


def _end_tokens_only(settings: GenerationConfig) -> GenerationConfig:
    """Without a model's own taste in decoding (penalties, beams, sampling): it would change what is
    the likeliest token, and differ from what other backends do.
    """
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return GenerationConfig(**{name: getattr(settings, name) for name in names})


def with_adapter(base: LoadedModel, adapter: str | Path) -> LoadedModel:
    """The same model with an adapter, beside ``base``: they share the base's weights in memory.

    Raises:
        ModelError: an adapter that does not fit, or a base that has one already.
    """
    if base.adapter is not None:
        raise ModelError(
            "An adapter cannot be put on a model that has one",
            where=base.name,
            expected="the base model by itself",
            found=base.adapter,
        )
    tensors = (*base.causal.parameters(), *base.causal.buffers())
    twin = copy.deepcopy(base.causal, {id(t): t for t in tensors})  # new modules, old tensors
    causal = _with_adapter(twin, Path(adapter)).eval()
    return replace(
        base,
        causal=causal,
        weights_hash=hash_weights(causal, adapter=Path(adapter)),
        adapter=end_of_path(adapter),
    )


def _check_folder(folder: Path) -> None:
    names = {f.name for f in folder.iterdir()}
    if "config.json" not in names and _ADAPTER_CONFIG in names:
        raise ModelError(
            "The folder holds an adapter, not a whole model",
            where=str(folder),
            expected="config.json, *.safetensors and the tokenizer's files",
            found=sorted(names),
            hint="give its base model with --model and the adapter with --adapter; the chooser of "
            "pluralism is that model with its adapter where --chooser is left out",
        )
    if "config.json" not in names:
        raise ModelError(
            "The model folder has no configuration",
            where=str(folder),
            expected="config.json, *.safetensors and the tokenizer's files",
            found=sorted(names) or "an empty folder",
        )
    if not any(n.endswith(".safetensors") for n in names):
        raise ModelError(
            "The model folder has no weights",
            where=str(folder),
            expected="one or more *.safetensors files",
            found=sorted(names),
            hint="download the weights too; pickled weights (*.bin) are not loaded because they "
            "can run code: convert them to safetensors",
        )


def _with_adapter(causal: Any, adapter: Path) -> Any:
    """Put the adapter's layers into ``causal``, in place, and return it with them active."""
    from peft import PeftConfig, PeftModel, get_peft_model_state_dict

    if not all((adapter / name).is_file() for name in (_ADAPTER_CONFIG, _ADAPTER_WEIGHTS)):
        raise ModelError(
            "The adapter folder holds no PEFT adapter",
            where=str(adapter),
            expected=f"{_ADAPTER_CONFIG} and {_ADAPTER_WEIGHTS} (pickled weights are not loaded)",
            found=sorted(f.name for f in adapter.iterdir()) if adapter.is_dir() else "no folder",
        )
    try:
        if PeftConfig.from_pretrained(str(adapter)).is_prompt_learning:
            raise ValueError("it learns virtual prompt tokens, which sit in no layer of the model")
        model = PeftModel.from_pretrained(causal, str(adapter))
        # the base is here: PEFT would look its name up on the hub to compare vocabularies
        model.active_peft_config.base_model_name_or_path = None
        with safe_open(adapter / _ADAPTER_WEIGHTS, "pt") as file:
            stored = set(file.keys())
        odd = stored ^ set(get_peft_model_state_dict(model))
        if odd:  # PEFT only warns: some layers would go without their part of the adapter
            raise ValueError(f"tensors on one side only: {', '.join(sorted(odd)[:3])}")
    except Exception as error:  # PEFT raises many kinds, bare ones among them
        raise ModelError(
            "The adapter does not fit the model",
            where=str(adapter),
            expected="an adapter trained on this base model, with layers of its own (LoRA)",
            found=error,
        ) from error
    lighten(model)
    return model.get_base_model()


def hash_weights(model: Any, *, adapter: Path | None = None) -> str:
    """SHA-256 of every parameter and buffer as held in memory (name, dtype, shape, bytes).

    Taken from memory and not from a file so that it covers the adapter and the dtype, and cannot
    miss a file edited in place. Covers the model's and the adapter's configuration too. Costs about
    a second per gigabyte.
    """
    digest = hashlib.sha256()
    config = {k: v for k, v in model.config.to_dict().items() if k not in _NOT_NUMBERS}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    if adapter is not None:
        digest.update((adapter / _ADAPTER_CONFIG).read_bytes())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().contiguous().cpu().view(-1)
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()


def hash_tokenizer(tokenizer: Any) -> str:
    """SHA-256 of the tokenizer: its rules and vocabulary, special tokens and chat template."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = backend.to_str() if backend else json.dumps(sorted(tokenizer.get_vocab().items()))
    extras = json.dumps(
        [tokenizer.special_tokens_map, getattr(tokenizer, "chat_template", None)],
        default=str,
        sort_keys=True,
    )
    return hashlib.sha256((rules + extras).encode()).hexdigest()
