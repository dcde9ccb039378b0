"""Base models in 4 bits: how they are loaded, without memory and for good."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from accelerate import Accelerator, init_empty_weights
from safetensors.torch import load_file
from tests.finetune.small_table import QUESTIONS

from opinioncast.backends.low_rank import lighten
from opinioncast.errors import ModelError
from opinioncast.finetune.base import open_base, quantization
from opinioncast.finetune.model import add_adapter
from opinioncast.finetune.recipe import FinetuneRecipe, LoraRecipe, parse_finetune
from opinioncast.jobs.finetune import finetune_to_folder

Make = Callable[..., Path]


@pytest.fixture
def recipe(make_folder: Make, table_file: Make) -> FinetuneRecipe:
    raw: dict[str, Any] = {
        "name": "tiny",
        "model": str(make_folder("llama")),
        "table": str(table_file("train.parquet", questions=QUESTIONS[:3], seed=1)),
        "lora": {"rank": 4, "dropout": 0.0, "targets": "all-linear", "quantize": "4bit"},
        "optimizer": {"learning_rate": 0.02, "batch_rows": 12, "epochs": 15},
        "checks": {"every": 100},
        "pack_tokens": 400,
        "device": "cpu",
    }
    return parse_finetune(raw, "test")


def test_without_bitsandbytes_it_is_named(
    recipe: FinetuneRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="needs bitsandbytes"):
        open_base(recipe, Accelerator(cpu=True))


def test_on_meta_tensors_every_layer_but_the_head_is_in_4_bits(make_folder: Make) -> None:
    pytest.importorskip("bitsandbytes")
    from transformers.integrations import replace_with_bnb_linear

    config = transformers.AutoConfig.from_pretrained(make_folder("llama"))
    with init_empty_weights():
        causal = transformers.AutoModelForCausalLM.from_config(config)
    causal = replace_with_bnb_linear(causal, ["lm_head"], quantization())
    kinds = {type(m).__name__ for n, m in causal.named_modules() if n.endswith("_proj")}
    assert kinds == {"Linear4bit"}
    assert type(causal.lm_head) is torch.nn.Linear  # what labels are read by
    assert {p.device.type for p in causal.parameters()} == {"meta"}
    assert {m.quant_type for m in _weights(causal)} == {"nf4"}


def _weights(causal: Any) -> list[Any]:
    return [m.weight for n, m in causal.named_modules() if n.endswith("_proj")]


@pytest.mark.slow
def test_a_base_in_4_bits_learns_and_is_another_than_in_16(
    recipe: FinetuneRecipe, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    base = open_base(recipe, Accelerator(cpu=True))
    assert {type(w).__name__ for w in _weights(base.causal)} == {"Params4bit"}
    adapted = add_adapter(base.causal, LoraRecipe(rank=2, dropout=0), seed=0)
    assert lighten(adapted) == 0  # PEFT's own forward: the base layer is no plain one
    whole = recipe.model_copy(update={"lora": LoraRecipe(), "dtype": "bfloat16"})
    assert open_base(whole, Accelerator(cpu=True)).fingerprint != base.fingerprint
    assert open_base(recipe, Accelerator(cpu=True)).fingerprint == base.fingerprint
    run = finetune_to_folder(recipe, tmp_path / "out")
    kl = [e["kl"] for e in run.training.state.curve if "kl" in e]
    assert kl[-1] < 0.7 * kl[0]
    written = load_file(run.folder / "adapter_model.safetensors")
    assert {name.split(".")[-2] for name in written} == {"lora_A", "lora_B"}
