"""Improvement and skill against the paper's tables; paired tests against simulation."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import polars as pl
import pytest

from opinioncast.errors import DataError
from opinioncast.evaluate.compare import (
    improvement_by,
    paired_test,
    relative_improvement,
    skill,
    skill_score,
)
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.reproduce.recipe import load_reproduction
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

TABLE_2: list[tuple[Any, ...]] = [
    # Table 2 repeats the next row's percentage for this one; Table 7 has it right
    (a, g, *distances, 0.455 if g == "Associate's degree" else printed)
    for a, g, *distances, printed in load_reproduction("table2", "paper").paper.rows
]


@pytest.mark.parametrize(("lower", "zero_shot", "ours", "printed"), [r[2:] for r in TABLE_2])
def test_table_2(lower: float, zero_shot: float, ours: float, printed: float) -> None:
    """The printed improvement lies among those of all values that round to the printed ones."""
    corners = [
        value
        for a, b, c in itertools.product((-0.0005, 0.0005), repeat=3)
        if (value := relative_improvement(zero_shot + a, ours + b, lower + c)) is not None
    ]
    assert min(corners) - 0.0005 <= printed <= max(corners) + 0.0005
    found = relative_improvement(zero_shot, ours, lower)
    assert found is not None
    assert found == pytest.approx(printed, abs=0.006)


def test_table_2_ages_average_to_the_text() -> None:
    ages = [relative_improvement(z, o, low) for a, _, low, z, o, _ in TABLE_2 if a == "AGE"]
    assert 100 * np.mean([a for a in ages if a is not None]) == pytest.approx(44.7, abs=0.1)


def test_there_is_no_share_of_a_gap_that_is_not_there() -> None:
    assert relative_improvement(0.03, 0.02, 0.03) is None
    assert relative_improvement(None, 0.02, 0.01) is None
    assert relative_improvement(0.1, 0.2, 0.0) == pytest.approx(-1)


def test_skill_by_hand() -> None:
    assert skill_score(0.2, 0.05, 0.0) == pytest.approx(0.75)
    assert skill({"wd": 0.2, "wd_uniform": 0.2, "wd_noise": 0.1}) == 0
    assert skill({"wd": 0.2, "wd_uniform": 0.2, "wd_noise": None}) is None


GROUPS = [Subpopulation((("AGE", f"{i}"),)) for i in range(5)]


def cells(values: np.ndarray) -> CellScores:
    """Scores whose distances are ``values``, shape (questions, groups)."""
    questions = [
        Question(f"q{i}", f"Question {i}?", ("a", "b"), (1, 2)) for i in range(len(values))
    ]
    observed, predicted = [], []
    for q, row in zip(questions, values, strict=True):
        for g, v in zip(GROUPS, row, strict=False):
            observed.append(opinion_row(q, g, [1, 0], n=100))
            predicted.append(opinion_row(q, g, [1 - v, v]))
    return score_cells(OpinionTable.from_rows(observed), PredictionTable.from_rows(predicted))


@pytest.mark.slow
def test_the_paired_test_is_about_questions() -> None:
    """Under no difference p is uniform though cells of a question move as one."""
    rng = np.random.default_rng(1)
    rejected = 0
    for i in range(100):
        base = rng.uniform(0.2, 0.6, (15, 1))
        first = cells(np.repeat(base + rng.normal(0, 0.05, (15, 1)), 5, axis=1))
        second = cells(np.repeat(base + rng.normal(0, 0.05, (15, 1)), 5, axis=1))
        rejected += paired_test(first, second, replicates=300, seed=i).p_value < 0.1
    assert 3 <= rejected <= 19  # 10 expected; treating 75 cells as independent gives about 50


@pytest.mark.slow
def test_a_real_difference_is_found_and_signed() -> None:
    rng = np.random.default_rng(2)
    base = rng.uniform(0.2, 0.6, (30, 5))
    found = paired_test(cells(base - 0.05 + rng.normal(0, 0.02, (30, 5))), cells(base))
    assert found.difference == pytest.approx(-0.05, abs=0.01)
    assert found.low < found.difference < found.high < 0
    assert found.p_value < 0.001
    assert (found.cells, found.questions, found.left_out) == (150, 30, 0)
    assert found.first - found.second == pytest.approx(found.difference)


def test_few_questions_prove_nothing() -> None:
    base = np.full((3, 5), 0.5)
    assert paired_test(cells(base - 0.2), cells(base)).p_value == pytest.approx(0.25, abs=0.03)


def test_only_shared_cells_count() -> None:
    base = np.full((4, 5), 0.5)
    found = paired_test(cells(base), cells(np.full((6, 2), 0.4)))
    assert (found.cells, found.left_out) == (8, 16)
    with pytest.raises(DataError, match="no cell in common"):
        paired_test(cells(base), _renamed(cells(base)))


def _renamed(scores: CellScores) -> CellScores:
    return CellScores(
        scores.frame.with_columns(wave=pl.lit("other")), scores.asked, scores.coverage
    )


def test_improvement_by_group_over_shared_cells() -> None:
    zero = cells(np.full((4, 3), 0.4))
    ours = cells(np.full((6, 5), 0.1))
    lower = pl.DataFrame({"attribute": ["AGE"] * 3, "group": ["0", "1", "2"], "lower": [0.1] * 3})
    frame = improvement_by(ours, zero, "attribute", "group", lower=lower)
    assert frame["relative"].to_list() == [pytest.approx(1)] * 3 + [None] * 2
    assert frame["absolute"].to_list() == [pytest.approx(0.3)] * 3 + [None] * 2
    assert frame["cells"].to_list() == [4, 4, 4, 0, 0]
    assert frame["note"][0] == "4 of 6 cells in both methods with a distance"
    by_noise = improvement_by(ours, zero, "group")
    assert by_noise["lower"][0] == pytest.approx(0)  # everybody says the same: no noise
