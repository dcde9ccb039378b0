"""Every option alike: the upper bound of the paper (section 4.1). Nobody should be without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opinioncast.methods.declaration import MethodKind, Resources
from opinioncast.methods.prediction import Prediction, Progress, Rows
from opinioncast.survey import Cells


@dataclass(frozen=True, slots=True)
class UniformSettings:
    """Of the method uniform: there are none."""


@dataclass(frozen=True)
class Uniform:
    """Every option alike."""

    @property
    def name(self) -> str:
        return "uniform"

    def predict(self, cells: Cells, *, progress: Progress | None = None) -> Prediction:
        """The same share for every option, in every cell."""
        rows = Rows(cells, model=self.name, method=self.name)
        for cell, question in enumerate(cells.question.tolist()):
            count = len(cells.questions[question].options)
            rows.put(cell, [1 / count] * count)
        if progress:
            progress(len(rows), len(rows))
        return rows.prediction({"method": self.name, "model": self.name})


def build(settings: Any, resources: Resources) -> Uniform:
    """Nothing is needed."""
    return Uniform()


METHOD = MethodKind(
    name="uniform",
    help="Every option alike: what knowing nothing gives.",
    settings=UniformSettings,
    build=build,
    shapes=("method",),
    order=80,
)
