"""``--set``: where a change goes, what it leaves alone, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.errors import InputError
from opinioncast.reproduce.changes import Changes, changed
from opinioncast.reproduce.recipe import load_reproduction
from opinioncast.reproduce.setting import load_setting


def of_recipe(raw: Any, *texts: str) -> Any:
    return changed(raw, Changes.read(texts).recipe, "r")


def test_fields_within_fields_and_places_in_lists() -> None:
    raw = {"seeds": 1, "methods": [{"name": "a"}, {"name": "b"}], "paper": {"where": "T"}}
    found = of_recipe(
        raw, "seeds=5", "methods.1.name=c", "paper.shown=[x, y]", "trainings.w.subset=0.5"
    )
    assert found == {
        "seeds": 5,
        "methods": [{"name": "a"}, {"name": "c"}],
        "paper": {"where": "T", "shown": ["x", "y"]},
        "trainings": {"w": {"subset": 0.5}},
    }
    assert raw["seeds"] == 1  # what was read stays
    assert of_recipe(raw, "paper=null") == {"seeds": 1, "methods": raw["methods"]}
    assert of_recipe(raw, "title=a=b")["title"] == "a=b"


@pytest.mark.parametrize("text", ["seeds", "=5", "setting.=1", "a..b=1", "x={"])
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(InputError):
        Changes.read([text])


@pytest.mark.parametrize("text", ["methods.2.name=c", "methods.x=c", "seeds.more=1"])
def test_places_that_are_not_there(text: str) -> None:
    with pytest.raises(InputError, match="does not have"):
        of_recipe({"seeds": 1, "methods": [{}, {}]}, text)


def test_a_shipped_recipe_and_a_shipped_setting_are_changed() -> None:
    changes = Changes.read(["seeds=3", "setting.models.main.chat=true", "target=0.2"])
    recipe = load_reproduction("figure5", "embedded", changes.recipe)
    assert (recipe.seeds, recipe.target) == (3, 0.2)
    setting = load_setting("embedded", changes.setting)
    assert setting.models["main"].chat
    assert not load_setting("embedded").models["main"].chat
    with pytest.raises(InputError, match="do not fit"):
        load_reproduction("figure5", "embedded", Changes.read(["sedes=3"]).recipe)
    with pytest.raises(InputError, match="do not fit"):  # a map of questions trains nothing
        load_reproduction("figure7", "embedded", Changes.read(["seeds=3"]).recipe)
