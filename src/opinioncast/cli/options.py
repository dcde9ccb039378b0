"""The options of commands that predict, from the declarations of methods and backends."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from opinioncast.backends.declaration import backend_kinds
from opinioncast.methods.declaration import method_kinds
from opinioncast.options import Option
from opinioncast.predictor.settings import all_options

_TYPED = (str, int, float, bool, Path)
_BUNDLES = "_option_bundles"
F = TypeVar("F", bound=Callable[..., None])


@dataclass(frozen=True)
class Bundle:
    """Options that several commands take alike, declared once.

    Attributes:
        into: the command's parameter that stands where they are listed and gets their value.
        parameters: the options, each annotated for typer; looked up when a command is run.
        value: what the command gets of what was typed, by name.
    """

    into: str
    parameters: Callable[[], Sequence[inspect.Parameter]]
    value: Callable[[dict[str, Any]], Any]


def takes(*bundles: Bundle) -> Callable[[F], F]:
    """Mark a command: :func:`with_bundles` gives it the options when it is run."""

    def mark(command: F) -> F:
        setattr(command, _BUNDLES, bundles)
        return command

    return mark


def with_bundles(command: Callable[..., None]) -> Callable[..., None]:
    """A marked ``command`` with the options of its bundles; another command as it is."""
    bundles: tuple[Bundle, ...] = getattr(command, _BUNDLES, ())
    if not bundles:
        return command
    added = {bundle.into: tuple(bundle.parameters()) for bundle in bundles}
    hints = typing.get_type_hints(command, include_extras=True)
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, own in inspect.signature(command).parameters.items()
        for parameter in added.get(name, [own.replace(annotation=hints[name])])
    ]

    def typed(**values: Any) -> None:
        for bundle in bundles:
            given = {one.name: values.pop(one.name) for one in added[bundle.into]}
            values[bundle.into] = bundle.value(given)
        command(**values)

    typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    typed.__annotations__ = {p.name: p.annotation for p in parameters}
    typed.__doc__ = command.__doc__
    typed.__name__ = command.__name__
    return typed


def predict_options(*, but: tuple[str, ...] = ()) -> Bundle:
    """Everything that :class:`PredictSettings` takes, by what is declared when a command is run;
    the parameter ``given`` gets what was typed, by name; what was not is left out.

    Args:
        but: names of settings that the command has options of its own for.
    """

    def parameters() -> list[inspect.Parameter]:
        return [
            option_parameter(name, hint) for name, hint in _options().items() if name not in but
        ]

    def value(typed: dict[str, Any]) -> dict[str, Any]:
        return {name: given for name, given in typed.items() if given is not None and given != []}

    return Bundle("given", parameters, value)


def option_parameter(name: str, hint: Any, default: Any = None) -> inspect.Parameter:
    """One option of a bundle."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _options() -> dict[str, Any]:
    """Annotated types by name: of every run, then of the methods, then of the backends."""
    methods = ", ".join(kind.name for kind in method_kinds())
    backends = ", ".join(kind.name for kind in backend_kinds())
    found: dict[str, Any] = {
        "method": _annotated(
            str,
            f"One of {methods}. Left out: surveys, or zero-shot where --model, "
            "--adapter or --backend names a language model.",
            "--method",
        ),
        "model": _annotated(
            str,
            "Language model: embedded, a folder, a hub name, or api:MODEL@URL, torch:FOLDER, "
            "vllm:MODEL.",
            "--model",
            "-m",
        ),
        "backend": _annotated(
            str, f"Where the language model runs: {backends} (default: torch).", "--backend"
        ),
        "use_cache": _annotated(
            bool, "Reuse and keep finished prompts (default: yes).", "--cache/--no-cache"
        ),
    }
    return found | {name: _hint(known) for name, known in all_options().items()}


def _annotated(hint: Any, help: str, *flags: str) -> Any:
    return Annotated[hint | None, typer.Option(*flags, help=help)]


def _hint(known: Option) -> Any:
    """What typer takes of an option's type; the settings class checks the value anyway."""
    hint = _without_none(known.type)
    flags = known.flags or (known.flag,)
    if hint is bool:
        flags = (f"{known.flag}/--no-{known.flag.removeprefix('--')}",)
    if typing.get_origin(hint) is tuple:
        return Annotated[list[str] | None, typer.Option(*flags, help=known.help)]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return Annotated[hint | None, typer.Option(*flags, help=known.help)]
    shown = hint if hint in _TYPED else str  # shares of a blend, words of a list
    return Annotated[shown | None, typer.Option(*flags, help=known.help, metavar=known.metavar)]


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [part for part in typing.get_args(hint) if part is not type(None)]
        return rest[0] if len(rest) == 1 else str
    return str if typing.get_origin(hint) is Literal else hint
