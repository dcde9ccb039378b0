"""The shipped adapter: whole, small, and prompted as it was trained."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from opinioncast.errors import DataError
from opinioncast.finetune.recipe import FinetuneRecipe, load_finetune
from opinioncast.models import SHIPPED, SHIPPED_ADAPTER, SHIPPED_NETWORK, SHIPPED_TRAINING
from opinioncast.predictor import PredictSettings
from opinioncast.predictor.resources import Resources
from opinioncast.predictor.trained import Training
from opinioncast.prompts import Answers, Format, Layout, Prompting
from opinioncast.survey import OpinionTable, load_groups
from opinioncast.survey.sameness import TRAINING_QUESTIONS, asked_before, digests


def test_the_shipped_adapter_is_whole_and_says_what_it_is() -> None:
    manifest = json.loads((SHIPPED_ADAPTER / "manifest.json").read_text("utf-8"))
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((SHIPPED_ADAPTER / name).read_bytes()).hexdigest() == digest, name
    card = (SHIPPED_ADAPTER / "README.md").read_text("utf-8")
    for part in ("Gemma Terms of Use", "model output", "NORC", "must not be identified"):
        assert part in card


def test_it_was_trained_by_the_shipped_recipe() -> None:
    made = FinetuneRecipe.model_validate(
        yaml.safe_load((SHIPPED_ADAPTER / "recipe.yaml").read_text("utf-8"))
    )
    recipe, _ = load_finetune("embedded")
    for name in (
        "layout",
        "format",
        "answers",
        "option_order",
        "groups_per_question",
        "loss",
        "lora",
    ):
        assert getattr(made, name) == getattr(recipe, name), name
    assert made.optimizer == recipe.optimizer


def test_what_ships_stays_small() -> None:
    models = SHIPPED_NETWORK.parent.rglob("*")
    assert sum(f.stat().st_size for f in models if f.is_file()) < 25e6


@pytest.mark.slow
def test_the_parts_that_ship_were_trained_on_the_table_that_ships() -> None:
    table = OpinionTable.read(SHIPPED_TRAINING)
    network = json.loads((SHIPPED_NETWORK / "network.json").read_text("utf-8"))
    adapter = json.loads((SHIPPED_ADAPTER / "manifest.json").read_text("utf-8"))
    assert table.has_content(network["record"]["train_hash"])
    known = {s.key for s in load_groups("paper22", "total")}  # the adapter's: it knows no others
    of_adapter = [row in known for row in table.frame.select("attribute", "group").iter_rows()]
    theirs = OpinionTable(table.frame.filter(of_adapter), table.meta)
    assert theirs.has_content(adapter["fingerprint"]["table"])
    assert len(theirs) < len(table)


def test_the_training_table_may_be_passed_on() -> None:
    """Shares of groups of 20 people or more, with citation and terms; none of OpinionQA."""
    table = OpinionTable.read(SHIPPED_TRAINING)
    assert table.frame["n"].min() >= 20
    assert set(table.frame["family"]) == {"GSS", "ANES"}
    assert table.meta["redistribution"] == "group-level"
    assert "NORC" in table.meta["citation"]
    assert "must not be identified" in table.meta["terms"]
    card = (SHIPPED_TRAINING.parent / "README.md").read_text("utf-8")
    assert table.meta["citation"] in " ".join(card.split())
    assert table.content_hash in card


def asked(**options: Any) -> Resources:
    return Resources(PredictSettings(**options))


def test_prompts_come_with_the_adapter() -> None:
    assert PredictSettings() == PredictSettings(method="surveys")
    assert PredictSettings(method="zero-shot").adapter is None
    assert asked(adapter=SHIPPED).adapter == str(SHIPPED_ADAPTER)
    blend = asked(method="blend")
    assert blend.adapter == str(SHIPPED_ADAPTER)
    assert blend.prompting == Prompting(
        Layout.QUESTION_FIRST, Format.QA, Answers.WORDS, refusal=True, chat=False
    )
    assert PredictSettings(method="blend", model="another").adapter is None
    otherwise = asked(adapter=SHIPPED, format=Format.BIO, method="zero-shot")
    assert otherwise.untrained == ["format: bio; the adapter was trained with qa"]


def test_an_adapter_that_does_not_say(tmp_path: Path) -> None:
    assert Training.read(tmp_path) == Training()  # another trainer's
    (tmp_path / "recipe.yaml").write_text("layout: sideways\n")
    with pytest.raises(DataError, match="does not say how it was prompted"):
        Training.read(tmp_path)


def test_adapters_of_before_answer_by_letter(tmp_path: Path) -> None:
    recipe = {"layout": "paper", "format": "bio", "refusal": True, "chat": False}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    found = Training.read(tmp_path).prompting
    assert found is not None
    assert found.answers is Answers.LETTERS
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe | {"answers": "words"}))
    of_words = asked(method="zero-shot", adapter=str(tmp_path))
    assert of_words.prompting.answers is Answers.WORDS
    letters = asked(method="zero-shot", adapter=str(tmp_path), answers="letters")
    assert letters.untrained == ["answers: letters; the adapter was trained with words"]


def test_an_adapter_asked_as_it_was_trained_is_not_judged_by_its_label_mass() -> None:
    """It was trained on the shares among the options, whatever probability they have in all."""
    assert asked(method="zero-shot", adapter=SHIPPED).as_trained
    assert not asked(method="zero-shot", adapter=SHIPPED, answers=Answers.LETTERS).as_trained
    assert not asked(method="zero-shot").as_trained


def test_the_adapter_tells_the_questions_it_was_trained_on(tmp_path: Path) -> None:
    trained = OpinionTable.read(SHIPPED_TRAINING).questions()
    kept = asked(method="zero-shot", adapter=SHIPPED).trained_questions
    assert kept == digests(trained)
    assert asked_before(trained[:3], kept) == {"questions": 3, "asked_in_training_too": 3}
    recipe = {"layout": "paper", "format": "bio", "refusal": True, "chat": False}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert Training.read(tmp_path).asked == ""  # of before this was kept
    for damaged in ("", kept[:15], kept.replace(kept[0], "g", 1), "\xff"):
        (tmp_path / TRAINING_QUESTIONS).write_text(damaged, "latin-1")
        with pytest.raises(DataError, match="training questions cannot be read"):
            Training.read(tmp_path)


def test_another_base_model_is_told() -> None:
    """Weights of the same shape would take the adapter, and give other numbers without a word."""
    other = asked(method="zero-shot", adapter=SHIPPED, model="some/model")
    assert other.untrained == ["model: some/model; the adapter was trained on embedded"]
    assert asked(method="zero-shot", adapter=SHIPPED).untrained == []
    few_shot = asked(method="few-shot", adapter=SHIPPED).untrained
    assert few_shot == ["prompts of few-shot; the adapter was trained with those of zero-shot"]
