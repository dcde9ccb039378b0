"""Recipes: those shipped, and what is wrong with others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opinioncast.errors import InputError
from opinioncast.finetune.recipe import (
    FinetuneRecipe,
    builtin_finetunes,
    load_finetune,
    parse_finetune,
)
from opinioncast.prompts import Layout


@pytest.mark.parametrize("name", builtin_finetunes())
def test_shipped_recipes_are_valid(name: str) -> None:
    recipe, _ = load_finetune(name)
    assert recipe.name.replace("-", "_") == name


@pytest.mark.parametrize(
    ("name", "rate"),
    [("llama2_7b", 2e-4), ("llama2_13b", 1e-4), ("mistral_7b", 2e-4), ("llama3_70b", 2e-5)],
)
def test_the_authors_recipes_hold_appendix_b_and_their_code(name: str, rate: float) -> None:
    recipe, _ = load_finetune(name)
    assert (recipe.optimizer.epochs, recipe.optimizer.clip) == (50, None)
    assert (recipe.checks.every, recipe.checks.metric) == ("epoch", "kl")
    assert recipe.optimizer.learning_rate == rate
    assert recipe.optimizer.batch_rows == 256
    assert recipe.optimizer.weight_decay == 0
    lora = recipe.lora
    assert lora is not None
    assert (lora.rank, lora.alpha, lora.dropout, lora.init_sigma) == (8, 32, 0.05, 0.02)
    assert lora.targets == ("q_proj", "v_proj")
    assert recipe.layout is Layout.PAPER
    assert recipe.loss.model_dump() == {"kl": 1, "wasserstein": 0, "contrast": 0}


def test_the_authors_training_is_that_of_their_smallest_model() -> None:
    authors, seven = (load_finetune(name)[0] for name in ("authors", "llama2_7b"))
    assert authors.model_copy(update={"name": seven.name}) == seven
    ours = load_finetune("ours")[0]
    assert (ours.model, ours.same_questions) == (seven.model, "remove")


def test_the_papers_grid() -> None:
    recipe, _ = load_finetune("paper_grid")
    assert recipe.sweep is not None
    assert recipe.sweep.learning_rate == (5e-5, 1e-4, 2e-4)
    assert recipe.sweep.batch_rows == (64, 128, 256)


def test_every_wrong_field_is_named_at_once() -> None:
    raw = {"name": "x", "table": "t", "lora": {"rank": 0}, "optimizer": {"epochs": "many"}, "a": 1}
    with pytest.raises(InputError, match="fields that do not fit") as error:
        parse_finetune(raw, "mine.yaml")
    for field in ("lora.rank", "optimizer.epochs", "a: Extra"):
        assert field in str(error.value.found)
    assert error.value.where == "mine.yaml"


WITH_AUGMENT = "goes with target: augment, and only with it"
QUESTION_FIRST = "the groups of one question against each other"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"augment": 5}, WITH_AUGMENT),
        ({"target": "augment"}, WITH_AUGMENT),
        (
            {"target": "augment", "augment": 5, "loss": {"contrast": 1}},
            "compares whole distributions",
        ),
        ({"loss": {"kl": 0}}, "at least one of kl, wasserstein, contrast"),
        ({"groups_per_question": 2, "layout": "paper"}, "goes with layout: question-first"),
        (
            {"groups_per_question": 2, "target": "augment", "augment": 5},
            "and not with target: augment",
        ),
        ({"groups_per_question": 1, "loss": {"contrast": 1}}, "at least 2 groups_per_question"),
        ({"layout": "paper", "loss": {"contrast": 1}}, QUESTION_FIRST),
        ({"lora": {"quantize": "4bit"}, "dtype": "float32"}, "leave dtype out"),
        ({"optimizer": {"betas": [1.5, 0.9]}}, r"optimizer\.betas.* less than 1"),
        ({"sweep": {"learning_rate": [-1]}}, r"sweep\.learning_rate.* greater than 0"),
        ({"sweep": {"batch_rows": [0]}}, r"sweep\.batch_rows.* greater than or equal to 1"),
        ({"device": "banana"}, "device: Input should be 'cpu', 'cuda' or 'mps'"),
    ],
)
def test_settings_that_contradict_each_other(raw: dict[str, object], said: str) -> None:
    """By what is wrong in each: that fields do not fit is said of a misspelt one too."""
    with pytest.raises(InputError, match="fields that do not fit") as error:
        parse_finetune({"name": "x", "table": "t", **raw}, "mine.yaml")
    assert error.value.found is not None
    assert re.search(said, error.value.found)
    assert "Extra inputs" not in error.value.found


def test_what_is_not_a_recipe(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Unknown fine-tuning recipe"):
        load_finetune("nothing")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(InputError, match="cannot be read"):
        load_finetune(tmp_path / "list.yaml")


def test_the_hash_covers_what_shapes_the_result() -> None:
    recipe = FinetuneRecipe(name="x", table="t")
    assert recipe.hash == FinetuneRecipe(name="y", table="t").hash
    assert recipe.hash != FinetuneRecipe(name="x", table="t", seed=1).hash
    assert recipe.hash != recipe.changed(learning_rate=1.0).hash
