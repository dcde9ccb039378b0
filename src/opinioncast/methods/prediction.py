"""What every method of prediction takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from opinioncast.survey import GroupScheme, PredictionTable, Question
from opinioncast.survey.tables import ORIGIN

Progress = Callable[[int, int], None]
"""Called with (rows done, rows in all)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that was asked for and is not to be relied on.

    Attributes:
        missing: True where the row is not in the table at all.
    """

    question_id: str
    attribute: str
    group: str
    what: str
    missing: bool

    def __str__(self) -> str:
        return f"{self.question_id} / {self.attribute} = {self.group}: {self.what}"


@dataclass(frozen=True)
class Prediction:
    """A method's answer: the table, the rows that went wrong, and what the run's manifest records.

    Attributes:
        table: one row per question x subpopulation that could be predicted.
        problems: rows missing from the table, or in it without label mass.
        record: settings, counts and hashes for the manifest.
        details: what a model wrote for each row, for methods that have it write: one mapping per
            row, with question_id, attribute and group.
    """

    table: PredictionTable
    problems: tuple[Problem, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    details: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of_rows(
        cls,
        rows: Iterable[Mapping[str, Any]],
        record: Mapping[str, Any],
        problems: Iterable[Problem] = (),
        details: Sequence[Mapping[str, Any]] = (),
    ) -> Self:
        """A prediction whose table says what it is and carries ``record`` in its sidecar."""
        table = PredictionTable.from_rows(rows, {"origin": ORIGIN} | dict(record))
        return cls(table, tuple(problems), record, details)


class Method(Protocol):
    """A way of predicting response distributions."""

    @property
    def name(self) -> str: ...

    def predict(
        self,
        questions: Sequence[Question],
        groups: GroupScheme,
        *,
        progress: Progress | None = None,
    ) -> Prediction:
        """One row for every question x subpopulation, or a problem that says why not."""
        ...


@dataclass(frozen=True)
class Known:
    """Predictions already made, as a method: what mixes or compares methods need not run it again.

    Attributes:
        name: of the method.
        made: what it gave, for the questions and groups that are asked for.
    """

    name: str
    made: Prediction

    def predict(
        self,
        questions: Sequence[Question],
        groups: GroupScheme,
        *,
        progress: Progress | None = None,
    ) -> Prediction:
        """All that was made, whatever is asked."""
        return self.made
