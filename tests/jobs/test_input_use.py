"""Input use of a method on an opinion table, with files and by command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.finetune.small_table import make_table

from opinioncast.cli.main import main
from opinioncast.jobs import input_use
from opinioncast.jobs.input_use import input_use_to_files
from opinioncast.methods.prediction import Prediction, Problem
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.prompts import Layout


@pytest.mark.slow
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
    assert manifest["settings"]["method"] == "uniform"
    assert manifest["settings"]["model"] is None  # none was asked
    assert manifest["prompting"] is None
    assert manifest["problems"] == {"as asked": 0, "in the poorer ways": 0}
    assert "Model output" in (tmp_path / "input_use.md").read_text("utf-8")


@pytest.mark.slow
def test_the_record_says_how_prompts_were_put_and_what_went_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Doubtful(Predictor):
        def predict(self, questions: Any, groups: Any = "paper22", **_: Any) -> Prediction:
            found = Predictor(method="uniform").predict(questions, groups)
            calls.append(1)
            problem = Problem("q", "SEX", "Male", "label mass 0 is below 0.01", missing=False)
            return replace(found, problems=(problem,) * len(calls))

    calls: list[int] = []
    monkeypatch.setattr(input_use, "Predictor", Doubtful)
    settings = PredictSettings(method="zero-shot", layout=Layout.PAPER)
    run = input_use_to_files(make_table(), settings, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    paper = {
        "layout": "paper",
        "format": "qa",
        "refusal": True,
        "chat": False,
        "answers": "letters",
        "orders": "reversed",
        "seed": 0,
    }
    assert manifest["prompting"] == paper
    assert manifest["problems"] == {"as asked": 1, "in the poorer ways": 9}
    assert [str(p) for p in run.problems] == ["q / SEX = Male: label mass 0 is below 0.01"]
    assert "1 rows as asked are not to be relied on" in (tmp_path / "input_use.md").read_text(
        "utf-8"
    )


@pytest.mark.slow
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
