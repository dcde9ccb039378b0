"""Predictions read with evidence: what must hold at both ends, and in any order."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence.small import (
    CELLS,
    DEMOCRATS,
    EVERYONE,
    FRAME,
    GROUPS,
    MEMBERS,
    MEN,
    MODEL,
    RENT,
    REPUBLICANS,
    SETTINGS,
    WOMEN,
    predictions,
)

from opinioncast.evidence.calibration import NOTHING, PUBLISHED, SOME, fit
from opinioncast.evidence.logit import contrasts, probabilities
from opinioncast.evidence.observations import Cell, Evidence, Pilot, Published
from opinioncast.evidence.reading import read_evidence
from opinioncast.survey import PredictionTable


def shares(frame: pl.DataFrame, question: str = "rent") -> np.ndarray:
    return np.array(frame.filter(pl.col("question_id") == question)["distribution"].to_list())


def people(count: int, seed: int, *, told: bool = True) -> Pilot:
    rng = np.random.default_rng(seed)
    rows = rng.choice(4, count, p=FRAME.weights)
    truth = np.array([0.2, 0.5, 0.4, 0.8])
    members = MEMBERS[rows].copy()
    if not told:
        members[:, 2:] = False
    choice = (rng.random(count) < truth[rows]).astype(int)
    return Pilot(f"pilot {seed}", GROUPS, members, {"rent": choice}, {"rent": np.ones(count)})


TOPLINE = Published("topline", (Cell("rent", EVERYONE, (0.35, 0.65), 900, 0.01, 900),))
PARTIES = Published(
    "parties",
    (
        Cell("rent", DEMOCRATS, (0.6, 0.4), 500, 0.01),
        Cell("rent", REPUBLICANS, (0.2, 0.8), 400, 0.01),
    ),
)
LAST_YEAR = Published("last year", (Cell("rent", EVERYONE, (0.5, 0.5), 900, 0.0),), years=2.0)


def test_no_evidence_gives_the_prediction() -> None:
    table = predictions()
    read = read_evidence(table, [], SETTINGS)
    for question in ("rent", "trust"):
        assert np.allclose(shares(read.frame, question), shares(table.frame, question))
    assert set(read.frame["basis"]) == {"model"}
    new = PredictionTable(read.frame)  # low <= share <= high is checked there
    assert new.frame["low"].null_count() == 0


def test_evidence_on_one_question_leaves_the_other() -> None:
    table = predictions()
    read = read_evidence(table, [TOPLINE], SETTINGS)
    assert np.allclose(shares(read.frame, "trust"), shares(table.frame, "trust"))
    basis = dict(read.frame.select("question_id", "basis").unique().rows())
    assert basis == {"rent": "model and a topline", "trust": "model"}


def test_exact_evidence_is_met() -> None:
    exact = Published("exact", (Cell("rent", EVERYONE, (0.31, 0.69), float("inf")),))
    read = read_evidence(predictions(), [exact], SETTINGS)
    assert shares(read.frame)[0] == pytest.approx([0.31, 0.69], abs=1e-4)


def test_evidence_of_everything_gives_the_evidence() -> None:
    kinds = np.array([0.3, 0.55, 0.45, 0.7])
    cells, _, _ = FRAME.cells(CELLS)
    truth = cells @ np.column_stack([kinds, 1 - kinds])
    everything = Published(
        "all", tuple(Cell("rent", c, tuple(t), 1e7) for c, t in zip(CELLS, truth, strict=True))
    )
    read = read_evidence(predictions(), [everything], SETTINGS)
    assert np.abs(shares(read.frame) - truth).max() < 0.012  # a frame is never the survey's own


def test_evidence_of_many_people_gives_their_shares() -> None:
    many = people(40_000, 3)
    read = read_evidence(predictions(), [many], SETTINGS)
    for row, cell in enumerate(CELLS):
        mask = GROUPS.mask(many.members, cell)
        assert mask is not None
        assert shares(read.frame)[row] == pytest.approx(many.shares("rent", 2, mask)[0], abs=0.02)
    assert set(read.frame["basis"]) == {"model and 40000 respondents", "model"}


@pytest.mark.slow
def test_order_of_evidence_does_not_matter() -> None:
    pieces: list[Evidence] = [TOPLINE, PARTIES, LAST_YEAR, people(30, 1)]
    wanted = read_evidence(predictions(), pieces, SETTINGS)
    for order in itertools.permutations(pieces):
        found = read_evidence(predictions(), order, SETTINGS)
        assert found.frame.equals(wanted.frame)
        assert found.pieces == wanted.pieces


def test_intervals_are_narrower_with_more_answers_and_sides_differ() -> None:
    width = []
    for count in (10, 100, 1000):
        frame = read_evidence(predictions(), [people(count, 2)], SETTINGS).frame
        rows = frame.filter(pl.col("question_id") == "rent")
        low, high = (np.array(rows[c].to_list()) for c in ("low", "high"))
        width.append((high - low).mean())
    assert width[0] > width[1] > width[2]
    rare = Published("rare", (Cell("rent", EVERYONE, (0.02, 0.98), 200, 0.01),))
    row = read_evidence(predictions(), [rare], SETTINGS).frame.row(0, named=True)
    share, low, high = row["distribution"][0], row["low"][0], row["high"][0]
    assert low >= 0
    assert high - share > share - low


def test_an_attribute_nobody_was_asked_is_averaged_over_the_frame() -> None:
    read = read_evidence(predictions(), [people(4000, 5, told=False)], SETTINGS)
    truth = np.array([0.2, 0.5, 0.4, 0.8])
    assert shares(read.frame)[0, 1] == pytest.approx(FRAME.weights @ truth, abs=0.03)


def test_weights_of_zero_do_not_count() -> None:
    half = people(200, 7)
    weights = np.where(np.arange(200) < 100, 1.0, 0.0)
    zeroed = Pilot("z", GROUPS, half.members, half.choice, {"rent": weights})
    first = Pilot(
        "f", GROUPS, half.members[:100], {"rent": half.choice["rent"][:100]}, {"rent": np.ones(100)}
    )
    one = read_evidence(predictions(), [zeroed], SETTINGS)
    other = read_evidence(predictions(), [first], SETTINGS)
    assert np.allclose(shares(one.frame), shares(other.frame), atol=1e-6)
    assert one.frame["basis"][0] == "model and 100 respondents"


def test_a_group_the_frame_cannot_tell_is_named() -> None:
    table = predictions()
    rows = table.frame.with_columns(
        attribute=pl.when(pl.col("attribute") == "SEX")
        .then(pl.lit("TENURE"))
        .otherwise("attribute")
    )
    read = read_evidence(PredictionTable(rows), [TOPLINE], SETTINGS)
    assert any("TENURE=Male" in n for n in read.notes)
    lacking = read.frame.filter(pl.col("attribute") == "TENURE")
    assert lacking["low"].null_count() == lacking.height


def test_predictions_are_where_the_prior_starts() -> None:
    total = np.array([0.2, 0.8])
    mean = MODEL.expected({EVERYONE: total}, RENT.ordinal).mean
    assert FRAME.weights @ probabilities(MODEL.features, mean) == pytest.approx(total, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_covariance_of_overlapping_cells_is_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    told = rng.dirichlet([1, 1, 1], len(CELLS))
    n_eff = rng.uniform(5, 3000, len(CELLS))
    joint = MODEL.shares_covariance(CELLS, told, n_eff, 0.01)
    flat = joint.transpose(0, 2, 1, 3).reshape(2 * len(CELLS), 2 * len(CELLS))
    assert np.allclose(flat, flat.T)
    assert np.linalg.eigvalsh(flat).min() > 1e-5
    # one cell alone is a multinomial's, up to half an answer, rounding and the frame
    alone = MODEL.shares_covariance(CELLS[:1], told[:1], np.array([1e5]), 0.0)[0, 0]
    basis = contrasts(3)
    plain = basis.T @ (np.diag(told[0]) - np.outer(told[0], told[0])) @ basis / 1e5
    assert np.abs(alone - plain - 0.004**2 * np.eye(2)).max() < 1e-7


def test_a_groups_factor_is_shrunk_to_all() -> None:
    """Scores 1 to 100 hundredths of men, twice that of women; 90% of 100 scores: the 91st."""
    ones = np.arange(1, 101) / 50
    measured = [(SOME, MEN, ones), (SOME, WOMEN, 2 * ones)]
    pooled, groups = fit(measured)
    both = np.sort(np.concatenate([ones, 2 * ones]))[180]  # the 181st of 200
    assert pooled[SOME] == pytest.approx(both, abs=1e-4)
    assert groups[SOME][str(MEN)] == pytest.approx((100 * 1.82 + 400 * both) / 500, abs=1e-4)
    assert groups[SOME][str(WOMEN)] == pytest.approx((100 * 3.64 + 400 * both) / 500, abs=1e-4)
    assert fit([(SOME, MEN, 0.1 * ones)])[0] == {SOME: 1.0}  # never narrower than the posterior


def test_a_groups_factor_is_that_of_the_survey_that_needs_most() -> None:
    ones = np.arange(1, 101) / 50
    measured = [
        (kind, MEN, scale * ones) for kind in (PUBLISHED, SOME, NOTHING) for scale in (1, 2)
    ]
    plain, by_survey = (fit(measured, s)[1] for s in (None, ["A", "B"] * 3))
    for kind, weight in ((PUBLISHED, 150), (SOME, 400)):
        wanted = (100 * 3.64 + weight * plain[kind][str(MEN)]) / (100 + weight)
        assert by_survey[kind][str(MEN)] == pytest.approx(wanted, abs=1e-3)
    assert by_survey[NOTHING] == plain[NOTHING]
    # groups never measured: the mean of those measured
    assert fit(measured, ["A", "B"] * 3)[0][SOME] == by_survey[SOME][str(MEN)]
    assert fit(measured, ["A"] * 6)[1] == plain
