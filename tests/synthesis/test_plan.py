"""Answers planned for a population: groups answer as predicted, contradictions are shifted."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from opinioncast.evidence.frame import frame_of_table
from opinioncast.evidence.posterior import Model
from opinioncast.evidence.prior import read_prior
from opinioncast.survey import Subpopulation
from opinioncast.synthesis.people import draw_people, each_in_one_group
from opinioncast.synthesis.plan import plan_answers, reconciled

TOTAL = Subpopulation()
WOMEN, MEN = (Subpopulation((("SEX", g),)) for g in ("Female", "Male"))
YOUNG, OLD = (Subpopulation((("AGE", g),)) for g in ("18-29", "65+"))
YOUNG_WOMEN = Subpopulation((("SEX", "Female"), ("AGE", "18-29")))


def _model() -> Model:
    table = pl.DataFrame(
        {
            "SEX": ["Female", "Female", "Female", "Male", "Male", "Male"],
            "AGE": ["18-29", "30-49", "65+", "18-29", "30-49", "65+"],
            "weight": [0.1, 0.2, 0.25, 0.15, 0.2, 0.1],
        }
    )
    frame = each_in_one_group(frame_of_table(table, "test", {}))
    return Model(read_prior().with_frame(frame), frame)


def test_predictions_that_agree_are_given_back_exactly() -> None:
    predicted = {
        TOTAL: [0.55 * 0.6 + 0.45 * 0.4, 0.0, 0.0],
        WOMEN: [0.6, 0.3, 0.1],
        MEN: [0.4, 0.3, 0.3],
        YOUNG: [0.7, 0.2, 0.1],
        YOUNG_WOMEN: [0.75, 0.2, 0.05],
    }
    predicted[TOTAL] = [0.51, 0.3, 0.19]
    plan = plan_answers(_model(), predicted, (1, 2, 3))
    assert plan.planned == pytest.approx(plan.predicted, abs=1e-6)
    assert plan.shares.sum(axis=1) == pytest.approx(np.ones(6))
    assert plan.shares.min() > 0


def test_contradictions_are_shifted_to_one_whole() -> None:
    """Women and men add up to 0.51, the whole is said to be 0.61: both sexes move up, in order."""
    predicted = {TOTAL: [0.61, 0.39], WOMEN: [0.6, 0.4], MEN: [0.4, 0.6]}
    plan = plan_answers(_model(), predicted, (1, 2))
    total, women, men = plan.planned[:, 0]
    assert total == pytest.approx(0.61, abs=1e-6)
    assert 0.55 * women + 0.45 * men == pytest.approx(0.61, abs=1e-6)
    assert women > 0.6 > 0.4 < men < women
    # a logit shift: the same for both
    logit = [np.log(p / (1 - p)) for p in (women, men)]
    assert logit[0] - logit[1] == pytest.approx(2 * np.log(1.5), abs=1e-6)
    assert plan.shift == pytest.approx(max(women - 0.6, men - 0.4), abs=1e-6)


def test_an_attribute_in_part_moves_only_where_the_rest_cannot_make_up() -> None:
    frame = _model().frame
    wanted = np.array([[0.5, 0.5], [0.7, 0.3]])
    assert reconciled(frame, (TOTAL, YOUNG), wanted) == pytest.approx(wanted)
    # the old are 35%: 0.99 of them is more than the 0.2 of all there are
    moved = reconciled(frame, (TOTAL, OLD), np.array([[0.2, 0.8], [0.99, 0.01]]))
    assert moved[1, 0] * 0.35 < 0.2
    assert moved[0] == pytest.approx([0.2, 0.8])


def test_shares_of_nothing_and_cells_nobody_tells() -> None:
    strange = Subpopulation((("RELIG", "Hindu"),))
    predicted = {TOTAL: [1.0, 0.0], WOMEN: [1.0, 0.0], strange: [0.5, 0.5]}
    plan = plan_answers(_model(), predicted, (1, 2))
    assert plan.planned[:, 0] == pytest.approx([1.0, 1.0], abs=1e-4)
    assert "does not tell" in plan.untold[strange]
    alone = plan_answers(_model(), {strange: [0.5, 0.5]}, (1, 2))
    assert alone.cells == ()
    assert alone.shares.shape == (6, 2)


def test_a_row_in_two_groups_becomes_one_of_each() -> None:
    table = pl.DataFrame(
        {"RELIG": ["Atheist", "Agnostic", "Atheist|Agnostic", None], "weight": [3, 1, 4, 2]}
    )
    frame = each_in_one_group(frame_of_table(table, "test", {}))
    assert frame.members.sum(axis=1).max() == 1
    share = {g: frame.share(Subpopulation((("RELIG", g),))) for g in ("Atheist", "Agnostic")}
    assert share["Atheist"] == pytest.approx(0.3 + 0.4 * 3 / 4)
    assert share["Agnostic"] == pytest.approx(0.1 + 0.4 * 1 / 4)
    people = draw_people(frame, 4000, np.random.default_rng(1))
    assert people.members[:, frame.groups.place["RELIG", "Atheist"]].mean() == pytest.approx(
        0.6, abs=0.03
    )
