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
    found = {p.owner: p.ids for tree in trees for p in tree.prompts}
    assert found == {s.owner: s.ids for s in given_rows}
    assert sum(len(t.prompts) for t in trees) == len(given_rows)
    for tree in trees:
        beginnings = {p.ids[:i] for p in tree.prompts for i in range(1, len(p.ids) + 1)}
        assert tree.size == len(beginnings), "what is shared is held once"
        assert tree.size <= most or len(tree.prompts) == 1
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
    assert length == Tree(tuple(p for t in trees for p in t.prompts)).size
    # Brute force: each packed token is known by what its prompt says up to it.
    texts: dict[int, tuple[int, ...]] = {}
    for row, prompt in enumerate(p for tree in trees for p in tree.prompts):
        at = int(pack.last[row])
        assert texts.setdefault(at, prompt.ids) == prompt.ids
        assert pack.owners[row] == prompt.owner
    mask = pack.mask(window)
    whole = pack.mask()[0, 0]
    assert mask.shape == (1, 1, length, length)
    assert mask.dtype == torch.bool
    for at, ids in texts.items():
        seen = torch.nonzero(whole[at]).flatten()
        in_order = seen[torch.argsort(pack.position_ids[0, seen])]
        assert pack.input_ids[0, in_order].tolist() == list(ids)
        assert pack.position_ids[0, in_order].tolist() == list(range(len(ids)))
        # every token of the prompt sees exactly the prompt up to itself
        for depth, token in enumerate(in_order.tolist()):
            before = sorted(in_order[: depth + 1].tolist())
            assert torch.nonzero(whole[token]).flatten().tolist() == before
            near = sorted(in_order[max(0, depth + 1 - (window or 999)) : depth + 1].tolist())
            assert torch.nonzero(mask[0, 0, token]).flatten().tolist() == near


def tree(*rows: tuple[int, ...], first: int = 0) -> Tree:
    return Tree(tuple(PromptTokens(ids, (first + i, 0), "") for i, ids in enumerate(rows)))


def test_a_pack_written_out() -> None:
    pack = lay_out([tree((5, 6, 7), (5, 6, 8, 9)), tree((4,), first=2)])
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


def test_what_some_share_is_held_once_at_every_depth() -> None:
    rows = [(1, 2, 9), (1, 3, 4), (1, 2, 8), (1, 3, 4), (1, 3)]
    (found,) = plant([PromptTokens(ids, (i, 0), "k") for i, ids in enumerate(rows)], 99)
    assert found.size == 6
    pack = lay_out([found])
    assert sorted(pack.input_ids[0].tolist()) == [1, 2, 3, 4, 8, 9]
    last = {owner[0]: int(at) for owner, at in zip(pack.owners, pack.last, strict=True)}
    assert last[1] == last[3], "the same prompt twice"
    assert pack.input_ids[0, last[4]] == 3, "a prompt that begins another"


def test_what_belongs_to_one_request_stays_together() -> None:
    prompts = [
        PromptTokens((1, i, *more), (i, c), "k")
        for i in range(5)
        for c, more in enumerate([(), (7,), (8, 9)])
    ]
    trees = list(plant(prompts, 6))
    assert len(trees) == 5
    assert all(len({request for request, _ in t.owners}) == 1 for t in trees)
