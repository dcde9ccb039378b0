"""Measured intervals: where they lie, what they hold, whose they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinioncast.errors import DataError
from opinioncast.evidence.worth import OVERALL
from opinioncast.methods.error_bars import (
    OFFSET,
    POOLED,
    ErrorBars,
    Widths,
    deviation,
    held_out,
    interval,
    measure,
    question_quantile,
    settings_hash,
)
from opinioncast.methods.prediction import Prediction
from opinioncast.survey import PredictionTable, Question, Subpopulation, opinion_row

SHARE = st.floats(0, 1)


@pytest.mark.slow
@settings(max_examples=500)
@given(SHARE, st.floats(0, 5), SHARE)
def test_intervals_lie_between_0_and_1_around_their_share(p: float, t: float, q: float) -> None:
    low, high = interval(p, t)
    assert 0 <= low <= p <= high <= 1
    # and hold exactly what is near enough
    if abs(deviation(p, q) - t) > 1e-6:
        assert (low <= q <= high) == bool(deviation(p, q) <= t)


def test_by_hand() -> None:
    # (0.2 + c) / (0.8 + c) = 0.268; times and by e^0.5, and back
    odds = (0.2 + OFFSET) / (0.8 + OFFSET)
    low, high = interval(0.2, 0.5)
    for end, factor in ((low, np.exp(-0.5)), (high, np.exp(0.5))):
        assert (end + OFFSET) / (1 - end + OFFSET) == pytest.approx(odds * factor)
    assert 0.2 - low < high - 0.2  # asymmetric
    assert interval(0.0, 0.5)[0] == 0
    assert interval(1.0, 0.5)[1] == 1


def test_a_question_counts_once_however_many_shares_it_has() -> None:
    # 19 questions of one share each with 0.01 to 0.19, one of 1,000 shares with 5
    scores = np.concatenate([np.arange(1, 20) / 100, np.full(1000, 5.0)])
    questions = np.concatenate([np.arange(19), np.full(1000, 99)])
    assert question_quantile(scores, questions) == pytest.approx(0.18)
    assert question_quantile(scores, questions, 0.96) == 5.0
    assert question_quantile([0.3, 0.1], [0, 1]) == 0.3


def cells(questions: int, seed: int = 1, spread: float = 1.0) -> pl.DataFrame:
    """Predictions of one half for shares whose questions lie high or low as a whole."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(questions):
        level = rng.normal(0, 0.8 * spread)
        for group in ("Female", "Male"):
            q = 1 / (1 + np.exp(-level - rng.normal(0, 0.3)))
            rows.append(("SEX", group, i, [0.5, 0.5], [q, 1 - q]))
    return pl.DataFrame(
        rows, schema=["attribute", "group", "cluster", "predicted", "observed"], orient="row"
    )


@pytest.mark.slow
def test_nine_in_ten_shares_of_new_questions_are_held() -> None:
    widths = measure(cells(1500))
    fresh = cells(1500, seed=2)
    low, high = interval(0.5, widths.of(2, Subpopulation((("SEX", "Male"),))))
    held = np.mean([low <= q[0] <= high for q in fresh["observed"]])
    assert held == pytest.approx(0.9, abs=0.03)
    found, width, _ = held_out(cells(60))
    assert np.mean(found <= width) == pytest.approx(0.9, abs=0.06)


def test_a_groups_width_is_shrunk_to_the_pooled_one() -> None:
    frame = cells(30)
    women = frame.filter(pl.col("group") == "Female").with_columns(
        observed=pl.lit([0.999, 0.001]), group=pl.lit("Other"), cluster=pl.lit(77, pl.Int64)
    )[:1]
    widths = measure(pl.concat([frame, women]))
    own = float(deviation(0.5, 0.999))
    shrunk = (1 * own * widths.pooled / widths.by_options[2] + POOLED * widths.pooled) / 21
    assert widths.by_group["SEX=Other"] == pytest.approx(shrunk)
    # a group never measured has the pooled width, a number of options the next smaller one's
    other = Subpopulation((("AGE", "65+"),))
    assert widths.of(2, other) == widths.of(3, other) == pytest.approx(widths.by_options[2])
    again = Widths.of_record(json.loads(json.dumps(widths.record())))
    assert again.of(2, other) == pytest.approx(widths.of(2, other), abs=1e-4)


Q = Question("q", "Q?", ("Yes", "No"))


def prediction(**more: object) -> Prediction:
    rows = [
        opinion_row(Q, Subpopulation((("SEX", s),)), [0.02, 0.98], **more)
        for s in ("Female", "Male")
    ]
    return Prediction(PredictionTable.from_rows(rows), record={"method": "m"})


ENTRY = {
    "settings": [settings_hash({"method": "m"})],
    "interval_90": {"pooled": 0.5, "by_options": {"2": 0.5}, "by_group": {"SEX=Male": 1.0}},
    "worth": {OVERALL: {"respondents": 4.2, "words": "about 4 respondents"}},
}


def test_a_measured_setting_gets_its_intervals_by_group() -> None:
    found = ErrorBars([ENTRY]).apply(prediction())
    women, men = found.table.frame.iter_rows(named=True)
    assert men["high"][0] > women["high"][0] > 0.02 > women["low"][0] >= 0
    assert women["basis"] == "model"
    assert found.table.meta["worth"] == found.record["worth"] == ENTRY["worth"]


def test_a_setting_never_measured_may_be_anywhere_and_says_so() -> None:
    row = ErrorBars([]).apply(prediction()).table.frame.row(0, named=True)
    assert (row["low"], row["high"]) == ([0, 0], [1, 1])
    assert row["basis"] == "model, never measured"


def test_intervals_that_are_there_stay() -> None:
    given_with = prediction(low=[0.0, 0.9], high=[0.1, 1.0], basis="model and 100 respondents")
    for bars in (ErrorBars([ENTRY]), ErrorBars([])):
        row = bars.apply(given_with).table.frame.row(0, named=True)
        assert (row["low"], row["high"]) == ([0.0, 0.9], [0.1, 1.0])
        assert row["basis"] == "model and 100 respondents"


def test_the_packaged_file_can_be_read() -> None:
    entries = ErrorBars.read().entries
    assert entries
    for entry in entries:
        widths = Widths.of_record(entry["interval_90"])
        assert 0 < widths.pooled < 3
        assert 0.85 <= entry.get("held_out", 0.9) <= 1
        assert entry["worth"][OVERALL]["respondents"] >= 0


@pytest.mark.parametrize(
    "text", ["[]", '{"settings": [{"settings": [], "half_width_90": {"2": 0.3}}]}', "{"]
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match="Measured errors"):
        ErrorBars.read(tmp_path / "x.json")


def test_an_adapter_beside_the_weights_is_another_setting() -> None:
    base = {"method": "zero-shot", "backend": {"weights": "w", "adapter": None}}
    tuned = {"method": "zero-shot", "backend": {"weights": "w", "adapter": "a"}}
    whole = {"method": "zero-shot", "backend": {"weights": "w"}}
    assert settings_hash(whole) == settings_hash(base) != settings_hash(tuned)
