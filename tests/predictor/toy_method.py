"""A method of somebody else: all that it takes is this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opinioncast.errors import InputError
from opinioncast.methods.declaration import MethodKind, Resources
from opinioncast.methods.prediction import Prediction, Progress, Rows
from opinioncast.options import check_types, option
from opinioncast.survey import Cells


@dataclass(frozen=True)
class FirstSettings:
    tilt: float = option(0.7, "Share of the first option.")

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 <= self.tilt <= 1:
            raise InputError("A tilt is a share", where="--tilt", found=self.tilt)


@dataclass(frozen=True)
class First:
    tilt: float
    name: str = "the first option"

    def predict(self, cells: Cells, *, progress: Progress | None = None) -> Prediction:
        rows = Rows(cells, model="none", method=self.name)
        for cell, (question, _) in enumerate(cells):
            others = len(question.options) - 1
            rows.put(cell, [self.tilt] + [(1 - self.tilt) / others] * others)
        return rows.prediction({"method": self.name, "model": "none"})


def build(settings: Any, resources: Resources) -> First:
    return First(settings.tilt)


METHOD = MethodKind("first", "Leans to the first option.", FirstSettings, build)
