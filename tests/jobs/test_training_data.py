"""The rows of a fine-tuning recipe: read, split, narrowed, held apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.finetune.small_table import GROUPS, QUESTIONS, make_table, subpopulations

from opinioncast.errors import DataError, InputError
from opinioncast.finetune.recipe import FinetuneRecipe, parse_finetune
from opinioncast.jobs.training_data import TrainingData, training_data
from opinioncast.survey import OpinionTable, Question, opinion_row


def rows(recipe: FinetuneRecipe, folder: Path) -> TrainingData:
    return training_data(recipe, folder, open_encoder=lambda: None)


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


WORDINGS = 40


def twice(other_words: bool = False) -> OpinionTable:
    """40 wordings, each asked in two waves under two ids."""
    listed = []
    for i in range(WORDINGS):
        text = f"Don't you think that number {i} is lucky?"
        again = text.upper().replace("'", "’") if other_words else text
        options = ("Yes", "No")
        for question in (
            Question(f"a{i}", text, options, (1, 2), "T", "1"),
            Question(f"b{i}", again, options, (1, 2), "U" if other_words else "T", "2"),
        ):
            listed += [opinion_row(question, g, [0.4, 0.6], n=50) for g in subpopulations()]
    return OpinionTable.from_rows(listed)


@pytest.mark.parametrize("other_words", [False, True])
def test_a_wording_asked_twice_is_on_one_side(tmp_path: Path, other_words: bool) -> None:
    twice(other_words).write(tmp_path / "twice.parquet")
    raw = {"name": "x", "table": "twice.parquet", "validation": {"fraction": 0.25}}
    data = training_data(parse_finetune(raw, "test"), tmp_path, open_encoder=lambda: None)
    train, valid = ({int(i[1:]) for i in side} for side in asked(data))
    assert not train & valid
    assert (len(train), len(valid)) == (30, 10)
    assert data.sameness is not None
    assert data.sameness.record() == {
        "questions": 20,
        "key": 0,
        "wording": 0,
        "meaning": None,
        "threshold": None,
    }


@pytest.mark.parametrize(
    ("family", "wave", "question_id", "text"),
    [
        ("T", "9", "afterlife", "Other words?"),  # the same id in another wave
        ("T", "9", "AFTERLIFE_W9", "Other words?"),
        ("U", "9", "x", "Is there a life after death?"),  # the same words under another id
        ("U", "9", "x", "is there a life, after death"),
    ],
)
def test_two_tables_with_one_question_are_refused_or_it_is_taken_out(
    recipe: Any, tmp_path: Path, family: str, wave: str, question_id: str, text: str
) -> None:
    question = Question(question_id, text, ("Yes", "No"), (1, 2), family, wave)
    OpinionTable.from_rows(
        [opinion_row(question, g, [0.4, 0.6], n=50) for g in subpopulations()]
    ).write(tmp_path / "held.parquet")
    with pytest.raises(InputError, match="ask what the training rows ask too") as caught:
        rows(recipe(validation="held.parquet"), tmp_path)
    assert "1 questions" in str(caught.value)
    assert "T 1 afterlife" in str(caught.value)
    data = training_data(
        recipe(validation="held.parquet", same_questions="remove"),
        tmp_path,
        open_encoder=lambda: None,
    )
    train, valid = asked(data)
    assert train == {"trust", "colour", "vote"}
    assert valid == {question_id}
    assert data.taken_out is not None
    assert sum(data.taken_out.count(r) for r in ("key", "wording")) == 1


def test_where_all_is_taken_out_nothing_is_trained(recipe: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Nothing is left to train on") as caught:
        rows(recipe(validation="table.parquet", same_questions="remove"), tmp_path)
    assert f"{len(QUESTIONS)} of {len(QUESTIONS)} by key" in str(caught.value)


def encoded(texts: Sequence[str]) -> np.ndarray:
    """One direction a topic: the word after the last hyphen."""
    topics = [t.rsplit("-", 1)[-1] for t in texts]
    return np.stack([np.eye(64, dtype=np.float32)[hash_of(t) % 64] for t in topics])


def hash_of(topic: str) -> int:
    return int.from_bytes(topic.encode(), "big") % 61


def topical(topics: Sequence[str], ids: str = "q") -> OpinionTable:
    rows = [
        opinion_row(
            Question(f"{ids}{i}", f"Words {ids}{i} -{t}", ("Yes", "No"), (1, 2), ids), g, [0.4, 0.6]
        )
        for i, t in enumerate(topics)
        for g in subpopulations()
    ]
    return OpinionTable.from_rows(rows)


@pytest.mark.slow
def test_one_meaning_is_on_one_side_where_the_table_can_be_divided(tmp_path: Path) -> None:
    """Twelve topics of three wordings each; then one topic that is all there is."""
    topical([c for c in "abcdefghijkl" for _ in range(3)]).write(tmp_path / "t.parquet")
    raw = {"name": "x", "table": "t.parquet", "validation": {"fraction": 0.25}}
    apart = parse_finetune(raw, "test")
    data = training_data(apart, tmp_path, open_encoder=lambda: encoded)
    sides = [{r.question.text[-1] for r in part} for part in (data.train_rows, data.valid_rows)]
    assert not sides[0] & sides[1]
    assert len(sides[1]) == 3
    assert data.sameness is not None
    assert (data.sameness.count("meaning"), data.sameness.questions) == (0, 9)
    # without a sentence model, topics are on both sides and nothing is said of meaning
    blind = training_data(apart, tmp_path, open_encoder=lambda: None).sameness
    assert blind is not None
    assert blind.threshold is None

    topical(["a"] * 20).write(tmp_path / "t.parquet")
    with pytest.warns(UserWarning, match="5 of 5 validation questions mean what a training"):
        data = training_data(apart, tmp_path, open_encoder=lambda: encoded)
    assert data.sameness is not None
    assert data.sameness.words() == ("0 of 5 by key or wording, 5 by meaning (cosine 0.72 or more)")


def test_meanings_in_two_tables_are_counted_or_taken_out(tmp_path: Path) -> None:
    topical("aabbcd").write(tmp_path / "t.parquet")
    topical("ae", ids="v").write(tmp_path / "v.parquet")
    raw = {"name": "x", "table": "t.parquet", "validation": "v.parquet"}
    with pytest.warns(UserWarning, match="1 of 2 validation questions"):
        counted = training_data(parse_finetune(raw, "test"), tmp_path, open_encoder=lambda: encoded)
    assert len(asked(counted)[0]) == 6
    removed = training_data(
        parse_finetune(raw | {"same_questions": "remove"}, "test"),
        tmp_path,
        open_encoder=lambda: encoded,
    )
    assert len(asked(removed)[0]) == 4
    assert removed.sameness is not None
    assert removed.sameness.count("meaning") == 0
    assert removed.taken_out is not None
    assert removed.taken_out.record()["meaning"] == 2
