"""Loading a Hugging Face causal model, its tokenizer and an adapter; devices, dtypes, hashes."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from opinioncast.backends.adapter_files import ADAPTER_CONFIG
from opinioncast.backends.model_identity import check_base
from opinioncast.backends.packing_probe import looks_ahead
from opinioncast.backends.peft_adapters import is_plain_lora, put_adapter
from opinioncast.backends.quiet import quiet_loading
from opinioncast.errors import ModelError
from opinioncast.files import end_of_path

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
        adapter_base: how it is known that the adapter was made for this model, for a manifest.
        source: the folder or hub name it was loaded from.
    """

    causal: Any
    tokenizer: Any
    name: str
    weights_hash: str
    tokenizer_hash: str
    adapter: str | None = None
    adapter_base: str | None = None
    source: str = ""

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
    return torch.bfloat16 if device.type == "cpu" and _multiplies_bfloat16() else torch.float32


def _multiplies_bfloat16() -> bool:
    """Whether the processor does so, and PyTorch is not held to less (ATEN_CPU_CAPABILITY=avx2):
    emulated, bfloat16 is several times slower than float32.
    """
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and (
        torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    )


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
    check_folder(where)
    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(chosen_device, dtype)
    # Several GPUs: let accelerate spread the layers over them. Not run on a GPU.
    spread = chosen_device.type == "cuda" and device is None and torch.cuda.device_count() > 1
    try:
        two_parts = AutoConfig.from_pretrained(where).is_encoder_decoder
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
    if two_parts:
        raise ModelError(
            "The model is no causal model",
            where=where,
            expected="a decoder by itself",
            found=f"an encoder and a decoder ({causal.config.model_type}): the decoder would write "
            "without what the encoder read",
            hint="take a text-generating (decoder) model",
        )
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
    causal.eval()
    _check_causal(causal, tokenizer, where)
    base = None
    if adapter is not None:
        causal = put_adapter(causal, Path(adapter)).eval()
        base = check_base(Path(adapter), where)
    return LoadedModel(
        causal=causal,
        tokenizer=tokenizer,
        name=name or where,
        weights_hash=hash_weights(causal, adapter=None if adapter is None else Path(adapter)),
        tokenizer_hash=hash_tokenizer(tokenizer),
        adapter=None if adapter is None else end_of_path(adapter),
        adapter_base=base,
        source=where,
    )


def _end_tokens_only(settings: GenerationConfig) -> GenerationConfig:
    """Without a model's own taste in decoding (penalties, beams, sampling): it would change what is
    the likeliest token, and differ from what other backends do.
    """
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return GenerationConfig(**{name: getattr(settings, name) for name in names})


def with_adapter(base: LoadedModel, adapter: str | Path) -> LoadedModel:
    """The same model with an adapter, beside ``base``: they share the base's weights in memory,
    unless the adapter is of a kind that may change them (all but plain LoRA): it gets a copy.

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
    folder = Path(adapter)
    kept: dict[int, Any] = {}
    if is_plain_lora(folder):
        kept = {id(t): t for t in (*base.causal.parameters(), *base.causal.buffers())}
    causal = put_adapter(copy.deepcopy(base.causal, kept), folder).eval()
    return replace(
        base,
        causal=causal,
        weights_hash=hash_weights(causal, adapter=folder),
        adapter=end_of_path(folder),
        adapter_base=check_base(folder, base.source),
    )


def check_folder(model: str) -> None:
    """Look at a model's folder before it is loaded; a name on the hub passes.

    Raises:
        ModelError: a folder that holds no whole model, or an adapter beside it.
    """
    folder = Path(model)
    if not folder.is_dir():
        return
    names = {f.name for f in folder.iterdir()}
    if "config.json" not in names and ADAPTER_CONFIG in names:
        raise ModelError(
            "The folder holds an adapter, not a whole model",
            where=str(folder),
            expected="config.json, *.safetensors and the tokenizer's files",
            found=sorted(names),
            hint="give its base model with --model and the adapter with --adapter; the chooser of "
            "pluralism is that model with its adapter where --chooser is left out",
        )
    if ADAPTER_CONFIG in names:
        raise ModelError(
            "The folder holds a whole model and an adapter",
            where=str(folder),
            expected="one of them (transformers would put the adapter on the model, and twice "
            "where it was merged into it)",
            found=sorted(names),
            hint=f"move {ADAPTER_CONFIG} and adapter_model.* to a folder of their own; give that "
            "with --adapter only where the model is the base, not merged",
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


def _check_causal(causal: Any, tokenizer: Any, where: str) -> None:
    """Raises ModelError for what is loaded as a causal model and is none, or holds an adapter."""
    if getattr(causal, "_hf_peft_config_loaded", False):
        raise ModelError(
            "The model comes with an adapter that nothing names",
            where=where,
            expected="a model by itself",
            found="an adapter_config.json beside its weights",
            hint="download the model; move its adapter to a folder of its own, for --adapter",
        )
    ids = tokenizer("The answer to this question is one of two.", add_special_tokens=False)
    try:
        encoder = looks_ahead(causal, ids["input_ids"])
    except Exception as error:  # a family's forward may raise anything
        raise ModelError(
            "The model cannot be run",
            where=where,
            expected="a causal model that reads token ids",
            found=error,
        ) from error
    if encoder:
        raise ModelError(
            "The model is no causal model",
            where=where,
            expected="one whose words depend on those before them only",
            found=f"{type(causal).__name__}: they depend on those behind them too (an encoder)",
            hint="take a text-generating (decoder) model; an encoder cannot answer a question",
        )


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
        digest.update((adapter / ADAPTER_CONFIG).read_bytes())
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
