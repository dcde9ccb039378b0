"""What every method of prediction takes and gives."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
import polars as pl

from opinioncast.errors import IncompleteRunError, InputError
from opinioncast.survey import Cells, PredictionTable, Question, Subpopulation
from opinioncast.survey.tables import KEY, ORIGIN

Progress = Callable[[int, int], None]
"""Called with (rows done, rows in all) between batches; what it raises ends the run there, with all
finished rows kept."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that was asked for and is not to be relied on.

    >>> from opinioncast import Problem
    >>> print(Problem("rent", "SEX", "Female", "the model gave no answer", missing=True))
    rent / SEX = Female: the model gave no answer

    Attributes:
        question_id, attribute, group, family, wave: the row's whole key.
        what: what is wrong with it.
        missing: True where the row is not in the table at all.
    """

    question_id: str
    attribute: str
    group: str
    what: str
    missing: bool
    family: str = ""
    wave: str = ""

    @classmethod
    def of(cls, question: Question, group: Subpopulation, what: str, *, missing: bool) -> Problem:
        """The problem of one cell."""
        return cls(
            question.question_id,
            group.attribute,
            group.group,
            what,
            missing,
            question.family,
            question.wave,
        )

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """In the order of a table's key columns."""
        return self.family, self.wave, self.question_id, self.attribute, self.group

    def __str__(self) -> str:
        asked = " ".join(filter(None, [self.family, self.wave, self.question_id]))
        return f"{asked} / {self.attribute} = {self.group}: {self.what}"


@dataclass(frozen=True)
class Prediction:
    """A method's answer: the table, the rows that went wrong, and what the run's manifest records.

    >>> from opinioncast import Question, predict
    >>> rent = Question("rent", "Are rents too high?", ("Yes", "No"))
    >>> found = predict([rent], "total", method="uniform")
    >>> found.complete, found.problems, found.record["method"]
    (True, (), 'uniform')

    Attributes:
        table: one row per cell that could be predicted.
        problems: rows missing from the table, or in it without label mass.
        record: settings, counts and hashes for the manifest.
        details: what a model wrote for each row, for methods that have it write: one mapping per
            row, with question_id, attribute and group.
    """

    table: PredictionTable
    problems: tuple[Problem, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    details: Sequence[Mapping[str, Any]] = ()

    @property
    def frame(self) -> pl.DataFrame:
        """The table's frame."""
        return self.table.frame

    @property
    def complete(self) -> bool:
        """Whether every cell that was asked for has a row to rely on."""
        return not self.problems

    def __len__(self) -> int:
        return len(self.table)

    def to_polars(self) -> pl.DataFrame:
        """The table's frame."""
        return self.table.to_polars()

    def to_pandas(self) -> Any:
        """The table as a pandas DataFrame; pandas must be installed."""
        return self.table.to_pandas()

    def raise_for_problems(self, where: str | None = None, hint: str | None = None) -> Self:
        """This prediction, if it is complete.

        Args:
            where: the file that lists all problems.
            hint: what may help.

        Raises:
            IncompleteRunError: rows are missing or carry no label mass; the first are named.
        """
        raise_for_problems(self.problems, where, hint=hint)
        return self


def seen_before(record: Mapping[str, Any]) -> list[str]:
    """Of a prediction's record: a sentence for each part whose training asked some of the questions
    too, under whatever id, wave or spelling: scores on them say little of new questions."""
    said = []
    for part in (record, *record.get("parts", [])):
        same = part.get("same_questions")
        if not same:
            continue
        named = same.get("asked_in_training_too", same.get("key", 0) + same.get("wording", 0))
        alike = same.get("meaning") or 0
        if named or alike:
            meant = f", and {alike} of the same meaning" if alike else ""
            said.append(
                f"{part['method']}: {named} of {same['questions']} questions are in its training "
                f"table too{meant}; scores on them say little of new questions"
            )
    return said


def raise_for_problems(
    problems: Sequence[Problem], where: object | None = None, *, hint: str | None = None
) -> None:
    """Raise IncompleteRunError if there are any, naming the first ones.

    Args:
        where: the file that lists all of them.
        hint: what may help.
    """
    if not problems:
        return
    missing = sum(p.missing for p in problems)
    listed = "; ".join(str(p) for p in problems[:3])
    hints = [f"all are listed under problems in {where}" if where else None, hint]
    raise IncompleteRunError(
        f"{missing} rows are missing and {len(problems) - missing} are not to be relied on",
        where=listed + (f"; and {len(problems) - 3} more" if len(problems) > 3 else ""),
        expected="every question x group, answered with one of the options",
        hint="; ".join(h for h in hints if h) or None,
    )


class Rows:
    """The rows of a prediction as they come, kept by column; :meth:`prediction` makes the table.

    Args:
        cells: what was asked for.
        model, method: what the rows say they come from.
    """

    def __init__(self, cells: Cells, *, model: str, method: str) -> None:
        self._cells = cells
        self._model, self._method = model, method
        self._cell: list[int] = []
        self._shares: list[list[float]] = []
        self._more: dict[str, list[float | None]] = {
            "refusal_rate": [],
            "label_mass": [],
            "order_spread": [],
        }
        self.problems: list[Problem] = []

    def __len__(self) -> int:
        return len(self._cell)

    def put(
        self,
        cell: int,
        shares: Sequence[float],
        *,
        refusal_rate: float | None = None,
        label_mass: float | None = None,
        order_spread: float | None = None,
    ) -> None:
        """The row of a cell.

        Args:
            shares: of the question's options, in their order.

        Raises:
            InputError: another number of shares than options.
        """
        question = self._cells.questions[self._cells.question[cell]]
        if len(shares) != len(question.options):
            raise InputError(
                "A distribution does not have one share per option",
                where=f'question "{question.question_id}"',
                expected=f"{len(question.options)} shares",
                found=list(shares),
            )
        self._cell.append(cell)
        self._shares.append([float(share) for share in shares])
        self._more["refusal_rate"].append(refusal_rate)
        self._more["label_mass"].append(label_mass)
        self._more["order_spread"].append(order_spread)

    def lack(self, cell: int, what: str) -> None:
        """A cell has no row, and why."""
        self._problem(cell, what, missing=True)

    def doubt(self, cell: int, what: str) -> None:
        """A cell's row is not to be relied on, and why."""
        self._problem(cell, what, missing=False)

    def _problem(self, cell: int, what: str, *, missing: bool) -> None:
        cells = self._cells
        question = cells.questions[cells.question[cell]]
        group = cells.groups.subpopulations[cells.group[cell]]
        self.problems.append(Problem.of(question, group, what, missing=missing))

    def prediction(
        self, record: Mapping[str, Any], details: Sequence[Mapping[str, Any]] = ()
    ) -> Prediction:
        """The prediction; its table says what it is and carries ``record`` in its sidecar."""
        frame = self._cells.frame(self._cell).with_columns(
            _lists("distribution", self._shares),
            *(pl.Series(name, v, dtype=pl.Float64) for name, v in self._more.items()),
            pl.lit(self._model).alias("model"),
            pl.lit(self._method).alias("method"),
        )
        meta = {"origin": ORIGIN} | dict(record)
        of = {question.population for question in self._cells.questions}
        if len(of) == 1 and not (people := of.pop()).is_default:
            meta["population"] = people.record()  # whose answers the table's questions are about
        table = PredictionTable(frame, meta)
        return Prediction(table, tuple(self.problems), record, details)


def _lists(name: str, rows: Sequence[Sequence[float]]) -> pl.Series:
    """A column of lists, none of them empty, made at once: one Series a row would take longer."""
    flat = pl.DataFrame(
        {
            "row": np.repeat(np.arange(len(rows)), [len(row) for row in rows]),
            name: np.fromiter(itertools.chain.from_iterable(rows), dtype=np.float64),
        }
    )
    return flat.group_by("row", maintain_order=True).agg(name)[name]


class Method(Protocol):
    """A way of predicting response distributions."""

    @property
    def name(self) -> str: ...

    def predict(self, cells: Cells, *, progress: Progress | None = None) -> Prediction:
        """One row for every cell, or a problem that says why not."""
        ...


@dataclass(frozen=True)
class Known:
    """Predictions already made, as a method: what mixes or compares methods need not run it again.

    Attributes:
        name: of the method.
        made: what it gave.
    """

    name: str
    made: Prediction

    def predict(self, cells: Cells, *, progress: Progress | None = None) -> Prediction:
        """Of what was made, the cells that are asked for."""
        wanted = cells.frame().select(KEY)
        frame = wanted.join(self.made.frame, on=list(KEY), how="inner", maintain_order="left")
        table = PredictionTable(frame.select(self.made.frame.columns), self.made.table.meta)
        asked = set(wanted.iter_rows())
        problems = tuple(p for p in self.made.problems if p.key in asked)
        return Prediction(table, problems, self.made.record, self.made.details)
