"""From the shares of questions, some at a time, to the rows of a prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from opinioncast.methods.prediction import Progress, Rows
from opinioncast.survey import Cells, Question

Shares = Sequence[npt.NDArray[np.floating[Any]]]
"""Of one question: for each group its shares, in the order of the options."""


def rows_in_batches(
    cells: Cells,
    shares: Callable[[Sequence[Question]], Iterable[Shares]],
    *,
    batch: int,
    model: str,
    method: str,
    progress: Progress | None,
) -> Rows:
    """A row for every cell; ``shares`` is asked for ``batch`` questions at a time, and gives those
    of all groups."""
    rows = Rows(cells, model=model, method=method)
    questions = cells.questions
    groups = cells.group.tolist()
    for start in range(0, len(questions), batch):
        part = questions[start : start + batch]
        for i, by_group in enumerate(shares(part), start):
            listed = [values.astype(float).tolist() for values in by_group]
            for cell in cells.of_question(i):
                rows.put(cell, listed[groups[cell]])
        if progress:
            progress(len(rows), len(cells))
    return rows
