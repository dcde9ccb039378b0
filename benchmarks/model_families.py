"""Model families that are tried as tiny random models: equal to their own forward, or refused."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers

from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.errors import ModelError
from tiny_models import (
    LLAMA,
    Row,
    difference,
    plain_probabilities,
    read_probabilities,
    save_model,
    worst_of,
)

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
    return [worst_of(name, partial(try_model, name), quick) for name in MODELS]


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
