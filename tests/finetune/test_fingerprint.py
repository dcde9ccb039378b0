"""Every setting in turn: either the fingerprint is another, or the result is the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from pydantic import BaseModel
from safetensors.torch import load_file
from tests.finetune.small_table import QUESTIONS, make_table

from opinioncast.errors import InputError
from opinioncast.finetune.base import TrainingBase, open_base
from opinioncast.finetune.fingerprint import run_fingerprint
from opinioncast.finetune.recipe import (
    CheckRecipe,
    FinetuneRecipe,
    LoraRecipe,
    LossMix,
    OptimizerRecipe,
    SplitValidation,
    parse_finetune,
)
from opinioncast.jobs.finetune import build_packer, finetune_to_folder
from opinioncast.jobs.training_data import training_data
from opinioncast.survey import OpinionTable

Make = Callable[..., Path]

GROUPS = {
    "attributes": {
        "CREGION": {
            "label": "region",
            "question": "Where do you live?",
            "groups": ["South", "West"],
            "bio": "I live in the {}.",
            "portray": "living in the {}",
        }
    },
    "groups": {"CREGION": ["South"]},
}
NESTED: dict[str, type[BaseModel]] = {
    "validation": SplitValidation,
    "loss": LossMix,
    "lora": LoraRecipe,
    "optimizer": OptimizerRecipe,
    "checks": CheckRecipe,
}

OTHER: dict[str, Any] = {
    "validation.fraction": 0.6,
    "validation.by": "wave",
    "validation.seed": 1,
    "fraction": 0.5,
    "same_questions": "remove",
    "layout": "paper",
    "format": "bio",
    "refusal": False,
    "chat": True,
    "answers": "words",
    "option_order": "random",
    "groups_per_question": 2,
    "target": "one-hot",
    "augment": ({"target": "augment", "augment": 3}, {"target": "augment", "augment": 4}),
    "row_weight": "n_eff",
    "loss.kl": 0.5,
    "loss.wasserstein": 0.5,
    "loss.contrast": 0.5,
    "lora.rank": 3,
    "lora.alpha": 3,
    "lora.dropout": 0.25,
    "lora.targets": ("q_proj",),
    "lora.layers": (0,),
    "lora.init_sigma": 0.5,
    "lora.quantize": ({"dtype": None}, {"dtype": None, "lora": {"quantize": "4bit"}}),
    "optimizer.learning_rate": 0.5,
    "optimizer.batch_rows": 3,
    "optimizer.epochs": 3,
    "optimizer.warmup": 0.5,
    "optimizer.schedule": "constant",
    "optimizer.weight_decay": 0.5,
    "optimizer.betas": (0.5, 0.5),
    "optimizer.clip": 0.5,
    "checks.every": 3,
    "checks.metric": "kl",
    "checks.patience": 3,
    "checks.questions": 1,
    "checks.orders": "reversed",
    "compile": True,
    "checkpoint_activations": True,
    "pack_tokens": 300,
    "seed": 1,
    "dtype": "bfloat16",
}
"""Settings that shape the result -> another value (or two recipes that differ by it alone)."""

SAME = {
    "name": "what the run is called",
    "device": "where it is computed: the same but for rounding",
    "model": "where the base lies; its weights are hashed",
    "table": "where the rows lie; they are hashed as they are put to the model",
    "groups": "where the wording lies; it is hashed in the prompts",
    "sweep": "each of its runs is a run by itself",
    "trackers": "who is told",
}


def leaves(model: type[BaseModel], before: str = "") -> Iterator[str]:
    for name in model.model_fields:
        if not before and name in NESTED:
            yield from leaves(NESTED[name], f"{name}.")
        else:
            yield f"{before}{name}"


def test_every_setting_is_here() -> None:
    fields = set(leaves(FinetuneRecipe))
    assert fields == set(OTHER) | set(SAME)


@pytest.fixture
def raw(make_folder: Make, table_file: Make) -> dict[str, Any]:
    return {
        "name": "tiny",
        "model": str(make_folder("llama")),
        "table": str(table_file("t.parquet")),
        "validation": {"fraction": 0.3},
        "groups": ["CREGION=South", "TOTAL"],
        "dtype": "float32",
        "device": "cpu",
        "pack_tokens": 400,
        "checks": {"every": 2},
        "optimizer": {"batch_rows": 4, "epochs": 2, "learning_rate": 0.01},
        "lora": {"rank": 2, "dropout": 0.1},
    }


def fingerprint(raw: dict[str, Any], bases: dict[Any, TrainingBase]) -> dict[str, str]:
    from accelerate import Accelerator

    recipe = parse_finetune(raw, "test")
    # a base is loaded once a precision; in 4 bits it needs a GPU and is stood in for
    dtype = recipe.dtype or "float32"
    if dtype not in bases:
        plain = recipe.model_copy(update={"dtype": dtype, "lora": LoraRecipe()})
        bases[dtype] = open_base(plain, Accelerator(cpu=True))
        template = "{% for m in messages %}<user>{{ m['content'] }}</user>{% endfor %}"
        bases[dtype].tokenizer.chat_template = template
    base = bases[dtype]
    data = training_data(recipe, open_encoder=lambda: None)
    return run_fingerprint(
        recipe, data.train_rows, data.valid_rows, build_packer(recipe, data, base), base
    )


def changed(raw: dict[str, Any], path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    value = OTHER[path]
    outer, _, inner = path.partition(".")
    if isinstance(value, tuple) and isinstance(value[0], dict):
        one, two = ({**raw, **v} for v in value)
        return one, two
    if not inner:
        return raw, {**raw, outer: value}
    return raw, {**raw, outer: {**raw.get(outer, {}), inner: value}}


@pytest.mark.slow
def test_each_setting_that_shapes_the_result_makes_another_run(raw: dict[str, Any]) -> None:
    bases: dict[Any, TrainingBase] = {}
    alike, plain = [], fingerprint(raw, bases)
    for path in OTHER:
        before, after = changed(raw, path)
        first = plain if before is raw else fingerprint(before, bases)
        if first == fingerprint(after, bases):
            alike.append(path)
    assert not alike


def shuffled(path: str, folder: Path) -> str:
    table = OpinionTable.read(path)
    frame = table.frame.sample(fraction=1.0, shuffle=True, seed=3)
    assert frame["question_id"].to_list() != table.frame["question_id"].to_list()
    return str(OpinionTable(frame, table.meta).write(folder / "elsewhere" / "other.parquet"))


def group_file(folder: Path, bio: str = "I live in the {}.") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    content = json.loads(json.dumps(GROUPS))
    content["attributes"]["CREGION"]["bio"] = bio
    path = folder / "groups.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    return str(path)


@pytest.mark.slow
def test_neither_names_places_nor_the_order_of_rows_matter(
    raw: dict[str, Any], tmp_path: Path
) -> None:
    """Another fingerprint would refuse to go on; another adapter would be a run nobody can have
    again."""
    raw |= {"groups": [group_file(tmp_path / "a")], "format": "bio"}
    other = raw | {
        "name": "other",
        "device": None,
        "table": shuffled(raw["table"], tmp_path),
        "groups": [group_file(tmp_path / "b")],
    }
    runs = [
        finetune_to_folder(parse_finetune(r, "test"), tmp_path / f"out{i}")
        for i, r in enumerate((raw, other))
    ]
    prints = [run.training.state.fingerprint for run in runs]
    assert prints[0] == prints[1]
    one, two = (load_file(run.folder / "adapter_model.safetensors") for run in runs)
    assert one.keys() == two.keys()
    assert all(one[name].equal(two[name]) for name in one)
    curves = [pl.read_csv(run.folder / "curve.csv") for run in runs]
    assert curves[0].equals(curves[1])


@pytest.mark.slow
def test_reworded_groups_are_another_run(raw: dict[str, Any], tmp_path: Path) -> None:
    """Not the old adapter with no update, nor one that is neither wording's."""
    raw |= {"groups": [group_file(tmp_path)], "format": "bio"}
    finetune_to_folder(parse_finetune(raw, "test"), tmp_path / "out")
    group_file(tmp_path, "My home is in the {}.")
    with pytest.raises(InputError, match="another run") as error:
        finetune_to_folder(parse_finetune(raw, "test"), tmp_path / "out")
    assert error.value.found == "another training rows, validation rows"


def test_a_table_of_other_shares_or_wording_is_another_run(
    raw: dict[str, Any], tmp_path: Path
) -> None:
    bases: dict[Any, TrainingBase] = {}
    before = fingerprint(raw, bases)
    others = [
        make_table(seed=1),
        make_table(
            (
                *QUESTIONS[:3],
                QUESTIONS[3].__class__(
                    "vote",
                    "Did you really vote?",
                    QUESTIONS[3].options,
                    QUESTIONS[3].ordinal,
                    "T",
                    "2",
                ),
            )
        ),
    ]
    for i, table in enumerate(others):
        path = str(table.write(tmp_path / f"{i}.parquet"))
        assert fingerprint(raw | {"table": path}, bases) != before
