"""Recipes as data: what is accepted, what is refused, and that the shipped ones are complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from opinioncast.curate.group_recipe import (
    Codes,
    Combined,
    Interval,
    Labels,
    builtin_recipes,
    load_group_recipe,
)
from opinioncast.errors import InputError
from opinioncast.survey.groups import load_groups, standard_attributes


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, "utf-8")
    return path


def test_conditions_are_read_in_all_their_forms(tmp_path: Path) -> None:
    recipe = load_group_recipe(
        write(
            tmp_path,
            """
            attributes:
              SEX: {variable: [sex, gender], groups: {Male: [1], Female: [Woman, "fem*"]}}
              AGE: {variable: age, groups: {65+: {min: 65}}}
              PET:
                groups:
                  Dog:
                    all: [{variable: pet, codes: [1, 2]}, {none: [{variable: cat, codes: [1]}]}]
            """,
        )
    )
    first, second = recipe.attributes["SEX"].alternatives
    assert first.groups == {
        "Male": Codes("sex", (1.0,)),
        "Female": Labels("sex", ("Woman", "fem*")),
    }
    assert second.groups["Male"] == Codes("gender", (1.0,))
    assert recipe.attributes["AGE"].alternatives[0].groups["65+"] == Interval(
        "age", 65.0, float("inf")
    )
    dog = recipe.attributes["PET"].alternatives[0].groups["Dog"]
    assert isinstance(dog, Combined)
    assert dog.how == "all"
    assert recipe.variables == {"sex", "gender", "age", "pet", "cat"}
    assert recipe.columns(["SEX", "id", "age", "weight"]) == ["SEX", "age"]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("attributes: [", "not valid YAML"),
        ("groups: {}", "cannot be read|not known"),
        ("attributes: {SEX: {variable: s, gruops: {Male: [1]}}}", "not known"),
        ("attributes: {SEX: {groups: {Male: [1]}}}", "names no variable"),
        ("attributes: {SEX: {variable: s}}", "either twice or not at all"),
        ("attributes: {SEX: {variable: s, groups: {Male: [1, man]}}}", "not a number"),
        ("attributes: {SEX: {variable: s, groups: {Male: [true]}}}", "not a number"),
        ("attributes: {SEX: {variable: s, groups: {Male: {codes: [1], min: 2}}}}", "exactly one"),
        ("attributes: {AGE: {variable: s, groups: {Old: {min: 9, max: 2}}}}", "range is empty"),
        ("attributes: {SEX: {variable: s, groups: {Male: {codes: 1}}}}", "not a list"),
        ("attributes: {SEX: {variable: s, groups: {Male: {code: [1]}}}}", "not known"),
        ("attributes: {SEX: {variable: s, groups: {Male: {all: []}}}}", "combined condition"),
        (
            "attributes: {SEX: {variable: s, groups: {M: [1]}, overlapping: [M, F]}}",
            "not told",
        ),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, title: str) -> None:
    with pytest.raises(InputError, match=title) as error:
        load_group_recipe(write(tmp_path, text))
    assert "mine.yaml" in str(error.value)


def test_unknown_recipe_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Unknown group recipe") as error:
        load_group_recipe("gallup")
    assert "anes_2020" in str(error.value)
    with pytest.raises(InputError, match="cannot be read"):
        load_group_recipe(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", builtin_recipes())
def test_shipped_recipes_use_the_standard_names(name: str) -> None:
    standard = standard_attributes()
    for attribute in load_group_recipe(name).attributes.values():
        known = set(standard[attribute.name].groups)
        assert set(attribute.groups) | set(attribute.absent) <= known
        if name not in ("gss_subpop", "gss_years"):  # they have the paper's 22 groups only
            assert set(attribute.groups) | set(attribute.absent) == known


@pytest.mark.parametrize("name", ["gss", "gss_subpop", "atp"])
def test_the_papers_groups_are_all_told(name: str) -> None:
    recipe = load_group_recipe(name)
    for subpopulation in load_groups("paper22"):
        ((attribute, group),) = subpopulation.conditions
        assert group in recipe.attributes[attribute].groups
