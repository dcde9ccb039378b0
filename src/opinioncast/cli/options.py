"""The options of commands that predict, from the declarations of methods and backends."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from opinioncast.backends.declaration import backend_kinds
from opinioncast.methods.declaration import method_kinds
from opinioncast.options import Option
from opinioncast.predictor.settings import all_options

_TYPED = (str, int, float, bool, Path)
F = TypeVar("F", bound=Callable[..., None])


_BUT = "_own_options"


def takes_predict_options(*, but: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Mark a command: :func:`with_predict_options` gives it the options when it is run.

    Args:
        but: names of settings that the command has options of its own for.
    """

    def mark(command: F) -> F:
        setattr(command, _BUT, but)
        return command

    return mark


def with_predict_options(command: Callable[..., None]) -> Callable[..., None]:
    """A marked ``command`` with an option for everything that :class:`PredictSettings` takes, by
    what is declared at this moment; another command as it is.

    Its parameter ``given`` gets what was typed, by name; what was not is left out.
    """
    but = getattr(command, _BUT, None)
    if but is None:
        return command
    own = inspect.signature(command).parameters
    kept = [p for p in own.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    added = {name: hint for name, hint in _options().items() if name not in but}

    def typed(**values: Any) -> None:
        given = {name: _value(values.pop(name)) for name in added}
        command(**values, given={n: v for n, v in given.items() if v is not None})

    named = [p for p in kept if p.name != "given"]
    hints = typing.get_type_hints(command, include_extras=True)
    parameters = [p.replace(annotation=hints[p.name]) for p in named] + [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
        for name, hint in added.items()
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    typed.__annotations__ = {p.name: p.annotation for p in parameters}
    typed.__doc__ = command.__doc__
    typed.__name__ = command.__name__
    return typed


def _options() -> dict[str, Any]:
    """Annotated types by name: of every run, then of the methods, then of the backends."""
    methods = ", ".join(kind.name for kind in method_kinds())
    backends = ", ".join(kind.name for kind in backend_kinds())
    found: dict[str, Any] = {
        "method": _annotated(
            str,
            f"One of {methods}. Left out: the blend of what ships, or zero-shot where --model, "
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


def _value(typed: Any) -> Any:
    """What was typed; None where nothing was."""
    return None if typed is None or typed == [] else typed
