"""Does a method use its input? Take the group away, the question, the order: how much worse?

A method that predicts as well without the group is not steered by it; one that predicts as well
without the question reads the options only; one that changes with their order answers by position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from opinioncast.evaluate.compare import paired_test
from opinioncast.evaluate.scores import CellScores, score_cells, shared_cells
from opinioncast.survey.groups import Subpopulation
from opinioncast.survey.question import Question
from opinioncast.survey.tables import KEY, OpinionTable, PredictionTable

Predict = Callable[[Sequence[Question], Sequence[Subpopulation]], PredictionTable]
"""Predict every question for every subpopulation, whatever the method.

Of a predictor with a group scheme::

    lambda questions, groups: p.predict(questions, scheme.with_subpopulations(groups)).table
"""

NEUTRAL = "Please choose one of the following answers."
"""What is asked in place of the question."""

AS_ASKED = "as asked"
NO_GROUP = "without the group"
NO_QUESTION = "without the question"
SHUFFLED = "options shuffled"


def input_use(observed: OpinionTable, predict: Predict, *, seed: int = 0) -> pl.DataFrame:
    """Predict the table's cells as asked and three ways poorer, and score all four.

    Four runs of the method: with G groups, (3 G + 1) prompts a question. "Without the group" is
    one prediction for everyone (TOTAL) given to each group; "without the question" keeps id,
    options and scale and asks :data:`NEUTRAL`; "options shuffled" puts every question's options in
    another random order, undone before scoring.

    Returns:
        One row per way: ``input``, ``wd`` (over the cells all have), ``worse_by`` (its difference
        to as asked), ``low, high, p_value`` (:func:`paired_test`), ``moved`` (mean total variation
        between these predictions and those as asked, over the same cells: 0 where the input makes
        no difference),
        ``cells``, ``asked``, ``note``. ``low`` and ``high`` are null where one question is all.

    Raises:
        DataError: predictions that share no cell with the table.
    """
    questions, groups = observed.questions(), observed.subpopulations()
    rng = np.random.default_rng(seed)
    ways = {
        AS_ASKED: predict(questions, groups),
        NO_GROUP: _for_all(predict(questions, [Subpopulation()]), groups),
        NO_QUESTION: predict([replace(q, text=NEUTRAL) for q in questions], groups),
        SHUFFLED: predict([shuffled(q, rng) for q in questions], groups),
    }
    whole = {way: score_cells(observed, table) for way, table in ways.items()}
    cells = shared_cells(*whole.values())
    scores = {way: s.only(cells) for way, s in whole.items()}
    asked = scores[AS_ASKED]
    rows = []
    for way, found in scores.items():
        test = paired_test(found, asked, seed=seed)
        rows.append(
            {
                "input": way,
                "wd": test.first,
                "worse_by": test.difference,
                "low": None if np.isnan(test.low) else test.low,
                "high": None if np.isnan(test.high) else test.high,
                "p_value": test.p_value if way != AS_ASKED else None,
                "moved": _moved(found, asked),
                "cells": test.cells,
                "asked": len(observed),
                "note": ""
                if test.cells == len(observed)
                else f"{test.cells} of {len(observed)} cells have a distance in all four",
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def shuffled(question: Question, rng: np.random.Generator) -> Question:
    """The question with its options in another order, never the given one."""
    size = len(question.options)
    order = np.arange(size)
    while (order == np.arange(size)).all():
        order = rng.permutation(size)
    return replace(
        question,
        options=tuple(question.options[i] for i in order),
        ordinal=tuple(question.ordinal[i] for i in order),
    )


def _for_all(table: PredictionTable, groups: Sequence[Subpopulation]) -> PredictionTable:
    """Each row once per group."""
    named = pl.DataFrame(
        [g.key for g in groups],
        schema={"attribute": pl.String, "group": pl.String},
        orient="row",
    )
    frame = table.frame.drop("attribute", "group").join(named, how="cross")
    return PredictionTable(frame, table.meta)


def _moved(found: CellScores, asked: CellScores) -> float:
    both = found.frame.select(*KEY, "predicted").join(
        asked.frame.select(*KEY, _asked="predicted"), on=list(KEY), how="inner"
    )
    distance = both.select(
        ((pl.col("predicted") - pl.col("_asked")).list.eval(pl.element().abs()).list.sum() / 2)
        .mean()
        .alias("moved")
    )
    return float(distance["moved"][0])
