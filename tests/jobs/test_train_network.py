"""The folder of ``train-network``, for both models."""

from __future__ import annotations

import json
import math
from pathlib import Path

import polars as pl
import pytest
from tests.methods.fake_encoder import FakeEncoder

from opinioncast.errors import InputError, ModelError
from opinioncast.jobs.train_network import train_network_to_folder
from opinioncast.methods.embedding.kernel_regression import KernelSettings
from opinioncast.methods.embedding.training import TrainingSettings
from opinioncast.methods.network import load_embedding_model
from opinioncast.survey import OpinionTable, Question, load_groups, opinion_row

GROUPS = load_groups("SEX=Female", "total")


def table(words: list[str]) -> OpinionTable:
    return OpinionTable.from_rows(
        [
            opinion_row(Question(w, f"{w}?", ("Yes", "No"), (1, 2), "S", "1"), g, [0.7, 0.3])
            for w in words
            for g in GROUPS
        ],
        {"citation": "A survey.", "terms": "Free."},
    )


TRAIN, HELD = table(["apple", "pear", "plum", "fig"]), table(["war", "noise"])


@pytest.mark.slow
@pytest.mark.parametrize("settings", [KernelSettings(), TrainingSettings(members=1, epochs=2)])
def test_the_folder_is_whole_and_loads(
    tmp_path: Path, settings: KernelSettings | TrainingSettings
) -> None:
    run = train_network_to_folder(TRAIN, HELD, FakeEncoder(width=16), settings, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert set(manifest["files"]) == {f.name for f in run.files} - {"manifest.json"}
    assert manifest["train"]["questions"] == 4
    assert manifest["scores"]["wd"] == pytest.approx(run.scores.mean()["wd"])
    card = (tmp_path / "README.md").read_text()
    assert "A survey." in card
    assert "| SEX | Female |" in card
    loaded = load_embedding_model(tmp_path, FakeEncoder(width=16))
    assert loaded.name == run.model.name == manifest["method"]


def test_a_validation_question_that_is_trained_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="asks what the training"):
        train_network_to_folder(TRAIN, table(["apple"]), FakeEncoder(), KernelSettings(), tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        (TrainingSettings, "epochs", 0),
        (TrainingSettings, "members", 0),
        (TrainingSettings, "patience", 0),
        (TrainingSettings, "batch", -1),
        (TrainingSettings, "learning_rate", 0.0),
        (TrainingSettings, "learning_rate", math.nan),
        (TrainingSettings, "wasserstein", -0.5),
        (TrainingSettings, "weight_decay", math.inf),
        (TrainingSettings, "smooth", 1.5),
        (TrainingSettings, "forget", 1.0),
        (KernelSettings, "smooth", 1.0),
        (KernelSettings, "ridge", 0.0),
        (KernelSettings, "group_ridge", -0.1),
        (KernelSettings, "width", math.nan),
    ],
)
def test_numbers_that_cannot_be(settings: type, name: str, value: float) -> None:
    with pytest.raises(InputError, match="cannot be trained like this") as caught:
        settings(**{name: value})
    assert caught.value.where == f"{settings.__name__}.{name}"


def test_a_share_of_nobody_needs_smoothing(tmp_path: Path) -> None:
    frame = TRAIN.frame.with_columns(distribution=pl.lit([1.0, 0.0], pl.List(pl.Float64)))
    settings = KernelSettings(smooth=0.0)
    sure = OpinionTable(frame, TRAIN.meta)
    with pytest.raises(InputError, match="share of 0 has no logarithm"):
        train_network_to_folder(sure, HELD, FakeEncoder(width=16), settings, tmp_path / "a")
    run = train_network_to_folder(TRAIN, HELD, FakeEncoder(width=16), settings, tmp_path / "b")
    assert run.scores.mean()["wd"] == pytest.approx(0, abs=0.02)  # everyone says 0.7 of anything


def test_an_empty_folder_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="embedding model cannot be read"):
        load_embedding_model(tmp_path, FakeEncoder())


def unscaled(source: OpinionTable) -> OpinionTable:
    return OpinionTable(
        source.frame.with_columns(ordinal=pl.lit([1.0, 1.0], pl.List(pl.Float64))), source.meta
    )


@pytest.mark.slow
@pytest.mark.parametrize("settings", [KernelSettings(), TrainingSettings(members=1, epochs=2)])
def test_a_validation_without_any_scale(
    tmp_path: Path, settings: KernelSettings | TrainingSettings
) -> None:
    """Refused before training, or chosen by KL; a JSON with NaN and a whole folder before."""
    held, encoder = unscaled(HELD), FakeEncoder(width=16)
    with pytest.raises(InputError, match="no distance to choose by") as error:
        train_network_to_folder(TRAIN, held, encoder, settings, tmp_path / "a")
    assert "--metric kl" in str(error.value.hint)
    assert not [f for f in tmp_path.rglob("*") if f.is_file() and not f.name.startswith(".")]
    run = train_network_to_folder(TRAIN, held, encoder, settings, tmp_path / "b", metric="kl")
    for name in ("manifest.json", "network.json"):
        text = (tmp_path / "b" / name).read_text("utf-8")
        record = json.loads(text, parse_constant=pytest.fail)
    assert record["record"]["metric"] == "kl"
    assert record["record"]["validation_kl"] > 0
    card = (tmp_path / "b" / "README.md").read_text("utf-8")
    assert "there is no Wasserstein distance" in card
    assert "Mean KL divergence (people to model, shares smoothed by 0.001) over 4 cells: " in card
    assert run.metric == "kl"


@pytest.mark.slow
@pytest.mark.parametrize("settings", [KernelSettings(), TrainingSettings(members=1, epochs=3)])
def test_the_order_of_rows_does_not_matter(
    tmp_path: Path, settings: KernelSettings | TrainingSettings
) -> None:
    turned = [OpinionTable(t.frame.reverse(), t.meta) for t in (TRAIN, HELD)]
    for i, (train, held) in enumerate(((TRAIN, HELD), turned)):
        train_network_to_folder(train, held, FakeEncoder(width=16), settings, tmp_path / str(i))
    one, two = ((tmp_path / str(i) / "network.safetensors").read_bytes() for i in range(2))
    assert one == two
