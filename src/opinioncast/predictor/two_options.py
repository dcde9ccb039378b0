"""A question of two options is a scale of two points, whether or not somebody says so.

Which of the two is the upper end does not matter to any method; that there is a scale does: the
nearest questions are looked for among those with one. So a question of two options is put to
methods as what surveys' tables have it, and its rows keep the scale that was given.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from opinioncast.methods.prediction import Prediction
from opinioncast.survey import Cells, PredictionTable, Question
from opinioncast.survey.question import OFF_SCALE

TWO_POINTS = (1.0, 2.0)


def needs_scale(question: Question) -> bool:
    """Whether it has two options, and another scale than methods get, or none."""
    two = len(question.options) == 2 and OFF_SCALE not in question.ordinal
    return two and question.ordinal != TWO_POINTS


def with_two_points(cells: Cells) -> Cells:
    """The cells as methods get them."""
    if not any(map(needs_scale, cells.questions)):
        return cells
    asked = tuple(replace(q, ordinal=TWO_POINTS) if needs_scale(q) else q for q in cells.questions)
    return replace(cells, questions=asked)


def as_given(prediction: Prediction, cells: Cells) -> Prediction:
    """The prediction with the scales that ``cells`` were given with."""
    given = {
        (q.family, q.wave, q.question_id): list(q.ordinal)
        for q in cells.questions
        if needs_scale(q)
    }
    if not given:
        return prediction
    frame = prediction.table.frame
    keys = frame.select("family", "wave", "question_id").iter_rows()
    scales = [
        given.get(key, ordinal)
        for key, ordinal in zip(keys, frame["ordinal"].to_list(), strict=True)
    ]
    column = pl.Series("ordinal", scales, dtype=pl.List(pl.Float64))
    table = PredictionTable(frame.with_columns(column), prediction.table.meta)
    return replace(prediction, table=table)
