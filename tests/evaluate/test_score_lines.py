"""Scores in sentences: the distance where there is one, KL always; values worked by hand."""

from __future__ import annotations

import math

import pytest

from opinioncast.evaluate.score_lines import score_lines, score_sentences, uniform_divergence
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.survey import (
    OpinionTable,
    PredictionTable,
    Question,
    Subpopulation,
    opinion_row,
)

SCALED = Question("a", "Is it so?", ("Yes", "No"), (1, 2))
FLAT = Question("b", "Which?", ("Red", "Green", "Blue"))


def scores(*questions: Question) -> CellScores:
    people = {"a": [0.75, 0.25], "b": [0.5, 0.25, 0.25]}
    model = {"a": [0.5, 0.5], "b": [0.25, 0.5, 0.25]}
    observed, predicted = (
        [opinion_row(q, Subpopulation(), shares[q.question_id]) for q in questions]
        for shares in (people, model)
    )
    return score_cells(OpinionTable.from_rows(observed), PredictionTable.from_rows(predicted))


def test_both_are_said_where_there_is_a_distance() -> None:
    distance, divergence = score_sentences(scores(SCALED, FLAT))
    assert "over 1 cells: 0.2500" in distance
    assert "over 2 cells: 0.15" in divergence  # (0.1308 + 0.1733) / 2, hardly smoothed


def test_without_any_scale_the_divergence_stands_alone() -> None:
    found = scores(FLAT)
    none, divergence = score_sentences(found)
    assert none == "No cell has a scale, so there is no Wasserstein distance."
    assert "over 1 cells: 0.17" in divergence
    row = next(line for line in score_lines(found) if line.startswith("| TOTAL"))
    assert row.split(" | ")[2:6] == ["-", "-", "-", "0"]
    assert "nan" not in " ".join(score_lines(found)).casefold()


def test_a_uniform_guess_is_what_kl_is_held_against() -> None:
    entropy = 0.5 * math.log(2) + 2 * 0.25 * math.log(4)
    assert uniform_divergence(scores(FLAT)) == pytest.approx(math.log(3) - entropy)
