"""Targets and row weights, worked by hand."""

from __future__ import annotations

from collections import Counter, defaultdict

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.finetune.small_table import GROUPS, make_table

from opinioncast.errors import DataError, InputError
from opinioncast.finetune.targets import explicit, one_hot, replicas, training_rows
from opinioncast.survey import OpinionTable, load_groups


def test_the_refusal_takes_its_share_and_the_rest_is_scaled() -> None:
    assert explicit([0.5, 0.3, 0.2], 0.1) == pytest.approx((0.45, 0.27, 0.18, 0.1))
    assert explicit([0.5, 0.5], 0.0) == (0.5, 0.5, 0.0)
    assert explicit([0.5, 0.5], None) == (0.5, 0.5)


def test_one_hot_takes_the_first_of_equals() -> None:
    assert one_hot((0.2, 0.4, 0.4)) == (0, 1, 0)


def test_replicas_by_hand() -> None:
    counts = Counter(r.index(1.0) for r in replicas((0.333, 0.333, 0.334), 10))
    assert counts == {0: 3, 1: 3, 2: 4}
    assert Counter(r.index(1.0) for r in replicas((0.25, 0.75), 50)) == {0: 12, 1: 38} or Counter(
        r.index(1.0) for r in replicas((0.25, 0.75), 50)
    ) == {0: 13, 1: 37}


@given(
    weights=st.lists(st.floats(0, 1), min_size=2, max_size=8).filter(lambda v: sum(v) > 0.1),
    n=st.integers(2, 120),
)
def test_replicas_keep_number_and_shares(weights: list[float], n: int) -> None:
    target = [w / sum(weights) for w in weights]
    rows = replicas(target, n)
    assert len(rows) == n
    for i, share in enumerate(target):
        assert abs(sum(r[i] for r in rows) / n - share) < 1 / n + 1e-9


def test_rows_of_a_table() -> None:
    table, scheme = make_table(), load_groups(*GROUPS)
    rows = training_rows(table, scheme, refusal=True)
    assert len(rows) == 16
    for row in rows:
        known = row.question.question_id != "vote"
        assert len(row.target) == len(row.question.options) + known
        assert sum(row.target) == pytest.approx(1)
        assert row.weight == 1
    assert all(
        len(r.target) == len(r.question.options)
        for r in training_rows(table, scheme, refusal=False)
    )


def test_weights_average_one() -> None:
    table, scheme = make_table(), load_groups(*GROUPS)
    short = OpinionTable(table.frame.head(-3))  # the last question has one group only
    by_base = training_rows(short, scheme, refusal=True, row_weight="n_eff")
    assert sum(r.weight for r in by_base) == pytest.approx(len(by_base))
    assert by_base[1].weight / by_base[0].weight == pytest.approx(41 / 40)
    by_group = training_rows(short, scheme, refusal=True, row_weight="group")
    assert sum(r.weight for r in by_group) == pytest.approx(len(by_group))
    sums: dict[str, float] = defaultdict(float)
    for row in by_group:
        sums[str(row.subpopulation)] += row.weight
    assert list(sums.values()) == pytest.approx([13 / 4] * 4)


def test_a_group_without_rows_is_named() -> None:
    scheme = load_groups("CREGION=South", "SEX=Male")
    with pytest.raises(InputError, match="no rows for some groups") as error:
        training_rows(make_table(), scheme, refusal=True)
    assert error.value.where == "SEX = Male"


def test_a_base_that_is_unknown_is_named() -> None:
    table = OpinionTable(make_table().frame.with_columns(n=pl.lit(0), n_eff=pl.lit(None)))
    with pytest.raises(DataError, match="base is unknown"):
        training_rows(table, load_groups(*GROUPS), refusal=True, row_weight="n_eff")


def test_targets_that_are_not_numbers_do_not_get_into_a_table() -> None:
    frame = make_table().frame
    nan = frame.with_columns(
        distribution=pl.Series([[float("nan")] * len(d) for d in frame["distribution"]])
    )
    with pytest.raises(DataError, match="break its schema"):
        OpinionTable(nan)
    rate = frame.with_columns(refusal_rate=pl.lit(float("nan")))
    with pytest.raises(DataError, match=r"break its schema|not a distribution"):
        training_rows(OpinionTable(rate), load_groups(*GROUPS), refusal=True)
