"""Packing, against a brute-force reading of what it promises."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from opinioncast.backends.trees import (  # noqa: E402
    PromptTokens,
    Tree,
    lay_out,
    packs,
    plant,
)

ROWS = st.lists(
    st.tuples(st.sampled_from("ab"), st.lists(st.integers(0, 2), min_size=1, max_size=12)),
    min_size=1,
    max_size=8,
)


def sequences(rows: list[tuple[str, list[int]]]) -> list[PromptTokens]:
    return [PromptTokens(tuple(ids), (i, 0), key) for i, (key, ids) in enumerate(sorted(rows))]


@given(ROWS, st.integers(1, 40))
def test_trees_hold_every_prompt_once_and_whole(
    rows: list[tuple[str, list[int]]], most: int
) -> None:
    given_rows = sequences(rows)
    trees = list(plant(given_rows, most))
    found = {
        owner: tree.trunk + branch
        for tree in trees
        for owner, branch in zip(tree.owners, tree.branches, strict=True)
    }
    assert found == {s.owner: s.ids for s in given_rows}
    assert sum(len(t.branches) for t in trees) == len(given_rows)
    assert all(len(branch) >= 1 for tree in trees for branch in tree.branches)
    assert all(tree.size <= most or len(tree.branches) == 1 for tree in trees)
    keys = {s.owner: s.tree for s in given_rows}
    assert all(len({keys[o] for o in tree.owners}) == 1 for tree in trees)


@given(ROWS, st.integers(1, 40))
def test_packs_keep_all_trees_within_the_limit(
    rows: list[tuple[str, list[int]]], most: int
) -> None:
    trees = list(plant(sequences(rows), most))
    grouped = list(packs(trees, most))
    assert [tree for group in grouped for tree in group] == trees
    assert all(sum(t.size for t in g) <= most or len(g) == 1 for g in grouped)


@given(ROWS, st.one_of(st.none(), st.integers(1, 8)))
def test_the_mask_is_each_prompts_own_causal_mask(
    rows: list[tuple[str, list[int]]], window: int | None
) -> None:
    trees = list(plant(sequences(rows), 1000))
    pack = lay_out(trees)
    length = pack.input_ids.shape[1]
    assert length == sum(t.size for t in trees)
    # Brute force: name each packed token by its tree, branch and place in its own prompt.
    names: list[tuple[int, int, int]] = []
    for t, tree in enumerate(trees):
        names += [(t, -1, i) for i in range(len(tree.trunk))]
        for b, branch in enumerate(tree.branches):
            names += [(t, b, len(tree.trunk) + i) for i in range(len(branch))]
    mask = pack.mask(window)
    assert mask.shape == (1, 1, length, length)
    assert mask.dtype == torch.bool
    for i, (t, b, at) in enumerate(names):
        assert pack.position_ids[0, i] == at
        for j, (other_tree, other_branch, other_at) in enumerate(names):
            in_my_prompt = other_tree == t and other_branch in (-1, b)
            seen = in_my_prompt and other_at <= at and (window is None or at - other_at < window)
            assert bool(mask[0, 0, i, j]) == seen


def test_a_pack_written_out() -> None:
    pack = lay_out(
        [
            Tree((5, 6), ((7,), (8, 9)), ((0, 0), (1, 0))),
            Tree((), ((4,),), ((2, 0),)),
        ]
    )
    assert pack.input_ids.tolist() == [[5, 6, 7, 8, 9, 4]]
    assert pack.position_ids.tolist() == [[0, 1, 2, 2, 3, 0]]
    assert pack.last.tolist() == [2, 4, 5]
    assert pack.owners == ((0, 0), (1, 0), (2, 0))
    assert pack.mask(2)[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [0, 1, 0, 1, 0, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    with_trunk = pack.mask()[0, 0].int().tolist()
    assert with_trunk[4] == [1, 1, 0, 1, 1, 0]


def test_one_prompt_that_begins_another_keeps_its_last_token() -> None:
    (tree,) = plant([PromptTokens((1, 2, 3), (0, 0), "k"), PromptTokens((1, 2), (1, 0), "k")], 99)
    assert (tree.trunk, tree.branches) == ((1,), ((2, 3), (2,)))
