"""`opinioncast learn-prior`: what it recovers, what it leaves out; workers change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.made_up_survey import answers, write_survey

from opinioncast.errors import InputError
from opinioncast.evidence.people import Groups
from opinioncast.evidence.prior import read_prior
from opinioncast.evidence.prior_learning import learn_covariance
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
        question = Question(f"q{i}", f"Question {i}?", ("Yes", "No"), (1, 2))
        asked.append(Answers(question, choice, np.ones(people)))
    return Sample("made up", GROUPS, members, asked)


def test_the_covariance_is_what_made_the_answers() -> None:
    learned = learn_covariance([made_up(60, 1500)], rounds=6)
    covariance = learned.covariance
    # the difference between the sexes: variance 1 of the logit, half of it per unit contrast
    between = np.array([1.0, -1.0, 0.0, 0.0])
    assert between @ covariance @ between == pytest.approx(0.5, rel=0.5)
    regions = np.array([0.0, 0.0, 1.0, -1.0])
    assert regions @ covariance @ regions < 0.1
    assert learned.center == pytest.approx([0.5] * 4, abs=0.05)
    assert learned.record["questions"] == 60
    assert learned.groups == GROUPS
    assert np.array_equal(learned.other, covariance)  # of two options nothing else is learned


@pytest.mark.slow
def test_along_a_scale_and_else_are_told_apart() -> None:
    """Men and women differ along a scale of four (standard deviation 1), regions in its bend."""
    rng = np.random.default_rng(1)
    sex, region = rng.integers(0, 2, (2, 1500))
    members = np.stack([sex == 0, sex == 1, region == 0, region == 1], axis=1)
    along, bend = np.array([-3, -1, 1, 3]) / np.sqrt(20), np.array([1, -1, -1, 1]) / 2
    asked = []
    for i in range(40):
        eta = np.outer(rng.normal() * (sex - 0.5), along) + np.outer(
            rng.normal() * (region - 0.5), bend
        )
        shares = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
        choice = (rng.random((1500, 1)) > np.cumsum(shares, axis=1)).sum(axis=1)
        question = Question(f"q{i}", f"Question {i}?", ("a", "b", "c", "d"), (1, 2, 3, 4))
        asked.append(Answers(question, np.minimum(choice, 3), np.ones(1500)))
    learned = learn_covariance([Sample("made up", GROUPS, members, asked)], rounds=5)
    of_sex, of_region = np.array([1.0, -1, 0, 0]), np.array([0.0, 0, 1, -1])
    assert of_sex @ learned.covariance @ of_sex == pytest.approx(1.0, rel=0.5)
    assert of_region @ learned.covariance @ of_region < 0.15
    # one of the two contrasts that are not along the scale
    assert of_region @ learned.other @ of_region == pytest.approx(0.5, rel=0.5)
    assert of_sex @ learned.other @ of_sex < 0.15


@pytest.mark.slow
def test_workers_change_nothing() -> None:
    sample = made_up(6, 300)
    one = learn_covariance([sample], rounds=2).covariance
    assert np.array_equal(one, learn_covariance([sample], rounds=2, workers=2).covariance)


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
    assert read.other == pytest.approx(run.prior.other, rel=1e-5)
    assert read.level == run.prior.level
    assert read.card["questions"] == 1
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="prior"):
        read_prior(tmp_path / "bad.npz")
