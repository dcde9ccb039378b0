"""The table of model families, adapter kinds and services in docs/backends.md, tried and written.

    python benchmarks/backend_table.py [--quick] [--section NAME] [--no-write]

Each family and kind is tried with a tiny random model in float32: label probabilities and shares of
the PyTorch backend (prompts packed where it packs them) against the model's own forward, one prompt
at a time; with an adapter, against PEFT's own model of the same adapter, texts too. ``--quick``
tries one random draw of each instead of three. A section is a function that returns rows; each
writes its table between markers of its name. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import peft
import tokenizers
import torch
import transformers

from opinioncast.backends import LabelRequest, TextRequest
from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.errors import ModelError
from opinioncast.files import atomic_path

DOCUMENT = Path(__file__).parents[1] / "docs" / "backends.md"
LABELS = ("A", "B", "C")
TEXTS = [
    f"Question: {asked}\nA. Yes\nB. No\nC. Refused\n\nAsked of: {who}\nAnswer:"
    for asked in ("Is there a life after death?", "Can people be trusted?")
    for who in ("region: South", "region: North", "religion: nothing in particular, and more")
]
LLAMA = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "initializer_range": 0.35,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 1,
}


class Row(NamedTuple):
    """One thing that was tried.

    Attributes:
        name: a family, a kind of adapter, a service.
        outcome: ``equal``, ``equal, one by one`` or ``refused``.
        within: largest difference of a label's share or probability; None where it was refused.
        note: to what it is equal, or why it was refused.
    """

    name: str
    outcome: str
    within: float | None
    note: str


Section = Callable[[bool], list[Row]]


def tokenizer() -> Any:
    """Byte-level BPE with a few merges."""
    raw = tokenizers.Tokenizer(tokenizers.models.BPE())
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = tokenizers.decoders.ByteLevel()
    raw.train_from_iterator(
        [*TEXTS, "Answer: A\nAnswer: B\nAnswer: C\n" * 20],
        tokenizers.trainers.BpeTrainer(
            vocab_size=320,
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<s>", "</s>"],
            show_progress=False,
        ),
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>"
    )


def save_model(config: str, settings: Mapping[str, Any], folder: Path, *, seed: int) -> Path:
    """A random model of a family and its tokenizer."""
    built = tokenizer()
    torch.manual_seed(seed)
    made = getattr(transformers, config)(vocab_size=len(built), **settings)
    auto = transformers.AutoModelForCausalLM
    if made.is_encoder_decoder or type(made) not in auto._model_mapping:
        auto = transformers.AutoModelForSeq2SeqLM
    auto.from_config(made).save_pretrained(folder)
    built.save_pretrained(folder)
    return folder


def plain_probabilities(model: Any, built: Any) -> np.ndarray[Any, Any]:
    """Probability of each label after each text, by the model's own call. Shape (texts, labels)."""
    rows = []
    with torch.no_grad():
        for text in TEXTS:
            ids = built(text, add_special_tokens=False)["input_ids"]
            found = model(input_ids=torch.tensor([ids])).logits[0, -1].double().softmax(-1)
            rows.append([sum(float(found[t]) for t in _spellings(built, la)) for la in LABELS])
    return np.array(rows)


def _spellings(built: Any, label: str) -> set[int]:
    ways = [built(said, add_special_tokens=False)["input_ids"] for said in (label, f" {label}")]
    if any(len(tokens) != 1 for tokens in ways):
        raise ValueError("this tokenizer is made so that labels are one token each")
    return {tokens[0] for tokens in ways}


def read_probabilities(backend: TorchBackend) -> np.ndarray[Any, Any]:
    """The same, by the backend."""
    asked = [LabelRequest(text, LABELS, "tree") for text in TEXTS]
    scores = dict(backend.score(asked))
    return np.array([np.exp(scores[i].log_probs) for i in range(len(asked))])


MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama 2, 3": ("LlamaConfig", LLAMA),
    "Mistral, sliding window": ("MistralConfig", LLAMA | {"sliding_window": 12}),
    "Mixtral (experts)": ("MixtralConfig", LLAMA | {"num_local_experts": 4}),
    "Qwen 2": ("Qwen2Config", LLAMA),
    "Qwen 3": ("Qwen3Config", LLAMA | {"head_dim": 8}),
    "Gemma 2": ("Gemma2Config", LLAMA | {"head_dim": 8, "sliding_window": 12}),
    "Gemma 3": ("Gemma3TextConfig", LLAMA | {"head_dim": 8, "sliding_window": 12}),
    "Phi-3": ("Phi3Config", LLAMA),
    "Phi-3, long rope": (
        "Phi3Config",
        LLAMA
        | {
            "original_max_position_embeddings": 60,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10_000.0,
                "short_factor": [1.0] * 4,
                "long_factor": [4.0] * 4,
                "original_max_position_embeddings": 60,
            },
        },
    ),
    "OLMo 2": ("Olmo2Config", LLAMA),
    "Cohere": ("CohereConfig", LLAMA | {"logit_scale": 0.25}),
    "Granite": ("GraniteConfig", LLAMA | {"logits_scaling": 2.0}),
    "GLM": ("GlmConfig", LLAMA | {"head_dim": 8}),
    "GLM 4": ("Glm4Config", LLAMA | {"head_dim": 8}),
    "SmolLM 3": ("SmolLM3Config", LLAMA),
    "StableLM": ("StableLmConfig", LLAMA),
    "GPT-2": (
        "GPT2Config",
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512, "initializer_range": 0.35},
    ),
    "GPT-NeoX (Pythia)": (
        "GPTNeoXConfig",
        {k: v for k, v in LLAMA.items() if k != "num_key_value_heads"},
    ),
    "OPT": (
        "OPTConfig",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "ffn_dim": 64,
            "word_embed_proj_dim": 32,
            "init_std": 0.35,
            "max_position_embeddings": 512,
        },
    ),
    "BLOOM (ALiBi)": (
        "BloomConfig",
        {"hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.35},
    ),
    "MPT (ALiBi)": (
        "MptConfig",
        {"d_model": 32, "n_heads": 4, "n_layers": 2, "initializer_range": 0.35},
    ),
    "Falcon (ALiBi)": (
        "FalconConfig",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "alibi": True,
            "initializer_range": 0.35,
        },
    ),
    "Mamba": (
        "MambaConfig",
        {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "initializer_range": 0.35},
    ),
    "Mamba 2": (
        "Mamba2Config",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "state_size": 8,
            "num_heads": 8,
            "head_dim": 8,
            "n_groups": 1,
            "initializer_range": 0.35,
        },
    ),
    "RWKV": (
        "RwkvConfig",
        {"hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32},
    ),
    "Jamba (attention and Mamba)": (
        "JambaConfig",
        LLAMA
        | {
            "num_hidden_layers": 4,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "use_mamba_kernels": False,
            "mamba_d_state": 8,
            "mamba_dt_rank": 4,
        },
    ),
    "LFM 2 (attention and convolutions)": (
        "Lfm2Config",
        LLAMA | {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
    ),
    "Falcon H1 (attention beside Mamba)": (
        "FalconH1Config",
        LLAMA
        | {
            "mamba_d_ssm": 32,
            "mamba_n_heads": 4,
            "mamba_d_head": 8,
            "mamba_d_state": 8,
            "mamba_n_groups": 1,
        },
    ),
    "Qwen 3 Next (attention and linear attention)": (
        "Qwen3NextConfig",
        LLAMA
        | {
            "head_dim": 8,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
            "linear_num_value_heads": 4,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "layer_types": ["linear_attention", "full_attention"],
        },
    ),
    "RecurrentGemma": (
        "RecurrentGemmaConfig",
        {
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "intermediate_size": 64,
            "lru_width": 32,
            "attention_window_size": 64,
            "w_init_variance_scale": 0.35,
        },
    ),
    "BERT (an encoder)": (
        "BertConfig",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "initializer_range": 0.35,
        },
    ),
    "RoBERTa (an encoder)": (
        "RobertaConfig",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "initializer_range": 0.35,
            "max_position_embeddings": 514,
        },
    ),
    "BART (encoder and decoder)": (
        "BartConfig",
        {
            "d_model": 32,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "decoder_ffn_dim": 32,
        },
    ),
}


def model_rows(quick: bool) -> list[Row]:
    """Model families: packed where packing changes nothing, else one prompt at a time."""
    return [_tried(name, partial(try_model, name), quick) for name in MODELS]


def try_model(name: str, seed: int) -> Row:
    """One family."""
    config, settings = MODELS[name]
    with tempfile.TemporaryDirectory() as work:
        folder = save_model(config, settings, Path(work) / "model", seed=seed)
        try:
            backend = TorchBackend.load(folder, dtype="float32", device="cpu", pack_tokens=4_096)
        except ModelError as error:
            return Row(name, "refused", None, error.title.lower())
        auto = transformers.AutoModelForCausalLM
        model = auto.from_pretrained(folder, dtype=torch.float32).eval()
        wanted = plain_probabilities(model, transformers.AutoTokenizer.from_pretrained(folder))
        apart = difference(read_probabilities(backend), wanted)
    packed = backend.shared_prefix
    note = "its own forward, one prompt at a time" if packed else "the same; prompts are not packed"
    return Row(name, "equal" if packed else "equal, one by one", apart, note)


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
    return [_tried(name, partial(try_adapter, name), quick) for name in ADAPTERS]


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


def difference(found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> float:
    """Largest of any label's share or probability."""
    shares = [p / p.sum(axis=1, keepdims=True) for p in (found, wanted)]
    return float(max(np.abs(found - wanted).max(), np.abs(shares[0] - shares[1]).max()))


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


def _tried(name: str, attempt: Callable[[int], Row], quick: bool) -> Row:
    """The worst of several draws."""
    rows = [attempt(seed) for seed in range(1 if quick else 3)]
    return max(rows, key=lambda row: row.within if row.within is not None else np.inf)


def _short(value: object) -> str:
    text = " ".join(str(value).split()).replace("|", "/")
    return text if len(text) <= 110 else text[:109] + "…"


SECTIONS: dict[str, tuple[str, Section]] = {
    "models": ("model family", model_rows),
    "adapters": ("adapter", adapter_rows),
}
"""Name of a section's markers -> head of its first column, and what makes its rows."""


def table(head: str, rows: Sequence[Row]) -> str:
    """As Markdown."""
    lines = [f"| {head} | outcome | within | to what, or why |", "|---|---|---|---|"]
    for row in rows:
        within = "" if row.within is None else f"{row.within:.0e}"
        lines.append(f"| {row.name} | {row.outcome} | {within} | {row.note} |")
    return "\n".join(lines)


def put(section: str, text: str) -> None:
    """Write ``text`` between the document's markers of ``section``."""
    begin, end = f"<!-- {section}: benchmarks/backend_table.py -->", f"<!-- end {section} -->"
    whole = DOCUMENT.read_text("utf-8")
    if whole.count(begin) != 1 or whole.count(end) != 1:
        raise SystemExit(f"{DOCUMENT.name} lacks the markers {begin} and {end}")
    before, rest = whole.split(begin)
    with atomic_path(DOCUMENT) as target:
        target.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one random draw of each")
    parser.add_argument("--section", choices=SECTIONS, help="only this one")
    parser.add_argument("--no-write", action="store_true", help="leave the document as it is")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    figures: dict[str, Any] = {}
    for name, (head, make) in SECTIONS.items():
        if options.section not in (None, name):
            continue
        rows = make(options.quick)
        text = table(head, rows)
        print(text, flush=True)
        if not options.no_write:
            put(name, text)
        within = [row.within for row in rows if row.within is not None]
        figures[name] = {
            "tried": len(rows),
            "refused": sum(row.outcome == "refused" for row in rows),
            "not_tried": sum(row.outcome == "not tried" for row in rows),
            "largest_difference": max(within, default=None),
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
