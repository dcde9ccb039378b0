"""What counts as one question, and that asking it again does not narrow an interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from opinioncast.evaluate.clusters import question_counts, question_words, with_clusters
from opinioncast.evaluate.compare import paired_test
from opinioncast.evaluate.input_use import NO_QUESTION, input_use
from opinioncast.evaluate.scaling import bootstrap_power_law
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.evaluate.steerability import steerability
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

GROUPS = [Subpopulation((("SEX", s),)) for s in ("Male", "Female")]
LEVEL = np.random.default_rng(5).uniform(0.05, 0.4, 25)


def clusters(*rows: tuple[str, str, str, str]) -> list[int]:
    frame = pl.DataFrame(rows, schema=["family", "wave", "question_id", "question"], orient="row")
    return with_clusters(frame)["cluster"].to_list()


def test_a_question_is_one_by_key_or_wording() -> None:
    assert clusters(
        ("GSS", "2016", "abany", "Should abortion be possible?"),
        ("GSS", "2018", "natspac", "Is too much spent on space?"),
        ("GSS", "2018", "abany", "Should abortion be possible for any reason?"),
        ("GSS", "2018", "natspacy", "is  too much spent on SPACE? "),
        ("ANES", "2018", "abany", "Should abortion be possible?"),
        ("ANES", "2018", "natspac", "Is too much spent on arms?"),
    ) == [0, 1, 0, 1, 0, 2]


def test_a_key_of_pews_is_one_without_its_wave() -> None:
    assert clusters(
        ("ATP", "82", "SATIS_W82", "Satisfied?"),
        ("ATP", "92", "SATIS_W92", "Are you satisfied?"),
        ("ATP", "92", "SATIS_W82", "Another one"),
        ("", "", "a_W", "A?"),
        ("", "", "a", "B?"),
    ) == [0, 0, 0, 1, 2]


def test_links_add_up() -> None:
    """By wording, then by key, then by wording: the ends have neither in common."""
    assert clusters(
        ("A", "4", "d", "other words"),
        ("A", "1", "a", "some words"),
        ("A", "2", "b", "Some words"),
        ("A", "3", "b", "Other words"),
        ("A", "5", "e", "none of these"),
    ) == [0, 0, 0, 0, 1]


def test_counts_and_words() -> None:
    twice = scores(LEVEL, waves=("2016", "2018")).frame
    assert question_counts(twice) == (25, 50)
    assert question_words(twice) == "25 questions (50 with waves)"
    assert question_words(twice.drop("cluster")) == "25 questions (50 with waves)"
    assert question_words(scores(LEVEL).frame) == "25 questions"
    assert scores(LEVEL, waves=("2016", "2018")).questions() == (25, 50)


def questions(waves: Sequence[str]) -> list[Question]:
    return [
        Question(f"q{i}", f"Question {i}?", ("No", "Yes"), (0, 1), "GSS", wave)
        for wave in waves
        for i in range(len(LEVEL))
    ]


def scores(distance: np.ndarray, waves: Sequence[str] = ("2016",)) -> CellScores:
    """Question i is ``distance[i]`` off in both groups, whenever it is asked."""
    observed, predicted = [], []
    for question in questions(waves):
        share = distance[int(question.question_id[1:])]
        for group in GROUPS:
            observed.append(opinion_row(question, group, [1, 0]))
            predicted.append(opinion_row(question, group, [1 - share, share]))
    return score_cells(OpinionTable.from_rows(observed), PredictionTable.from_rows(predicted))


YEARS = ("2016", "2018", "2021", "2022")


def test_asking_four_times_does_not_halve_an_interval() -> None:
    once, often = scores(LEVEL), scores(LEVEL, YEARS)
    assert often.interval() == pytest.approx(once.interval())
    half = 1.96 * LEVEL.std() / np.sqrt(len(LEVEL))  # of 25 questions; 100 would give half of it
    assert np.diff(often.interval())[0] / 2 == pytest.approx(half, rel=0.1)
    by_group = often.intervals("group").select("low", "high")
    assert by_group.row(0) == pytest.approx(once.intervals("group").row(0)[1:])
    by_wave = often.intervals("wave")  # each wave stands on the same questions
    assert by_wave.row(3)[1:] == pytest.approx(once.interval())


def test_asking_four_times_does_not_make_a_difference_certain() -> None:
    other = LEVEL + np.random.default_rng(6).normal(0.02, 0.06, len(LEVEL))
    once = paired_test(scores(LEVEL), scores(other))
    often = paired_test(scores(LEVEL, YEARS), scores(other, YEARS))
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    assert once.p_value > 0.01
    assert often.p_value == once.p_value
    assert (once.cells, once.questions) == (50, 25)
    assert (often.cells, often.questions) == (200, 25)


def test_the_interval_of_a_slope_is_over_questions_too() -> None:
    tilt = np.random.default_rng(7).normal(-0.2, 0.1, len(LEVEL))
    once, often = (
        bootstrap_power_law(
            {n: scores(LEVEL * n**tilt, waves) for n in (1.0, 2.0, 4.0)}, replicates=300
        )
        for waves in (("2016",), YEARS)
    )
    assert (often.slope_low, often.slope_high) == pytest.approx((once.slope_low, once.slope_high))


def test_input_use_is_over_questions_too() -> None:
    def predict(asked: Sequence[Question], groups: Sequence[Subpopulation]) -> PredictionTable:
        rows = []
        for q in asked:
            known = q.text.startswith("Question") and int(q.question_id[1:]) % 3
            rows += [opinion_row(q, g, [0.9, 0.1] if known else [0.6, 0.4]) for g in groups]
        return PredictionTable.from_rows(rows)

    found = []
    for waves in (("2016",), YEARS):
        table = OpinionTable.from_rows(
            [opinion_row(q, g, [1, 0]) for q in questions(waves) for g in GROUPS]
        )
        frame = input_use(table, predict).filter(pl.col("input") == NO_QUESTION)
        found.append(frame.select("low", "high", "p_value").row(0))
    assert found[1] == pytest.approx(found[0])


def test_one_question_has_no_interval_however_often_it_was_asked() -> None:
    table = OpinionTable.from_rows(
        [opinion_row(q, g, [1, 0]) for q in questions(YEARS)[::25] for g in GROUPS]
    )
    one = score_cells(table, PredictionTable(table.frame))
    assert np.isnan(one.interval()).all()
    assert one.intervals("group")["low"].null_count() == 2
    test = paired_test(one, one)
    assert np.isnan([test.low, test.high]).all()
    assert test.p_value == 1
    frame = input_use(table, lambda qs, gs: predicted_as_asked(qs, gs))
    assert frame["low"].null_count() == frame["high"].null_count() == 4


def predicted_as_asked(
    asked: Sequence[Question], groups: Sequence[Subpopulation]
) -> PredictionTable:
    return PredictionTable.from_rows([opinion_row(q, g, [0.5, 0.5]) for q in asked for g in groups])


def test_a_pair_of_groups_shares_questions_not_askings() -> None:
    found = steerability(scores(LEVEL, YEARS), "SEX")
    assert (found.questions == 25).all()
    assert found.model == pytest.approx(steerability(scores(LEVEL), "SEX").model)
