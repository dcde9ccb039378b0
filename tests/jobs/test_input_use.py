"""Input use of a method on an opinion table, with files and by command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.finetune.small_table import make_table

from opinioncast.cli.main import main
from opinioncast.jobs.input_use import input_use_to_files
from opinioncast.jobs.predict import PredictSettings


def test_a_method_that_uses_no_input_loses_nothing(tmp_path: Path) -> None:
    run = input_use_to_files(make_table(), PredictSettings(method="uniform"), tmp_path)
    assert run.table["input"].to_list()[0] == "as asked"
    np.testing.assert_allclose(run.table["worse_by"], 0, atol=1e-12)
    np.testing.assert_allclose(run.table["moved"], 0, atol=1e-12)
    assert {f.name for f in run.files} == {
        *("input_use.csv", "input_use.md", "input_use.tex", "input_use.svg", "input_use.png"),
        "manifest.json",
    }
    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    assert manifest["method"] == "uniform"
    assert "Model output" in (tmp_path / "input_use.md").read_text("utf-8")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = make_table().write(tmp_path / "table.parquet")
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        main(["input-use", str(table), "--method", "uniform", "-o", str(out)])
    assert stop.value.code in (None, 0)
    text = capsys.readouterr().out
    assert "Model output, not survey data" in text
    assert "without the group" in text
    assert pl.read_csv(out / "input_use.csv").height == 4


def test_options_of_a_language_model_are_not_ignored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = make_table().write(tmp_path / "table.parquet")
    with pytest.raises(SystemExit) as stop:
        main(["input-use", str(table), "--method", "uniform", "--layout", "paper"])
    assert stop.value.code == 2
    assert "uses no language model" in capsys.readouterr().err
