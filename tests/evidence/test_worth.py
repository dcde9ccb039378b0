"""What predictions are worth, in respondents: closed forms against simulation and hand."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from opinioncast.evaluate.distance import wasserstein
from opinioncast.evaluate.scores import score_cells
from opinioncast.evidence.worth import (
    OVERALL,
    SIZES,
    expected_distance,
    k_hat,
    measure_worth,
    number_words,
    respondents_words,
    size_as_near,
)
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

SHARES = np.array([[0.1, 0.2, 0.4, 0.3], [0.02, 0.08, 0.9, 0.0]])
ORDINAL = np.array([[1.0, 2.0, 3.0, 5.0], [1.0, 2.0, 3.0, -1.0]])


@given(st.floats(1e-9, 1 - 1e-9), st.integers(1, 60))
def test_one_step_is_the_mean_deviation_of_a_binomial(p: float, k: int) -> None:
    counts = np.arange(k + 1)
    by_hand = float((stats.binom.pmf(counts, k, p) * np.abs(counts / k - p)).sum())
    found = expected_distance(np.array([[p, 1 - p]]), np.array([[0.0, 1.0]]), [k])
    assert found[0, 0] == pytest.approx(by_hand, abs=1e-9)


@pytest.mark.parametrize("n_eff", [None, 150.0])
@pytest.mark.parametrize("k", [1, 4, 25, 200])
def test_distances_agree_with_simulated_samples(k: int, n_eff: float | None) -> None:
    rng = np.random.default_rng(3)
    base = None if n_eff is None else np.full(2, n_eff)
    found = expected_distance(SHARES, ORDINAL, [k], base)[:, 0]
    draws = 40_000
    for row, (p, scale) in enumerate(zip(SHARES, ORDINAL, strict=True)):
        ours = rng.multinomial(k, p, draws) / k
        theirs = np.tile(p, (draws, 1))
        if n_eff is not None:
            theirs = rng.multinomial(int(n_eff), p, draws) / n_eff
        distance = wasserstein(ours, theirs, np.tile(scale, (draws, 1)))
        tolerance = 0.02 if n_eff is None else 0.04
        assert found[row] == pytest.approx(np.nanmean(distance), rel=tolerance)


@pytest.mark.slow
@settings(max_examples=200)
@given(st.integers(1, 5000), st.floats(0.05, 0.95))
def test_a_sample_is_worth_its_own_size(k: int, p: float) -> None:
    shares, ordinal = np.array([[p, 1 - p]]), np.array([[0.0, 1.0]])
    expected = expected_distance(shares, ordinal, SIZES)
    distance = expected_distance(shares, ordinal, [k])[:, 0]
    found = size_as_near(distance, expected, SIZES)[0]
    # small samples' distances fall in steps, where several sizes are as near as each other
    falls = np.minimum.accumulate(expected[0])
    assert falls[np.searchsorted(SIZES, found) - 1] >= distance[0] * (1 - 1e-9) or found < 2
    if k * min(p, 1 - p) > 30:
        assert found == pytest.approx(k, rel=0.1)


def test_the_ends() -> None:
    sizes, expected = np.array([1, 10, 100]), np.array([0.4, 0.1, 0.04])
    assert size_as_near(np.array(0.41), expected, sizes) == 0
    assert size_as_near(np.array(0.03), expected, sizes) == math.inf
    assert size_as_near(np.array(0.2), expected, sizes) == pytest.approx(math.sqrt(10))
    assert np.isnan(size_as_near(np.array(np.nan), expected, sizes))
    assert respondents_words(0) == "less than 1 respondent"
    assert respondents_words(1.0) == "about 1 respondent"
    assert respondents_words(3.47) == "about 3.5 respondents"
    assert number_words(1234) == "1,200"
    assert number_words(None) == "-"
    assert respondents_words(213.4) == "about 210 respondents"
    assert respondents_words(math.inf) == "more respondents than this survey can tell"


GROUPS = [Subpopulation((("SEX", s),)) for s in ("Female", "Male")]


def tables(k: tuple[int, int], questions: int, n: int = 2000) -> tuple[OpinionTable, pl.DataFrame]:
    """Predictions that are samples of k respondents of a truth, beside another sample of n."""
    rng = np.random.default_rng(5)
    observed, predicted = [], []
    for i in range(questions):
        question = Question(f"q{i}", f"Question {i}?", ("a", "b", "c"), (1, 2, 3))
        for size, group in zip(k, GROUPS, strict=True):
            p = rng.dirichlet([2, 2, 2])
            seen = (rng.multinomial(n, p) / n).tolist()
            observed.append(opinion_row(question, group, seen, n=n, n_eff=float(n)))
            guess = (rng.multinomial(size, p) / size).tolist()
            predicted.append(opinion_row(question, group, guess))
    return OpinionTable.from_rows(observed), PredictionTable.from_rows(predicted).frame


def test_samples_are_told_by_their_size_per_group() -> None:
    observed, predicted = tables((40, 400), 150)
    found = measure_worth(score_cells(observed, PredictionTable(predicted)))
    assert list(found) == [OVERALL, "SEX=Female", "SEX=Male"]
    assert found["SEX=Female"].respondents == pytest.approx(40, rel=0.15)
    assert found["SEX=Male"].respondents == pytest.approx(400, rel=0.25)
    women = found["SEX=Female"]
    assert women.low is not None
    assert women.high is not None
    assert women.low < 40 < women.high
    assert women.questions == 150
    assert "respondents (95% over questions" in str(women)


def test_one_question_has_no_interval() -> None:
    observed, predicted = tables((40, 400), 1)
    found = measure_worth(score_cells(observed, PredictionTable(predicted)))[OVERALL]
    assert (found.low, found.high, found.k_hat) == (None, None, None)
    assert found.record()["low"] is None


def test_k_hat_by_hand() -> None:
    # no error of the people's means; distances 0.1, sd 0.5: k <= C (z 0.5 / 0.1)^2 = C 25 z^2
    items = pl.DataFrame({"question": range(20)}).with_columns(
        mean=0.5, se=0.0, predicted=0.6, predicted_sd=0.5
    )
    z = stats.norm.ppf(0.95)
    assert k_hat(items, dilation=1.0) == pytest.approx(np.floor(25 * z**2))
    assert k_hat(items, dilation=2.0, k_max=1000) == pytest.approx(np.floor(50 * z**2) / 2)
    # one item in 20 as far as can be: 12 of training, 0.05 x 12 = 0 may fail, where it is drawn
    far = items.with_columns(
        predicted=pl.when(pl.col("question") == 0).then(1.0).otherwise("predicted")
    )
    found = k_hat(far, dilation=1.0)
    assert set(found) == {2.0, np.floor(25 * z**2)}
    assert np.mean(found == 2.0) == pytest.approx(0.6, abs=0.15)


def test_k_hat_is_the_last_k_before_coverage_is_lost() -> None:
    rng = np.random.default_rng(0)
    questions = 30
    items = pl.DataFrame(
        {
            "question": range(questions),
            "mean": rng.uniform(0.3, 0.7, questions),
            "se": rng.uniform(0.01, 0.03, questions),
            "predicted": rng.uniform(0.3, 0.7, questions),
            "predicted_sd": rng.uniform(0.2, 0.4, questions),
        }
    )
    found = k_hat(items, splits=5, seed=1)
    rng = np.random.default_rng(1)
    for value in found:
        chosen = items[np.sort(rng.permutation(questions)[:18])]
        best = 0
        for k in range(1, 201):  # straightforwardly, as the published code goes
            half = np.sqrt(3) * stats.norm.ppf(0.95) * chosen["predicted_sd"] / np.sqrt(k)
            real = stats.norm.ppf(0.75) * chosen["se"]
            inside = (chosen["mean"] - real >= chosen["predicted"] - half) & (
                chosen["mean"] + real <= chosen["predicted"] + half
            )
            missed = 0.0 if k <= 2 else 1 - float(inside.mean())  # type: ignore[arg-type]
            if missed > 0.05:
                break
            best = k
        assert value == pytest.approx(best / 3)
