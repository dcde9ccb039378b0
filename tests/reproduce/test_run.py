"""Whole reproductions on a made-up survey and a tiny model: files, sharing, resuming, staleness."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.reproduce.conftest import RECIPES, pew_row

from opinioncast.errors import (
    DataError,
    IncompleteRunError,
    InputError,
    ModelError,
    StorageError,
)
from opinioncast.jobs.manifest import NAME
from opinioncast.models import SHIPPED_ADAPTER
from opinioncast.predictor import Predictor
from opinioncast.reproduce import workshop
from opinioncast.reproduce.lock import only_run
from opinioncast.reproduce.models import adapter_identity
from opinioncast.reproduce.run import WORK, Reporter, ReproductionRun, Request, reproduce
from opinioncast.reproduce.store import Done

Make = Callable[..., Request]
Files = dict[str, list[str]]


def table(run: ReproductionRun, name: str) -> pl.DataFrame:
    return pl.read_csv(run.folder / name / f"{name}.csv")


def steps(run: ReproductionRun, *, new: bool = False) -> list[str]:
    return [f"{d.kind} {d.name}" for d in run.steps if not (new and d.reused)]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trainings that are run, by name."""
    real, names = workshop.finetune_to_folder, []  # type: ignore[attr-defined]

    def train(recipe: Any, out: Path, **settings: Any) -> Any:
        names.append(recipe.name)
        return real(recipe, out, **settings)

    monkeypatch.setattr(workshop, "finetune_to_folder", train)
    return names


@pytest.mark.slow
def test_every_kind_ends_in_a_table_and_a_figure(request_for: Make, counted: list[str]) -> None:
    run = reproduce(request_for(*RECIPES))
    assert not run.failed
    assert sorted(counted) == ["m-fine_tuned", "m-subset_50", "m-wd"]  # shared between recipes
    for name in RECIPES:
        files = {f.name for f in (run.folder / name).iterdir()}
        ends = ("csv", "md", "tex", "svg", "png", "html")
        assert {f"{name}.{e}" for e in ends} | {"result.json", NAME} <= files
        manifest = json.loads((run.folder / name / NAME).read_text("utf-8"))
        assert set(manifest["files"]) == files - {NAME}
        page = (run.folder / name / f"{name}.html").read_text("utf-8")
        assert "<script src=" not in page
        shown = (run.folder / name / f"{name}.md").read_text("utf-8")
        output = RECIPES[name]["kind"] not in ("map", "similarities")
        assert ("Model output, not survey data" in shown) == output
        assert ("Model output, not survey data" in page) == output

    methods = table(run, "by_method")
    assert methods["method"].to_list() == [
        *("Upper", "Lower", "Zero-shot", "Uniform", "Ours"),
        *("Upper", "Lower", "Zero-shot", "Ours"),
    ]
    values = {(t, m): wd for t, m, wd in methods.select("table", "method", "wd").iter_rows()}
    assert values["held", "Upper"] == pytest.approx(values["held", "Uniform"])
    assert 0 < values["held", "Lower"] < 0.1
    assert values["pew", "Lower"] is None  # one cell's base is not known
    notes = {(t, m): n for t, m, n in methods.select("table", "method", "note").iter_rows()}
    assert "not every cell's base is known" in notes["pew", "Lower"]
    assert not notes["held", "Lower"]
    assert not notes["held", "Uniform"]
    models = dict(methods.select("method", "model").iter_rows())
    assert models["Uniform"] is None  # no language model answered there
    assert models["Ours"] == "Tiny"
    content = json.loads((run.folder / "by_method" / "result.json").read_text("utf-8"))
    gain = 1 - values["held", "Ours"] / values["held", "Zero-shot"]
    assert content["measures"]["reduction_held"] == pytest.approx(gain)
    assert methods.filter(pl.col("method") == "Ours")["paper: Big"].to_list() == [0.1, 0.2]
    assert methods.filter(pl.col("table") == "held")["cells"].to_list() == [16] * 5
    said = content["measures"]["against_zero_shot_held"]
    difference = values["held", "Ours"] - values["held", "Zero-shot"]
    assert said.startswith(f"{difference:+.3f} (")
    assert said.endswith("16 cells of 4 questions")
    assert content["measures"]["against_blend_held"] is None  # there is none in the recipe

    groups = table(run, "by_group")
    assert groups["group"].to_list() == ["Male", "Female"]
    assert groups["paper: ours"].to_list() == [0.3, None]
    assert groups["trained_on"].to_list() == ["yes", "no"]
    content = json.loads((run.folder / "by_group" / "result.json").read_text("utf-8"))
    assert content["statements"][0]["ours"] == pytest.approx(groups["relative"].mean())
    assert "not in the table: RELIG=Hindu" in content["base"]
    assert "lower: bootstrap of respondents" in content["base"]
    for low, mean, high in groups.select("lower_low", "lower", "lower_high").iter_rows():
        assert 0 < low < mean < high
    assert not {"lower_low", "lower_high"} & set(content["columns"])
    picture = (run.folder / "by_group" / "by_group.svg").read_text("utf-8")
    assert "Shaded: 95% of the lower bound" in " ".join(picture.split())
    assert content["measures"]["relative_mean_SEX"] == pytest.approx(groups["relative"].mean())
    waves = json.loads((run.folder / "by_wave" / "result.json").read_text("utf-8"))
    assert "lower: sampling noise to expect" in waves["base"]

    by_wave = table(run, "by_wave")
    assert by_wave["lower_low"].null_count() == by_wave.height  # noise has no band
    assert "Shaded" not in (run.folder / "by_wave" / "by_wave.svg").read_text("utf-8")

    assert table(run, "size")["training questions"].to_list() == [2, 4]
    assert table(run, "size")["cells"].to_list() == [16, 16]
    size = json.loads((run.folder / "size" / "result.json").read_text("utf-8"))
    assert "with waves" not in size["columns"]  # as many as questions
    assert re.fullmatch(r"-?\d\.\d{3} \(-?\d\.\d{3} to -?\d\.\d{3}\)", size["measures"]["slope"])
    assert table(run, "loss")["loss"].to_list() == ["KL", "WD"]
    assert table(run, "use")["input"].n_unique() == 4
    matrices = pl.read_csv(run.folder / "heat" / "heat_matrices.csv")
    assert matrices["panel"].unique(maintain_order=True).to_list() == [
        *("People", "Ours (Tiny)", "Zero-shot (Tiny)")
    ]
    trained_on = {"Male": "yes", "Female": "no"}
    for side in ("target", "source"):
        marked = dict(matrices.select(side, f"{side}_trained_on").unique().iter_rows())
        assert marked == trained_on
    page = (run.folder / "heat" / "heat.html").read_text("utf-8")
    page = page.replace("\\u003c", "<").replace("\\u003e", ">")  # as plotly writes them
    assert "<b>Male<" in page
    assert "<b>Female<" not in page
    heat = json.loads((run.folder / "heat" / "result.json").read_text("utf-8"))
    assert heat["columns"][-2:] == ["questions", "cells"]
    use = json.loads((run.folder / "use" / "result.json").read_text("utf-8"))
    assert use["base"] == "Made up: 16 cells of 4 questions"
    assert table(run, "where")["questions"].to_list() == [4, 4]
    assert table(run, "alike")["pairs"].max() <= 16


@pytest.mark.slow
def test_a_second_run_does_nothing_anew(request_for: Make, counted: list[str]) -> None:
    first = reproduce(request_for("by_method"))
    before = {f: f.read_bytes() for f in (first.folder / "by_method").glob("by_method.*")}
    second = reproduce(request_for("by_method", "by_wave"))
    assert steps(second, new=True) == []
    assert len(counted) == 1
    assert all(f.read_bytes() == content for f, content in before.items())


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_step_it_was_at(
    request_for: Make, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Predictor.predict
    monkeypatch.setattr(Predictor, "predict", _interrupt_after(1, real))
    with pytest.raises(KeyboardInterrupt):
        reproduce(request_for("by_wave"))
    monkeypatch.setattr(Predictor, "predict", real)
    run = reproduce(request_for("by_wave"))
    assert counted == ["m-fine_tuned"]
    old = [d for d in run.steps if d.reused]
    assert {d.kind for d in old} == {"curate", "train"} | {d.kind for d in _predicted(old)}
    assert len(_predicted(run.steps)) == 2
    assert len(_predicted(old)) == 1


def _interrupt_after(times: int, real: Callable[..., Any]) -> Callable[..., Any]:
    left = [times]

    def predict(*arguments: Any, **settings: Any) -> Any:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return real(*arguments, **settings)

    return predict


def _predicted(done: Sequence[Done]) -> list[Done]:
    return [d for d in done if d.kind == "predict"]


@pytest.mark.slow
def test_other_data_are_not_answered_with_old_results(
    request_for: Make, tmp_path: Path, counted: list[str]
) -> None:
    reproduce(request_for("by_method"))
    file = tmp_path / "data" / "pew.jsonl"
    file.write_text(file.read_text("utf-8").replace("0.01", "0.02"), "utf-8")
    run = reproduce(request_for("by_method"))
    assert {s.split("-")[0] for s in steps(run, new=True)} == {"predict pew"}
    other = reproduce(request_for("by_method", epochs=2))
    assert [s for s in steps(other, new=True) if s.startswith("train")] == ["train m-fine_tuned"]
    assert len(counted) == 2


@pytest.mark.slow
def test_a_damaged_adapter_is_trained_again(request_for: Make, counted: list[str]) -> None:
    run = reproduce(request_for("by_wave"))
    (folder,) = {d.folder for d in run.steps if d.kind == "train"}
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"half")
    reproduce(request_for("by_wave"))
    assert len(counted) == 2


@pytest.mark.slow
def test_fewer_questions_and_epochs_are_stated(request_for: Make) -> None:
    run = reproduce(request_for("by_method", "heat", "size", questions=2, epochs=1))
    for name in ("by_method", "heat", "size"):  # a picture goes around by itself
        assert "Not as the recipe says" in (run.folder / name / f"{name}.svg").read_text("utf-8")
    text = (run.folder / "by_method" / "by_method.md").read_text("utf-8")
    assert "2 questions drawn of every table (seed 0); 1 epoch(s)" in text
    assert "Made up: 8 cells of 2 questions; Pew: 4 cells of 2 questions" in text


@pytest.mark.slow
def test_an_adapter_of_ones_own(request_for: Make, tmp_path: Path, counted: list[str]) -> None:
    first = reproduce(request_for("by_wave"))
    (folder,) = {d.folder for d in first.steps if d.kind == "train"}
    adapter = shutil.copytree(folder / "adapter", tmp_path / "mine")
    request = request_for("by_wave", "size", adapter=adapter, out=tmp_path / "other")
    kinds = [(s.kind, s.name) for s in request.plan().steps if s.kind == "train"]
    assert kinds == [("train", "m-subset_50"), ("train", "m-fine_tuned")]  # size needs its own
    run = reproduce(request_for("by_wave", adapter=adapter, out=tmp_path / "other"))
    assert not [d for d in run.steps if d.kind == "train"]
    assert table(run, "by_wave").equals(table(first, "by_wave"))
    assert "adapter given" in (run.folder / "by_wave" / "by_wave.md").read_text("utf-8")
    request = request_for("by_group", adapter=adapter)
    (recipe,), setting = request.load()
    assert "trained on is the setting's word" in request.limits(recipe, setting)
    assert run.contents[0]["options"] == ["--setting FILE", "--adapter FOLDER"]
    with pytest.raises(ModelError, match="no PEFT adapter"):
        reproduce(request_for("size", "by_wave", adapter=tmp_path))
    with pytest.raises(InputError, match="none of the recipes") as caught:
        reproduce(request_for("size", "use", adapter=adapter))
    assert "size, use" in str(caught.value)


@pytest.mark.slow
def test_an_adapter_of_ones_own_is_prompted_as_it_was_trained(
    request_for: Make, tmp_path: Path
) -> None:
    first = reproduce(request_for("by_wave"))
    before = table(first, "by_wave")
    (folder,) = {d.folder for d in first.steps if d.kind == "train"}
    adapter = shutil.copytree(folder / "adapter", tmp_path / "mine")
    recipe = adapter / "recipe.yaml"
    recipe.write_text(recipe.read_text("utf-8").replace("format: qa", "format: bio"), "utf-8")
    said: list[str] = []
    run = reproduce(request_for("by_wave", "size", adapter=adapter), Reporter(said.append))
    shapes = [
        json.loads((d.folder / "step.json").read_text("utf-8"))["shape"]
        for d in _predicted(run.steps)
    ]
    own = [s["prompting"] for s in shapes if s["adapter"] == adapter_identity(adapter)]
    # the second: the one trained here, which size needs
    assert [p["format"] for p in own] == ["bio", "qa"]
    assert {**own[0], "format": "qa"} == own[1]
    others = [s for s in shapes if s["adapter"] != adapter_identity(adapter)]
    assert {s["prompting"]["format"] for s in others} == {"qa"}
    assert not table(run, "by_wave").equals(before)
    text = (run.folder / "by_wave" / "by_wave.md").read_text("utf-8")
    assert "prompted as it was trained (format bio instead of qa)" in text
    assert [s for s in said if s.startswith("size:")] == [
        "size: --adapter is not used: it needs more trainings than the fine-tuned one"
    ]


def test_the_adapter_that_ships_is_named_and_the_options_are_those_that_count() -> None:
    names = ["table1", "figure5", "figure7"]
    request = Request(names, adapter=SHIPPED_ADAPTER, epochs=2, compile=True)
    recipes, setting = request.load()
    limits = [request.limits(r, setting) for r in recipes]
    assert "shipped adapter in place of a training of the recipe's own" in limits[0]
    assert "given:" not in limits[0]  # no hash
    assert "prompted" not in limits[0]  # the recipe trains in words too
    assert [request.options(r) for r in recipes] == [
        ["--adapter shipped"],  # nothing is trained
        ["--epochs 2", "--compile"],  # the adapter is not used
        [],
    ]
    drawn = Request(names, setting="paper", questions=40, seed=3)
    (first, *_), _ = drawn.load()
    assert drawn.options(first) == ["--setting paper", "--questions 40", "--seed 3"]


@pytest.mark.slow
def test_an_average_over_fewer_cells_says_so(request_for: Make, tmp_path: Path) -> None:
    """A question without a scale has no distance: Figures 5, 11 and 12 said nothing of it."""
    path = tmp_path / "data" / "pew.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    flat = [r | {"ordinal": [1.0, 1.0]} if r["qkey"] == "Q1_W34" else r for r in rows]
    path.write_text("\n".join(json.dumps(r) for r in flat), "utf-8")
    setting = tmp_path / "tiny.yaml"
    text = setting.read_text("utf-8").replace("redistribution: none", "")
    setting.write_text(text.replace("visible: true", "wave: '34'"), "utf-8")
    for name in ("heat", "size"):
        recipe = tmp_path / f"{name}.yaml"
        recipe.write_text(recipe.read_text("utf-8").replace("- held", "- pew"), "utf-8")
    path.write_text(path.read_text("utf-8") + "\n" + more_pew(6), "utf-8")
    run = reproduce(request_for("heat", "size"))
    for content in run.contents:
        assert content["columns"][-1] == "note"
        assert {row[-1] for row in content["rows"]} == {
            "18 of 20 cells; 2 without a distance on a scale"
        }


def more_pew(count: int) -> str:
    """Questions beyond those of the fixture: a closed survey shows no few of them."""
    return "\n".join(
        json.dumps(pew_row(number, group, [0.3, 0.7]))
        for number in range(4, 4 + count)
        for group in ("Male", "Female")
    )


@pytest.mark.slow
def test_two_runs_do_not_share_a_folder_at_once(request_for: Make) -> None:
    request = request_for("by_wave")
    with only_run(request.out / WORK), pytest.raises(StorageError, match="Another run") as caught:
        reproduce(request)
    assert f"process {os.getpid()}" in str(caught.value)
    assert reproduce(request).contents  # once the other has ended


@pytest.mark.slow
def test_a_record_names_the_steps_of_its_own_recipe(request_for: Make) -> None:
    run = reproduce(request_for("loss", "by_group", "by_wave", "by_method"))
    manifest = json.loads((run.folder / "by_method" / NAME).read_text("utf-8"))
    assert any(s.startswith("bounds/") for s in manifest["steps"])  # computed for by_group
    manifest = json.loads((run.folder / "by_wave" / NAME).read_text("utf-8"))
    kinds = [s.split("/")[0] for s in manifest["steps"]]
    assert not [s for s in manifest["steps"] if "m-wd" in s]  # of the recipe before
    assert sorted(set(kinds)) == ["curate", "predict", "train"]
    assert manifest["new_steps"] == []
    manifest = json.loads((run.folder / "by_group" / NAME).read_text("utf-8"))
    assert {s.split("/")[0] for s in manifest["new_steps"]} == {"bounds", "predict"}


def test_all_that_is_missing_is_named_before_anything_runs(
    request_for: Make, tmp_path: Path
) -> None:
    (tmp_path / "data" / "pew.jsonl").unlink()
    (tmp_path / "data" / "survey.sav").unlink()
    with pytest.raises(DataError, match="2 file") as caught:
        reproduce(request_for("by_method"))
    assert "pew.jsonl: ask Pew" in str(caught.value)
    assert "survey.sav: ask around" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_one_recipe_that_fails_does_not_stop_the_others(
    request_for: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise InputError("No question is good enough")

    monkeypatch.setattr(workshop, "input_use", fails)
    run = reproduce(request_for("use", "by_wave"))
    assert list(run.failed) == ["use"]
    assert [c["name"] for c in run.contents] == ["by_wave"]
    with pytest.raises(IncompleteRunError, match="1 of 2 recipes"):
        run.raise_for_failures()
    with pytest.raises(InputError, match="good enough"):
        reproduce(request_for("use"))


@pytest.mark.slow
def test_closed_surveys_keep_lower_bounds_on_few_cells(request_for: Make, tmp_path: Path) -> None:
    path = tmp_path / "by_group.yaml"
    path.write_text(path.read_text("utf-8").replace("- held", "- pew"), "utf-8")
    setting = tmp_path / "tiny.yaml"
    setting.write_text(setting.read_text("utf-8").replace("visible: true", "wave: '34'"), "utf-8")
    lines = (tmp_path / "data" / "pew.jsonl").read_text("utf-8").splitlines()
    known = [line for line in lines if '"n": 100' in line]
    (tmp_path / "data" / "pew.jsonl").write_text("\n".join(known), "utf-8")
    run = reproduce(request_for("by_group"))
    assert table(run, "by_group")["lower"].to_list() == [None, None]
    assert run.contents[0]["withheld"] == "2 lower bounds on fewer than 5 cells"
