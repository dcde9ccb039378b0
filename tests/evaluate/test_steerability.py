"""Intergroup disagreement: a model that is steered, one that is not, hand-worked matrices."""

from __future__ import annotations

import numpy as np
import pytest

from opinioncast.errors import InputError
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.evaluate.steerability import attributes, steerability
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

AGES = ("18-29", "30-49", "50-64", "65+")
POSITIONS = np.array([0.2, 0.3, 0.5, 0.8])


def scored(model: np.ndarray, people: np.ndarray = POSITIONS, questions: int = 6) -> CellScores:
    """Questions in which the share of "yes" by age is ``people`` and predicted ``model``."""
    observed, predicted = [], []
    for i in range(questions):
        question = Question(f"q{i}", f"Question {i}?", ("No", "Yes"), (0, 1))
        for name, p, m in zip(AGES, people, model, strict=True):
            group = Subpopulation((("AGE", name),))
            observed.append(opinion_row(question, group, [1 - p, p]))
            predicted.append(opinion_row(question, group, [1 - m, m]))
    return score_cells(OpinionTable.from_rows(observed), PredictionTable.from_rows(predicted))


def test_matrices_by_hand() -> None:
    found = steerability(scored(POSITIONS + 0.1), "AGE")
    distance = np.abs(POSITIONS[:, None] - POSITIONS)
    assert found.human == pytest.approx(distance)
    assert found.between == pytest.approx(distance)
    # row: the target's people; column: the model told to be the source
    assert found.model == pytest.approx(np.abs(POSITIONS[:, None] - POSITIONS - 0.1))
    assert found.groups == AGES
    assert (found.questions == 6).all()


def test_a_perfect_model_has_the_human_pattern() -> None:
    agreement = steerability(scored(POSITIONS), "AGE").agreement()
    assert agreement.correlation == pytest.approx(1)
    assert agreement.correlation_within == pytest.approx(1)
    assert agreement.variance_ratio == pytest.approx(1)
    assert agreement.spread_ratio == pytest.approx(1)
    assert agreement.own_group_nearest == 1
    assert agreement.penalty == pytest.approx(agreement.human_penalty)


def test_a_model_deaf_to_the_group_is_told_apart() -> None:
    """Its rows are constant: a high raw correlation could still come from the targets."""
    agreement = steerability(scored(np.full(4, 0.4)), "AGE").agreement()
    assert agreement.correlation_within is None
    assert agreement.variance_ratio == pytest.approx(0)
    assert agreement.spread_ratio == pytest.approx(0)
    assert agreement.penalty == pytest.approx(0)


def test_a_model_that_turns_the_groups_round() -> None:
    agreement = steerability(scored(POSITIONS[::-1]), "AGE").agreement()
    assert agreement.correlation_within is not None
    assert agreement.correlation_within < 0
    assert agreement.own_group_nearest < 1
    assert agreement.penalty < 0


def test_another_name_is_held_against_the_own_on_the_same_questions() -> None:
    """The young alone were asked a question that the model gets all wrong: that is no reason to say
    that another group's name predicts them better."""
    both = scored(POSITIONS)
    question = Question("alone", "Only asked of the young?", ("No", "Yes"), (0, 1))
    young = Subpopulation((("AGE", AGES[0]),))
    observed = [opinion_row(question, young, [0.0, 1.0])]
    predicted = [opinion_row(question, young, [1.0, 0.0])]
    for i in range(2):
        asked = Question(f"q{i}", f"Question {i}?", ("No", "Yes"), (0, 1))
        for name, p in zip(AGES[:2], POSITIONS[:2], strict=True):
            group = Subpopulation((("AGE", name),))
            observed.append(opinion_row(asked, group, [1 - p, p]))
            predicted.append(opinion_row(asked, group, [1 - p, p]))
    found = steerability(
        score_cells(OpinionTable.from_rows(observed), PredictionTable.from_rows(predicted)), "AGE"
    )
    assert found.model[0, 0] == pytest.approx(1 / 3)  # over its own three questions
    assert found.own == pytest.approx(np.array([[1 / 3, 0], [0, 0]]))
    assert found.agreement().penalty == pytest.approx(0.1)
    assert found.agreement().own_group_nearest == 1
    assert steerability(both, "AGE").own == pytest.approx(np.zeros((4, 4)))


def test_order_seen_and_attributes() -> None:
    scores = scored(POSITIONS)
    seen = {Subpopulation((("AGE", "65+"),))}
    found = steerability(scores, "AGE", groups=("65+", "18-29", "absent"), seen=seen)
    assert found.groups == ("65+", "18-29")
    assert found.seen == (True, False)
    assert found.agreement().correlation is None  # two groups: one number, no pattern
    assert attributes(scores) == ["AGE"]
    with pytest.raises(InputError, match="two groups"):
        steerability(scores, "SEX")
