"""One process of a Ray cluster: it holds the engine's model and answers blocks of requests.

It is told names (of a model, of adapters) and opens them where it runs, as a run on one machine
would. It knows nothing of Ray and of other workers.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

from opinioncast.backends.declaration import HasDetails, LanguageModel, Opening, backend_kind
from opinioncast.errors import OpinioncastError
from opinioncast.options import made

PACKAGE = Path(__file__).resolve().parents[1]
Ask = Literal["score", "generate"]


@dataclass(frozen=True)
class PlacedFile:
    """A file or folder as another machine finds it: what is in this package is there in its own
    copy, anything else at the same path (shared storage).

    >>> PlacedFile.of("/data/adapter").here()
    '/data/adapter'
    >>> PlacedFile.of(str(PACKAGE / "models" / "adapter")).path
    'models/adapter'
    """

    path: str
    in_package: bool

    @classmethod
    def of(cls, path: str) -> Self:
        found = Path(path)
        if found.is_absolute() and found.resolve().is_relative_to(PACKAGE):
            return cls(found.resolve().relative_to(PACKAGE).as_posix(), True)
        return cls(str(found.resolve()) if found.exists() else path, False)

    def here(self) -> str:
        """Its path on this machine."""
        return str(PACKAGE / self.path) if self.in_package else self.path


@dataclass(frozen=True)
class WorkerTask:
    """What a worker is started for.

    Attributes:
        engine: name of the backend that it runs.
        model: folder, hub name, or a name of the catalogue.
        settings: of the engine by name, without an adapter.
        adapters: every adapter that the run puts on the model.
        chat: whether prompts go through a chat template.
    """

    engine: str
    model: PlacedFile
    settings: Mapping[str, Any] = field(default_factory=dict)
    adapters: tuple[PlacedFile, ...] = ()
    chat: bool = False


@dataclass(frozen=True)
class Described:
    """A model as a worker opened it: what the backend it runs says of itself."""

    name: str
    fingerprint: Mapping[str, Any]
    details: Mapping[str, Any]
    supports_schema: bool


@dataclass(frozen=True)
class Reply:
    """A worker's answer.

    Attributes:
        described: the model that answered; another one than expected is refused.
        found: (place in the block, answer).
        refused: what the backend raised instead.
        machine: where.
    """

    machine: str
    described: Described | None = None
    found: Sequence[tuple[int, Any]] = ()
    refused: OpinioncastError | None = None


class RayWorker:
    """Opens the model with an adapter when it is first asked for, and keeps it."""

    def __init__(self, task: WorkerTask) -> None:
        self._task = task
        self._models: dict[PlacedFile | None, LanguageModel] = {}
        self._described: dict[PlacedFile | None, Described] = {}

    def hello(self) -> tuple[str, str]:
        """The machine it is on, and the version of this package there."""
        return socket.gethostname(), version("opinioncast")

    def answer(self, ask: Ask, adapter: PlacedFile | None, requests: Sequence[Any]) -> Reply:
        """Every request of a block answered; none where one is refused."""
        machine = socket.gethostname()
        try:
            model = self._opened(adapter)
            found = list(getattr(model, ask)(requests)) if requests else []
        except OpinioncastError as error:
            return Reply(machine, refused=error)
        return Reply(machine, self._described[adapter], found)

    def _opened(self, adapter: PlacedFile | None) -> LanguageModel:
        if adapter not in self._models:
            task = self._task
            kind = backend_kind(task.engine)
            own = {} if adapter is None else {"adapter": adapter.here()}
            opening = Opening(
                task.model.here(),
                made(kind.settings, {**task.settings, **own}),
                adapters=tuple(a.here() for a in task.adapters),
                chat=task.chat,
                beside=list(self._models.values()),
            )
            model = self._models[adapter] = kind.open(opening)
            self._described[adapter] = Described(
                model.name,
                dict(model.fingerprint),
                dict(model.details) if isinstance(model, HasDetails) else {},
                model.supports_schema,
            )
        return self._models[adapter]
