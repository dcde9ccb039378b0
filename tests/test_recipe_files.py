"""Recipes by name and by path."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from opinioncast.errors import InputError
from opinioncast.recipe_files import builtin_names, locate_recipe, misfits


def test_names_are_those_of_the_files() -> None:
    names = builtin_names("curate", but=("_wording", "_selection"))
    assert {"demo", "training", "gss_2018"} <= set(names)
    assert "demo_wording" not in names
    for name in names:
        assert locate_recipe(name, "curate", names, "curation recipe").is_file()


def test_a_path_is_taken_as_it_is_and_another_name_refused() -> None:
    assert locate_recipe("mine.yaml", "curate", ["demo"], "recipe") == Path("mine.yaml")
    assert locate_recipe("demo.yml", "curate", ["demo"], "recipe") == Path("demo.yml")
    with pytest.raises(InputError, match="Unknown curation recipe") as caught:
        locate_recipe("dem", "curate", ["demo"], "curation recipe")
    assert caught.value.found == "dem"
    assert "demo" in str(caught.value.expected)


def test_every_misfit_is_named_with_what_stands_there() -> None:
    class Model(BaseModel, extra="forbid"):
        rank: int
        name: str

    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"rank": "many", "more": 1})
    found = misfits(caught.value)
    assert len(found) == 3
    assert any(f.startswith("rank: ") and "(found 'many')" in f for f in found)
    assert any(f.startswith("name: Field required") for f in found)
    assert any(f.startswith("more: Extra") for f in found)
