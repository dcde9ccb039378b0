"""Recipes: every one that ships loads and names what it lacks; wrong fields are named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from opinioncast.curate.group_recipe import load_group_recipe
from opinioncast.curate.pipeline import curate
from opinioncast.curate.recipe import (
    CurationRecipe,
    builtin_curations,
    load_curation,
    parse_curation,
)
from opinioncast.curate.sources import described, find_file
from opinioncast.errors import InputError

MINIMAL = {
    "name": "x",
    "citation": "Nobody.",
    "terms": "None.",
    "redistribution": "none",
    "waves": [{"family": "F", "wave": 1, "file": "f.sav", "groups": "gss"}],
}


def test_the_papers_datasets_and_the_shared_surveys_ship() -> None:
    expected = {"demo", "gss", "gss_2016", "gss_2018", "gss_trend", "anes_2012", "anes_2020"}
    expected |= {"subpop_train", "subpop_eval", "subpop_eval_2016", "subpop_eval_2018", "opinionqa"}
    assert expected <= set(builtin_curations())


@pytest.mark.parametrize("name", builtin_curations())
def test_a_shipped_recipe_names_every_missing_file(name: str, tmp_path: Path) -> None:
    recipe, beside = load_curation(name)
    for wave in recipe.waves:
        load_group_recipe(wave.groups)
        for names in (wave.selection, wave.review, wave.scales):
            assert names is None or find_file(names, [beside])
    for partial in (False, True):
        with pytest.raises(InputError, match=r"file\(s\)") as caught:
            curate(recipe, [tmp_path, beside], partial=partial)
        text = str(caught.value)
        for wave in recipe.waves:
            absent = [f for f in wave.files if find_file(f, [beside]) is None]
            assert wave.file in absent
            assert all(described(f) in text for f in absent)
        assert str(tmp_path) in text
        assert name in text


def test_waves_of_the_papers_training_and_evaluation_sets() -> None:
    train, _ = load_curation("subpop_train")
    numbers = [int(w.wave) for w in train.waves]
    assert len(set(numbers)) == 53
    assert min(numbers) >= 61
    assert max(numbers) <= 132
    evaluation, _ = load_curation("opinionqa")
    asked = {int(w.wave) for w in evaluation.waves}
    assert asked == {26, 29, 32, 34, 36, 41, 42, 43, 45, 49, 50, 54, 82, 92}
    assert not asked & set(numbers)
    assert train.waves[0].file == ("ATP W68.sav",)
    assert all(w.topic and w.weight == f"WEIGHT_W{w.wave}" for w in train.waves)
    assert train.redistribution == evaluation.redistribution == "none"


def test_defaults_name_the_wave_and_a_wave_overrides_them() -> None:
    recipe = parse_curation(
        MINIMAL
        | {
            "defaults": {"family": "F", "groups": "gss", "file": ["a{wave}.sav", "A{wave}.dta"]},
            "waves": [{"wave": 7}, {"wave": "8", "file": "other.sav"}],
        },
        "test",
    )
    assert [w.file for w in recipe.waves] == [("a7.sav", "A7.dta"), ("other.sav",)]


def test_every_wrong_field_is_named_at_once() -> None:
    raw = MINIMAL | {"min_n": 0, "colour": "red", "redistribution": "perhaps"}
    with pytest.raises(InputError, match=r"3 field\(s\)") as caught:
        parse_curation(raw, "mine.yaml")
    text = str(caught.value)
    assert "3 field(s)" in text
    assert "mine.yaml" in text
    assert all(word in text for word in ("min_n", "colour", "perhaps"))


def test_a_wave_listed_twice_is_refused() -> None:
    with pytest.raises(InputError, match="F 1"):
        parse_curation(MINIMAL | {"waves": MINIMAL["waves"] * 2}, "test")


def test_other_bootstrap_settings() -> None:
    recipe = CurationRecipe.model_validate(MINIMAL)
    assert recipe.with_bounds({"replicates": 5}).bounds.replicates == 5
    with pytest.raises(InputError, match="bootstrap"):
        recipe.with_bounds({"resample": "households"})


@pytest.mark.parametrize("text", ["[1, 2]", "a: b: c", ""])
def test_a_file_that_is_no_recipe(text: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"cannot be read|is not valid YAML"):
        load_curation(path)
    with pytest.raises(InputError, match="subpop_train"):
        load_curation("no_such_recipe")


def test_files_are_found_beside_and_one_folder_below(tmp_path: Path) -> None:
    (tmp_path / "W1_[x]").mkdir()
    (tmp_path / "W1_[x]" / "ATP W1.sav").touch()
    assert find_file("ATP W1.sav", [tmp_path]) == tmp_path / "W1_[x]" / "ATP W1.sav"
    (tmp_path / "other.sav").touch()
    assert find_file(("no.sav", "other.sav"), [tmp_path]) == tmp_path / "other.sav"
    assert find_file("no.sav", [tmp_path, tmp_path / "W1_[x]"]) is None
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "ATP W1.sav").touch()
    with pytest.raises(InputError, match="more than once"):
        find_file("ATP W1.sav", [tmp_path])
