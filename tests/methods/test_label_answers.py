"""Rows that are nonsense are named: mostly refused, or decided by where an option stood."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from opinioncast.backends.protocol import LabelScores
from opinioncast.methods.label_answers import MAX_ORDER_SPREAD, MAX_REFUSAL, put_label_row
from opinioncast.methods.prediction import Problem, Rows
from opinioncast.survey import Cells, Question, load_groups

QUESTION = Question("q", "Q?", ("a", "b", "c"))


def row(
    *orders: list[float], refusal: bool = False, judge_mass: bool = True
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    rows = Rows(Cells.cross([QUESTION], load_groups("SEX=Female")), model="m", method="x")
    found = [LabelScores(np.log(np.array(o))) for o in orders]
    put_label_row(rows, 0, found, refusal=refusal, judge_mass=judge_mass)
    made = rows.prediction({})
    return made.frame.row(0, named=True), made.problems


def test_a_refusal_of_99_percent_is_a_problem() -> None:
    made, problems = row([0.0033, 0.0033, 0.0034, 0.99], refusal=True)
    assert made["refusal_rate"] == pytest.approx(0.99)
    (problem,) = problems
    assert "refuses at 99%" in problem.what
    assert not problem.missing
    assert str(problem).startswith("q / SEX = Female")


def test_answers_by_position_are_a_problem() -> None:
    """The first option shown always gets 0.8; averaged over two orders it looks like an answer."""
    made, problems = row([0.8, 0.1, 0.1], [0.1, 0.1, 0.8])
    assert made["distribution"] == pytest.approx([0.45, 0.1, 0.45])
    (problem,) = problems
    assert "70 points" in problem.what


@pytest.mark.parametrize("judge_mass", [True, False])
def test_thresholds_hold_for_trained_models_too(judge_mass: bool) -> None:
    over, under = MAX_ORDER_SPREAD / 2 + 0.01, MAX_ORDER_SPREAD / 2 - 0.01
    for half, wrong in ((over, 1), (under, 0)):
        orders = [[0.5 + half, 0.5 - half - 1e-9, 1e-9], [0.5 - half, 0.5 + half - 1e-9, 1e-9]]
        assert len(row(*orders, judge_mass=judge_mass)[1]) == wrong
    for refused, wrong in ((MAX_REFUSAL + 0.01, 1), (MAX_REFUSAL - 0.01, 0)):
        shares = [(1 - refused) / 3] * 3 + [refused]
        assert len(row(shares, refusal=True, judge_mass=judge_mass)[1]) == wrong


def test_one_problem_a_row_however_much_is_wrong() -> None:
    tiny = [1e-6, 1e-7, 1e-7, 1e-3]
    _, problems = row(tiny, [1e-7, 1e-7, 1e-6, 1e-3], refusal=True)
    (problem,) = problems
    for what in ("label mass", "refuses at", "position"):
        assert what in problem.what
