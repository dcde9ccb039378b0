"""Whole runs on tiny models: learning, stopping, resuming, refusing."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import transformers
from safetensors.torch import load_file
from tests.finetune.small_table import GROUPS, QUESTIONS, make_table

from opinioncast.errors import InputError, ModelError
from opinioncast.finetune.card import card
from opinioncast.finetune.recipe import FinetuneRecipe, SweepRecipe, parse_finetune
from opinioncast.finetune.targets import training_rows
from opinioncast.finetune.trainer import Trainer
from opinioncast.jobs.finetune import finetune_to_folder
from opinioncast.jobs.training_data import training_data
from opinioncast.predictor import Predictor, predict
from opinioncast.prompts import Answers, Layout
from opinioncast.readers.subpop import write_subpop
from opinioncast.survey import OpinionTable, Question, load_groups
from opinioncast.survey.sameness import TRAINING_QUESTIONS, Asked, Same, Sameness, asked_before

Make = Callable[..., Path]
Recipe = Callable[..., FinetuneRecipe]


@pytest.fixture
def make_recipe(make_folder: Make, table_file: Make) -> Recipe:
    def make(**changed: Any) -> FinetuneRecipe:
        settings: dict[str, Any] = {
            "name": "tiny",
            "model": str(make_folder("llama")),
            "table": str(table_file("train.parquet", questions=QUESTIONS[:3], seed=1)),
            "validation": str(table_file("valid.parquet", questions=QUESTIONS[3:], seed=2)),
            "lora": {"rank": 4, "alpha": 8, "dropout": 0.0, "targets": "all-linear"},
            "optimizer": {"learning_rate": 0.01, "batch_rows": 4, "epochs": 2},
            "checks": {"every": 2},
            "pack_tokens": 400,
            "dtype": "float32",
            "device": "cpu",
        }
        return parse_finetune(settings | changed, "test")

    return make


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.slow
def test_it_learns_a_table_by_heart(make_recipe: Recipe, tmp_path: Path) -> None:
    recipe = make_recipe(
        validation=None,
        optimizer={"learning_rate": 0.02, "batch_rows": 12, "epochs": 100, "schedule": "cosine"},
        lora={"rank": 8, "alpha": 16, "dropout": 0.0, "targets": "all-linear"},
        checks={"every": 100},
    )
    run = finetune_to_folder(recipe, tmp_path / "out")
    kl = [e["kl"] for e in run.training.state.curve if "kl" in e]
    assert kl[0] > 0.3
    assert kl[-1] < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("loss", [{"kl": 0, "wasserstein": 1}, {"kl": 0, "contrast": 1}])
def test_every_loss_falls(make_recipe: Recipe, tmp_path: Path, loss: dict[str, float]) -> None:
    recipe = make_recipe(
        validation=None,
        loss=loss,
        optimizer={"learning_rate": 0.02, "batch_rows": 12, "epochs": 40},
        checks={"every": 100},
    )
    run = finetune_to_folder(recipe, tmp_path / "out")
    values = [e["loss"] for e in run.training.state.curve if "loss" in e]
    assert values[-1] < 0.3 * values[0]


@pytest.mark.slow
def test_the_folder_has_adapter_card_curve_and_manifest(
    make_recipe: Recipe, tmp_path: Path
) -> None:
    run = finetune_to_folder(make_recipe(), tmp_path / "out")
    folder = tmp_path / "out" / "adapter"
    assert {f.name for f in folder.iterdir()} == {f.name for f in run.files}
    assert not [f for f in (tmp_path / "out").rglob("*") if f.suffix in (".pt", ".bin", ".pkl")]
    card = (folder / "README.md").read_text("utf-8")
    for part in ("made up", "RELIG=Nothing in particular", "## Limits", "lower bound"):
        assert part in card
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest["recipe"]["name"] == "tiny"
    assert set(manifest["files"]) == {f.name for f in run.files} - {"manifest.json"}
    kept = (folder / TRAINING_QUESTIONS).read_text("utf-8")
    before = asked_before(QUESTIONS, kept)
    assert before == {"questions": len(QUESTIONS), "asked_in_training_too": 3}
    curve = pl.read_csv(folder / "curve.csv")
    assert {"step", "loss", "kl", "wasserstein", "valid_wd", "valid_kl"} <= set(curve.columns)
    assert run.scores is not None
    distances = [e["valid_wd"] for e in run.training.state.curve if "valid_wd" in e]
    assert None not in distances
    assert run.training.state.best_value == min(d for d in distances if d is not None)


def test_the_card_counts_what_is_asked_on_both_sides(make_recipe: Recipe) -> None:
    """Beside the hashes by which predictions tell which questions were trained on."""
    first = QUESTIONS[0]
    again = replace(first, family="U", question_id="other", text=f"<b>{first.text}</b>")
    table = make_table((*QUESTIONS, again))
    rows = training_rows(table, load_groups(*GROUPS), refusal=True)
    same, out = Same(asked(first), asked(again), "wording"), Same(asked(first), asked(again), "key")
    alike = Same(asked(first), asked(again), "meaning", 0.8)
    text = card(
        make_recipe(validation="held.parquet"),
        base="tiny",
        notice="",
        table=table,
        rows=rows,
        valid_rows=rows[:4],
        sameness=Sameness((alike,), 7, 0.72),
        taken_out=Sameness((same, out), 9, None),
        scores=None,
        metric="wd",
        checks=3,
        best_step=1,
        steps=2,
    )
    assert "of 5 questions (4 different ones" in text
    assert "the training rows ask too: 0 of 7 by key or wording, 1 by meaning" in text
    assert "taken out, as the validation asks them too: 2 of 9 by key or wording" in text
    assert TRAINING_QUESTIONS in text


def asked(question: Question) -> Asked:
    return Asked(question.family, question.wave, question.question_id, question.text)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["question-first", "paper"])
def test_predict_and_plain_peft_read_the_adapter_alike(
    make_recipe: Recipe, tmp_path: Path, layout: str
) -> None:
    from peft import PeftModel

    recipe = make_recipe(layout=layout, validation=None)
    run = finetune_to_folder(recipe, tmp_path / "out")
    scheme = load_groups(*GROUPS)
    question = QUESTIONS[1]
    wanted: dict[str, Any] = {
        "model": recipe.model,
        "adapter": str(run.folder),  # its layout comes with it
        "orders": "given",
        "dtype": "float32",
        "use_cache": False,
    }
    table = predict([question], scheme, method="zero-shot", **wanted).table
    assert table.frame["model"].str.ends_with(" + out/adapter").all()  # not the whole path
    base = transformers.AutoModelForCausalLM.from_pretrained(recipe.model, dtype=torch.float32)
    plain = PeftModel.from_pretrained(base, str(run.folder)).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(recipe.model)
    from opinioncast.prompts import build_prompt

    for row, group in zip(table.frame.iter_rows(named=True), scheme, strict=True):
        prompt = build_prompt(question, group, scheme, recipe.prompting)
        ids = tokenizer(prompt.text, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            probabilities = plain(torch.tensor([ids])).logits[0, -1].softmax(-1)
        shares = np.zeros(len(prompt.labels))
        for i, label in enumerate(prompt.labels):
            for said in (label, " " + label):
                more = tokenizer(prompt.text + said, add_special_tokens=False)["input_ids"]
                shares[i] += probabilities[more[len(ids)]].item()
        assert row["distribution"] == pytest.approx(shares[:-1] / shares[:-1].sum(), abs=1e-5)
    other = next(x for x in Layout if x is not recipe.layout)
    record = predict([question], scheme, method="zero-shot", layout=other, **wanted).record
    assert record["layout"] == other
    assert record["not_as_trained"] == [f"layout: {other}; the adapter was trained with {layout}"]


@pytest.mark.slow
def test_stopped_and_resumed_is_bit_for_bit_the_same(make_recipe: Recipe, tmp_path: Path) -> None:
    recipe = make_recipe(
        option_order="random",
        lora={"rank": 4, "alpha": 8, "dropout": 0.1, "targets": ["q_proj", "v_proj"]},
    )
    finetune_to_folder(recipe, tmp_path / "whole")

    def stop(moment: Any) -> None:
        if moment.step == 5:  # a check was made after the fourth update
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune_to_folder(recipe, tmp_path / "cut", progress=stop)
    assert not (tmp_path / "cut" / "adapter").exists()
    seen: list[int] = []
    finetune_to_folder(recipe, tmp_path / "cut", progress=lambda m: seen.append(m.step))
    assert seen[0] == 5
    assert same(adapter(tmp_path / "whole"), adapter(tmp_path / "cut"))
    curves = [pl.read_csv(tmp_path / n / "adapter" / "curve.csv") for n in ("whole", "cut")]
    assert curves[0].equals(curves[1])


@pytest.mark.slow
def test_the_first_update_is_adamws(make_recipe: Recipe, tmp_path: Path) -> None:
    """AdamW's first step moves every weight by the learning rate; up projections start at zero."""
    rate = 0.01
    optimizer = {"learning_rate": rate, "batch_rows": 1_000, "epochs": 1, "schedule": "constant"}
    finetune_to_folder(make_recipe(optimizer=optimizer | {"warmup": 0.0}), tmp_path / "out")
    weights = load_file(next(tmp_path.glob("out/checkpoints/step-0000001/trained.safetensors")))
    up = torch.cat([w.abs().flatten() for name, w in weights.items() if "lora_B" in name])
    assert up.median().item() == pytest.approx(rate, rel=1e-3)


@pytest.mark.slow
def test_killed_at_any_moment_it_resumes_to_the_same_result(
    make_recipe: Recipe, tmp_path: Path
) -> None:
    recipe = make_recipe(optimizer={"learning_rate": 0.01, "batch_rows": 4, "epochs": 8})
    finetune_to_folder(recipe, tmp_path / "whole")
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import json
            from pathlib import Path
            from opinioncast.finetune.recipe import parse_finetune
            from opinioncast.jobs.finetune import finetune_to_folder
            recipe = parse_finetune(json.loads({json.dumps(recipe.model_dump_json())}), "test")
            finetune_to_folder(recipe, Path({str(tmp_path / "killed")!r}))
            """
        )
    )
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    checkpoints = tmp_path / "killed" / "checkpoints"
    deadline = time.monotonic() + 90
    while not list(checkpoints.glob("step-000000[4-9]")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "adapter" / "manifest.json").exists()
    finetune_to_folder(recipe, tmp_path / "killed")
    assert same(adapter(tmp_path / "whole"), adapter(tmp_path / "killed"))
    assert not list(checkpoints.glob(".*"))


@pytest.mark.slow
def test_a_checkpoint_of_another_recipe_is_refused(make_recipe: Recipe, tmp_path: Path) -> None:
    finetune_to_folder(make_recipe(), tmp_path / "out")
    with pytest.raises(InputError, match="another run") as error:
        finetune_to_folder(make_recipe(seed=1), tmp_path / "out")
    assert error.value.found == "another recipe"


@pytest.mark.slow
def test_a_diverging_run_stops_and_keeps_the_last_good(make_recipe: Recipe, tmp_path: Path) -> None:
    recipe = make_recipe(
        optimizer={"learning_rate": 1e30, "batch_rows": 4, "epochs": 4, "clip": None},
        checks={"every": 1},
    )
    with pytest.raises(ModelError, match="diverged") as error:
        finetune_to_folder(recipe, tmp_path / "out")
    assert "learning rate (1e+30)" in str(error.value)
    weights = adapter(tmp_path / "out")
    assert all(w.isfinite().all() for w in weights.values())
    assert (tmp_path / "out" / "adapter" / "manifest.json").is_file()


@pytest.mark.slow
def test_without_validation_too_the_last_good_is_kept(make_recipe: Recipe, tmp_path: Path) -> None:
    """Diverging is told ten updates late, when newer checkpoints are spoilt already."""
    recipe = make_recipe(
        optimizer={"learning_rate": 1e30, "batch_rows": 4, "epochs": 20, "clip": None},
        checks={"every": 1},
        validation=None,
    )
    with pytest.raises(ModelError, match="diverged"):
        finetune_to_folder(recipe, tmp_path / "out")
    weights = adapter(tmp_path / "out")
    assert max(w.abs().max().item() for w in weights.values()) < 10


@pytest.mark.slow
def test_a_gradient_that_is_no_number_changes_no_weight(
    make_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Trainer._clip

    def broken(trainer: Trainer) -> float:
        norm = clip(trainer)
        return math.nan if trainer._optimizer.state else norm  # from the second update

    monkeypatch.setattr(Trainer, "_clip", broken)
    recipe = make_recipe(validation=None, checks={"every": 1})
    with pytest.raises(ModelError, match="diverged") as error:
        finetune_to_folder(recipe, tmp_path / "out")
    assert error.value.where == "update 2"
    assert all(w.isfinite().all() for w in adapter(tmp_path / "out").values())


@pytest.mark.slow
def test_a_question_that_cannot_be_put_is_named_before_training(
    make_recipe: Recipe, make_folder: Make, tmp_path: Path
) -> None:
    long = replace(QUESTIONS[0], question_id="long", text="word " * 200)
    table = make_table((*QUESTIONS[:3], long)).write(tmp_path / "long.parquet")
    short = str(make_folder("llama", max_position_embeddings=256))
    with pytest.raises(ModelError, match="longer than the model can read") as error:
        finetune_to_folder(make_recipe(table=str(table), model=short), tmp_path / "out")
    assert '"long"' in str(error.value.where)
    assert not (tmp_path / "out").exists()
    refusing = replace(QUESTIONS[0], question_id="r", options=("Yes", "Refused"))
    table = make_table((*QUESTIONS[:3], refusing)).write(tmp_path / "refusing.parquet")
    with pytest.raises(InputError, match="refusal is among") as found:
        finetune_to_folder(make_recipe(table=str(table)), tmp_path / "out")
    assert "refusal: false in a recipe" in str(found.value.hint)


@pytest.mark.slow
def test_patience_stops_early(make_recipe: Recipe, tmp_path: Path) -> None:
    recipe = make_recipe(
        optimizer={"learning_rate": 1.0, "batch_rows": 4, "epochs": 30},
        checks={"every": 1, "patience": 2},
    )
    run = finetune_to_folder(recipe, tmp_path / "out")
    assert run.training.stopped == "early"
    assert run.training.state.step == run.training.best_step + 2


@pytest.mark.slow
def test_a_sweep_keeps_the_best(make_recipe: Recipe, tmp_path: Path) -> None:
    recipe = make_recipe(sweep={"learning_rate": [1e-5, 1e-2]})
    run = finetune_to_folder(recipe, tmp_path / "out")
    table = pl.read_csv(tmp_path / "out" / "sweep.csv")
    assert table["learning_rate"].to_list() == [1e-5, 1e-2]
    best = table.sort("wd").row(0, named=True)
    assert run.recipe.optimizer.learning_rate == best["learning_rate"]
    name = f"lr{best['learning_rate']}-batch4"
    assert same(adapter(tmp_path / "out"), adapter(tmp_path / "out" / "sweep" / name))
    with pytest.raises(InputError, match="validation rows to choose by"):
        finetune_to_folder(make_recipe(validation=None, sweep={"batch_rows": [2, 4]}), tmp_path)


@pytest.mark.slow
def test_a_sweep_of_one_value_trains_with_it(make_recipe: Recipe, tmp_path: Path) -> None:
    run = finetune_to_folder(make_recipe(sweep={"learning_rate": [3e-3]}), tmp_path / "out")
    assert run.recipe.optimizer.learning_rate == 3e-3
    assert (tmp_path / "out" / "sweep.csv").is_file()


@pytest.mark.slow
def test_a_sweep_goes_on_after_a_run_that_diverged(make_recipe: Recipe, tmp_path: Path) -> None:
    optimizer = {"batch_rows": 4, "epochs": 5, "clip": None}
    recipe = make_recipe(sweep={"learning_rate": [1e30, 1e-3]}, optimizer=optimizer)
    run = finetune_to_folder(recipe, tmp_path / "out")
    assert run.recipe.optimizer.learning_rate == 1e-3
    table = pl.read_csv(tmp_path / "out" / "sweep.csv")
    assert table["stopped"].to_list() == ["diverged", "finished"]
    with pytest.raises(ModelError, match="diverged"):
        finetune_to_folder(
            recipe.model_copy(update={"sweep": SweepRecipe(learning_rate=(1e30,))}), tmp_path / "b"
        )


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
def test_the_whole_model_can_be_trained(
    make_recipe: Recipe, make_folder: Make, tmp_path: Path, tied: bool
) -> None:
    base = str(make_folder("llama", tie_word_embeddings=tied))
    recipe = make_recipe(model=base, lora=None, validation=None, answers="words")
    run = finetune_to_folder(recipe, tmp_path / "out")
    before = transformers.AutoModelForCausalLM.from_pretrained(base)
    after = transformers.AutoModelForCausalLM.from_pretrained(run.folder)
    moved = [
        not torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True)
    ]
    assert all(moved)
    assert (after.lm_head.weight is after.model.embed_tokens.weight) is tied
    card = (run.folder / "README.md").read_text("utf-8")
    assert "--model FOLDER" in card
    assert "--adapter" not in card
    assert "library_name: transformers" in card
    with Predictor(method="zero-shot", model=str(run.folder)) as predictor:
        assert predictor.how_asked["prompting"]["answers"] == Answers.WORDS
        assert len(predictor.predict([QUESTIONS[0]], "CREGION=South"))


@pytest.mark.slow
def test_activations_computed_again_change_nothing(make_recipe: Recipe, tmp_path: Path) -> None:
    finetune_to_folder(make_recipe(), tmp_path / "kept")
    finetune_to_folder(make_recipe(checkpoint_activations=True), tmp_path / "again")
    a, b = adapter(tmp_path / "kept"), adapter(tmp_path / "again")
    for name, weight in a.items():
        torch.testing.assert_close(b[name], weight, rtol=1e-4, atol=1e-6)


def test_a_fraction_of_the_questions(make_recipe: Recipe) -> None:
    rows = training_data(make_recipe(fraction=0.34)).train_rows
    assert len({r.question for r in rows}) == 1
    assert len(rows) == 4


def test_a_share_of_the_table_is_held_out(make_recipe: Recipe) -> None:
    data = training_data(make_recipe(validation={"fraction": 0.34}))
    assert len(data.train_rows) == 8
    assert len(data.valid_rows) == 4
    assert not {r.question for r in data.train_rows} & {r.question for r in data.valid_rows}


@pytest.mark.slow
def test_only_chosen_layers_are_trained(make_recipe: Recipe, tmp_path: Path) -> None:
    lora = {"rank": 2, "targets": ["q_proj"], "layers": [2], "dropout": 0.0}
    finetune_to_folder(make_recipe(lora=lora), tmp_path / "out")
    assert {n.split(".layers.")[1][0] for n in adapter(tmp_path / "out")} == {"2"}


def test_a_model_that_cannot_be_packed_is_refused(
    make_recipe: Recipe, make_folder: Make, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="cannot be packed"):
        finetune_to_folder(make_recipe(model=str(make_folder("mamba"))), tmp_path / "out")


@pytest.mark.slow
def test_what_does_not_fit_is_named(make_recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows for some groups") as error:
        finetune_to_folder(make_recipe(groups=["CREGION=South", "CREGION=West"]), tmp_path)
    assert error.value.where == "CREGION = West"
    with pytest.raises(ModelError, match="targets are not in the model"):
        finetune_to_folder(make_recipe(lora={"targets": ["nothing"]}), tmp_path / "b")
    unscaled = make_table((QUESTIONS[2],)).write(tmp_path / "unscaled.parquet")
    loss = {"kl": 0, "wasserstein": 1}
    with pytest.raises(InputError, match="nothing to train on"):
        finetune_to_folder(make_recipe(table=str(unscaled), loss=loss), tmp_path / "d")
    alone = {"loss": {"kl": 0, "contrast": 1}, "groups": ["CREGION=South"]}
    with pytest.raises(InputError, match="nothing to train on"):
        finetune_to_folder(make_recipe(**alone), tmp_path / "c")
    with pytest.raises(InputError, match=r"checks.metric: kl"):
        finetune_to_folder(
            make_recipe(
                validation=str(unscaled),
                table=str(make_table(QUESTIONS[:2]).write(tmp_path / "two.parquet")),
                checks={"metric": "wd"},
            ),
            tmp_path / "e",
        )
    same_questions = make_recipe().table
    with pytest.raises(InputError, match="ask what the training rows ask"):
        finetune_to_folder(make_recipe(validation=same_questions), tmp_path / "f")


@pytest.mark.slow
def test_published_rows_whose_ordinals_are_all_equal(make_recipe: Recipe, tmp_path: Path) -> None:
    """SubPOP as it is published: trained with KL, checked by KL, shown by KL."""
    table = make_table()
    flat = table.frame.with_columns(ordinal=pl.col("ordinal").list.eval(pl.element() * 0 + 1))
    source = write_subpop(OpinionTable(flat), tmp_path / "subpop.jsonl")
    recipe = make_recipe(table=str(source), validation={"fraction": 0.3})
    run = finetune_to_folder(recipe, tmp_path / "out")
    assert run.metric == "kl"
    state = run.training.state
    assert state.best_value == min(e["valid_kl"] for e in state.checks if e["valid_kl"] is not None)
    assert all(entry["valid_wd"] is None for entry in state.checks)
    card = (run.folder / "README.md").read_text("utf-8")
    assert "(best kl on the validation rows" in card
    assert "there is no Wasserstein distance" in card
    assert "Mean KL divergence" in card
    for file in (tmp_path / "out").rglob("*.json"):
        json.loads(file.read_text("utf-8"), parse_constant=pytest.fail)


@pytest.mark.slow
def test_a_check_that_gives_no_number_is_never_the_best(
    make_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN at the first check kept update 0 whatever came after."""
    values = iter([None, 0.3, 0.2, None])
    monkeypatch.setattr("opinioncast.finetune.trainer.mean_distance", lambda *_: next(values))
    run = finetune_to_folder(make_recipe(), tmp_path / "out")
    assert (run.training.best_step, run.training.state.best_value) == (4, 0.2)
    monkeypatch.setattr("opinioncast.finetune.trainer.mean_distance", lambda *_: None)
    with pytest.raises(ModelError, match="No check of the validation rows gave a number"):
        finetune_to_folder(make_recipe(), tmp_path / "none")


@pytest.mark.slow
def test_a_sweep_never_chooses_a_run_without_a_number(
    make_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value of 0 is the best there is, not none at all."""
    values = iter([0.3] * 4 + [0.0] * 4)
    monkeypatch.setattr("opinioncast.finetune.trainer.mean_distance", lambda *_: next(values))
    recipe = make_recipe(sweep={"learning_rate": [1e-3, 1e-2]})
    assert finetune_to_folder(recipe, tmp_path / "out").recipe.optimizer.learning_rate == 1e-2


@pytest.mark.slow
def test_healthy_runs_of_one_question_an_update_are_not_stopped(
    make_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses that leap from question to question raise a suspicion, and the look clears it."""
    looks: list[float] = []

    def suspicious(losses: list[float], start: Any) -> bool:
        looks.append(start.model)
        return len(losses) >= 2

    monkeypatch.setattr("opinioncast.finetune.trainer.is_suspicious", suspicious)
    optimizer = {"learning_rate": 1e-3, "batch_rows": 1, "epochs": 8}
    run = finetune_to_folder(make_recipe(optimizer=optimizer), tmp_path / "out")
    assert run.training.stopped == "finished"
    assert len(looks) == 2  # of 24 updates: a look every ten
