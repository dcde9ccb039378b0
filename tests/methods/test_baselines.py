"""Uniform, total population, nearest questions: hand-worked values and what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.methods.fake_encoder import FakeEncoder

from opinioncast.errors import DataError, InputError
from opinioncast.methods.nearest import NearestQuestions
from opinioncast.methods.prediction import seen_before
from opinioncast.methods.scale_map import OptionVectors, apply_map, option_map
from opinioncast.methods.total import TotalPopulation, totals_from_groups
from opinioncast.methods.uniform import Uniform
from opinioncast.survey import (
    Cells,
    OpinionTable,
    Population,
    PredictionTable,
    Question,
    load_groups,
    opinion_row,
)

GROUPS = load_groups("SEX=Female", "SEX=Male")
FEMALE, MALE = GROUPS.subpopulations
TOTAL = load_groups("total").subpopulations[0]
BAN = Question("ban", "Should smoking be banned?", ("Yes", "No"), (1, 2), "S", "1")
TAX = Question(
    "tax", "Should tobacco be taxed more?", ("More", "Same", "Less"), (1, 2, 3), "S", "1"
)


def mapped(
    shares: list[float], source: OptionVectors, target: OptionVectors
) -> tuple[np.ndarray, float | None]:
    return apply_map(shares, source, option_map(source, target))


def options(ordinal: list[float], texts: list[str] | None = None) -> OptionVectors:
    texts = texts or [f"step {i}" for i in range(len(ordinal))]
    return OptionVectors(texts, ordinal, FakeEncoder().encode(texts))


def test_uniform() -> None:
    table = Uniform().predict(Cells.cross([BAN, TAX], GROUPS)).table
    assert table.frame["distribution"].to_list() == [
        [0.5] * 2,
        [0.5] * 2,
        pytest.approx([1 / 3] * 3),
        pytest.approx([1 / 3] * 3),
    ]
    assert table.frame["label_mass"].is_null().all()


def test_a_prediction_of_others_than_us_adults_says_whose(tmp_path: Path) -> None:
    berlin = Population("adults in Berlin")
    asked = [replace(q, population=berlin) for q in (BAN, TAX)]
    table = Uniform().predict(Cells.cross(asked, GROUPS)).table
    again = PredictionTable.read(table.write(tmp_path / "predictions.parquet"))
    assert {q.population for q in again.questions()} == {berlin}
    assert "population" not in Uniform().predict(Cells.cross([BAN], GROUPS)).table.meta


def test_the_total_is_given_to_every_group_and_an_unknown_total_is_a_problem() -> None:
    totals = OpinionTable.from_rows([opinion_row(BAN, TOTAL, [0.7, 0.3], refusal_rate=0.1)])
    found = TotalPopulation(totals).predict(Cells.cross([BAN, TAX], GROUPS))
    assert found.table.frame["distribution"].to_list() == [[0.7, 0.3]] * 2
    assert found.table.frame["refusal_rate"].to_list() == [0.1] * 2
    assert [(p.question_id, p.group, p.missing) for p in found.problems] == [
        ("tax", "Female", True),
        ("tax", "Male", True),
    ]


def test_a_total_with_other_options_is_refused() -> None:
    other = Question("ban", BAN.text, ("No", "Yes"), (1, 2), "S", "1")
    totals = OpinionTable.from_rows([opinion_row(other, TOTAL, [0.7, 0.3])])
    with pytest.raises(DataError, match="other options"):
        TotalPopulation(totals).predict(Cells.cross([BAN], GROUPS))


def test_totals_of_groups_are_weighted_by_their_base() -> None:
    rows = [
        opinion_row(BAN, FEMALE, [1.0, 0.0], n=30),
        opinion_row(BAN, MALE, [0.0, 1.0], n=10),
        opinion_row(BAN, TOTAL, [0.5, 0.5], n=40),  # not used
    ]
    totals = totals_from_groups(OpinionTable.from_rows(rows))
    assert totals.frame["distribution"].to_list() == [pytest.approx([0.75, 0.25])]
    assert (
        TotalPopulation(totals)
        .predict(Cells.cross([BAN], GROUPS))
        .record["totals_from"]
        .startswith("n-w")
    )
    with pytest.raises(DataError, match="unknown size"):
        totals_from_groups(OpinionTable.from_rows([opinion_row(BAN, MALE, [0.0, 1.0])]))


def test_two_steps_onto_four_split_each_half() -> None:
    # [0, 1/2] holds 0.6 and [1/2, 1] 0.4; quarters get half of each.
    shares, outside = mapped([0.6, 0.4], options([1, 2]), options([1, 2, 3, 4]))
    assert shares == pytest.approx([0.3, 0.3, 0.2, 0.2])
    assert outside is None


def test_three_steps_onto_two_share_the_middle() -> None:
    shares, _ = mapped([0.5, 0.2, 0.3], options([1, 2, 3]), options([1, 2]))
    assert shares == pytest.approx([0.6, 0.4])


def test_the_direction_of_a_scale_is_read_from_its_ends() -> None:
    low_first = options([1, 2, 3], ["strongly favor", "neutral", "strongly oppose"])
    high_first = options([1, 2], ["oppose", "favor"])
    shares, _ = mapped([0.5, 0.2, 0.3], low_first, high_first)
    assert shares == pytest.approx([0.4, 0.6])


def test_mass_off_the_scale_is_kept_apart() -> None:
    source = options([1, 2, -1], ["yes", "no", "not sure"])
    target = options([2, -1, 1], ["no", "do not know", "yes"])
    shares, outside = mapped([0.3, 0.5, 0.2], source, target)
    assert shares == pytest.approx([0.5 / 0.8, 0, 0.3 / 0.8])
    assert outside == pytest.approx(0.2)


def test_nominal_options_go_where_they_mean_alike() -> None:
    source = options([0, 0, 0], ["red", "green", "blue"])
    target = options([0, 0, 0], ["blue", "red", "green"])
    shares, _ = mapped([0.5, 0.3, 0.2], source, target)
    assert shares == pytest.approx([0.2, 0.5, 0.3], abs=0.02)


scales = st.lists(st.integers(0, 9), min_size=2, max_size=6, unique=True)


@pytest.mark.slow
@given(scales, scales, st.integers(0, 1000))
def test_a_mapped_distribution_sums_to_one_and_equal_scales_keep_it(
    source: list[float], target: list[float], seed: int
) -> None:
    p = np.random.default_rng(seed).dirichlet(np.ones(len(source)))
    shares, _ = mapped(p.tolist(), options(source), options(target))
    assert shares.sum() == pytest.approx(1)
    assert (shares >= 0).all()
    same, _ = mapped(p.tolist(), options(source), options(source))
    assert same == pytest.approx(p)


@given(st.integers(2, 8), st.integers(2, 8))
def test_uniform_maps_onto_uniform(k: int, m: int) -> None:
    shares, _ = mapped([1 / k] * k, options(list(range(k))), options(list(range(m))))
    assert shares == pytest.approx([1 / m] * m)


def train_table() -> OpinionTable:
    near = Question("near", "Should smoking be banned outside?", ("Yes", "No"), (1, 2), "S", "0")
    far = Question("far", "How happy are you these days?", ("Yes", "No"), (1, 2), "S", "0")
    return OpinionTable.from_rows(
        [
            opinion_row(near, FEMALE, [0.9, 0.1]),
            opinion_row(near, MALE, [0.6, 0.4]),
            opinion_row(far, FEMALE, [0.1, 0.9]),
        ]
    )


def test_one_nearest_question_answers_for_its_group() -> None:
    found = NearestQuestions(train_table(), FakeEncoder(), k=1).predict(Cells.cross([BAN], GROUPS))
    assert found.table.frame["distribution"].to_list() == [
        pytest.approx([0.9, 0.1]),
        pytest.approx([0.6, 0.4]),
    ]


def test_neighbours_are_weighted_softly() -> None:
    encoder = FakeEncoder()
    method = NearestQuestions(train_table(), encoder, k=5, temperature=0.2)
    shares = method.predict(Cells.cross([BAN], GROUPS)).table.frame["distribution"][0].to_list()
    ban, near, far = encoder.encode(
        [BAN.text, "Should smoking be banned outside?", "How happy are you these days?"]
    )
    weights = np.exp(np.array([ban @ near, ban @ far]) / 0.2)
    assert shares[0] == pytest.approx(float(weights @ [0.9, 0.1] / weights.sum()), rel=1e-5)


def test_a_group_or_a_kind_of_question_without_neighbours_is_a_problem() -> None:
    nominal = Question("fav", "Which colour?", ("Red", "Blue"), (0, 0), "S", "1")
    groups = load_groups("SEX=Male", "RACE=Black")
    found = NearestQuestions(train_table(), FakeEncoder()).predict(
        Cells.cross([BAN, nominal], groups)
    )
    assert len(found.table) == 1
    assert {(p.question_id, p.group) for p in found.problems} == {
        ("ban", "Black"),
        ("fav", "Male"),
        ("fav", "Black"),
    }


def test_the_share_off_the_scale_comes_from_neighbours_that_offer_it() -> None:
    offers = Question("o", "Should smoking end?", ("Yes", "No", "Not sure"), (1, 2, -1), "S", "0")
    wanted = Question("w", "Should smoking stop?", ("Yes", "No", "Unsure"), (1, 2, -1), "S", "1")
    plain = train_table().frame.filter(question_id="near").to_dicts()
    table = OpinionTable.from_rows([*plain, opinion_row(offers, FEMALE, [0.4, 0.4, 0.2])])
    method = NearestQuestions(table, FakeEncoder(), temperature=1e6)  # equal weights
    shares = method.predict(Cells.cross([wanted], GROUPS.select("SEX=Female"))).table.frame[
        "distribution"
    ][0]
    assert shares.to_list() == pytest.approx([0.7 * 0.8, 0.3 * 0.8, 0.2], rel=1e-4)
    without = NearestQuestions(train_table(), FakeEncoder(), k=1)
    shares = without.predict(Cells.cross([wanted], GROUPS.select("SEX=Female"))).table.frame[
        "distribution"
    ][0]
    assert shares[2] == pytest.approx(1 / 3)


def test_settings_that_cannot_be_used() -> None:
    with pytest.raises(InputError, match="cannot be weighted"):
        NearestQuestions(train_table(), FakeEncoder(), k=0)
    with pytest.raises(InputError, match="cannot be weighted"):
        NearestQuestions(train_table(), FakeEncoder(), temperature=0)


def test_nearest_counts_the_questions_its_table_asks_too() -> None:
    """By key in another wave, by wording in another family; of one meaning: equal bags of words."""

    def ask(i: str, text: str, family: str = "S", wave: str = "1") -> Question:
        return Question(i, text, ("Yes", "No"), (1, 2), family, wave)

    train = OpinionTable.from_rows(
        [
            opinion_row(q, TOTAL, [0.4, 0.6])
            for q in (
                ask("a", "Are taxes high?"),
                ask("b", "Is rent too high now?"),
                ask("c", "War"),
            )
        ]
    )
    asked = [
        ask("A_W9", "Other words", wave="9"),
        ask("z", "are taxes HIGH", family="T"),
        ask("y", "now is rent too high", family="T"),
        ask("x", "Cats", family="T"),
    ]
    record = NearestQuestions(train, FakeEncoder()).predict(
        Cells.cross(asked, load_groups("total"))
    )
    same = record.record["same_questions"]
    assert same == {"questions": 4, "key": 1, "wording": 1, "meaning": 1, "threshold": 0.72}
    (said,) = seen_before(record.record)
    assert said == (
        "nearest questions: 2 of 4 questions are in its training table too, and 1 of the same "
        "meaning; scores on them say little of new questions"
    )
