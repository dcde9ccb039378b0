"""Adapters from elsewhere: how they are read, which training each stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.errors import InputError, ModelError
from opinioncast.models import SHIPPED_ADAPTER
from opinioncast.reproduce.given import GivenAdapters, trainings_of
from opinioncast.reproduce.models import ADAPTER_FILES
from opinioncast.reproduce.recipe import load_reproduction
from opinioncast.reproduce.run import Request

MODELS = ["llama2_7b", "mistral_7b"]


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    made = [tmp_path / n for n in ("a", "b", "c")]
    for folder in made:
        folder.mkdir()
    return [str(f) for f in made]


def test_of_models_trainings_and_seeds(folders: list[str]) -> None:
    a, b, c = folders
    texts = [f"llama2_7b={a}", f"mistral_7b:one_hot={b}", f"llama2_7b={c}"]
    given = GivenAdapters.read(texts, MODELS)
    assert given.single is None
    assert given.named == {
        ("llama2_7b", "fine_tuned"): (Path(a), Path(c)),
        ("mistral_7b", "one_hot"): (Path(b),),
    }
    table1 = load_reproduction("table1", "paper")
    assert given.of(table1, "llama2_7b", "fine_tuned") == Path(a)
    assert given.of(table1, "mistral_7b", "fine_tuned") is None
    assert given.used(table1) == {"llama2_7b": (Path(a),)}  # of its one seed
    twice = table1.model_copy(update={"seeds": 2})
    assert given.of(twice, "llama2_7b", "fine_tuned", 1) == Path(c)
    assert given.used(twice) == {"llama2_7b": (Path(a), Path(c))}
    with pytest.raises(InputError, match="fewer adapters than seeds"):
        given.of(table1.model_copy(update={"seeds": 3}), "llama2_7b", "fine_tuned")


def test_one_without_a_model_serves_where_one_is_needed() -> None:
    given = GivenAdapters.read(["shipped"], MODELS)
    assert given.single == SHIPPED_ADAPTER
    embedded = load_reproduction("table1", "embedded")
    assert given.of(embedded, "main", "fine_tuned") == SHIPPED_ADAPTER
    assert given.used(load_reproduction("figure5", "embedded")) == {}


def test_what_is_refused(folders: list[str]) -> None:
    with pytest.raises(InputError, match="does not have"):
        GivenAdapters.read([f"gpt5={folders[0]}"], MODELS)
    with pytest.raises(InputError, match="without saying"):
        GivenAdapters.read(folders[:2], MODELS)
    with pytest.raises(ModelError, match="not there"):
        GivenAdapters.read(["llama2_7b=/nowhere"], MODELS)
    used = [f"llama2_7b:one_hot={SHIPPED_ADAPTER}"]
    request = Request(["table1"], setting="paper", adapters=used)
    with pytest.raises(InputError, match="used by none") as caught:
        request.check_adapters(*request.load())
    assert "llama2_7b:one_hot=FOLDER" in str(caught.value)


def test_one_adapter_is_not_two_seeds(folders: list[str]) -> None:
    """Its scatter would be nothing; and of one seed a second adapter is used by none."""
    for number, folder in enumerate(folders):
        for name in ADAPTER_FILES:
            (Path(folder) / name).write_text(str(number % 2), "utf-8")
    a, b, c = folders  # c is a copy of a

    def checked(*given: str, seeds: int) -> list[str]:
        texts = [f"llama2_7b={folder}" for folder in given]
        changes = [f"seeds={seeds}"]
        request = Request(["table1"], setting="paper", adapters=texts, changes=changes)
        return request.check_adapters(*request.load())

    assert checked(a, b, seeds=2) == []
    with pytest.raises(InputError, match="One adapter is given for two seeds"):
        checked(a, c, seeds=2)
    with pytest.raises(InputError, match="used by none"):
        checked(a, b, seeds=1)


def test_the_plan_leaves_out_what_is_given_and_the_run_says_so() -> None:
    texts = [f"{m}={SHIPPED_ADAPTER}" for m in ("llama2_7b", "llama3_70b")]
    request = Request(["table1"], setting="paper", adapters=texts, epochs=3, changes=["seeds=1"])
    trained = [s.name for s in request.plan().steps if s.kind == "train"]
    assert trained == ["llama2_13b-fine_tuned", "mistral_7b-fine_tuned"]
    (recipe,), setting = request.load()
    assert request.check_adapters([recipe], setting) == []
    assert request.options(recipe) == [
        "--setting paper",
        "--adapter llama2_7b=FOLDER",
        "--adapter llama3_70b=FOLDER",
        "--set seeds=1",
        "--epochs 3",  # two are trained still
    ]
    assert "fine-tuned adapter given for llama2_7b: " in request.limits(recipe, setting)
    assert "set: seeds=1" in request.limits(recipe, setting)


def test_every_training_of_a_recipe_is_named() -> None:
    assert trainings_of(load_reproduction("table5", "paper")) == [
        ("llama2_7b", t) for t in ("one_hot", "augment_50", "augment_100", "fine_tuned")
    ]
    assert ("main", "fine_tuned") in trainings_of(load_reproduction("figure9", "embedded"))
    assert trainings_of(load_reproduction("figure7", "embedded")) == []
