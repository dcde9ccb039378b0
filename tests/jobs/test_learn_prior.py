"""`opinioncast learn-prior`: what it recovers, what it leaves out; workers change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.made_up_survey import answers, write_survey

from opinioncast.errors import InputError
from opinioncast.evidence.people import Groups
from opinioncast.evidence.prior import learn_covariance, read_prior
from opinioncast.evidence.sample import Answers, Sample
from opinioncast.jobs.learn_prior import learn_prior_to_file
from opinioncast.output_folder import KeptAsideWarning
from opinioncast.survey import OpinionTable, Question

GROUPS = Groups((("SEX", "Male"), ("SEX", "Female"), ("CREGION", "South"), ("CREGION", "West")))


def made_up(questions: int, people: int) -> Sample:
    """Sex moves answers (variance 1 of the difference on the logit), region does not."""
    rng = np.random.default_rng(0)
    sex, region = rng.integers(0, 2, (2, people))
    members = np.stack([sex == 0, sex == 1, region == 0, region == 1], axis=1)
    asked = []
    for i in range(questions):
        logit = rng.normal() + rng.normal() * (sex - 0.5)
        choice = (rng.random(people) > 1 / (1 + np.exp(-logit))).astype(int)
        question = Question(f"q{i}", f"Question {i}?", ("Yes", "No"))
        asked.append(Answers(question, choice, np.ones(people)))
    return Sample("made up", GROUPS, members, asked)


def test_the_covariance_is_what_made_the_answers() -> None:
    groups, center, covariance, record = learn_covariance([made_up(60, 1500)], rounds=6)
    # the difference between the sexes: variance 1 of the logit, half of it per unit contrast
    between = np.array([1.0, -1.0, 0.0, 0.0])
    assert between @ covariance @ between == pytest.approx(0.5, rel=0.5)
    regions = np.array([0.0, 0.0, 1.0, -1.0])
    assert regions @ covariance @ regions < 0.1
    assert center == pytest.approx([0.5] * 4, abs=0.05)
    assert record["questions"] == 60
    assert groups == GROUPS


@pytest.mark.slow
def test_workers_change_nothing() -> None:
    sample = made_up(6, 300)
    one = learn_covariance([sample], rounds=2)[2]
    assert np.array_equal(one, learn_covariance([sample], rounds=2, workers=2)[2])


def test_from_recipe_to_file(tmp_path: Path) -> None:
    recipe = write_survey(tmp_path / "survey", answers(400))
    row = {
        "question_id": "other",
        "question": "Do you agree with statement q1?",
        "options": ["Agree", "Disagree"],
        "ordinal": [1, 2],
        "attribute": "TOTAL",
        "group": "All adults",
        "distribution": [0.5, 0.5],
    }
    apart = OpinionTable.from_rows([row]).write(tmp_path / "apart.parquet")
    (tmp_path / "prior.npz").write_text("mine")
    with pytest.warns(KeptAsideWarning, match="was there already"):
        run = learn_prior_to_file([str(recipe)], [], tmp_path / "prior.npz", exclude=[apart])
    assert (tmp_path / "kept-1.prior.npz").read_text() == "mine"
    assert [f.name for f in run.files][-1] == "prior.npz.manifest.json"
    assert run.left_out == ("MADE 1 q1",)
    read = read_prior(tmp_path / "prior.npz")
    assert read.groups.columns == run.prior.groups.columns
    assert read.covariance == pytest.approx(run.prior.covariance, rel=1e-5)
    assert read.card["questions"] == 1
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="prior"):
        read_prior(tmp_path / "bad.npz")
