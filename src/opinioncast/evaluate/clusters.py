"""Which cells are of one question: the unit that intervals and tests draw.

A question is asked again: in the next wave, or under another key in another survey of the family.
However often it was asked, its cells rise and fall together. Drawn as if each time were another
question, 87 questions asked in two years pass for 173, and intervals are 1.4 times too narrow.
"""

from __future__ import annotations

import polars as pl

from opinioncast.survey.sameness import Asked, clusters

CLUSTER = "cluster"
"""Column with the number of a cell's question."""

_ASKED = ("family", "wave", "question_id", "question")


def with_clusters(cells: pl.DataFrame) -> pl.DataFrame:
    """``cells`` with :data:`CLUSTER`: the number of each one's question, by first appearance.

    Cells are of one question by key or wording (:mod:`opinioncast.survey.sameness`), and so is
    everything that is linked to another in that way. A wording that several items share (a
    battery's stem) makes one question of them: intervals are then rather too wide than too narrow.

    Args:
        cells: at least family, wave, question_id, question; none of them null.
    """
    asked = cells.select(_ASKED).unique(maintain_order=True)
    found = clusters([Asked(*row) for row in asked.iter_rows()])
    numbers = pl.Series(CLUSTER, found, dtype=pl.Int64)
    return cells.join(
        asked.with_columns(numbers), on=list(_ASKED), how="left", maintain_order="left"
    )


def question_counts(cells: pl.DataFrame) -> tuple[int, int]:
    """How many questions ``cells`` are of, and how many where each wave's counts by itself.

    Args:
        cells: as :func:`with_clusters` takes or gives them; no more than that is needed of either.
    """
    marked = cells if CLUSTER in cells.columns else with_clusters(cells)
    return marked[CLUSTER].n_unique(), marked.select(_ASKED[:3]).n_unique()


def question_words(cells: pl.DataFrame) -> str:
    """:func:`question_counts` as a base line says them: ``87 questions (173 with waves)``."""
    questions, with_waves = question_counts(cells)
    more = f" ({with_waves:,} with waves)" if with_waves != questions else ""
    return f"{questions:,} question{'s' * (questions != 1)}{more}"
