"""Sheets with one option a row: the rows of a question put together to one.

The question stands in the first of its rows (the others are empty or merged with it) or in each.
A row goes on with the question above it where it has an option and says nothing else of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

Row = tuple[str, tuple[str, ...]]
"""Place in the file and cells, as many in each row."""


@dataclass(frozen=True, slots=True)
class OptionColumns:
    """Which columns are of an option, and which of its question.

    Attributes:
        question: column of the wording.
        option: column of the option.
        beside: columns with something of that option: its code, position or share.
        is_one: whether a cell holds one option and not several.
        between: what parts the options where they stand in one cell.
    """

    question: int
    option: int
    beside: Collection[int]
    is_one: Callable[[str], bool]
    between: str

    def goes_on(self, first: Sequence[str], row: Sequence[str]) -> bool:
        """Whether ``row`` has a further option of the question that begins with ``first``."""
        if not row[self.option] or not first[self.question]:
            return False
        own = {self.option, *self.beside}
        if any(c and c != first[k] for k, c in enumerate(row) if k not in own):
            return False
        if not row[self.question]:
            return True
        return self.is_one(first[self.option]) and self.is_one(row[self.option])

    def joined(self, rows: Sequence[Row]) -> Row:
        """The rows of one question as one: options and what is beside them in one cell each."""
        place, first = rows[0]
        cells = list(first)
        kept = [cells for _, cells in rows if cells[self.option]]
        for column in (self.option, *self.beside):
            if column == self.option or any(cells[column] for _, cells in rows[1:]):
                cells[column] = self.between.join(row[column] for row in kept)
        return place, tuple(cells)

    def several(self, rows: Sequence[Row]) -> Row | None:
        """The first of a question's rows that holds several options by itself, beside others."""
        return next(
            (r for r in rows if r[1][self.option] and not self.is_one(r[1][self.option])), None
        )


def questions_of(rows: Sequence[Row], columns: OptionColumns) -> list[list[Row]]:
    """The rows of each question, in their order; one row for each where none goes on."""
    made: list[list[Row]] = []
    for row in rows:
        if made and columns.goes_on(made[-1][0][1], row[1]):
            made[-1].append(row)
        else:
            made.append([row])
    return made
