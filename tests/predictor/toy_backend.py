"""A backend of somebody else: all that it takes is this file."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fake_backend import FakeBackend

from opinioncast.backends.declaration import BackendKind, LanguageModel, Opening
from opinioncast.options import check_types, option


@dataclass(frozen=True)
class ToySettings:
    loud: bool = option(False, "In capital letters.")

    def __post_init__(self) -> None:
        check_types(self)


def open_toy(opening: Opening) -> LanguageModel:
    name = opening.model.upper() if opening.settings.loud else opening.model
    return FakeBackend(lambda request: [0.9 / len(request.labels)] * len(request.labels), name=name)


BACKEND = BackendKind("toy", "Says each option as often.", ToySettings, open_toy)
