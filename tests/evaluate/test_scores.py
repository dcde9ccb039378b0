"""Scores of predictions against observations."""

from __future__ import annotations

import numpy as np
import pytest

from opinioncast.errors import DataError
from opinioncast.evaluate.scores import score_cells
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

SCALED = Question("q1", "First?", ("Low", "Mid", "High"), (1, 2, 3))
NOMINAL = Question("q2", "Second?", ("Red", "Blue"))
WOMEN, MEN = Subpopulation((("SEX", "Female"),)), Subpopulation((("SEX", "Male"),))

OBSERVED = OpinionTable.from_rows(
    [
        opinion_row(SCALED, WOMEN, [1, 0, 0], n=100, n_eff=80.0),
        opinion_row(SCALED, MEN, [0.5, 0.5, 0], n=100),
        opinion_row(NOMINAL, WOMEN, [0.5, 0.5]),
        opinion_row(NOMINAL, MEN, [0.5, 0.5]),
    ]
)


def predictions(*rows: tuple[Question, Subpopulation, list[float]]) -> PredictionTable:
    return PredictionTable.from_rows(
        [opinion_row(q, g, p, model="m", method="x", label_mass=1.0) for q, g, p in rows]
    )


def test_means_are_over_cells_with_a_scale_and_say_so() -> None:
    scores = score_cells(
        OBSERVED,
        predictions(
            (SCALED, MEN, [0.5, 0.5, 0]), (SCALED, WOMEN, [0, 0, 1]), (NOMINAL, WOMEN, [1, 0])
        ),
    )
    means = scores.mean()
    assert means["wd"] == pytest.approx(0.5)  # 1 and 0
    assert (means["cells"], means["cells_in_all"]) == (2, 3)
    # Uniform: women 1/3 + 2/3 over a range of 2 = 1/2; men 1/6 + 1/3 over 2 = 1/4.
    assert means["wd_uniform"] == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert (scores.unpredicted, scores.unobserved) == (1, 0)
    assert scores.frame.filter(question_id="q2")["wd"].null_count() == 1
    by = dict(scores.by("group").select("group", "wd").iter_rows())
    assert by == {"Female": pytest.approx(1), "Male": pytest.approx(0)}


def test_the_interval_resamples_questions_not_cells() -> None:
    questions = [Question(f"q{i}", "Q?", ("a", "b"), (1, 2)) for i in range(2)]
    groups = [Subpopulation((("AGE", f"{i}"),)) for i in range(50)]
    observed = OpinionTable.from_rows(
        [opinion_row(q, g, [1, 0]) for q in questions for g in groups]
    )
    given = {questions[0].question_id: [1, 0], questions[1].question_id: [0, 1]}
    scores = score_cells(
        observed,
        predictions(*((q, g, given[q.question_id]) for q in questions for g in groups)),
    )
    # Two questions, distances 0 and 1: resampling them reaches both ends; cells would not.
    assert scores.interval() == pytest.approx((0, 1))


def test_options_in_another_order_are_refused() -> None:
    turned = Question("q1", "First?", ("High", "Mid", "Low"), (3, 2, 1))
    with pytest.raises(DataError, match="other options"):
        score_cells(OBSERVED, predictions((turned, WOMEN, [1, 0, 0])))


def test_nothing_in_common_is_refused() -> None:
    other = Question("q9", "Ninth?", ("a", "b"), (1, 2))
    with pytest.raises(DataError, match="no cell in common"):
        score_cells(OBSERVED, predictions((other, WOMEN, [1, 0])))


def test_no_scale_at_all_gives_no_mean() -> None:
    scores = score_cells(OBSERVED, predictions((NOMINAL, WOMEN, [1, 0])))
    assert scores.mean()["wd"] is None
    assert np.isnan(scores.interval()).all()
