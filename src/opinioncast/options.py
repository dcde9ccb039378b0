"""Options: fields of settings classes that say what they are for, checked where they are made.

A settings class is a frozen dataclass whose fields are made by :func:`option`. From that one
declaration come the options of the command line, the checks in Python and in YAML, and the docs.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from opinioncast.errors import InputError

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Option:
    """One setting.

    Attributes:
        name: of the field; with dashes, of the option on the command line.
        type: as annotated.
        help: one line.
        flags: how it is typed on the command line; none: from its name.
        metavar: what stands for its value in the help.
    """

    name: str
    type: Any
    help: str
    flags: tuple[str, ...] = ()
    metavar: str | None = None

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return self.flags[0] if self.flags else "--" + self.name.replace("_", "-")


def option(
    default: Any, help: str, *, flags: tuple[str, ...] = (), metavar: str | None = None
) -> Any:
    """A field of a settings class; see :class:`Option`. With ``...`` it must be given."""
    metadata = {"help": help, "flags": flags, "metavar": metavar}
    if default is ...:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


_known: dict[type, Mapping[str, Option]] = {}


def options_of(settings: type) -> Mapping[str, Option]:
    """The options of a settings class by name: its fields made by :func:`option`."""
    if settings not in _known:
        _known[settings] = _read(settings)
    return _known[settings]


def _read(settings: Any) -> Mapping[str, Option]:
    hints = typing.get_type_hints(settings)
    return {
        f.name: Option(
            f.name, hints[f.name], f.metadata["help"], f.metadata["flags"], f.metadata["metavar"]
        )
        for f in fields(settings)
        if "help" in f.metadata
    }


def check_types(settings: Any) -> None:
    """Give every option of ``settings`` its annotated type, or raise; for ``__post_init__``.

    Text becomes what it stands for (a path, a number, one of a list of words), a list a tuple.

    Raises:
        InputError: a value that the option cannot have, with the values it can.
    """
    for name, known in options_of(type(settings)).items():
        value = getattr(settings, name)
        try:
            object.__setattr__(settings, name, _adapter(known.type).validate_python(value))
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(
                f"A setting of {said(type(settings))} cannot be used",
                where=known.flag,
                expected=first["msg"].removeprefix("Value error, "),
                found=value,
            ) from None


def said(settings: type) -> str:
    """A settings class in words: what its name says before "Settings"."""
    name = settings.__name__.removesuffix("Settings")
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip() or name


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except Exception:  # a class that sets its own configuration takes none beside it
        return TypeAdapter(hint)


def made(settings: type[S], given: Mapping[str, Any]) -> S:
    """Settings of what was given by name.

    Raises:
        InputError: a name that is no option, one that is needed and missing, or a value that does
            not fit.
    """
    known = options_of(settings)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise unknown_option(unknown, known, said(settings))
    needed = [
        f.name
        for f in fields(settings)  # type: ignore[arg-type]
        if f.name in known
        and f.name not in given
        and f.default is MISSING
        and f.default_factory is MISSING
    ]
    if needed:
        raise InputError(
            f"A setting of {said(settings)} is missing",
            expected=", ".join(known[name].flag for name in needed),
            found=", ".join(given) or "none",
        )
    return settings(**given)


def unknown_option(names: Iterable[str], known: Iterable[str], of: str) -> InputError:
    """The error of options that nobody has."""
    listed, there = list(names), sorted(known)
    near = [m for n in listed for m in difflib.get_close_matches(n, there, 1)]
    return InputError(
        f"A setting of {of} is not known",
        expected=", ".join(there) or "none",
        found=", ".join(listed),
        hint=f"did you mean {' and '.join(near)}?" if near else None,
    )
