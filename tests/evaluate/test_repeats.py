"""Means over repeated trainings, and their standard error, by hand."""

from __future__ import annotations

import polars as pl
import pytest

from opinioncast.errors import InputError
from opinioncast.evaluate.repeats import mean_of_runs, standard_error
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

MEN = Subpopulation((("SEX", "Male"),))
QUESTIONS = [
    Question(f"q{i}", f"Number {i}?", ("No", "Yes", "Neither"), (0, 1, -1)) for i in range(3)
]
TABLE = OpinionTable.from_rows([opinion_row(q, MEN, [1, 0, 0]) for q in QUESTIONS])


def scores(*yes: float | None) -> CellScores:
    """Predicted shares of "yes"; None: all of it off the scale."""
    shares = [[0, 0, 1] if y is None else [1 - y, y, 0] for y in yes]
    rows = [opinion_row(q, MEN, s) for q, s in zip(QUESTIONS, shares, strict=False)]
    return score_cells(TABLE, PredictionTable.from_rows(rows))


def test_a_mean_over_cells_is_the_mean_of_the_runs() -> None:
    runs = [scores(0.1, 0.2, 0.3), scores(0.3, 0.2, 0.7)]
    both = mean_of_runs(runs)
    assert both.frame["wd"].to_list() == pytest.approx([0.2, 0.2, 0.5])
    of_each = [r.mean()["wd"] for r in runs]
    assert both.mean()["wd"] == pytest.approx(sum(of_each) / 2) == pytest.approx(0.3)
    assert standard_error(of_each) == pytest.approx(0.1)  # of 0.2 and 0.4: 0.1414 / sqrt 2
    assert both.frame["predicted"].to_list()[0] == pytest.approx([0.8, 0.2, 0])
    assert both.frame["wd_uniform"].to_list() == pytest.approx([0.5] * 3)
    assert mean_of_runs(runs[:1]) is runs[0]


def test_a_cell_without_a_distance_in_one_run_has_none() -> None:
    both = mean_of_runs([scores(0.1, 0.2, 0.3), scores(0.3, None, 0.7)])
    assert both.frame["wd"].to_list() == [pytest.approx(0.2), None, pytest.approx(0.5)]
    assert both.mean()["cells"] == 2
    assert both.mean()["note"].startswith("2 of 3 cells")


def test_rows_of_another_order_are_the_same_cells_others_are_not() -> None:
    turned = scores(0.1, 0.2, 0.3)
    turned = CellScores(turned.frame.reverse(), turned.asked, turned.coverage)
    assert mean_of_runs([scores(0.1, 0.2, 0.3), turned]).frame["wd"].to_list() == pytest.approx(
        [0.1, 0.2, 0.3]
    )
    with pytest.raises(InputError, match="different cells"):
        mean_of_runs([scores(0.1, 0.2, 0.3), scores(0.1, 0.2)])
    with pytest.raises(InputError, match="no run"):
        mean_of_runs([])


def test_standard_errors_by_hand() -> None:
    assert standard_error([0.1, 0.2, 0.3]) == pytest.approx(0.1 / 3**0.5)
    assert standard_error([0.1]) is None
    assert standard_error([]) is None
    assert standard_error([0.1, None, 0.3]) is None  # one run is not known
    assert standard_error([0.1, float("nan"), 0.3]) is None
    assert pl.Series([standard_error([0.5, 0.5])]).to_list() == [0.0]
