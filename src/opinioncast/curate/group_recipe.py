"""Group recipes: which answers put a respondent in which group.

A recipe is a YAML file. Per attribute it names a variable and, per group, the codes, value labels,
or range that make its members; conditions combine with ``all``, ``any`` and ``none``::

    name: my survey
    attributes:
      SEX:
        variable: gender
        groups: {Male: [1], Female: [2]}          # codes of `gender`
      AGE:
        variable: [F_AGECAT, F_AGECAT_FINAL]      # the first that is in the file and fits
        groups: {18-29: [18-29], 65+: ["65*"]}    # value labels; * stands for any ending
      RACE:
        note: non-Hispanic except Hispanic
        groups:
          Hispanic: {variable: hispanic, min: 2, max: 50}
          White: {all: [{variable: race, codes: [1]}, {variable: hispanic, codes: [1]}]}

Other fields of an attribute: ``alternatives`` (a list of such entries: the one that forms most
groups in the file is used), ``absent`` (group: why the survey cannot tell), ``overlapping``
(groups that may share respondents).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from opinioncast.documents import parse_yaml, read_document
from opinioncast.errors import InputError
from opinioncast.recipe_files import builtin_names


@dataclass(frozen=True, slots=True)
class Codes:
    """Holds where ``variable`` has one of ``codes``."""

    variable: str
    codes: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Labels:
    """Holds where the value label of ``variable`` is one of ``labels``.

    Case, numbering ("1. Male") and the kind of dash or quote do not count; ``*`` at the end stands
    for any ending. One label has to be in the file: the others may be how other waves say it.
    """

    variable: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """Holds where ``low <= variable <= high``; codes that stand for a missing answer never count.

    Of a text variable, numbers and bands are read (:func:`opinioncast.curate.bands.read_band`); a
    band counts only if it lies wholly inside.
    """

    variable: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Combined:
    """``how`` is ``all``, ``any`` or ``none`` of ``parts``.

    A respondent without an answer fulfils no condition, hence every ``none`` that stands beside
    conditions of another kind in an ``all``. Where nothing but ``none`` makes a group, its members
    have answered every variable it names: who refused to tell their race is not "not white".
    """

    how: str
    parts: tuple[Condition, ...]


Condition = Codes | Labels | Interval | Combined


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to tell an attribute's groups: group name -> condition."""

    groups: Mapping[str, Condition]
    note: str = ""

    @property
    def variables(self) -> set[str]:
        return {v for condition in self.groups.values() for v in _variables(condition)}


@dataclass(frozen=True, slots=True)
class AttributeRecipe:
    """How one attribute's groups are told, in order of preference.

    Attributes:
        name: attribute key (``CREGION``).
        alternatives: ways to tell the groups; see :func:`opinioncast.curate.groups.group_masks`.
        absent: groups the survey cannot tell, with the reason.
        overlapping: groups that may share respondents (GSS "none": atheists and all the others).
        note: what a reader of the results must know.
    """

    name: str
    alternatives: tuple[Alternative, ...]
    absent: Mapping[str, str] = field(default_factory=dict)
    overlapping: frozenset[str] = frozenset()
    note: str = ""

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(g for a in self.alternatives for g in a.groups))


@dataclass(frozen=True)
class GroupRecipe:
    """The attributes of one survey (or survey family) and where they stand in its files."""

    name: str
    attributes: Mapping[str, AttributeRecipe]
    source: str

    @property
    def variables(self) -> set[str]:
        """Every variable that any alternative names."""
        return {
            v for a in self.attributes.values() for way in a.alternatives for v in way.variables
        }

    def columns(self, available: Iterable[str]) -> list[str]:
        """Those of a file's columns that this recipe uses, so that only they are read."""
        wanted = {v.casefold() for v in self.variables}
        return [c for c in available if c.casefold() in wanted]


def builtin_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return builtin_names("groups")


def load_group_recipe(name_or_path: str | Path) -> GroupRecipe:
    """Read a recipe that comes with the package, or a user's own YAML file.

    Raises:
        InputError: no such recipe or file, invalid YAML, a field that is not known, a condition
            that cannot be read.
    """
    name = str(name_or_path)
    if name in builtin_recipes():
        file = resources.files("opinioncast.recipes") / "groups" / f"{name}.yaml"
        source = f"group recipe {name}"
        text = file.read_text(encoding="utf-8")
        return _parse(parse_yaml(text, where=source, what="A group recipe"), source, name)
    path = Path(name)
    if path.suffix not in {".yaml", ".yml", ".json"}:
        raise InputError(
            "Unknown group recipe",
            expected=f"one of {', '.join(builtin_recipes())}, or the path of a .yaml file",
            found=name,
        )
    return _parse(read_document(path, "A group recipe"), name, path.stem)


def _parse(raw: Any, source: str, stem: str) -> GroupRecipe:
    entry = _mapping(raw, {"name", "note", "attributes"}, source)
    attributes = entry.get("attributes")
    if attributes != {}:  # none at all is said by {}: the total alone
        attributes = _mapping(attributes, None, f"{source}, attributes")
    return GroupRecipe(
        name=str(entry.get("name", stem)),
        attributes={
            str(name): _attribute(str(name), value, f"{source}, attribute {name}")
            for name, value in attributes.items()
        },
        source=source,
    )


_WAY = {"variable", "groups", "note"}


def _attribute(name: str, raw: Any, where: str) -> AttributeRecipe:
    entry = _mapping(raw, _WAY | {"alternatives", "absent", "overlapping"}, where)
    if ("groups" in entry) == ("alternatives" in entry):
        raise InputError(
            "An attribute says how its groups are told either twice or not at all",
            where=where,
            expected="`groups`, or a list of `alternatives` that each have `groups`",
            found=", ".join(map(str, entry)),
        )
    if "alternatives" in entry:
        if "variable" in entry or not isinstance(entry["alternatives"], list):
            raise InputError(
                "`alternatives` cannot be read",
                where=where,
                expected="a list of entries, each with its own `variable` and `groups`",
                found=entry,
            )
        ways = [
            way
            for i, each in enumerate(entry["alternatives"], start=1)
            for way in _ways(
                _mapping(each, _WAY, f"{where}, alternative {i}"), f"{where}, alternative {i}"
            )
        ]
    else:
        ways = list(_ways({k: entry[k] for k in _WAY - {"note"} if k in entry}, where))
    found = AttributeRecipe(
        name=name,
        alternatives=tuple(ways),
        absent={str(g): str(why) for g, why in (entry.get("absent") or {}).items()},
        overlapping=frozenset(map(str, entry.get("overlapping") or ())),
        note=" ".join(str(entry.get("note", "")).split()),
    )
    strange = (found.overlapping - set(found.groups)) | (set(found.absent) & set(found.groups))
    if strange:
        raise InputError(
            "`overlapping` names a group that is not told, or `absent` one that is",
            where=where,
            expected="; ".join(found.groups),
            found="; ".join(sorted(strange)),
        )
    return found


def _ways(entry: Mapping[str, Any], where: str) -> Iterator[Alternative]:
    """One alternative per variable where several are named."""
    groups = _mapping(entry.get("groups"), None, f"{where}, groups")
    variables = entry.get("variable")
    for variable in variables if isinstance(variables, list) else [variables]:
        yield Alternative(
            groups={
                str(g): _condition(c, variable, f"{where}, group {g}") for g, c in groups.items()
            },
            note=" ".join(str(entry.get("note", "")).split()),
        )


_LEAF = {"variable", "codes", "labels", "min", "max"}
_COMBINED = ("all", "any", "none")


def _condition(raw: Any, default: str | None, where: str) -> Condition:
    if isinstance(raw, list):
        key = "labels" if all(isinstance(v, str) for v in raw) else "codes"
        raw = {key: raw}
    entry = _mapping(raw, _LEAF | set(_COMBINED), where)
    combined = [k for k in _COMBINED if k in entry]
    if combined:
        parts = entry[combined[0]]
        if len(entry) > 1 or not isinstance(parts, list) or not parts:
            raise InputError(
                "A combined condition cannot be read",
                where=where,
                expected="one of all, any, none, with a list of conditions and nothing beside it",
                found=entry,
            )
        return Combined(combined[0], tuple(_condition(p, default, where) for p in parts))
    variable = entry.get("variable", default)
    if not variable or not isinstance(variable, str):
        raise InputError(
            "A condition names no variable",
            where=where,
            expected="`variable` in the condition, or one for the whole attribute",
            found=entry,
        )
    kinds = [k for k in ("codes", "labels") if k in entry]
    ranged = "min" in entry or "max" in entry
    if len(kinds) + ranged != 1:
        raise InputError(
            "A condition says not exactly one thing",
            where=where,
            expected="`codes`, `labels`, or `min` and/or `max`",
            found=entry,
        )
    if ranged:
        low, high = (
            _numbers([entry.get(k, d)], where)[0]
            for k, d in (("min", -float("inf")), ("max", float("inf")))
        )
        if low > high:
            raise InputError(
                "A range is empty", where=where, expected="min not above max", found=entry
            )
        return Interval(variable, low, high)
    values = entry[kinds[0]]
    if not isinstance(values, list) or not values:
        raise InputError(
            f"`{kinds[0]}` is not a list", where=where, expected="a list of values", found=values
        )
    if kinds[0] == "labels":
        return Labels(variable, tuple(str(v) for v in values))
    return Codes(variable, _numbers(values, where))


def _numbers(values: list[Any], where: str) -> tuple[float, ...]:
    wrong = [v for v in values if isinstance(v, bool) or not isinstance(v, int | float)]
    if wrong:
        raise InputError(
            "A code is not a number",
            where=where,
            expected="numbers (codes), or texts only (value labels; quote yes, no, on and off)",
            found=wrong[0],
        )
    return tuple(float(v) for v in values)


def _mapping(raw: Any, known: set[str] | None, where: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping) or not raw:
        raise InputError(
            "A part of a group recipe cannot be read",
            where=where,
            expected=f"a mapping with {', '.join(sorted(known))}" if known else "a mapping",
            found=raw,
        )
    strange = [str(k) for k in raw if known is not None and k not in known]
    if strange:
        raise InputError(
            "A group recipe has a field that is not known",
            where=where,
            expected=", ".join(sorted(known or ())),
            found=", ".join(strange),
        )
    return raw


def _variables(condition: Condition) -> Iterator[str]:
    if isinstance(condition, Combined):
        for part in condition.parts:
            yield from _variables(part)
    else:
        yield condition.variable
