"""What each row weighs over an epoch, against values worked by hand; plans: test_packing.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinioncast.finetune.epoch import Ask, epoch_plan, update_weight
from opinioncast.finetune.targets import TrainingRow, training_rows
from opinioncast.prompts import Layout
from opinioncast.survey import (
    GroupScheme,
    OpinionTable,
    Question,
    Subpopulation,
    load_groups,
    opinion_row,
)

SOUTH, FEMALE, TOTAL = load_groups("CREGION=South", "SEX=Female", "TOTAL")
PLAN: dict[str, Any] = {
    "layout": Layout.QUESTION_FIRST,
    "batch_rows": 1,
    "option_order": "given",
    "target": "explicit",
    "augment": None,
    "epoch": 0,
    "seed": 0,
}


def question(number: int, ordinal: tuple[int, ...] = (1, 2)) -> Question:
    return Question(f"q{number}", f"Is it {number}?", ("Yes", "No"), ordinal, "T", "1")


def said(rows: Sequence[TrainingRow], by: str, **changed: Any) -> dict[str, float]:
    """What each question or group has to say in an epoch: the sum over its updates of what its
    rows' losses are multiplied by, as a share of all."""
    settings = PLAN | changed
    plan = epoch_plan(rows, **settings)
    mean = update_weight(
        rows, target=settings["target"], augment=settings["augment"], updates=len(plan)
    )
    found: dict[str, float] = defaultdict(float)
    for update in plan:
        for ask in update:
            row = ask.row
            name = row.question.question_id if by == "question" else str(row.subpopulation)
            found[name] += ask.weight / mean.rows / len(plan)
    return dict(found)


def test_a_base_of_99_to_1_with_one_question_an_update() -> None:
    """Divided by each update's own weight they were half and half."""
    rows = [
        opinion_row(question(i), TOTAL, [0.5, 0.5], n_eff=n) for i, n in enumerate((990.0, 10.0))
    ]
    table = OpinionTable.from_rows(rows)
    weighted = training_rows(table, GroupScheme.of_standard([TOTAL], "t"), refusal=True)
    weighted = training_rows(
        table, GroupScheme.of_standard([TOTAL], "t"), refusal=True, row_weight="n_eff"
    )
    assert [r.weight for r in weighted] == pytest.approx([1.98, 0.02])
    assert said(weighted, "question") == pytest.approx({"q0": 0.99, "q1": 0.01})


def test_a_group_asked_in_a_tenth_of_the_questions_has_its_third() -> None:
    """Divided by each update's own weight it had 0.083."""
    groups = (SOUTH, FEMALE, TOTAL)
    rows = [
        opinion_row(question(i), group, [0.5, 0.5])
        for i in range(20)
        for group in groups
        if group is not TOTAL or i < 2
    ]
    scheme = GroupScheme.of_standard(groups, "t")
    weighted = training_rows(OpinionTable.from_rows(rows), scheme, refusal=True, row_weight="group")
    for batch_rows in (1, 2, 7, 1000):
        assert said(weighted, "group", batch_rows=batch_rows) == pytest.approx(
            {str(g): 1 / 3 for g in groups}
        )


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.floats(0.01, 100)), min_size=1, max_size=24, unique_by=id
    ),
    st.integers(1, 30),
    st.sampled_from(list(Layout)),
    st.sampled_from([None, 3]),
)
def test_over_an_epoch_every_row_has_its_weight(
    listed: list[tuple[int, float]], batch_rows: int, layout: Layout, augment: int | None
) -> None:
    total = sum(w for _, w in listed)
    rows = [TrainingRow(question(q), TOTAL, (0.5, 0.5), w * len(listed) / total) for q, w in listed]
    kind = "explicit" if augment is None else "augment"
    found = said(
        rows, "question", batch_rows=batch_rows, layout=layout, augment=augment, target=kind
    )
    assert sum(found.values()) == pytest.approx(1)
    for name, value in found.items():
        mine = sum(w for q, w in listed if f"q{q}" == name)
        assert value == pytest.approx(mine / total)


def test_rows_that_were_drawn_stand_for_those_that_were_not() -> None:
    """Question 0 has four groups of which one is drawn, question 1 has one."""
    four = [*load_groups("CREGION=South", "CREGION=West", "SEX=Female"), TOTAL]
    rows = [TrainingRow(question(0), g, (0.5, 0.5)) for g in four]
    rows.append(TrainingRow(question(1), TOTAL, (0.5, 0.5)))
    sums: dict[str, float] = defaultdict(float)
    for epoch in range(400):
        found = said(rows, "question", groups_per_question=1, epoch=epoch)
        assert found == pytest.approx({"q0": 0.8, "q1": 0.2})
        for name, value in said(rows, "group", groups_per_question=1, epoch=epoch).items():
            sums[name] += value / 400
    assert sums[str(SOUTH)] == pytest.approx(0.2, abs=0.06)
    assert sums[str(TOTAL)] == pytest.approx(0.4, abs=0.06)  # two rows


def test_rows_with_a_place_on_a_scale_are_counted_apart() -> None:
    """Of 10 one-hot replicas, those on the refusal have no distance."""
    rows = [
        TrainingRow(question(0), TOTAL, (0.5, 0.2, 0.3), 1.5),
        TrainingRow(question(1, (1, 1)), TOTAL, (0.5, 0.5), 0.5),
    ]
    explicit = update_weight(rows, target="explicit", augment=None, updates=2)
    assert explicit == pytest.approx((1.0, 0.75))
    tenfold = update_weight(rows, target="augment", augment=10, updates=20)
    assert tenfold == pytest.approx((1.0, 1.5 * 7 / 20))


def test_an_ask_weighs_its_rows_weight_times_the_rows_it_stands_for() -> None:
    row = TrainingRow(question(0), Subpopulation(), (0.5, 0.5), 0.25)
    assert Ask(row, (0, 1), row.target).weight == 0.25
    assert Ask(row, (0, 1), row.target, 4).weight == 1.0
