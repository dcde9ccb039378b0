"""Adapters merged into their base: the weights by hand, the predictions, the folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tests.backends.conftest import make_folder  # noqa: F401  a fixture
from tests.finetune.small_table import QUESTIONS, make_table
from typer.testing import CliRunner

from opinioncast.cli.main import app
from opinioncast.errors import InputError, ModelError
from opinioncast.finetune.recipe import parse_finetune
from opinioncast.jobs.export import export_to_folder
from opinioncast.jobs.finetune import finetune_to_folder
from opinioncast.predictor import Predictor
from opinioncast.survey.sameness import TRAINING_QUESTIONS

Make = Callable[..., Path]
QKV = "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture(scope="module")
def trained(
    make_folder: Make,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """Base and adapter, with up projections large enough to matter."""
    base, folder = make_folder("llama"), tmp_path_factory.mktemp("trained")
    raw: dict[str, Any] = {
        "name": "tiny",
        "model": str(base),
        "table": str(make_table(QUESTIONS[:3], seed=1).write(folder / "train.parquet")),
        "validation": str(make_table(QUESTIONS[3:], seed=2).write(folder / "valid.parquet")),
        "lora": {"rank": 2, "alpha": 6, "dropout": 0.0},
        "answers": "words",
        "optimizer": {"batch_rows": 4, "learning_rate": 0.05},
        "pack_tokens": 400,
        "dtype": "float32",
        "device": "cpu",
    }
    return base, finetune_to_folder(parse_finetune(raw, "test"), folder / "run").folder


@pytest.mark.slow
def test_a_merged_model_is_the_adapted_one(trained: tuple[Path, Path], tmp_path: Path) -> None:
    base, adapter = trained
    done = export_to_folder(adapter, tmp_path / "out")
    assert done.apart < 1e-5
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert {w.dtype for w in written.values()} == {torch.float32}  # as the base's
    assert done.cells == 4
    assert {f.name for f in done.files} >= {"model.safetensors", "tokenizer.json", "README.md"}
    assert not (tmp_path / "out" / "adapter_config.json").exists()

    parts = load_file(adapter / "adapter_model.safetensors")
    a, b = (
        next(v for n, v in parts.items() if "layers.0.self_attn.q_proj" in n and kind in n)
        for kind in ("lora_A", "lora_B")
    )
    before = transformers.AutoModelForCausalLM.from_pretrained(base).state_dict()[QKV]
    after = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").state_dict()[QKV]
    torch.testing.assert_close(after, before + 6 / 2 * b @ a)
    assert (after - before).abs().max() > 1e-3

    with Predictor(method="zero-shot", model=str(tmp_path / "out")) as predictor:
        assert predictor.how_asked["prompting"]["answers"] == "words"  # as trained

    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    for said in (
        "library_name: transformers",
        "made up",
        "Terms: none",
        "--model FOLDER",
        "Merged",
    ):
        assert said in card
    assert "--adapter" not in card
    record = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert record["adapter"]["recipe"]["name"] == "tiny"
    assert record["cells_compared"] == 4
    assert TRAINING_QUESTIONS in record["files"]


@pytest.mark.slow
def test_another_precision_by_the_command(trained: tuple[Path, Path], tmp_path: Path) -> None:
    _, adapter = trained
    command = ["export", str(adapter), "-o", str(tmp_path / "half"), "--dtype", "bfloat16"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "hf upload" in done.output
    weights = load_file(tmp_path / "half" / "model.safetensors")
    assert {w.dtype for w in weights.values()} == {torch.bfloat16}


@pytest.mark.slow
def test_what_cannot_be_merged_is_refused(
    trained: tuple[Path, Path],
    make_folder: Make,  # noqa: F811
    tmp_path: Path,
) -> None:
    _, adapter = trained
    with pytest.raises(ModelError, match="made for another base model"):
        export_to_folder(adapter, tmp_path / "a", model=str(make_folder("gemma2, eager")))
    with pytest.raises(ModelError, match="holds no PEFT adapter"):
        export_to_folder(tmp_path, tmp_path / "b", model=str(make_folder("llama")))
    with pytest.raises(InputError, match="holds a whole model"):
        export_to_folder(make_folder("llama"), tmp_path / "c")


@pytest.mark.slow
def test_a_merge_that_predicts_something_else_is_refused(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a library's merge gone wrong would."""
    from opinioncast.finetune.merge import merge_adapter

    _, adapter = trained

    def wrong(*given: Any) -> Any:
        merged, *rest = merge_adapter(*given)
        with torch.no_grad():
            for weight in merged.parameters():
                weight.mul_(1.5)
        return merged, *rest

    monkeypatch.setattr("opinioncast.jobs.export.merge_adapter", wrong)
    with pytest.raises(ModelError, match="predicts something else"):
        export_to_folder(adapter, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.slow
def test_an_adapter_of_another_trainer(trained: tuple[Path, Path], tmp_path: Path) -> None:
    """Without recipe, card and validation: its configuration names the base."""
    base, adapter = trained
    bare = tmp_path / "bare"
    bare.mkdir()
    weights = load_file(adapter / "adapter_model.safetensors")
    save_file(weights, bare / "adapter_model.safetensors", metadata={"format": "pt"})
    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    (bare / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    done = export_to_folder(bare, tmp_path / "out")
    assert done.cells == 3
    card = (done.folder / "README.md").read_text("utf-8")
    assert f"base_model: {base}" in card
    assert "must\nnot be used to" in card or "must not" in card.replace("\n", " ")
