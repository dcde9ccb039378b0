"""Shared-prefix packing: trunks and branches in one sequence.

A survey's prompts come as trees: a trunk that many share and short branches. A pack lays trees out
one after the other. Each branch attends to its trunk and to itself only, and its positions go on
from the trunk, so the result equals running every prompt on its own while the trunk is computed
once. Trunks are found on token ids, never on text, so no tokenizer can merge across the cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """One tokenised prompt (with a label's first tokens, where labels need several).

    Attributes:
        ids: all its tokens; the probability is read after the last.
        owner: index of the request and of the continuation it belongs to.
        tree: key of the prompts it may share a trunk with.
    """

    ids: tuple[int, ...]
    owner: tuple[int, int]
    tree: str


@dataclass(frozen=True, slots=True)
class Tree:
    """A trunk and its branches; no branch is empty."""

    trunk: tuple[int, ...]
    branches: tuple[tuple[int, ...], ...]
    owners: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        return len(self.trunk) + sum(map(len, self.branches))


@dataclass(frozen=True, slots=True)
class Pack:
    """Trees laid out in one sequence of length T.

    Attributes:
        input_ids, position_ids: shape (1, T).
        tree, branch: shape (T,): which tree a token is in and which branch (0 for the trunk;
            branches are numbered from 1 through the whole pack).
        last: shape (rows,): index of each branch's last token.
        owners: who each row belongs to.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    tree: torch.Tensor
    branch: torch.Tensor
    last: torch.Tensor
    owners: tuple[tuple[int, int], ...]

    def mask(self, window: int | None = None) -> torch.Tensor:
        """Which token may attend to which: bool, shape (1, 1, T, T).

        Args:
            window: of a sliding-window layer: attention reaches back fewer than this many
                *positions*, as it would in the unpacked prompt.
        """
        position = self.position_ids[0]
        same = (self.branch[None, :] == self.branch[:, None]) | (self.branch[None, :] == 0)
        back = position[:, None] - position[None, :]
        allowed = (self.tree[:, None] == self.tree[None, :]) & same & (back >= 0)
        if window is not None:
            allowed &= back < window
        return allowed[None, None]

    def to(self, device: torch.device) -> Pack:
        return Pack(
            self.input_ids.to(device),
            self.position_ids.to(device),
            self.tree.to(device),
            self.branch.to(device),
            self.last.to(device),
            self.owners,
        )


def plant(sequences: Sequence[PromptTokens], max_tokens: int) -> Iterator[Tree]:
    """Gather neighbouring sequences of one key into trees of at most ``max_tokens`` tokens.

    The trunk is the longest beginning all of them share, short of any one's last token. A tree
    that would be too long is cut into several, each with the trunk of the whole. A single prompt
    longer than ``max_tokens`` still makes a tree of its own.
    """
    for family in _neighbours(sequences):
        trunk = _common_prefix([s.ids for s in family])
        branches: list[PromptTokens] = []
        size = trunk
        for sequence in family:
            more = len(sequence.ids) - trunk
            if branches and size + more > max_tokens:
                yield _tree(branches, trunk)
                branches, size = [], trunk
            branches.append(sequence)
            size += more
        yield _tree(branches, trunk)


def lay_out(trees: Sequence[Tree]) -> Pack:
    """Put ``trees`` into one pack."""
    ids: list[int] = []
    positions: list[int] = []
    tree_of: list[int] = []
    branch_of: list[int] = []
    last: list[int] = []
    owners: list[tuple[int, int]] = []
    number = 0
    for t, tree in enumerate(trees):
        start = len(tree.trunk)
        ids += tree.trunk
        positions += range(start)
        tree_of += [t] * tree.size
        branch_of += [0] * start
        for branch in tree.branches:
            number += 1
            ids += branch
            positions += range(start, start + len(branch))
            branch_of += [number] * len(branch)
            last.append(len(ids) - 1)
        owners += tree.owners
    return Pack(
        torch.tensor([ids]),
        torch.tensor([positions]),
        torch.tensor(tree_of),
        torch.tensor(branch_of),
        torch.tensor(last),
        tuple(owners),
    )


def packs(trees: Iterable[Tree], max_tokens: int) -> Iterator[list[Tree]]:
    """Group trees, in order, into lists of at most ``max_tokens`` tokens together."""
    current: list[Tree] = []
    size = 0
    for tree in trees:
        if current and size + tree.size > max_tokens:
            yield current
            current, size = [], 0
        current.append(tree)
        size += tree.size
    if current:
        yield current


def _neighbours(sequences: Sequence[PromptTokens]) -> Iterator[list[PromptTokens]]:
    family: list[PromptTokens] = []
    for sequence in sequences:
        if family and sequence.tree != family[0].tree:
            yield family
            family = []
        family.append(sequence)
    if family:
        yield family


def _common_prefix(rows: Sequence[tuple[int, ...]]) -> int:
    """Length of the beginning shared by all rows, leaving at least one token to each."""
    first, last = min(rows), max(rows)
    length = 0
    for a, b in zip(first, last, strict=False):
        if a != b:
            break
        length += 1
    return min(length, min(len(r) for r in rows) - 1)


def _tree(family: Sequence[PromptTokens], trunk: int) -> Tree:
    return Tree(
        family[0].ids[:trunk],
        tuple(s.ids[trunk:] for s in family),
        tuple(s.owner for s in family),
    )
