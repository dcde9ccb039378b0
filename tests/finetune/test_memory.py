"""The memory estimate: counts against models built for real, refusals, advice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from opinioncast.backends import torch_model
from opinioncast.errors import ModelError
from opinioncast.finetune.memory import GB, check_memory, estimate
from opinioncast.finetune.model import add_adapter
from opinioncast.finetune.recipe import LoraRecipe, load_finetune, parse_finetune

pytestmark = pytest.mark.avx2
Make = Callable[..., Path]

LARGE = {
    "llama2_7b": ("LlamaConfig", {}),
    "llama2_13b": (
        "LlamaConfig",
        {
            "hidden_size": 5120,
            "intermediate_size": 13824,
            "num_hidden_layers": 40,
            "num_attention_heads": 40,
        },
    ),
    "mistral_7b": ("MistralConfig", {}),
    "llama3_70b": (
        "LlamaConfig",
        {
            "hidden_size": 8192,
            "intermediate_size": 28672,
            "num_hidden_layers": 80,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
            "vocab_size": 128256,
        },
    ),
}
"""Configurations as published; those of Llama-2-7B and Mistral-7B are transformers' defaults."""


@pytest.fixture
def large(tmp_path: Path) -> Callable[[str], str]:
    def make(name: str) -> str:
        kind, settings = LARGE[name]
        config: Any = getattr(transformers, kind)(**settings)
        config.save_pretrained(tmp_path / name)
        return str(tmp_path / name)

    return make


@pytest.mark.parametrize("targets", ["all-linear", ("q_proj", "v_proj")])
@pytest.mark.parametrize("layers", [None, (1, 2)])
def test_trained_weights_are_counted_as_peft_makes_them(
    make_folder: Make, targets: Any, layers: Any
) -> None:
    folder = make_folder("llama")
    lora = LoraRecipe(rank=3, targets=targets, layers=layers)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    total = sum(p.numel() for p in model.parameters())
    adapted = add_adapter(model, lora, seed=0)
    recipe = parse_finetune({"name": "x", "table": "t", "lora": lora.model_dump()}, "test")
    found = estimate(str(folder), recipe, device="cpu")
    assert found.trained == sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert found.parameters == total


@pytest.mark.parametrize(
    ("name", "billions", "shards", "most"),
    [
        ("llama2_7b", 6.74, 1, 80),
        ("llama2_13b", 13.0, 1, 80),
        ("mistral_7b", 7.24, 1, 80),
        ("llama3_70b", 70.6, 8, 80),
    ],
)
def test_the_papers_models_fit_where_the_docs_say(
    large: Callable[[str], str], name: str, billions: float, shards: int, most: float
) -> None:
    recipe, _ = load_finetune(name)
    found = estimate(large(name), recipe, device="cuda", shards=shards)
    assert found.parameters / 1e9 == pytest.approx(billions, rel=0.01)
    assert found.total / GB < most


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_the_papers_models_have_the_bytes_that_pytorch_and_peft_count(
    large: Callable[[str], str], name: str
) -> None:
    """The models themselves, without memory (meta tensors), and the recipes' adapters on them."""
    recipe, _ = load_finetune(name)
    assert recipe.lora is not None
    found = estimate(large(name), recipe, device="cuda", shards=1)
    config = transformers.AutoConfig.from_pretrained(large(name))
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        base = sum(p.nbytes for p in model.parameters())
        adapted = add_adapter(model, recipe.lora, seed=0)
    trained = [p for p in adapted.parameters() if p.requires_grad]
    assert found.trained == sum(p.numel() for p in trained)
    if recipe.lora.quantize is None:
        assert found.weights == base
    # weight, gradient and AdamW's two moments of each, four bytes apiece
    assert found.training == 16 * found.trained


@pytest.mark.parametrize(("in_hardware", "weights"), [(True, "13.5"), (False, "27.0")])
def test_the_estimate_is_of_the_dtype_that_this_processor_takes(
    large: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, in_hardware: bool, weights: str
) -> None:
    """6.74 billion weights of two bytes where it multiplies bfloat16 in hardware, else of four."""
    monkeypatch.setattr(torch_model, "_multiplies_bfloat16", lambda: in_hardware)
    recipe, _ = load_finetune("llama2_7b")
    assert recipe.dtype is None
    with pytest.raises(ModelError, match="too large for this machine") as error:
        check_memory(large("llama2_7b"), recipe, device=torch.device("cpu"), shards=1, free=8 * GB)
    assert f"weights {weights}" in str(error.value.found)


def test_a_model_that_is_too_large_is_refused_with_advice(large: Callable[[str], str]) -> None:
    where = large("llama2_7b")
    recipe = load_finetune("llama2_7b")[0].model_copy(update={"dtype": "bfloat16"})
    with pytest.raises(ModelError, match="too large for this machine") as error:
        check_memory(where, recipe, device=torch.device("cpu"), shards=1, free=8 * GB)
    assert "lora.quantize: 4bit" in str(error.value.hint)
    whole = recipe.model_copy(update={"lora": None})
    with pytest.raises(ModelError, match="too large for this machine") as error:
        check_memory(where, whole, device=torch.device("cpu"), shards=1, free=80 * GB)
    assert "train an adapter" in str(error.value.hint)
    assert check_memory(where, recipe, device=torch.device("cpu"), shards=1, free=None)


def test_a_configuration_that_cannot_be_read_is_left_to_loading() -> None:
    recipe, _ = load_finetune("embedded")
    assert check_memory("no/such", recipe, device=torch.device("cpu"), shards=1, free=1.0) is None
