"""What a backend says of itself: its name, its settings, and how it is opened.

Each backend is one module of ``backends/kinds`` with one ``BACKEND``. One of another package is
found by its entry point in the group ``opinioncast.backends``, or is told to :func:`register`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from opinioncast.backends.protocol import Backend, Generator
from opinioncast.declarations import Declared
from opinioncast.errors import InputError
from opinioncast.options import options_of


class LanguageModel(Backend, Generator, Protocol):
    """A backend that scores labels and writes texts, as all of them do."""


@runtime_checkable
class HasUsage(Protocol):
    """A backend that counts what it did."""

    @property
    def usage(self) -> Mapping[str, Any]: ...


@runtime_checkable
class HasDetails(Protocol):
    """A backend that tells what it ran on beyond what names its answers: device, libraries."""

    @property
    def details(self) -> Mapping[str, Any]: ...


@runtime_checkable
class HasCost(Protocol):
    """A backend that is paid for; models of one run share one budget, so each tells the whole."""

    @property
    def cost(self) -> Mapping[str, Any]: ...


@runtime_checkable
class HasClose(Protocol):
    """A backend with connections, files or processes to close."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Opening:
    """What a backend is opened for.

    Attributes:
        model: folder or name, as the backend knows it; one of the catalogue by its name there.
        settings: of the backend's class.
        adapters: folders of adapters that other parts of the run put on the same model.
        chat: whether prompts go through a chat template.
        use_cache: keep and reuse a service's answers (rows of other backends are cached elsewhere).
        beside: models of the same run that are open already: services share rate limit and spending
            cap with them, engines their base model.
    """

    model: str
    settings: Any
    adapters: tuple[str, ...] = ()
    chat: bool = False
    use_cache: bool = True
    beside: Sequence[Backend] = ()


@dataclass(frozen=True, slots=True)
class BackendKind:
    """A declaration.

    Attributes:
        name: as typed after ``--backend``, and before a colon in a model's name.
        help: one line.
        settings: class of its settings (:mod:`opinioncast.options`), checked when made.
        open: loads the model, or reaches the service that has it.
        order: place in lists; the first is the default.
        serves_adapters: one engine of it serves a model and the adapters of a run on it; an
            adapter that names another backend is put on its base in this process.
    """

    name: str
    help: str
    settings: type
    open: Callable[[Opening], LanguageModel]
    order: int = 100
    serves_adapters: bool = False

    @property
    def options(self) -> Mapping[str, Any]:
        """Its settings by name."""
        return options_of(self.settings)


_declared: Declared[BackendKind] = Declared(
    BackendKind, "opinioncast.backends.kinds", "BACKEND", entry_points="opinioncast.backends"
)
register = _declared.register


def backend_kinds() -> tuple[BackendKind, ...]:
    """Every backend that is declared."""
    return _declared.in_order()


def backend_kind(name: str) -> BackendKind:
    """The backend called ``name``.

    Raises:
        InputError: there is none.
    """
    return _declared.called(name, "backend", "--backend")


def kind_of(settings: Any) -> BackendKind:
    """The backend that ``settings`` are of.

    Raises:
        InputError: of none.
    """
    for kind in backend_kinds():
        if type(settings) is kind.settings:
            return kind
    raise InputError(
        "These are no settings of a backend",
        expected=", ".join(kind.settings.__name__ for kind in backend_kinds()),
        found=type(settings).__name__,
    )


def usage_record(models: Sequence[Backend]) -> dict[str, Any]:
    """What a manifest says about backends and what they did: devices and versions, requests,
    retries, tokens, by name; beside them the retries of all, and what all cost together where
    services were asked.

    Methods count the tokens of the PyTorch backend, and nothing is sent again there.
    """
    details = {m.name: dict(m.details) for m in models if isinstance(m, HasDetails)}
    ran_on = {"backend_details": details} if details else {}
    told = {m.name: dict(m.usage) for m in models if isinstance(m, HasUsage)}
    if not told:
        return ran_on
    paid = [m.cost for m in models if isinstance(m, HasCost)][:1]  # they share one budget
    retries = sum(usage.get("retries", 0) for usage in told.values())
    return {**ran_on, "backend_usage": told, "retries": retries, **dict(*paid)}


def close(models: Sequence[Backend]) -> None:
    """Close connections and journals of those that have any."""
    for model in models:
        if isinstance(model, HasClose):
            model.close()
