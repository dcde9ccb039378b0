"""The command finetune, on a tiny model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

import yaml
from tests.backends.conftest import make_folder  # noqa: F401  a fixture
from tests.finetune.small_table import QUESTIONS, make_table

from opinioncast.cli.finetune import describe
from opinioncast.cli.main import main
from opinioncast.finetune.trainer import Moment


@pytest.mark.slow
def test_train_then_predict(
    make_folder: Callable[..., Path],  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_table(QUESTIONS[:3]).write(tmp_path / "train.parquet")
    make_table(QUESTIONS[3:]).write(tmp_path / "valid.parquet")
    recipe = {
        "name": "tiny",
        "model": str(make_folder("llama")),
        "table": "train.parquet",
        "validation": "valid.parquet",
        "lora": {"rank": 2, "targets": ["q_proj"], "dropout": 0.0},
        "optimizer": {"batch_rows": 4},
        "pack_tokens": 400,
        "dtype": "float32",
        "device": "cpu",
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["finetune", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "out")])
    assert ended.value.code == 0
    printed = capsys.readouterr()
    assert "kept update" in printed.out
    assert "manifest.json" in printed.out
    assert "validation WD" in printed.err
    (tmp_path / "q.yaml").write_text(
        yaml.safe_dump({"questions": [{"question": "Is it so?", "options": ["Yes", "No"]}]}),
        "utf-8",
    )
    with pytest.raises(SystemExit) as ended:
        main(
            [
                *("predict", str(tmp_path / "q.yaml"), "--model", str(recipe["model"])),
                *("--adapter", str(tmp_path / "out" / "adapter"), "--groups", "CREGION=South"),
                *("--out", str(tmp_path / "predicted"), "--no-cache", "--dtype", "float32"),
            ]
        )
    assert (tmp_path / "predicted" / "predictions.csv").is_file()
    assert ended.value.code in (0, 3), "a random model may put no mass on letters"


def test_the_line_of_progress() -> None:
    line = describe(Moment(30, 120, 0.25, 0.1234, 0.2, 41.6, 3725))
    assert line == "30/120  loss 0.2500  validation WD 0.123  41.6 rows/s  left 1:02:05"


def test_an_unknown_recipe_is_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["finetune", "nothing"])
    assert ended.value.code == 2
    assert "llama2_7b" in capsys.readouterr().err
