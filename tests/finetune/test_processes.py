"""Several processes on the CPU (gloo) make the same adapter as one."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from tests.finetune.small_table import QUESTIONS

from opinioncast.finetune.recipe import FinetuneRecipe, parse_finetune
from opinioncast.jobs.finetune import finetune_to_folder

Make = Callable[..., Path]


def launch(recipe: Any, out: Path, script: Path, *, setup: str = "") -> None:
    script.write_text(
        textwrap.dedent(
            f"""
            import json
            from pathlib import Path
            import torch
            torch.set_num_threads(1)
            {setup}
            from opinioncast.jobs import training_data
            training_data.embedded_encoder = lambda: None
            from opinioncast.finetune.recipe import parse_finetune
            from opinioncast.jobs.finetune import finetune_to_folder
            recipe = parse_finetune(json.loads({json.dumps(recipe.model_dump_json())}), "test")
            finetune_to_folder(recipe, Path({str(out)!r}))
            """
        )
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*command, "--nproc-per-node", "2", str(script)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]


FSDP = (
    "import os; os.environ.update(ACCELERATE_USE_FSDP='true', FSDP_VERSION='2', "
    "FSDP_AUTO_WRAP_POLICY='TRANSFORMER_BASED_WRAP', "
    "FSDP_TRANSFORMER_CLS_TO_WRAP='LlamaDecoderLayer', FSDP_CPU_RAM_EFFICIENT_LOADING='false')"
)


@pytest.fixture
def make_recipe(make_folder: Make, table_file: Make) -> Callable[..., FinetuneRecipe]:
    def make(**changed: Any) -> FinetuneRecipe:
        settings = {
            "name": "tiny",
            "model": str(make_folder("llama")),
            "table": str(table_file("train.parquet", questions=QUESTIONS[:3], seed=1)),
            "validation": str(table_file("valid.parquet", questions=QUESTIONS[3:], seed=2)),
            "lora": {"rank": 4, "alpha": 8, "dropout": 0.0, "targets": "all-linear"},
            "loss": {"kl": 1, "wasserstein": 0.5, "contrast": 1},
            "optimizer": {"learning_rate": 0.005, "batch_rows": 8, "epochs": 3},
            "checks": {"every": 2},
            "pack_tokens": 300,
            "dtype": "float32",
            "device": "cpu",
        }
        return parse_finetune(settings | changed, "test")

    return make


@pytest.mark.slow
@pytest.mark.parametrize("setup", ["", FSDP], ids=["ddp", "fsdp"])
def test_two_processes_equal_one(
    make_recipe: Callable[..., FinetuneRecipe], tmp_path: Path, setup: str
) -> None:
    recipe = make_recipe()
    one = finetune_to_folder(recipe, tmp_path / "one")
    launch(recipe, tmp_path / "two", tmp_path / "run.py", setup=setup)
    manifest = json.loads((tmp_path / "two" / "adapter" / "manifest.json").read_text("utf-8"))
    assert manifest["processes"] == 2
    a = load_file(one.folder / "adapter_model.safetensors")
    b = load_file(tmp_path / "two" / "adapter" / "adapter_model.safetensors")
    assert a.keys() == b.keys()
    for name, weight in a.items():
        torch.testing.assert_close(b[name], weight, rtol=1e-3, atol=2e-5)
    assert manifest["best_step"] == one.training.best_step


@pytest.mark.slow
def test_the_documented_set_up_for_a_large_model_trains_alike(
    make_recipe: Callable[..., FinetuneRecipe], tmp_path: Path
) -> None:
    """FSDP, one process reads the weights, bfloat16, activations computed again."""
    recipe = make_recipe(dtype="bfloat16", checkpoint_activations=True)
    one = finetune_to_folder(recipe, tmp_path / "one")
    efficient = FSDP.replace("LOADING='false'", "LOADING='true'")
    launch(recipe, tmp_path / "two", tmp_path / "run.py", setup=efficient)
    curves = [pl.read_csv(f / "curve.csv") for f in (one.folder, tmp_path / "two" / "adapter")]
    a, b = (c.filter(pl.col("loss").is_not_null())["loss"].to_list() for c in curves)
    assert len(a) == one.training.state.step
    assert b == pytest.approx(a, rel=0.02)  # bfloat16 has three digits
