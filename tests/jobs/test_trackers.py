"""Trackers hear what the curve holds; nobody does unless the recipe says so."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.backends.conftest import make_folder  # noqa: F401  a fixture
from tests.finetune.small_table import QUESTIONS, make_table

from opinioncast.csv_files import read_csv
from opinioncast.errors import ModelError
from opinioncast.finetune.recipe import FinetuneRecipe, parse_finetune
from opinioncast.jobs.finetune import finetune_to_folder
from opinioncast.jobs.trackers import check_trackers

Make = Callable[..., Path]


@pytest.fixture
def recipe(make_folder: Make, tmp_path: Path) -> FinetuneRecipe:  # noqa: F811
    raw: dict[str, Any] = {
        "name": "tiny/one",
        "model": str(make_folder("llama")),
        "table": str(make_table(QUESTIONS[:3], seed=1).write(tmp_path / "train.parquet")),
        "validation": str(make_table(QUESTIONS[3:], seed=2).write(tmp_path / "valid.parquet")),
        "lora": {"rank": 2},
        "optimizer": {"batch_rows": 4},
        "checks": {"every": 2},
        "pack_tokens": 400,
        "dtype": "float32",
        "device": "cpu",
    }
    return parse_finetune(raw, "test")


def events(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard files (TFRecord: length, checksum, event, checksum) hold."""
    from tensorboardX.proto import event_pb2  # type: ignore[import-untyped]

    found: dict[str, dict[int, float]] = {}
    for file in folder.rglob("events.out.tfevents.*"):
        data, at = file.read_bytes(), 0
        while at < len(data):
            length = int.from_bytes(data[at : at + 8], "little")
            event = event_pb2.Event.FromString(data[at + 12 : at + 12 + length])
            at += 12 + length + 4
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


@pytest.mark.slow
def test_tensorboard_holds_the_curve(recipe: FinetuneRecipe, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    told = recipe.model_copy(update={"trackers": ("tensorboard",)})
    run = finetune_to_folder(told, tmp_path / "out")
    curve = read_csv(run.folder / "curve.csv")
    found = events(tmp_path / "out" / "trackers")
    for name in ("loss", "gradient_norm", "learning_rate", "valid_wd", "valid_kl"):
        rows = curve.select("step", name).drop_nulls()
        expected = dict(rows.with_columns(pl.col(name).cast(pl.Float64)).rows())
        assert found[name] == pytest.approx(expected, rel=1e-5)
    before = run.training.state.fingerprint
    assert finetune_to_folder(recipe, tmp_path / "out").training.state.fingerprint == before


@pytest.mark.slow
def test_mlflow_holds_the_curve(recipe: FinetuneRecipe, tmp_path: Path) -> None:
    """Run where MLflow is installed; it is none of the project's own packages."""
    mlflow = pytest.importorskip("mlflow")
    told = recipe.model_copy(update={"trackers": ("mlflow",)})
    run = finetune_to_folder(told, tmp_path / "out")
    place = tmp_path / "out" / "trackers" / "mlflow"
    database = place / "mlflow.db"
    client = mlflow.MlflowClient(f"sqlite:///{database}" if database.is_file() else place.as_uri())
    (kept,) = client.search_runs([client.get_experiment_by_name("opinioncast").experiment_id])
    assert (kept.info.run_name, kept.info.status) == (recipe.name, "FINISHED")
    curve = read_csv(run.folder / "curve.csv")
    for name in ("loss", "valid_wd"):
        found = {m.step: m.value for m in client.get_metric_history(kept.info.run_id, name)}
        rows = curve.select("step", name).drop_nulls()
        assert found == pytest.approx(dict(rows.with_columns(pl.col(name).cast(pl.Float64)).rows()))


@pytest.mark.slow
def test_nobody_is_told_by_default(recipe: FinetuneRecipe, tmp_path: Path) -> None:
    run = finetune_to_folder(recipe, tmp_path / "out")
    assert not (tmp_path / "out" / "trackers").exists()
    picture = (run.folder / "curve.png").read_bytes()
    assert picture.startswith(b"\x89PNG")


def test_a_tracker_that_is_not_there_is_named(
    recipe: FinetuneRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ("tensorboard", "wandb", "mlflow"):
        with pytest.raises(ModelError, match="tracker is not installed") as error:
            check_trackers(recipe.model_copy(update={"trackers": (name,)}))
        assert error.value.where == f"trackers: {name}"


@pytest.mark.parametrize("database", [True, False])
def test_no_account_is_needed(
    recipe: FinetuneRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: bool
) -> None:
    """Offline, in files of the run, unless the tracker's own variables say otherwise."""
    from accelerate import Accelerator

    from opinioncast.jobs.trackers import told

    for name in ("WANDB_MODE", "MLFLOW_TRACKING_URI", "MLFLOW_ALLOW_FILE_STORE"):
        monkeypatch.delenv(name, raising=False)
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda n: database if n == "sqlalchemy" else real(n)
    )
    asked: dict[str, Any] = {}
    accelerator = Accelerator(cpu=True)
    monkeypatch.setattr(
        accelerator, "init_trackers", lambda project, **how: asked.update(how, project=project)
    )
    both = recipe.model_copy(update={"trackers": ("wandb", "mlflow")})
    with told(accelerator, both, tmp_path / "out"):
        assert os.environ["WANDB_MODE"] == "offline"
        where = os.environ["MLFLOW_TRACKING_URI"]
        at = (tmp_path / "out" / "trackers" / "mlflow").resolve()
        assert where == (f"sqlite:///{at}/mlflow.db" if database else at.as_uri())
        assert database or os.environ["MLFLOW_ALLOW_FILE_STORE"] == "true"
    assert asked["config"]["optimizer.learning_rate"] == recipe.optimizer.learning_rate
    assert all(isinstance(v, (str, int, float)) for v in asked["config"].values())
    monkeypatch.setenv("WANDB_MODE", "online")
    with told(accelerator, both, tmp_path / "out"):
        assert os.environ["WANDB_MODE"] == "online"
