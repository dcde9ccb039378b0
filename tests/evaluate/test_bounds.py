"""Bounds: the flat distance against the padded one and scipy, the bound against a plain loop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from opinioncast.curate.aggregate import aggregate
from opinioncast.curate.bootstrap import WaveQuestions, resample_psus, resample_respondents
from opinioncast.curate.group_recipe import load_group_recipe
from opinioncast.curate.groups import group_masks
from opinioncast.errors import DataError, InputError
from opinioncast.evaluate.bounds import (
    OVERALL,
    Bounds,
    FlatScales,
    bounds,
    human_bound,
    uniform_bound,
)
from opinioncast.evaluate.distance import pad, wasserstein
from opinioncast.readers import gss
from opinioncast.readers.microdata import column_names, read_wave
from opinioncast.survey import OpinionTable, Question, Subpopulation, load_groups, opinion_row
from opinioncast.survey.tables import KEY

A = Subpopulation((("SEX", "Female"),))
B = Subpopulation((("SEX", "Male"),))


@dataclass(frozen=True)
class Drawn:
    subpopulation: Subpopulation
    questions: tuple[Question, ...]
    shares: np.ndarray


def _scale() -> st.SearchStrategy[list[float]]:
    position = st.sampled_from([-1.0, 0.0, 1.0, 1.0, 2.0, 2.5, 4.0, 7.0])
    return st.lists(position, min_size=2, max_size=6).filter(lambda s: len(set(s) - {-1.0}) > 1)


@pytest.mark.slow
@given(st.lists(_scale(), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_flat_distance_equals_the_padded_one_and_scipy(
    scales: list[list[float]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = [(rng.dirichlet(np.ones(len(s))), rng.dirichlet(np.ones(len(s)))) for s in scales]
    p, q = (np.concatenate([row[side] for row in rows]) for side in (0, 1))
    flat = FlatScales(scales)(np.stack([p, q]), q)
    padded = wasserstein(
        pad([r[0].tolist() for r in rows], 0.0),
        pad([r[1].tolist() for r in rows], 0.0),
        pad(scales, np.nan),
    )
    np.testing.assert_allclose(flat[0], padded, atol=1e-12)
    np.testing.assert_allclose(flat[1], 0, atol=1e-12)
    for scale, (left, right), distance in zip(scales, rows, flat[0], strict=True):
        on = np.array(scale) != -1
        positions = np.array(scale)[on]
        expected = wasserstein_distance(positions, positions, left[on], right[on])
        assert distance == pytest.approx(expected / np.ptp(positions), abs=1e-12)


def test_a_question_without_answers_does_not_touch_its_neighbours() -> None:
    shares = np.array([[np.nan, np.nan, 0.2, 0.8], [0.5, 0.5, 0.2, 0.8]])
    distance = FlatScales([[0, 1], [0, 1]])(shares, np.array([0.5, 0.5, 0.8, 0.2]))
    np.testing.assert_allclose(distance, [[np.nan, 0.6], [0.0, 0.6]])


def test_a_question_without_scale_is_refused() -> None:
    with pytest.raises(InputError, match="without a scale"):
        FlatScales([[0, 1], [2, 2, -1]])


Q1 = Question("q1", "How much?", ("low", "mid", "high", "unsure"), (1, 2, 3, -1), "F", "1")
Q2 = Question("q2", "Yes?", ("yes", "no"), (0, 1), "F", "1")
Q3 = Question("q3", "Which?", ("x", "y"), (), "F", "1")
TABLE = OpinionTable.from_rows(
    [
        opinion_row(Q1, A, [0.2, 0.2, 0.4, 0.2]),
        opinion_row(Q2, A, [1.0, 0.0]),
        opinion_row(Q3, A, [0.5, 0.5]),
        opinion_row(Q2, B, [0.5, 0.5]),
    ]
)


def test_uniform_bound_by_hand() -> None:
    frame = uniform_bound(TABLE)
    # q1 on its scale (.25, .25, .5) against (1/3, 1/3, 1/3): (1/12 + 2/12) / 2; q2: 1/2
    a = (0.125 + 0.5) / 2
    assert frame["uniform"].to_list() == pytest.approx([a, 0.0, (0.125 + 0.5 + 0) / 3])
    assert frame["n_questions"].to_list() == [2, 1, 3]
    assert frame["without_scale"].to_list() == [1, 0, 1]
    assert frame.select("attribute", "group").row(-1) == OVERALL


def test_human_bound_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    questions = (Q1, Q2, Q3)
    draws = []
    for group in (B, A):
        blocks = [rng.dirichlet(np.ones(len(q.options)), 50) for q in questions]
        draws.append(Drawn(group, questions, np.hstack(blocks)))
    draws[1].shares[3, 4:6] = np.nan  # replicate 3 of A drew nobody who answered q2
    found_bounds = human_bound(TABLE, draws)
    frame = found_bounds.groups
    plain: dict[Subpopulation, list[list[float]]] = {}
    for drawn in draws:
        mine = TABLE.frame.filter(pl.col("group") == drawn.subpopulation.group)
        for shares in drawn.shares:
            distances = []
            for question, start in ((Q1, 0), (Q2, 4)):
                row = mine.filter(pl.col("question_id") == question.question_id)
                part = shares[start : start + len(question.options)]
                if row.height and not np.isnan(part).any():
                    on = np.array(question.ordinal) != -1
                    x = np.array(question.ordinal)[on]
                    observed = np.array(row["distribution"][0])[on]
                    distances.append(wasserstein_distance(x, x, observed, part[on]) / np.ptp(x))
            plain.setdefault(drawn.subpopulation, []).append(distances)
    means = {g: np.array([np.mean(d) for d in r]) for g, r in plain.items()}
    overall = np.array([np.mean(a + b) for a, b in zip(plain[A], plain[B], strict=True)])
    for found, expected in zip(
        frame.iter_rows(named=True), [means[A], means[B], overall], strict=True
    ):
        got = [found["human"], found["human_low"], found["human_high"]]
        assert got == pytest.approx([expected.mean(), *np.percentile(expected, [2.5, 97.5])])
    assert frame["empty_draws"].to_list() == [1, 0, 1]
    cells = found_bounds.cells
    assert cells is not None
    assert cells.select("group", "question_id").rows() == [
        (B.group, "q2"),
        (A.group, "q1"),
        (A.group, "q2"),
    ]
    own = [d[0] for d in plain[A]], [d[1] for d in plain[A] if len(d) > 1]
    assert cells["human"].to_list()[1:] == pytest.approx([np.mean(own[0]), np.mean(own[1])])
    assert frame["group"].to_list() == [A.group, B.group, OVERALL[1]]


def known(by_cell: bool, *rows: tuple[str, str, float | None]) -> Bounds:
    """Of (group, question, bound of the cell)."""
    cells = pl.DataFrame(
        [("F", "1", q, "A", g, value) for g, q, value in rows],
        schema={**dict.fromkeys(KEY, pl.String), "human": pl.Float64},
        orient="row",
    )
    columns = {
        "n_questions": pl.col("human").count(),
        "human": pl.col("human").mean(),
        "human_low": pl.col("human").mean() - 0.01,
        "human_high": pl.col("human").mean() + 0.01,
    }
    groups = cells.group_by("attribute", "group", maintain_order=True).agg(**columns)
    whole = cells.select(attribute=pl.lit(OVERALL[0]), group=pl.lit(OVERALL[1]), **columns)
    return Bounds(pl.concat([groups, whole]), cells if by_cell else None)


def scored(*cells: tuple[str, str]) -> pl.DataFrame:
    rows = [("F", "1", q, "A", g) for g, q in cells]
    return pl.DataFrame(rows, schema=dict.fromkeys(KEY, pl.String), orient="row")


FOUR = [("a", "x", 0.1), ("a", "y", 0.3), ("b", "x", 0.2), ("b", "y", 0.4), ("c", "x", 0.8)]


def human(frame: pl.DataFrame) -> dict[str, float | None]:
    return dict(frame.select("group", "human").iter_rows())


@pytest.mark.parametrize("by_cell", [True, False])
def test_all_that_was_measured_keeps_its_interval(by_cell: bool) -> None:
    whole = known(by_cell, *FOUR)
    found = whole.of(scored(*((g, q) for g, q, _ in FOUR)))
    assert human(found) == pytest.approx({"a": 0.2, "b": 0.3, "c": 0.8, OVERALL[1]: 1.8 / 5})
    assert found["human_low"].to_list() == pytest.approx([0.19, 0.29, 0.79, 0.35])
    assert found["note"].to_list() == [""] * 4


@pytest.mark.parametrize("by_cell", [True, False])
def test_the_bound_of_some_groups_is_theirs(by_cell: bool) -> None:
    found = known(by_cell, *FOUR).of(scored(("c", "x"), ("a", "x"), ("a", "y")))
    assert human(found) == pytest.approx({"c": 0.8, "a": 0.2, OVERALL[1]: 1.2 / 3})
    assert found["human_low"].to_list()[:2] == pytest.approx([0.79, 0.19])
    assert found["human_low"][-1] is None  # nobody measured the interval of these groups together
    assert found["note"][-1] == "of the groups and questions scored"


def test_the_bound_of_some_questions_needs_that_of_each_cell() -> None:
    asked = scored(("a", "x"), ("b", "x"), ("b", "y"))
    found = known(True, *FOUR).of(asked)
    assert human(found) == pytest.approx({"a": 0.1, "b": 0.3, OVERALL[1]: 0.7 / 3})
    assert found.row(0)[3:] == (None, None, 1, "of the questions scored")
    blind = known(False, *FOUR).of(asked)
    assert human(blind) == {"a": None, "b": pytest.approx(0.3), OVERALL[1]: None}
    assert "of 2 questions of a group and 1 were scored" in blind["note"][0]
    assert blind["note"][-1] == blind["note"][0]


def test_one_group_of_other_questions_makes_the_whole_another() -> None:
    """Also where it is not the last: all three groups are there, one of them in part."""
    found = known(True, *FOUR).of(scored(("a", "x"), ("b", "x"), ("b", "y"), ("c", "x")))
    assert human(found)[OVERALL[1]] == pytest.approx((0.1 + 0.6 + 0.8) / 4)
    assert found["note"][-1] == "of the groups and questions scored"


def test_a_group_without_any_scale_has_no_bound() -> None:
    table = OpinionTable.from_rows([opinion_row(Q3, A, [0.5, 0.5]), opinion_row(Q2, B, [0.5, 0.5])])
    drawn = [Drawn(A, (Q3,), np.full((2, 2), 0.5)), Drawn(B, (Q2,), np.array([[0.6, 0.4]] * 2))]
    frame = human_bound(table, drawn).groups
    assert frame["group"].to_list() == [*(g.conditions[0][1] for g in (A, B)), OVERALL[1]]
    assert frame["human"].to_list() == pytest.approx([None, 0.1, 0.1])
    assert frame["empty_draws"].to_list() == [0, 0, 0]


def test_a_bound_of_nobody_knows_how_many_questions_says_so() -> None:
    untold = Bounds(known(False, *FOUR).groups.drop("n_questions"))
    found = untold.of(scored(("a", "x"), ("b", "x"), ("c", "x")))
    assert human(found) == pytest.approx({"a": 0.2, "b": 0.3, "c": 0.8, OVERALL[1]: 1.8 / 5})
    assert all("how many questions" in note for note in found["note"])


def test_what_no_bound_is_known_of_has_none() -> None:
    found = known(True, *FOUR[:4]).of(scored(("a", "x"), ("c", "x"), ("b", "z")))
    assert human(found) == pytest.approx({"a": 0.1, "c": None, "b": None, OVERALL[1]: None})
    assert found["note"][-1] == "no lower bound of some groups; no lower bound of some questions"
    assert human(known(True, *FOUR).of(scored())) == {OVERALL[1]: None}


def test_replicates_must_cover_the_table() -> None:
    shares = np.full((2, 4), 0.25)
    with pytest.raises(DataError, match="question of the table has no replicates"):
        human_bound(TABLE, [Drawn(A, (Q1,), shares)])
    with pytest.raises(DataError, match="group of the table has no replicates"):
        human_bound(TABLE.filter(pl.col("question_id") == "q1"), [])
    other = Question("q2", "Yes?", ("no", "yes"), (0, 1), "F", "1")
    with pytest.raises(DataError, match="other options"):
        human_bound(TABLE, [Drawn(B, (other,), shares[:, :2])])


def test_bounds_of_the_general_social_survey(shared_data: Path) -> None:
    """Near the paper's: human 0.033 overall, 0.02 to 0.09 by group; uniform 0.208 (Tables 1, 2)."""
    folder = shared_data / "gss"
    codebook = json.loads((folder / "codebook_gss_2018.json").read_text("utf-8"))[::3]
    recipe = load_group_recipe("gss_subpop")
    columns = recipe.columns(column_names(folder / "gss_2018.zsav"))
    wave = read_wave(
        folder / "gss_2018.zsav",
        family="GSS",
        wave="2018",
        columns=list(dict.fromkeys([*columns, *(e["variable"] for e in codebook)])),
        codebook=folder / "codebook_gss_2018.json",
        design=gss.design(2018),
        conventions=gss.CONVENTIONS,
    )
    groups = group_masks(wave, recipe, load_groups("paper22").subpopulations)
    questions = [
        (Question(e["variable"], e["question"], e["options"], e["ordinal"] or ()), e["variable"])
        for e in codebook
    ]
    table = aggregate(wave, questions, groups.subpopulations, groups.masks, min_n=5).table
    asked = [WaveQuestions(wave, questions, groups.masks)]
    paper = bounds(table, resample_respondents(asked, groups.subpopulations, replicates=200)).groups
    assert paper.height == 23
    *by_group, overall = paper.iter_rows(named=True)
    assert 0.027 < overall["human"] < 0.040
    assert 0.16 < overall["uniform"] < 0.26
    members = dict(zip(groups.subpopulations, groups.masks.sum(axis=0), strict=True))
    for row in by_group:
        few = members[Subpopulation(((row["attribute"], row["group"]),))] < 50
        assert 0.01 < row["human"] < (0.15 if few else 0.10), row
        assert row["human_low"] < row["human"] < row["human_high"] < row["uniform"], row
    psus = bounds(table, resample_psus(asked, groups.subpopulations, replicates=200)).groups
    assert psus["human"][-1] > overall["human"]  # interviews of one PSU are alike
