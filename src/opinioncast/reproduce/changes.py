"""Changes of a recipe or setting from the command: ``seeds=5``, ``trainings.one_hot.subset=0.5``.

    --set FIELD=VALUE            a field of every recipe asked for
    --set setting.FIELD=VALUE    one of the setting (setting.models.main.chat=true)

A field within a field follows a dot, a place in a list is its number. Values are YAML; ``null``
takes a field away. What no recipe has is refused when the recipe is checked.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opinioncast.documents import parse_yaml
from opinioncast.errors import InputError

_SETTING = "setting"
Change = tuple[tuple[str, ...], Any]
"""Where, and what stands there now."""


@dataclass(frozen=True)
class Changes:
    """What a command changes.

    Attributes:
        recipe: of every recipe.
        setting: of the setting.
    """

    recipe: tuple[Change, ...] = ()
    setting: tuple[Change, ...] = ()

    @classmethod
    def read(cls, texts: Sequence[str]) -> Changes:
        """What ``--set`` says.

        Raises:
            InputError: no ``field=value``, or a value that is no YAML.
        """
        recipe: list[Change] = []
        setting: list[Change] = []
        for text in texts:
            name, equals, value = text.partition("=")
            path = tuple(name.strip().split("."))
            own = path[1:] if path[0] == _SETTING else path
            if not equals or not own or not all(own):
                raise InputError(
                    "A change of a recipe cannot be read",
                    where="--set",
                    expected="FIELD=VALUE, such as seeds=5 or setting.prompt.orders=reversed",
                    found=text,
                )
            found = parse_yaml(value, where=f"--set {name}", what="A value") if value else ""
            (setting if path[0] == _SETTING else recipe).append((own, found))
        return cls(tuple(recipe), tuple(setting))


def changed(raw: Any, changes: Sequence[Change], source: str) -> Any:
    """A recipe as read from its file, with ``changes``; what was read is not touched.

    Raises:
        InputError: a place that the recipe does not have.
    """
    whole = copy.deepcopy(raw)
    for path, value in changes:
        _put(whole, path, value, source)
    return whole


def _put(raw: Any, path: tuple[str, ...], value: Any, source: str) -> None:
    at = raw
    for depth, name in enumerate(path[:-1], start=1):
        at = _within(at, name, path[:depth], source)
    name = path[-1]
    if isinstance(at, list):
        at[_place(at, name, path, source)] = value
    elif isinstance(at, dict):
        if value is None:
            at.pop(name, None)
        else:
            at[name] = value
    else:
        raise _nowhere(path, source, type(at).__name__)


def _within(at: Any, name: str, path: tuple[str, ...], source: str) -> Any:
    if isinstance(at, list):
        return at[_place(at, name, path, source)]
    if isinstance(at, dict):
        found = at.setdefault(name, {})  # a field that is left out has a default to be changed
        if isinstance(found, Mapping | list):
            return found
    raise _nowhere(path, source, type(at).__name__)


def _place(at: list[Any], name: str, path: tuple[str, ...], source: str) -> int:
    if not name.isdecimal() or int(name) >= len(at):
        raise _nowhere(path, source, f"a list of {len(at)}, counted from 0")
    return int(name)


def _nowhere(path: tuple[str, ...], source: str, found: str) -> InputError:
    return InputError(
        "A change is of a place that the recipe does not have",
        where=f"{source}, --set {'.'.join(path)}",
        expected="a field, or a number in a list",
        found=found,
    )
