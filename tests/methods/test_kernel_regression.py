"""Kernel regression: interpolation, symmetries, additive groups, files, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.methods.fake_encoder import FakeEncoder

from opinioncast.errors import DataError, ModelError
from opinioncast.evaluate.scores import score_cells
from opinioncast.methods.embedding.kernel_regression import (
    KernelRegression,
    KernelSettings,
    fit_kernel,
)
from opinioncast.methods.prediction import seen_before
from opinioncast.survey import (
    Cells,
    OpinionTable,
    PredictionTable,
    Question,
    Subpopulation,
    load_groups,
    opinion_row,
)

GROUPS = load_groups("SEX=Female", "SEX=Male", "total")
OPTIONS = ("Good", "So-so", "Bad")
WORDS = {"music": 0.7, "summer": 0.7, "bread": 0.7, "taxes": 0.2, "rain": 0.2, "noise": 0.2}


def rule_table(
    start: int, stop: int, groups: tuple[Subpopulation, ...] = GROUPS.subpopulations
) -> OpinionTable:
    """People favour what is liked; women by five points more than all, men by five less."""
    return OpinionTable.from_rows(
        [
            opinion_row(
                Question(f"{w}{i}", f"Item {i}: {w}", OPTIONS, (1, 2, 3), "S", "1"),
                group,
                [p + shift, 0.1, 0.9 - p - shift],
            )
            for i in range(start, stop)
            for w, p in WORDS.items()
            for group in groups
            for shift in [{"Female": 0.05, "Male": -0.05}.get(group.group, 0.0)]
        ]
    )


@pytest.fixture(scope="module")
def model() -> KernelRegression:
    return fit_kernel(rule_table(0, 5), rule_table(5, 7), FakeEncoder())


def shares(table: PredictionTable) -> np.ndarray:
    return np.array(table.frame["distribution"].to_list())


def test_it_learns_a_rule_and_the_groups_difference(model: KernelRegression) -> None:
    held = rule_table(8, 10)
    table = model.predict(Cells.cross(held.questions(), GROUPS)).table
    means = score_cells(held, table).mean()
    assert (means["wd"] or 1) < 0.05
    assert (means["wd_uniform"] or 0) > 0.2
    female, male, total = shares(table)[:, 0].reshape(-1, 3).T
    assert (female > total).all()
    assert (total > male).all()


@pytest.mark.slow
def test_without_a_ridge_it_repeats_what_it_was_told() -> None:
    table = rule_table(0, 2)
    exact = KernelSettings(ridge=1e-8, smooth=0.0)
    model = replace(fit_kernel(table, table, FakeEncoder(), exact), temperature=1.0)
    found = model.predict(Cells.cross(table.questions(), GROUPS)).table
    # a scale counts the same from both ends, so points of one question stay apart by their texts
    assert shares(found) == pytest.approx(np.array(table.frame["distribution"].to_list()), abs=1e-3)


def test_order_and_direction_do_not_matter(model: KernelRegression) -> None:
    asked = Question("q", "Item 3: music", ("Good", "So-so", "Bad", "Unsure"), (1, 2, 3, -1))
    order = [2, 0, 3, 1]
    mixed = Question(
        "q",
        asked.text,
        tuple(asked.options[i] for i in order),
        tuple(asked.ordinal[i] for i in order),
    )
    turned = replace(asked, ordinal=(3.0, 2.0, 1.0, -1.0))
    given = shares(model.predict(Cells.cross([asked], GROUPS)).table)
    assert shares(model.predict(Cells.cross([mixed], GROUPS)).table) == pytest.approx(
        given[:, order], abs=1e-6
    )
    assert shares(model.predict(Cells.cross([turned], GROUPS)).table) == pytest.approx(
        given, abs=1e-6
    )


def test_groups_add_up_and_unseen_ones_take_after_the_seen(model: KernelRegression) -> None:
    groups = load_groups("total", "SEX=Female", "RACE=Black", "SEX=Female & RACE=Black")
    total, female, black, both = np.log(
        shares(model.predict(Cells.cross(rule_table(0, 1).questions()[:1], groups)).table)
    )
    apart = [row - total - (row - total).mean() for row in (female, black, both)]
    assert apart[2] == pytest.approx(apart[0] + apart[1], abs=1e-5)
    assert np.abs(apart[1]).max() > 1e-4


def test_what_is_saved_loads_and_predicts_the_same(model: KernelRegression, tmp_path: Path) -> None:
    model.save(tmp_path)
    loaded = KernelRegression.load(tmp_path, FakeEncoder())
    questions = rule_table(0, 2).questions()
    assert shares(loaded.predict(Cells.cross(questions, GROUPS)).table) == pytest.approx(
        shares(model.predict(Cells.cross(questions, GROUPS)).table), abs=5e-3
    )  # half precision
    with pytest.raises(ModelError, match="another sentence model"):
        KernelRegression.load(tmp_path, FakeEncoder(fingerprint="other"))


@pytest.mark.slow
def test_a_table_without_totals_is_refused_and_questions_without_are_counted() -> None:
    some = GROUPS.subpopulations[:2]
    with pytest.raises(DataError, match="no totals"):
        fit_kernel(rule_table(0, 1, some), rule_table(5, 6), FakeEncoder())
    mixed = OpinionTable.from_rows(
        [*rule_table(0, 1).frame.to_dicts(), *rule_table(1, 2, some).frame.to_dicts()]
    )
    model = fit_kernel(mixed, rule_table(5, 6), FakeEncoder())
    assert model.record["questions_without_total"] == len(WORDS)


def test_it_knows_later_which_questions_it_was_trained_on(
    model: KernelRegression, tmp_path: Path
) -> None:
    """Under another id and family, in other letters; as fitted and as loaded."""
    again = Question("x", "ITEM 3 - rain?", OPTIONS, (1, 2, 3), "Other", "9")
    new = Question("y", "Item 9: rain", OPTIONS, (1, 2, 3), "Other", "9")
    cells = Cells.cross([again, new], GROUPS)
    model.save(tmp_path)
    for each in (model, KernelRegression.load(tmp_path, FakeEncoder())):
        prediction = each.predict(cells)
        assert prediction.record["same_questions"] == {"questions": 2, "asked_in_training_too": 1}
        (said,) = seen_before(prediction.record)
        assert said.startswith("embedding kernel regression: 1 of 2 questions are in its training")
    older = replace(model, asked="").predict(cells)  # written before this was kept
    assert older.record["same_questions"] is None
    assert seen_before(older.record) == []
