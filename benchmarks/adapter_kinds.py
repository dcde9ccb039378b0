"""Kinds of adapters that PEFT knows, on a tiny random model: equal to PEFT's own, or refused."""

from __future__ import annotations

import json
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import peft
import torch
import transformers

from opinioncast.backends import TextRequest
from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.errors import ModelError
from tiny_models import (
    LLAMA,
    TEXTS,
    Row,
    difference,
    plain_probabilities,
    read_probabilities,
    save_model,
    worst_of,
)

LAYERS = ["q_proj", "v_proj", "down_proj"]
ON = {"target_modules": LAYERS}
SMALL = ON | {"r": 4}

ADAPTERS: dict[str, tuple[str, dict[str, Any]]] = {
    "LoRA": ("LoraConfig", SMALL),
    "LoRA on all linear layers and the output": (
        "LoraConfig",
        {"r": 4, "target_modules": [*LAYERS, "k_proj", "o_proj", "lm_head"]},
    ),
    "LoRA on the embedding": ("LoraConfig", {"r": 4, "target_modules": ["embed_tokens"]}),
    "rank-stabilised LoRA": ("LoraConfig", SMALL | {"use_rslora": True}),
    "LoRA, ranks by pattern": (
        "LoraConfig",
        SMALL | {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}},
    ),
    "LoRA with biases": ("LoraConfig", SMALL | {"lora_bias": True}),
    "LoRA, the base's biases trained": ("LoraConfig", SMALL | {"bias": "all"}),
    "DoRA": ("LoraConfig", SMALL | {"use_dora": True}),
    "PiSSA": ("LoraConfig", SMALL | {"init_lora_weights": "pissa"}),
    "PiSSA, fast": ("LoraConfig", SMALL | {"init_lora_weights": "pissa_niter_2"}),
    "OLoRA": ("LoraConfig", SMALL | {"init_lora_weights": "olora"}),
    "MiCA": ("LoraConfig", SMALL | {"init_lora_weights": "mica"}),
    "LoRA, orthogonal start": ("LoraConfig", SMALL | {"init_lora_weights": "orthogonal"}),
    "EVA": ("LoraConfig", SMALL | {"init_lora_weights": "eva"}),
    "LoftQ": ("LoraConfig", SMALL | {"later": {"init_lora_weights": "loftq"}}),
    "CorDA": ("LoraConfig", SMALL | {"later": {"init_lora_weights": "corda"}}),
    "LoRA-GA": ("LoraConfig", SMALL | {"init_lora_weights": "lora_ga"}),
    "activated LoRA": ("LoraConfig", SMALL | {"alora_invocation_tokens": [40, 41]}),
    "QALoRA": ("LoraConfig", SMALL | {"use_qalora": True}),
    "LoRA, modules saved": ("LoraConfig", SMALL | {"modules_to_save": ["lm_head"]}),
    "LoRA, tokens trained": ("LoraConfig", SMALL | {"trainable_token_indices": [35, 36]}),
    "LoRA on parameters": (
        "LoraConfig",
        {"r": 4, "target_modules": [], "target_parameters": ["q_proj.weight"]},
    ),
    "LoRA, layers replicated": ("LoraConfig", SMALL | {"layer_replication": [[0, 2], [0, 2]]}),
    "MonteCLoRA": ("LoraConfig", SMALL | {"monteclora_config": "MontecloraConfig"}),
    "VeLoRA": ("LoraConfig", SMALL | {"velora_config": "VeloraConfig"}),
    "KaSA": ("LoraConfig", SMALL | {"kasa_config": "KasaConfig"}),
    "block-diagonal LoRA": (
        "LoraConfig",
        SMALL
        | {
            "use_bdlora": peft.tuners.lora.config.BdLoraConfig(
                target_modules_bd_a=["down_proj"], target_modules_bd_b=["q_proj", "v_proj"]
            )
        },
    ),
    "Arrow": ("LoraConfig", SMALL | {"later": {"arrow_config": {"top_k": 2}}}),
    "AdaLoRA": ("AdaLoraConfig", ON | {"init_r": 4, "target_r": 2, "total_step": 10}),
    "AdaMSS": ("AdamssConfig", ON | {"r": 8, "num_subspaces": 2, "subspace_rank": 1}),
    "BEFT": ("BeftConfig", {"target_modules": ["v_proj"]}),
    "BOFT": ("BOFTConfig", ON | {"boft_block_size": 4}),
    "C3A": ("C3AConfig", ON | {"block_size": 8}),
    "DEFT": ("DeftConfig", SMALL),
    "DeLoRA": ("DeloraConfig", SMALL),
    "FourierFT": ("FourierFTConfig", ON | {"n_frequency": 20}),
    "FRoD": ("FrodConfig", ON),
    "GLoRA": ("GloraConfig", SMALL),
    "GraLoRA": ("GraloraConfig", SMALL | {"gralora_k": 2}),
    "HiRA": ("HiraConfig", SMALL),
    "HRA": ("HRAConfig", SMALL),
    "IA3": ("IA3Config", {"target_modules": LAYERS, "feedforward_modules": ["down_proj"]}),
    "Lily": ("LilyConfig", SMALL),
    "LayerNorm tuning": ("LNTuningConfig", {"target_modules": ["input_layernorm", "norm"]}),
    "LoHa": ("LoHaConfig", SMALL),
    "LoKr": ("LoKrConfig", SMALL),
    "MiSS": ("MissConfig", SMALL),
    "OFT": ("OFTConfig", ON | {"oft_block_size": 8, "r": 0}),
    "OSF": ("OSFConfig", ON | {"effective_rank": 4}),
    "PEANuT": ("PeanutConfig", SMALL),
    "Poly": ("PolyConfig", SMALL | {"n_tasks": 2, "n_skills": 2, "n_splits": 2}),
    "PSOFT": ("PsoftConfig", SMALL),
    "PVeRA": ("PveraConfig", SMALL),
    "RandLoRA": ("RandLoraConfig", SMALL),
    "RoAd": ("RoadConfig", ON | {"group_size": 8}),
    "SHADOW": ("ShadowConfig", {}),
    "SHiRA": ("ShiraConfig", SMALL),
    "SuperTuning": ("SupertuningConfig", ON),
    "TinyLoRA": ("TinyLoraConfig", ON),
    "trainable tokens": (
        "TrainableTokensConfig",
        {"token_indices": [35, 36], "target_modules": ["embed_tokens"]},
    ),
    "UniLoRA": ("UniLoraConfig", SMALL),
    "VB-LoRA": ("VBLoRAConfig", SMALL | {"vector_length": 16, "num_vectors": 30, "topk": 2}),
    "VeRA": ("VeraConfig", SMALL),
    "WaveFT": ("WaveFTConfig", ON | {"n_frequency": 20}),
    "X-LoRA": ("LoraConfig", SMALL | {"later": {"peft_type": "XLORA"}}),
    "Llama-Adapter (adaption prompt)": (
        "AdaptionPromptConfig",
        {"adapter_len": 4, "adapter_layers": 1},
    ),
    "Cartridge": ("CartridgeConfig", {"num_virtual_tokens": 4}),
    "CPT": ("CPTConfig", {"cpt_token_ids": [35, 36], "cpt_mask": [1, 1]}),
    "prompt tuning": ("PromptTuningConfig", {"num_virtual_tokens": 4}),
    "multitask prompt tuning": ("MultitaskPromptTuningConfig", {"num_virtual_tokens": 4}),
    "P-tuning": ("PromptEncoderConfig", {"num_virtual_tokens": 4, "encoder_hidden_size": 16}),
    "prefix tuning": ("PrefixTuningConfig", {"num_virtual_tokens": 4}),
}


def adapter_rows(quick: bool) -> list[Row]:
    """Adapter kinds of PEFT: equal to PEFT's own model, or refused."""
    return [worst_of(name, partial(try_adapter, name), quick) for name in ADAPTERS]


def save_adapter(base: Path, folder: Path, name: str, *, seed: int) -> None:
    """An adapter of a kind, its numbers drawn so that it does something."""
    config, given = ADAPTERS[name]
    settings = {k: v for k, v in given.items() if k != "later"}
    nested = {
        k: getattr(peft.tuners.lora.config, v)()
        for k, v in settings.items()
        if isinstance(v, str) and hasattr(peft.tuners.lora.config, v)
    }
    made = getattr(peft, config)(task_type="CAUSAL_LM", **(settings | nested))
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    adapted = peft.get_peft_model(model, made)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn(parameter.shape)
    adapted.save_pretrained(folder)
    written = folder / "adapter_config.json"  # what PEFT makes from a run over data only
    written.write_text(
        json.dumps(json.loads(written.read_text("utf-8")) | dict(given.get("later", {}))), "utf-8"
    )


def try_adapter(name: str, seed: int) -> Row:
    """One kind: what the backend says against what PEFT says on the same prompts."""
    with tempfile.TemporaryDirectory() as work, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        base = save_model("LlamaConfig", LLAMA, Path(work) / "model", seed=seed)
        adapter = Path(work) / "adapter"
        try:
            save_adapter(base, adapter, name, seed=seed)
        except Exception as error:  # each kind fails in its own way
            return Row(name, "not tried", None, f"PEFT: {_short(error)}")
        try:
            backend = TorchBackend.load(base, adapter=adapter, dtype="float32", device="cpu")
        except ModelError as error:
            return Row(name, "refused", None, _short(error.found or error.title))
        model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        theirs = peft.PeftModel.from_pretrained(model, str(adapter)).eval()
        built = transformers.AutoTokenizer.from_pretrained(base)
        wanted = plain_probabilities(theirs, built)
        apart = difference(read_probabilities(backend), wanted)
        said = dict(backend.generate([TextRequest(t, 6) for t in TEXTS]))
        texts = all(said[i].text == _says(theirs, built, text) for i, text in enumerate(TEXTS))
        plain = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        moved = difference(plain_probabilities(plain, built), wanted)
    if moved < 0.01:
        raise RuntimeError(f"{name}: the adapter moves nothing, so nothing is shown")
    way = "equal" if backend.shared_prefix else "equal, one by one"
    note = "PEFT's own model" if texts else "PEFT's own model; texts differ"
    return Row(name, way, apart, note)


def _says(model: Any, built: Any, text: str) -> str:
    ids = torch.tensor([built(text, add_special_tokens=False)["input_ids"]])
    made = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=6,
        do_sample=False,
        pad_token_id=0,
    )
    return str(built.decode(made[0, ids.shape[1] :], skip_special_tokens=True))


def _short(value: object) -> str:
    text = " ".join(str(value).split()).replace("|", "/")
    return text if len(text) <= 110 else text[:109] + "…"
