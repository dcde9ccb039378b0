"""What is predicted with: a method, its settings, and where its language model runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from opinioncast.backends.catalogue import CATALOGUE, EMBEDDED
from opinioncast.backends.declaration import BackendKind, backend_kind, backend_kinds, kind_of
from opinioncast.backends.reference import ModelReference
from opinioncast.errors import InputError
from opinioncast.methods.declaration import MethodKind, method_kind, method_kinds, with_option
from opinioncast.options import Option, made, options_of, unknown_option
from opinioncast.prompts import AskedPrompting

DEFAULT_METHOD = "surveys"
"""As near as the best of what ships, in seconds: see the search in docs/finetuning.md."""

WITH_MODEL = "zero-shot"
"""The method where none is named and a language model is."""


@dataclass(frozen=True, init=False)
class PredictSettings:
    """How to predict: plain data, checked when it is made, the same in Python, in YAML and on the
    command line. It can be sent to another process.

    >>> from opinioncast import PredictSettings
    >>> PredictSettings(method="nearest", neighbours=10).of_method.neighbours
    10
    >>> PredictSettings(model="api:m@https://host/v1", chat=True, concurrency=8).method
    'zero-shot'
    >>> PredictSettings(method="uniform", model="some/model")
    Traceback (most recent call last):
    opinioncast.errors.InputError: The method uniform uses no language model
    ...

    Args:
        method: name of a method (:func:`opinioncast.methods.declaration.method_kinds`), or the
            settings of one. None: surveys, or zero-shot where a model, an adapter or a backend
            is named.
        model: language model: ``embedded``, a folder, a hub name, or ``api:MODEL@URL``,
            ``torch:FOLDER``, ``vllm:MODEL``.
        backend: where models run that do not say: the name of a backend or its settings.
        use_cache: reuse and keep finished rows; None: yes.
        options: settings of the method and of the backends that the run uses, by name. One that
            nothing of the run would use is refused.

    Attributes:
        method: name of the method.
        of_method: its settings.
        model: the language model; None where the method puts prompts to none.
        backends: settings of the backends that the run uses; that of the model first.

    Raises:
        InputError: an unknown method, backend or setting, a value that cannot be, a setting that
            nothing would use.
    """

    of_method: Any
    model: ModelReference | None
    backends: tuple[Any, ...]
    use_cache: bool

    def __init__(
        self,
        method: Any = None,
        *,
        model: str | ModelReference | None = None,
        backend: Any = None,
        use_cache: bool | None = None,
        **options: Any,
    ) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        if method is None:
            named = model is not None or backend is not None or "adapter" in given
            method = WITH_MODEL if named else DEFAULT_METHOD
        kind = method_kind(method) if isinstance(method, str) else _kind_of(method)
        own = {name for name in given if name in kind.options}
        if not isinstance(method, str) and own:
            raise InputError(
                "A setting stands beside the settings of its method",
                expected=f"{', '.join(sorted(own))} in {type(method).__name__}",
                found=f"{type(method).__name__}(...) and {', '.join(sorted(own))}",
            )
        rest = {name: value for name, value in given.items() if name not in own}
        if not kind.language_model:
            _refuse_model(kind, model, backend, use_cache, rest)
        nobodys = [n for n in rest if not any(n in k.options for k in backend_kinds())]
        if nobodys:
            raise _ignored(kind, (), nobodys)
        of_method = (
            made(kind.settings, {name: given[name] for name in own})
            if isinstance(method, str)
            else method
        )
        set_ = object.__setattr__
        set_(self, "of_method", of_method)
        set_(self, "use_cache", use_cache is not False)
        if not kind.language_model:
            set_(self, "model", None)
            set_(self, "backends", ())
            return
        reference = model if isinstance(model, ModelReference) else None
        reference = reference or ModelReference.read(EMBEDDED if model is None else str(model))
        if reference.model in CATALOGUE and CATALOGUE[reference.model].use == "sentence model":
            raise InputError(
                "A sentence model writes nothing",
                where="--model",
                expected="a language model",
                found=str(reference),
                hint="--sentence-model takes it",
            )
        set_(self, "model", reference)
        set_(self, "backends", _backends(kind, of_method, reference, backend, rest))

    @property
    def kind(self) -> MethodKind:
        """The declaration of the method."""
        return _kind_of(self.of_method)

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.kind.name

    @property
    def backend(self) -> Any:
        """Settings of the backend that runs the language model; None where there is none."""
        return self.backends[0] if self.backends else None

    @property
    def adapter(self) -> str | None:
        """The adapter on the language model: ``shipped``, a folder, or None."""
        named: str | None = getattr(self.backend, "adapter", None)
        if named is None and self.model is not None and self.model.model == EMBEDDED:
            return self.kind.own_adapter if kind_of(self.backend).name != "api" else None
        return named

    @property
    def references(self) -> dict[str, ModelReference]:
        """The models beside the one that answers, by the name they were given."""
        return {name: ModelReference.read(name) for name in self.kind.parts(self.of_method)}

    def of_backend(self, kind: str) -> Any:
        """Settings of the backend called ``kind``; None where the run does not use it."""
        return next((s for s in self.backends if kind_of(s).name == kind), None)

    def record(self) -> dict[str, Any]:
        """These settings in words that JSON takes, for a manifest."""
        return {
            "method": self.method,
            "settings": _plain(self.of_method),
            "model": None if self.model is None else str(self.model),
            "adapter": self.adapter,
            "backends": {kind_of(s).name: _plain(s) for s in self.backends},
            "use_cache": self.use_cache,
        }


def _kind_of(settings: Any) -> MethodKind:
    for kind in method_kinds():
        if type(settings) is kind.settings:
            return kind
    raise InputError(
        "These are no settings of a method",
        expected="the name of a method, or one of "
        + ", ".join(kind.settings.__name__ for kind in method_kinds()),
        found=type(settings).__name__,
    )


def _plain(settings: Any) -> dict[str, Any]:
    """Options of ``settings`` that are not as they would be if left out, as JSON takes them."""
    known = options_of(type(settings))
    return {
        f.name: value if isinstance(value, int | float | bool) else str(value)
        for f in fields(settings)
        if f.name in known and (value := getattr(settings, f.name)) != f.default
    }


def _refuse_model(
    kind: MethodKind,
    model: Any,
    backend: Any,
    use_cache: bool | None,
    rest: Mapping[str, Any],
) -> None:
    """Refuse what says something of a language model, or of a setting, that the method lacks."""
    prompts = options_of(AskedPrompting)
    asked = {**rest, "model": model, "backend": backend, "use_cache": use_cache}
    of_model = {
        n: v
        for n, v in asked.items()
        if v is not None
        and (n not in rest or n in prompts or any(n in k.options for k in backend_kinds()))
    }
    if of_model:
        listed = ", ".join(_flag(n, v) for n, v in of_model.items())
        places = [k.name for k in backend_kinds() if any(n in k.options for n in of_model)]
        somewhere = f", with --backend {' or '.join(places)}" if places else ""
        raise InputError(
            f"The method {kind.name} uses no language model",
            expected=f"no {listed}",
            found=f"--method {kind.name}",
            hint=f"add --method zero-shot (or blend){somewhere}, or leave the option out",
        )
    if rest:
        raise _ignored(kind, (), rest)


def _backends(
    kind: MethodKind,
    of_method: Any,
    model: ModelReference,
    backend: Any,
    options: Mapping[str, Any],
) -> tuple[Any, ...]:
    """Settings of the backends that a run uses, that of its own model first."""
    given = None if backend is None or isinstance(backend, str) else backend
    default = backend if isinstance(backend, str) else None
    own = model.kind or (kind_of(given).name if given is not None else default)
    own_kind = backend_kind(own or backend_kinds()[0].name)
    if model.kind is not None and default not in (None, model.kind):
        raise InputError(
            "The model and the run name two backends",
            where="--model and --backend",
            expected="one of them, or the same in both",
            found=f"{model} and --backend {default}",
        )
    parts = [ModelReference.read(n, "--modules or --chooser") for n in kind.parts(of_method)]
    kinds = [own_kind]
    for part in parts:
        other = backend_kind(part.runs_on(own_kind.name))
        if other not in kinds:
            kinds.append(other)
    # an adapter is that of --model; an address is nobody's where every part has its own
    users = {name: [own_kind] if name == "adapter" else kinds for name in options}
    needed = [r for r in (model, *parts) if r.runs_on(own_kind.name) == "api"]
    if "base_url" in options and needed and all(r.base_url for r in needed):
        users["base_url"] = []
    unused = [n for n in options if not any(n in k.options for k in users[n])]
    if unused:
        raise _ignored(kind, kinds, unused)
    found = []
    for used in kinds:
        mine = {n: v for n, v in options.items() if n in used.options and used in users[n]}
        if given is not None and used is kind_of(given):
            found.append(replace(given, **mine) if mine else given)
            continue
        if "base_url" in used.options and "base_url" not in mine:
            address = next((r.base_url for r in needed if r.base_url is not None), None)
            if address is None or any(r.base_url is None for r in needed):
                raise _no_address(next(r for r in needed if r.base_url is None), model)
            mine["base_url"] = address
        found.append(made(used.settings, mine))
    return tuple(found)


def _no_address(reference: ModelReference, own: ModelReference) -> InputError:
    if reference is own:
        return InputError(
            "The API backend needs a service and a model",
            expected="--base-url (usually ending in /v1) and --model as the service calls it, or "
            "--model api:MODEL@URL",
            found=f"no --base-url, model {own.model}",
        )
    return InputError(
        "A part of the run names no service",
        where="--modules or --chooser",
        expected=f"api:{reference.model}@http://... , or --base-url",
        found=str(reference),
    )


def _ignored(kind: MethodKind, backends: Iterable[BackendKind], names: Iterable[str]) -> InputError:
    """The error of settings that nothing of the run would use, or that nobody has."""
    listed = list(names)
    first = listed[0]
    methods = [k.name for k in with_option(first)]
    places = [k.name for k in backend_kinds() if first in k.options]
    if not methods and not places:
        return unknown_option(listed, all_options(), f"the method {kind.name}")
    if methods:
        return InputError(
            f"The method {kind.name} does not use what was given",
            expected=f"{_flag(first)} with {' or '.join(methods)}",
            found=", ".join(map(_flag, listed)),
            hint="name the method with --method, or leave the option out",
        )
    used = " and ".join(k.name for k in backends)
    return InputError(
        f"The backend {used} does not use what was given",
        expected=f"{_flag(first)} with --backend {' or '.join(places)}",
        found=f"{', '.join(map(_flag, listed))} with --backend {used}",
        hint="name the backend with --backend, or before the model (vllm:MODEL), or leave the "
        "option out",
    )


def _flag(name: str, value: Any = None) -> str:
    """A setting as it is typed on the command line to give it ``value``."""
    found = all_options().get(name)
    typed = {"use_cache": "--cache"}.get(name, "--" + name.replace("_", "-"))
    flag = found.flag if found else typed
    return "--no-" + flag.removeprefix("--") if value is False else flag


def all_options() -> dict[str, Option]:
    """Every setting of a method or backend by name, methods first, in the order of their lists."""
    found: dict[str, Option] = {}
    for options in [k.options for k in method_kinds()] + [k.options for k in backend_kinds()]:
        for name, known in options.items():
            found.setdefault(name, known)
    return found
