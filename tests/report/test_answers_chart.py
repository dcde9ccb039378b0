"""Answers by group: which questions are shown, whose intervals, beside what people answered."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.report.answers_chart import answers_chart
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

GROUPS = [
    Subpopulation((("SEX", "Female"), ("RACE", "Black"))),
    Subpopulation((("SEX", "Female"),)),
    Subpopulation((("RACE", "Black"),)),
    Subpopulation((("SEX", "Male"),)),
]


def scores(questions: int = 7, intervals: bool = True) -> CellScores:
    """Question i is predicted wrong by i x 5 points; the last group lacks question 3."""
    observed, predicted = [], []
    for i in range(questions):
        question = Question(f"q{i}", f"Question {i}?", ("No", "Perhaps", "Yes"), (1, 2, 3))
        for j, group in enumerate(GROUPS if i != 3 else GROUPS[:-1]):
            people = [0.2 + 0.1 * j, 0.3 - 0.02 * j, 0.5 - 0.08 * j]
            off = 0.05 * i
            guess = [people[0] + off / 2, people[1] - off / 2, people[2]]
            more = {"low": [0.0] * 3, "high": [0.9] * 3} if intervals else {}
            observed.append(opinion_row(question, group, people, n=100))
            predicted.append(opinion_row(question, group, guess, **more))
    return score_cells(OpinionTable.from_rows(observed), PredictionTable.from_rows(predicted))


def test_questions_from_near_to_far_with_their_groups() -> None:
    figure = answers_chart(scores().frame)
    assert figure is not None
    assert MODEL_OUTPUT in figure.get_suptitle()
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    # of seven, by distance, the third, fourth and fifth in steps of a quarter: neither end
    assert [t.split("\n")[0] for t in titles] == ["Question 2?", "Question 3?", "Question 4?"]
    assert all("“No”" in t or "“Yes”" in t for t in titles)  # where groups differ most
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == ["SEX · Female", "Male", "RACE · Black", "SEX & RACE · Female & Black"]


def test_bars_are_the_intervals_and_diamonds_what_people_said() -> None:
    frame = scores().frame
    figure = answers_chart(frame)
    assert figure is not None
    axis = figure.axes[0]
    model, people = axis.containers
    ends = [segment[:, 0] for segment in model[2][0].get_segments()]
    np.testing.assert_allclose(ends, [[0.0, 0.9]] * 4)
    cells = frame.filter(pl.col("question_id") == "q2")
    said = {(r["attribute"], r["group"]): r["observed"][0] for r in cells.iter_rows(named=True)}
    order = [
        ("SEX", "Female"),
        ("SEX", "Male"),
        ("RACE", "Black"),
        ("SEX & RACE", "Female & Black"),
    ]
    assert people[0].get_xdata() == pytest.approx([said[k] for k in order])
    error = people[2][0].get_segments()[0]
    half = 1.645 * np.sqrt(0.3 * 0.7 / 100)
    assert np.ptp(error[:, 0]) == pytest.approx(2 * half, rel=1e-3)
    # the group that was not asked has no dot in the middle panel
    assert len(figure.axes[1].containers[0][0].get_xdata()) == 3


def test_without_intervals_there_is_nothing_to_show() -> None:
    assert answers_chart(scores(intervals=False).frame) is None


def test_one_question() -> None:
    figure = answers_chart(scores(1).frame)
    assert figure is not None
    assert len(figure.axes) == 1
