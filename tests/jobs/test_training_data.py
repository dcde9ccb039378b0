"""The rows of a fine-tuning recipe: read, split, narrowed, held apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.finetune.small_table import GROUPS, QUESTIONS, make_table

from opinioncast.errors import DataError, InputError
from opinioncast.finetune.recipe import FinetuneRecipe, parse_finetune
from opinioncast.jobs.training_data import TrainingData, training_data


def rows(recipe: FinetuneRecipe, folder: Path) -> TrainingData:
    return training_data(recipe, folder)


@pytest.fixture
def recipe(tmp_path: Path) -> Any:
    """A recipe of a table found beside it."""
    make_table().write(tmp_path / "table.parquet")

    def make(**more: Any) -> FinetuneRecipe:
        raw = {"name": "x", "table": "table.parquet", "groups": list(GROUPS), **more}
        return parse_finetune(raw, "test")

    return make


def asked(data: TrainingData) -> tuple[set[str], set[str]]:
    train, valid = data.train_rows, data.valid_rows
    return {r.question.question_id for r in train}, {r.question.question_id for r in valid}


def test_every_question_of_every_group_is_a_row(recipe: Any, tmp_path: Path) -> None:
    data = rows(recipe(), tmp_path)
    train, valid = asked(data)
    assert train == {q.question_id for q in QUESTIONS}
    assert valid == set()
    assert [str(g) for g in data.groups] == [str(g) for g in data.train.subpopulations()]


def test_a_fraction_held_out_shares_no_question(recipe: Any, tmp_path: Path) -> None:
    data = rows(recipe(validation={"fraction": 0.5}), tmp_path)
    train, valid = asked(data)
    assert not train & valid
    assert train | valid == {q.question_id for q in QUESTIONS}
    again = rows(recipe(validation={"fraction": 0.5}), tmp_path)
    assert asked(again) == (train, valid)


def test_a_part_of_the_questions_is_whole_questions(recipe: Any, tmp_path: Path) -> None:
    whole, part = rows(recipe(), tmp_path), rows(recipe(fraction=0.5), tmp_path)
    kept, _ = asked(part)
    assert len(kept) == len(QUESTIONS) // 2
    expected = [r for r in whole.train_rows if r.question.question_id in kept]
    assert list(part.train_rows) == expected


def test_validation_rows_that_are_trained_on_are_refused(recipe: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ask what the training rows ask too") as caught:
        rows(recipe(validation="table.parquet"), tmp_path)
    assert caught.value.where is not None
    assert caught.value.where.startswith(f"{len(QUESTIONS)} questions")


def test_validation_of_other_groups_is_refused(recipe: Any, tmp_path: Path) -> None:
    table = make_table()
    other = table.filter(pl.col("attribute") == "CREGION")
    other.write(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="no rows for any trained group"):
        rows(recipe(validation="other.parquet", groups=["RELIG=Nothing in particular"]), tmp_path)


def test_a_table_that_is_nowhere(recipe: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="OpinionTable not found"):
        rows(recipe(table="absent.parquet"), tmp_path)
