"""The groups that a recipe asks for: the package's, a group file's, and those of the user's own.

What a group recipe tells is known by the names it gives: any attribute, any bands of income.
``own`` asks for all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from opinioncast.curate.group_recipe import AttributeRecipe, GroupRecipe, builtin_recipes
from opinioncast.curate.sources import find_file
from opinioncast.errors import InputError
from opinioncast.survey.groups import (
    Attribute,
    GroupScheme,
    Subpopulation,
    load_groups,
    standard_attributes,
)

OWN = "own"
"""Every group that the wave's group recipe tells."""


def asked_groups(
    names: Sequence[str],
    told: GroupRecipe,
    others: Sequence[GroupRecipe],
    folders: Sequence[Path],
) -> tuple[tuple[Subpopulation, ...], tuple[str, ...]]:
    """The subpopulations asked for, and notes on what the group recipe tells and nobody asked for.

    Args:
        names: group schemes, group files (looked for in ``folders``), expressions
            (``TENURE=Own & SEX=Female``), or ``own``.
        told: the group recipe of the wave.
        others: those of all waves, whose attributes and groups expressions may name.

    Raises:
        InputError: a scheme, file, attribute or group that is not known.
    """
    attributes = dict(standard_attributes())
    parts: list[str | Sequence[Subpopulation]] = []
    for name in names:
        if name.casefold() == OWN:
            parts.append(_all_of(told))
        elif name.endswith((".yaml", ".yml", ".json")):
            scheme = load_groups(find_file(name, folders) or name)
            attributes |= scheme.attributes
            parts.append(scheme.subpopulations)
        elif "=" in name:
            parts.append(name)
        else:
            parts.append(load_groups(name).subpopulations)
    for name, attribute in [*told.attributes.items(), *_attributes(others)]:
        groups = (*attribute.groups, *attribute.absent)
        attributes[name] = _with_groups(name, attributes.get(name), groups)
    scheme = GroupScheme("groups", attributes, (), f"`groups` of the recipe, and {told.source}")
    chosen: list[Subpopulation] = []
    for part in parts:  # expressions last, so that they may use any file's attributes
        chosen.extend([scheme.parse(part)] if isinstance(part, str) else part)
    subpopulations = tuple(dict.fromkeys(chosen))
    asked = {name for s in subpopulations for name, _ in s.conditions}
    notes = [
        f"{name} is told by {told.source}, but the recipe's `groups` asks for none of its groups "
        f'(add "{name}={attribute.groups[0]}", ..., or {OWN} for all)'
        for name, attribute in told.attributes.items()
        if name not in asked and attribute.groups and told.name not in builtin_recipes()
    ]
    return subpopulations, tuple(notes)


def _attributes(recipes: Sequence[GroupRecipe]) -> list[tuple[str, AttributeRecipe]]:
    return [pair for recipe in recipes for pair in recipe.attributes.items()]


def _all_of(told: GroupRecipe) -> list[Subpopulation]:
    return [
        Subpopulation(((name, group),))
        for name, attribute in told.attributes.items()
        for group in attribute.groups
    ]


def _with_groups(name: str, known: Attribute | None, groups: Sequence[str]) -> Attribute:
    """An attribute with the names of a group recipe first: a table has them as written there."""
    reserved = [g for g in (name, *groups) if "&" in g]
    if reserved or "=" in name:
        raise InputError(
            "A name of an attribute or group cannot be used",
            where="group recipe",
            expected="names without & (it joins intersections) and, for attributes, without =",
            found="; ".join(reserved or [name]),
            hint='write "and"',
        )
    if known is None:
        return Attribute(name, name, "", tuple(groups), "", "")
    return replace(known, groups=tuple(dict.fromkeys([*groups, *known.groups])))
