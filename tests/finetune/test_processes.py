"""Several processes on the CPU (gloo) make the same adapter as one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from tests.finetune.small_table import QUESTIONS
from tests.finetune.two_processes import kinds, launch

from opinioncast.finetune.recipe import FinetuneRecipe, parse_finetune
from opinioncast.jobs.finetune import finetune_to_folder
from two_hosts import FSDP

Make = Callable[..., Path]


TOLERANCE = {"rtol": 1e-3, "atol": 2e-5}
"""Between one process and two: sums in another order, over all updates of a run."""


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "adapter" / "adapter_model.safetensors")


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "adapter" / "manifest.json").read_text("utf-8"))
    return found


@pytest.fixture
def make_recipe(make_folder: Make, table_file: Make) -> Callable[..., FinetuneRecipe]:
    def make(**changed: Any) -> FinetuneRecipe:
        settings = {
            "name": "tiny",
            "model": str(make_folder("llama")),
            "table": str(table_file("train.parquet", questions=QUESTIONS[:3], seed=1)),
            "validation": str(table_file("valid.parquet", questions=QUESTIONS[3:], seed=2)),
            "lora": {"rank": 4, "alpha": 8, "dropout": 0.1, "targets": "all-linear"},
            "row_weight": "n_eff",
            "loss": {"kl": 1, "wasserstein": 0.5, "contrast": 1},
            "optimizer": {"learning_rate": 0.005, "batch_rows": 8, "epochs": 2},
            "checks": {"every": 2},
            "pack_tokens": 300,
            "dtype": "float32",
            "device": "cpu",
        }
        return parse_finetune(settings | changed, "test")

    return make


def same(one: Path, two: Path, *, rtol: float = 0, atol: float = 0) -> None:
    a, b = weights(one), weights(two)
    assert a.keys() == b.keys()
    for name, weight in a.items():
        torch.testing.assert_close(b[name], weight, rtol=rtol, atol=atol)


@pytest.mark.slow
def test_two_processes_equal_one(
    make_recipe: Callable[..., FinetuneRecipe], tmp_path: Path
) -> None:
    """With dropout and weighted rows: what is random hangs on the micro-batch, not the process."""
    recipe = make_recipe()
    one = finetune_to_folder(recipe, tmp_path / "one")
    assert launch(recipe, tmp_path / "two") == ["", ""]
    found = manifest(tmp_path / "two")
    assert (found["processes"], found["parallel"]) == (2, "MULTI_CPU")
    assert found["best_step"] == one.training.best_step
    same(tmp_path / "one", tmp_path / "two", **TOLERANCE)


@pytest.mark.slow
def test_sharded_over_two_processes_killed_and_resumed(
    make_recipe: Callable[..., FinetuneRecipe], tmp_path: Path
) -> None:
    """FSDP2 against one process; killed, it goes on to the bit, and with one process too."""
    recipe = make_recipe()
    one = finetune_to_folder(recipe, tmp_path / "one")
    assert launch(recipe, tmp_path / "two", settings=FSDP) == ["", ""]
    assert kinds(tmp_path / "two") == [["DTensor"], ["DTensor"]]  # each holds a part
    found = manifest(tmp_path / "two")
    assert (found["processes"], found["parallel"]) == (2, "FSDP2")
    assert found["fingerprint"] == one.training.state.fingerprint
    assert found["best_step"] == one.training.best_step
    same(tmp_path / "one", tmp_path / "two", **TOLERANCE)

    assert "" not in launch(recipe, tmp_path / "cut", settings=FSDP, stop=3)
    assert not (tmp_path / "cut" / "adapter").exists()
    shutil.copytree(tmp_path / "cut", tmp_path / "alone")
    assert launch(recipe, tmp_path / "cut", settings=FSDP) == ["", ""]
    same(tmp_path / "two", tmp_path / "cut")
    seen: list[int] = []
    finetune_to_folder(recipe, tmp_path / "alone", progress=lambda m: seen.append(m.step))
    assert seen[0] == 3  # the check after the second update
    same(tmp_path / "two", tmp_path / "alone", **TOLERANCE)


@pytest.mark.slow
def test_shards_that_were_asked_for_are_not_left_out_without_a_word(
    make_recipe: Callable[..., FinetuneRecipe], tmp_path: Path
) -> None:
    errors = launch(make_recipe(), tmp_path / "two", settings=FSDP, shards_on_cpus=False)
    assert all("FSDP was asked for" in error for error in errors)


@pytest.mark.slow
def test_the_documented_set_up_for_a_large_model_trains_alike(
    make_recipe: Callable[..., FinetuneRecipe], tmp_path: Path
) -> None:
    """FSDP, one process reads the weights, bfloat16, activations computed again."""
    recipe = make_recipe(dtype="bfloat16", checkpoint_activations=True)
    one = finetune_to_folder(recipe, tmp_path / "one")
    efficient = FSDP | {"FSDP_CPU_RAM_EFFICIENT_LOADING": "true"}
    assert launch(recipe, tmp_path / "two", settings=efficient) == ["", ""]
    assert kinds(tmp_path / "two") == [["DTensor"], ["DTensor"]]
    curves = [pl.read_csv(f / "curve.csv") for f in (one.folder, tmp_path / "two" / "adapter")]
    a, b = (c.filter(pl.col("loss").is_not_null())["loss"].to_list() for c in curves)
    assert len(a) == one.training.state.step
    assert b == pytest.approx(a, rel=0.02)  # bfloat16 has three digits
