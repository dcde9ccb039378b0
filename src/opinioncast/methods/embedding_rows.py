"""From the shares of questions, some at a time, to the rows of a prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from opinioncast.methods.prediction import Progress
from opinioncast.survey import Question, Subpopulation, opinion_row

Shares = Sequence[npt.NDArray[np.floating[Any]]]
"""Of one question: for each group its shares, in the order of the options."""


def rows_in_batches(
    questions: Sequence[Question],
    groups: Sequence[Subpopulation],
    shares: Callable[[Sequence[Question]], Iterable[Shares]],
    *,
    batch: int,
    model: str,
    method: str,
    progress: Progress | None,
) -> list[dict[str, Any]]:
    """A row for every question x group; ``shares`` is asked for ``batch`` questions at a time."""
    rows: list[dict[str, Any]] = []
    for start in range(0, len(questions), batch):
        part = questions[start : start + batch]
        for question, by_group in zip(part, shares(part), strict=True):
            rows += [
                opinion_row(
                    question, group, values.astype(float).tolist(), model=model, method=method
                )
                for group, values in zip(groups, by_group, strict=True)
            ]
        if progress:
            progress(len(rows), len(questions) * len(groups))
    return rows
