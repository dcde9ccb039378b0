"""What people and published cells tell of a question, by hand on four kinds of people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.evidence.small import (
    DEMOCRATS,
    EVERYONE,
    GROUPS,
    MEMBERS,
    MEN,
    MODEL,
    WOMEN,
)

from opinioncast.evidence.frame import frame_of_table
from opinioncast.evidence.frame_learning import _weight
from opinioncast.evidence.observations import Cell, Pilot, Published, without_same_people
from opinioncast.evidence.option_contrasts import KINDS
from opinioncast.evidence.people import Groups
from opinioncast.evidence.posterior import Model, read_cells
from opinioncast.evidence.prior import Prior
from opinioncast.evidence.sample import Answers, Sample
from opinioncast.survey import Question, Subpopulation

R_LME4 = Path(__file__).parent / "r_lme4"
ELSEWHERE = Subpopulation((("REGION", "North"),))


def test_cells_of_one_survey_share_their_people() -> None:
    """Two options, half and half, 100 people a cell. Along (1, -1) / sqrt 2 one person's answer has
    the variance 2 p (1 - p) = 1/2; men are half of everyone, two of five democrats are men."""
    cells = [EVERYONE, MEN, WOMEN, DEMOCRATS, ELSEWHERE]
    shares = np.full((5, 2), 0.5)
    found = MODEL.shares_covariance(cells, shares, np.full(5, 100.0), 0.01)[:, :, 0, 0]
    overlap = np.eye(5)
    overlap[0, 1] = overlap[0, 2] = overlap[0, 3] = np.sqrt(0.5)  # each is half of everyone
    overlap[1, 3] = 0.2 / 0.5  # people in both over the root of both sizes
    overlap[2, 3] = 0.3 / 0.5
    overlap = np.maximum(overlap, overlap.T)
    expected = 0.5 / 100 * overlap + np.eye(5) * (0.01**2 / 12 + 0.004**2)
    assert found == pytest.approx(expected, abs=1e-9)


def test_bases_of_two_cells_and_shares_that_are_exact() -> None:
    shares = np.array([[0.5, 0.5], [0.5, 0.5]])
    found = MODEL.shares_covariance([EVERYONE, MEN], shares, np.array([400.0, np.inf]), 0.0)
    assert found[0, 0, 0, 0] == pytest.approx(0.5 / 400 + 0.004**2)
    assert found[1, 1, 0, 0] == pytest.approx(0, abs=1e-11)
    assert found[0, 1, 0, 0] == pytest.approx(0.5 * np.sqrt(0.5) / np.sqrt(400 * 1e12))


def test_what_is_not_told_about_a_person_is_the_frames() -> None:
    """A democrat of whom no sex is told: of the frame's democrats two fifths are men, so three of
    eight stand-ins; the attribute told comes second, the one not told first."""
    parties = Groups(GROUPS.columns[2:])
    (piece,) = MODEL.people(parties, np.array([[True, False]]), np.array([[3.0, 1.0]]))
    rows = MEMBERS[[0] * 3 + [2] * 5]
    expected = MODEL.prior.features(GROUPS, rows)
    assert piece.features == pytest.approx(expected)
    assert piece.counts.tolist() == [[3.0, 1.0]]


def test_a_topline_of_a_group_of_the_pilot_is_the_pilots() -> None:
    """Its base is that of the group's people who answered and weigh something."""
    rows = np.arange(40) % 4
    weights = np.ones(40)
    weights[2] = 0.0  # a democrat
    choice = (np.arange(40) // 4) % 2
    choice[4] = -1  # a democrat who did not answer
    pilot = Pilot("pilot", GROUPS, MEMBERS[rows], {"rent": choice}, {"rent": weights})
    inside = MEMBERS[rows][:, 2] & (choice >= 0) & (weights > 0)
    assert inside.sum() == 18
    shares = tuple(pilot.shares("rent", 2, MEMBERS[rows][:, 2])[0])

    def left_out(n: int) -> int:
        poll = Published("poll", (Cell("rent", DEMOCRATS, shares, float(n), 0.0, n),))
        return len(without_same_people([pilot, poll], {"rent": 2})[1])

    assert [left_out(n) for n in (18, 40, 17, 19, 20, 1)] == [1, 1, 0, 0, 0, 0]


def test_people_weigh_as_in_the_question_most_were_asked() -> None:
    few = Answers(Question("a", "A?", ("x", "y")), np.zeros(4, int), np.array([5.0, 0, 0, 0]))
    most = replace(few, question=Question("b", "B?", ("x", "y")), weights=np.array([2.0, 1, 1, 0]))
    for answers in ([few, most], [most, few]):
        found = _weight(Sample("s", GROUPS, MEMBERS, answers))
        assert found == pytest.approx(np.array([2, 1, 1, 0]) * 4 / 6)  # sum: 16/6, Kish's size


def test_equal_to_a_multilevel_model_by_rs_lme4() -> None:
    """MRP of 400 answers with independent effects of lme4's variances and a level of no prior.

    With two options the logit is root two times the coefficient: its variance is half of lme4's.
    """
    kinds = pl.read_csv(R_LME4 / "kinds.csv")
    variances = dict(pl.read_csv(R_LME4 / "variances.csv").iter_rows())
    frame = frame_of_table(kinds.drop("favor", "oppose"), "kinds.csv", {})
    variance = np.diag([variances[a] / 2 for a, _ in frame.groups.columns])
    level = dict.fromkeys(KINDS, 1e6)
    prior = Prior(frame.groups, frame.proportions(frame.groups), variance, variance, level, 1.0)
    model = Model(prior, frame)
    rows = [[kind[a] == g for a, g in frame.groups.columns] for kind in kinds.iter_rows(named=True)]
    answers = kinds.select("favor", "oppose").to_numpy().astype(float)
    people = model.people(frame.groups, np.array(rows), answers)
    expected = {
        Subpopulation.from_key(a, g): share
        for a, g, share in pl.read_csv(R_LME4 / "expected.csv").iter_rows()
    }
    told = read_cells(model, model.expected({}, (1, 2)), people, list(expected))
    assert told.subpopulations == tuple(expected)
    assert told.mean[:, 0] == pytest.approx(np.array(list(expected.values())), abs=2e-4)
