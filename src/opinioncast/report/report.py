"""What a report of predictions is made of, and the formats that write one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opinioncast.declarations import Declared
from opinioncast.errors import InputError
from opinioncast.survey import OpinionTable, PredictionTable
from opinioncast.survey.tables import ORIGIN

MODEL_OUTPUT = ORIGIN.capitalize()
"""What every table, chart and page says first."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Report:
    """What is written.

    Attributes:
        table: the predictions.
        observed: what people answered, where that is known.
        details: what a model wrote for each row, where the method has it write.
        progress: called with how many charts are done and in all.
    """

    table: PredictionTable
    observed: OpinionTable | None = None
    details: Sequence[Mapping[str, Any]] = ()
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class ReportFormat:
    """A declaration.

    Attributes:
        name: as typed after ``--write``.
        help: one line.
        write: writes a report into a folder, each file atomically; returns the files.
        usual: written where no format is named.
        order: place in lists, and in which they are written: tables before charts.
    """

    name: str
    help: str
    write: Callable[[Report, Path], list[Path]]
    usual: bool = True
    order: int = 100


_declared: Declared[ReportFormat] = Declared(
    ReportFormat, "opinioncast.report.formats", "FORMAT", entry_points="opinioncast.reports"
)
register = _declared.register


def report_formats() -> tuple[ReportFormat, ...]:
    """Every format that is declared."""
    return _declared.in_order()


def chosen_formats(names: Sequence[str] | None) -> tuple[ReportFormat, ...]:
    """The formats called ``names``; None: the usual ones.

    Raises:
        InputError: there is no such format.
    """
    known = {kind.name: kind for kind in report_formats()}
    if names is None:
        return tuple(kind for kind in known.values() if kind.usual)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(
            "Unknown format of a report",
            where="--write",
            expected=", ".join(known),
            found=", ".join(unknown),
        )
    return tuple(kind for kind in known.values() if kind.name in names)
