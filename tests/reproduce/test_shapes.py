"""Every setting in turn: either a step's key changes, or the setting does not shape its numbers."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.finetune.small_table import GROUPS, make_table

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.curate.recipe import WaveRecipe, parse_curation
from opinioncast.finetune.recipe import FinetuneRecipe
from opinioncast.prompts import Answers, Format, Layout
from opinioncast.reproduce import shapes
from opinioncast.reproduce.recipe import MethodRow, TrainingRecipe
from opinioncast.reproduce.setting import (
    ModelSetting,
    PromptSettings,
    Setting,
    load_setting,
)
from opinioncast.reproduce.store import file_hash, shape_key
from opinioncast.survey import OpinionTable, load_groups, standard_attributes

TABLE = make_table()
ROW = MethodRow(name="Zero-shot", method="zero-shot")
SETTING = load_setting("embedded")


def key(
    setting: Setting = SETTING,
    row: MethodRow = ROW,
    table: OpinionTable = TABLE,
    model: str = "main",
    train: OpinionTable | None = None,
    modules: tuple[Path, ...] = (),
) -> str:
    shape = shapes.method_shape(
        setting, row, model, adapter=None, observed=table, train=train, modules=modules
    )
    return shape_key("predict", shape)


def with_model(**changed: Any) -> Setting:
    models = dict(SETTING.models) | {"main": SETTING.models["main"].model_copy(update=changed)}
    return SETTING.model_copy(update={"models": models})


MODEL_CHANGES: dict[str, Any] = {
    "model": "embedded-chat",
    "chat": True,
    "backend": "vllm",
}
MODEL_NAMES = {"label": "Other", "billions": 9.0}
"""What a model is called and how large it is said to be shapes no number."""


def test_every_field_of_a_model_is_in_the_key_or_shapes_nothing() -> None:
    # how it is trained is in the training's key, hence in the adapter's content
    assert {*MODEL_CHANGES, *MODEL_NAMES, "finetune"} == set(ModelSetting.model_fields)
    for field, value in MODEL_CHANGES.items():
        assert key(with_model(**{field: value})) != key(), field
    for field, value in MODEL_NAMES.items():
        assert key(with_model(**{field: value})) == key(), field


def test_every_field_of_the_prompt_is_in_the_key() -> None:
    changes = {"layout": Layout.PAPER, "orders": "reversed"}
    assert set(changes) == set(PromptSettings.model_fields)
    for field, value in changes.items():
        prompt = SETTING.prompt.model_copy(update={field: value})
        assert key(SETTING.model_copy(update={"prompt": prompt})) != key(), field


def test_every_field_of_a_row_is_in_the_key_or_shapes_nothing(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "method": "few-shot",
        "format": Format.BIO,
        "answers": Answers.WORDS,
    }
    for field, value in changes.items():
        assert key(row=ROW.model_copy(update={field: value})) != key(), field
    # questions narrow the table that is shown, which is in the key by its content
    for field, value in {"name": "Other", "tables": ("x",), "questions": 3}.items():
        assert key(row=ROW.model_copy(update={field: value})) == key(), field
    assert key(model="chat") != key()
    few = MethodRow(name="f", method="few-shot", train="training")
    other = TABLE.filter(pl.col("question_id") != "vote")
    assert key(row=few, train=TABLE) != key(row=few, train=other)
    module = tmp_path / "module"
    module.mkdir()
    (module / "adapter.txt").write_text("a", "utf-8")
    first = key(modules=(module,))
    (module / "adapter.txt").write_text("b", "utf-8")
    assert key(modules=(module,)) != first != key()
    # training and bound have their own steps: what comes of them is the adapter, or no prediction
    rest = {"training", "bound", "model", "train", "modules"}
    assert {*changes, "name", "tables", "questions", *rest} == set(MethodRow.model_fields)


def test_content_order_wording_and_versions_are_in_the_key(monkeypatch: Any) -> None:
    before = key()
    reversed_rows = OpinionTable(TABLE.frame.reverse(), TABLE.meta)
    assert reversed_rows.content_hash == TABLE.content_hash
    assert key(table=reversed_rows) != before
    assert key(table=TABLE.filter(pl.col("question_id") != "vote")) != before
    monkeypatch.setattr(
        "opinioncast.reproduce.shapes.version", lambda n: "0" if n == "torch" else version(n)
    )
    assert key() != before
    monkeypatch.undo()
    words = dict(standard_attributes())
    region = words["CREGION"]
    words["CREGION"] = type(region)(
        region.name,
        "part of the country",
        region.question,
        region.groups,
        region.bio,
        region.portray,
    )
    monkeypatch.setattr("opinioncast.reproduce.shapes.standard_attributes", lambda: words)
    assert key() != before


@pytest.mark.parametrize("method", ["network", "nearest", "few-shot", "blend"])
def test_what_ships_is_in_the_key_of_what_uses_it(method: str, monkeypatch: Any) -> None:
    row = MethodRow(name="x", method=method)
    before = key(row=row)
    monkeypatch.setattr("opinioncast.reproduce.shapes.file_hash", lambda p: "other" + file_hash(p))
    assert key(row=row) != before
    monkeypatch.undo()
    assert key(row=MethodRow(name="x", method="uniform")) == key(
        with_model(chat=True), MethodRow(name="x", method="uniform")
    )  # no model is asked


CHANGED: dict[str, Any] = {
    "model": "embedded-chat",
    "validation": {"fraction": 0.2},
    "same_questions": "remove",
    "fraction": 0.5,
    "layout": "paper",
    "format": "bio",
    "refusal": False,
    "chat": True,
    "answers": "words",
    "option_order": "random",
    "groups_per_question": 2,
    "target": "one-hot",
    "row_weight": "n_eff",
    "loss": {"wasserstein": 1.0},
    "lora": {"rank": 4},
    "optimizer": {"learning_rate": 0.001},
    "checks": {"every": 3},
    "compile": True,
    "checkpoint_activations": True,
    "pack_tokens": 128,
    "dtype": "bfloat16",
    "device": "cpu",
    "seed": 1,
}


def training_key(raw: Any, groups: tuple[str, ...] | None, table: OpinionTable = TABLE) -> str:
    recipe = FinetuneRecipe.model_validate(raw)
    return shape_key("train", shapes.training_shape(recipe, groups, table, None, recipe.model))


def test_every_field_of_a_fine_tuning_recipe_is_in_a_trainings_key() -> None:
    plain = {"name": "x", "table": "train.parquet"}
    before = training_key(plain, None)
    for field, value in CHANGED.items():
        assert training_key(plain | {field: value}, None) != before, field
    assert training_key(plain | {"name": "y"}, None) == before
    assert training_key(plain, GROUPS[:2]) != before
    assert training_key(plain, None, OpinionTable(TABLE.frame.reverse(), TABLE.meta)) != before
    # the table is in it by content; the others are made of a changed field and one more
    rest = {"name", "table", "groups", "augment", "sweep"}
    fields = set(FinetuneRecipe.model_fields)
    assert fields - {*CHANGED, *rest} <= NEWER
    assert set(TrainingRecipe.model_fields) == {"table", "validation", "subset", "changes"}


NEWER = {"pack", "tracker", "trackers", "notes", "source"}
"""Fields of recipes that shape no weight, should there be any."""


def test_a_reworded_group_file_is_another_training(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    text = (
        "name: mine\nattributes:\n  CREGION:\n    label: region\n    question: {q}\n"
        "    bio: I live in {{}}.\n    portray: lived in {{}}\n    groups: [Northeast, South]\n"
        "groups: [CREGION=South]\n"
    )
    keys = []
    for question in ("Where do you live?", "In which region do you live?"):
        file.write_text(text.format(q=question), "utf-8")
        try:
            load_groups(str(file))
        except Exception as error:
            pytest.fail(f"the group file of this test does not fit: {error}")
        keys.append(training_key({"name": "x", "table": "t"}, (str(file),)))
    assert keys[0] != keys[1]


def test_every_file_of_a_models_folder_is_in_the_key_but_its_card(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "additional_chat_templates").mkdir(parents=True)
    names = (
        "config.json",
        "model.safetensors",
        "pytorch_model.bin",
        "chat_template.jinja",
        "additional_chat_templates/tool.jinja",
        "merges.txt",
        "tokenizer.model",
    )
    keys = [key(with_model(model=str(folder)))]
    for name in names:
        for text in ("a", "b"):
            (folder / name).write_text(text, "utf-8")
            keys.append(key(with_model(model=str(folder))))
    assert len(set(keys)) == len(keys)
    (folder / "README.md").write_text("Its card.", "utf-8")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "download.json").write_text("{}", "utf-8")
    assert key(with_model(model=str(folder))) == keys[-1]


def test_every_file_that_a_curation_reads_is_in_its_key(tmp_path: Path) -> None:
    """The wave's own, its catalog, group recipe and groups asked for, and what is kept apart."""
    data = tmp_path / "data"
    data.mkdir()
    kind = ("BeforeValidator", "tuple[str, ...]")  # of a file's names
    fields = [n for n, f in WaveRecipe.model_fields.items() if all(k in repr(f) for k in kind)]
    assert {"file", "codebook", "questions"} <= set(fields)
    names = {f: f"{f}.sas7bdat" if f == "file" else f"{f}.json" for f in fields}
    groups = "attributes:\n  SEX: {variable: sex, groups: {Male: [1]}}\n"
    scheme = "name: mine\ngroups: [SEX=Male]\n"
    texts = dict.fromkeys([*names.values(), "file.sas7bcat", "other.parquet"], "a")
    texts |= {"own.yaml": f"name: own\n{groups}", "scheme.yaml": scheme}
    for name, text in texts.items():
        (data / name).write_text(text, "utf-8")
    raw = {
        "name": "x",
        "title": "x",
        "citation": "x",
        "terms": "none",
        "redistribution": "none",
        "groups": ["own", "scheme.yaml", "SEX=Male"],
        "overlap": {"against": ["other.parquet"]},
        "waves": [{"family": "F", "wave": "1", "groups": "own.yaml", **names}],
    }
    recipe = parse_curation(raw, "test")

    def key() -> str:
        return shape_key("curate", shapes.curation_shape(recipe, [data], {}))

    changed = {"own.yaml": texts["own.yaml"].replace("[1]", "[1, 3]")}
    changed["scheme.yaml"] = scheme.replace("=Male]", "=Male, SEX=Female]")
    keys = [key()]
    for name in texts:
        (data / name).write_text(changed.get(name, "b"), "utf-8")
        keys.append(key())
    assert len(set(keys)) == len(keys)
