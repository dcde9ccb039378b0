"""Overlap against brute force and hand-worked cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from opinioncast.curate import overlap as module
from opinioncast.curate.overlap import (
    QuestionSet,
    choose_threshold,
    find_overlap,
    question_key,
    remove_overlap,
)
from opinioncast.curate.question_map import principal_components, question_map
from opinioncast.errors import InputError
from opinioncast.survey import sameness
from opinioncast.survey.tables import OpinionTable


def unit(n: int, seed: int, dim: int = 6) -> np.ndarray:
    raw = np.random.default_rng(seed).normal(size=(n, dim))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


def some(name: str, n: int, seed: int) -> QuestionSet:
    ids = tuple(f"{name}{i}" for i in range(n))
    return QuestionSet(name, ids, tuple(f"text {i}" for i in ids), unit(n, seed))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 10), st.floats(-0.5, 0.95))
def test_pairs_and_histogram_equal_brute_force(n: int, m: int, seed: int, threshold: float) -> None:
    left, right = some("a", n, seed), some("b", m, seed + 100)
    block, sameness._BLOCK_CELLS = sameness._BLOCK_CELLS, 64  # several blocks
    try:
        found = find_overlap(left, right, threshold=threshold)
    finally:
        sameness._BLOCK_CELLS = block
    cosine = 1 - cdist(left.vectors, right.vectors, "cosine") if n else np.zeros((0, m))
    sure = np.argwhere(cosine >= threshold + 1e-5)
    maybe = np.argwhere(cosine >= threshold - 1e-5)
    pairs = set(found.pairs.select("left_id", "right_id").iter_rows())
    assert {(left.ids[i], right.ids[j]) for i, j in sure} <= pairs
    assert pairs <= {(left.ids[i], right.ids[j]) for i, j in maybe}
    assert found.histogram["pairs"].sum() == n * m
    assert found.histogram["nearest"].sum() == n
    assert found.pairs["cosine"].is_sorted(descending=True)


def test_within_one_set_each_pair_counts_once() -> None:
    left = some("a", 30, 3)
    block, sameness._BLOCK_CELLS = sameness._BLOCK_CELLS, 200
    try:
        found = find_overlap(left, threshold=0.5)
    finally:
        sameness._BLOCK_CELLS = block
    cosine = left.vectors @ left.vectors.T
    expected = {
        (left.ids[i], left.ids[j])
        for i in range(30)
        for j in range(i + 1, 30)
        if cosine[i, j] >= 0.5
    }
    assert set(found.links()) == expected
    assert found.histogram["pairs"].sum() == 30 * 29 // 2
    assert found.histogram["nearest"].sum() == 30
    np.fill_diagonal(cosine, -1)
    nearest = np.histogram(cosine.max(axis=1), bins=np.linspace(-1, 1, module.BINS + 1))[0]
    assert np.abs(np.cumsum(nearest) - found.histogram["nearest"].cum_sum().to_numpy()).max() <= 1


def test_a_hundred_thousand_equal_wordings_are_refused_not_swapped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_PAIRS", 1000)
    same = QuestionSet("s", tuple(map(str, range(50))), ("x",) * 50, np.ones((50, 1), np.float32))
    with pytest.raises(InputError, match="Too many pairs"):
        find_overlap(same)


def test_sets_are_checked() -> None:
    with pytest.raises(InputError, match="not a unit vector"):
        QuestionSet("s", ("a",), ("x",), np.full((1, 2), 2, np.float32))
    with pytest.raises(InputError, match="one text and one vector"):
        QuestionSet("s", ("a", "b"), ("x",), np.ones((1, 1), np.float32))
    with pytest.raises(InputError, match="different models"):
        find_overlap(some("a", 2, 1), QuestionSet("b", ("b",), ("b",), unit(1, 0, dim=4)))


def table(rows: list[tuple[str, str, str, str]]) -> OpinionTable:
    """(family, wave, id, wording), each for two groups."""
    return OpinionTable.from_rows(
        {
            "family": f,
            "wave": w,
            "question_id": q,
            "question": text,
            "options": ["Yes", "No"],
            "ordinal": [1.0, 2.0],
            "attribute": "SEX",
            "group": group,
            "distribution": [0.4, 0.6],
        }
        for f, w, q, text in rows
        for group in ("Male", "Female")
    )


WORDS = ["guns", "abortion", "taxes", "god", "jobs"]


def encode(texts: Any) -> np.ndarray:
    """One axis per word, so that texts with the same words are the same."""
    raw = np.array([[w in t for w in WORDS] + [0.01] for t in texts], dtype=np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def test_removal_keeps_a_record_with_the_reason() -> None:
    train = table(
        [
            ("ATP", "61", "GUN_W61", "about guns"),
            ("ATP", "61", "GOD_W61", "about god and jobs"),
            ("ATP", "82", "TAX_W82", "about taxes"),
        ]
    )
    held = table(
        [("ATP", "92", "X_W92", "guns, please"), ("ATP", "92", "TAX_W92", "what of abortion")]
    )
    sets = [QuestionSet.of_table(n, t, encode) for n, t in (("train", train), ("evaluation", held))]
    overlap = find_overlap(*sets, threshold=0.9)
    rest, removed = remove_overlap(train, held, overlap)
    assert rest.frame["question_id"].unique().to_list() == ["GOD_W61"]
    assert removed.select("id", "rows", "reason", "evaluation_id").rows() == [
        (question_key("ATP", "61", "GUN_W61"), 2, "the same meaning", "ATP/92/X_W92"),
        (question_key("ATP", "82", "TAX_W82"), 2, "the same key", "ATP/92/TAX_W92"),
    ]
    assert removed["cosine"].to_list() == [pytest.approx(1, abs=1e-3), None]
    with pytest.raises(InputError, match="not of these two tables"):
        remove_overlap(held, train, overlap)


def test_threshold_puts_recall_before_precision() -> None:
    axis = {"a": 0.0, "b95": np.arccos(0.95), "b80": np.arccos(0.80), "b90": np.arccos(0.90)}

    def circle(texts: Any) -> np.ndarray:
        return np.array([[np.cos(axis[t]), np.sin(axis[t])] for t in texts], dtype=np.float32)

    labelled = pl.DataFrame(
        {
            "text_a": ["a", "a", "a"],
            "text_b": ["b95", "b80", "b90"],
            "same": [True, True, False],
        }
    )
    choice = choose_threshold(labelled, circle)
    assert choice.threshold == pytest.approx(0.80, abs=0.0011)
    row = choice.table.filter(pl.col("threshold") == choice.threshold).row(0, named=True)
    assert row["recall"] == 1
    assert row["precision"] == pytest.approx(2 / 3)
    half = choose_threshold(labelled, circle, recall=0.5)
    assert half.threshold == pytest.approx(0.95, abs=0.0011)
    with pytest.raises(InputError, match="lack something"):
        choose_threshold(labelled.drop("same"), circle)
    with pytest.raises(InputError, match="No threshold"):
        choose_threshold(labelled.with_columns(same=False), circle)


@pytest.mark.slow
def test_map_holds_every_question_and_is_reproducible() -> None:
    sets = [some("a", 20, 1), some("b", 10, 2)]
    first, again = question_map(sets, seed=1), question_map(sets, seed=1)
    assert first.equals(again)
    assert first.select("id", "set").rows() == [(i, s.name) for s in sets for i in s.ids]
    assert first.select("x", "y").null_count().sum_horizontal().item() == 0
    assert question_map([some("a", 4, 1)])["method"].unique().to_list() == ["PCA"]
    with pytest.raises(InputError, match="one map"):
        question_map([])


def test_principal_components_keep_most_variance() -> None:
    vectors = unit(50, 4)
    points = principal_components(vectors)
    values = np.linalg.eigvalsh(np.cov(vectors.T.astype(float)))[::-1]
    np.testing.assert_allclose(points.var(axis=0, ddof=1), values[:2], rtol=1e-4)
