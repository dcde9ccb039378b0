"""Shared-prefix packing: prompts that begin alike in one sequence, their beginnings once.

A survey's prompts come as trees: beginnings that many share and short ends. A pack lays trees out
one after the other. Each token attends to what stands before it in its own prompt and to nothing
else, and its position is its place in that prompt, so the result equals running every prompt on its
own while what they share is computed once. Beginnings are compared as token ids, never as text, so
no tokenizer can merge across the cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import torch


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """One tokenised prompt (with a label's first tokens, where labels need several).

    Attributes:
        ids: all its tokens; the probability is read after the last.
        owner: index of the request and of the continuation it belongs to.
        tree: key of the prompts it is packed with.
    """

    ids: tuple[int, ...]
    owner: tuple[int, int]
    tree: str


@dataclass(frozen=True, slots=True)
class Tree:
    """Prompts in an order in which those that begin alike stand together (:func:`plant`)."""

    prompts: tuple[PromptTokens, ...]

    @property
    def owners(self) -> tuple[tuple[int, int], ...]:
        return tuple(p.owner for p in self.prompts)

    @property
    def size(self) -> int:
        """Tokens, each shared beginning counted once."""
        return sum(len(p.ids) for p in self.prompts) - sum(_shared(self.prompts)[1:])

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt."""
        return max(len(p.ids) for p in self.prompts)


@dataclass(frozen=True, slots=True)
class Pack:
    """Trees laid out in one sequence of T tokens; R prompts.

    Attributes:
        input_ids, position_ids: shape (1, T).
        prompt: shape (T,): the first prompt that holds the token.
        shared: shape (R, R): how many tokens each two prompts begin alike with.
        last: shape (R,): index of each prompt's last token.
        owners: who each prompt belongs to.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    prompt: torch.Tensor
    shared: torch.Tensor
    last: torch.Tensor
    owners: tuple[tuple[int, int], ...]

    def mask(self, window: int | None = None) -> torch.Tensor:
        """Which token may attend to which: bool, shape (1, 1, T, T).

        Args:
            window: of a sliding-window layer: attention reaches back fewer than this many
                *positions*, as it would in the unpacked prompt.
        """
        position = self.position_ids[0]
        back = position[:, None] - position[None, :]
        in_my_prompt = position[None, :] < self.shared[self.prompt][:, self.prompt]
        allowed = in_my_prompt & (back >= 0)
        if window is not None:
            allowed &= back < window
        return allowed[None, None]

    def to(self, device: torch.device) -> Pack:
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return Pack(**{k: v.to(device) if k != "owners" else v for k, v in moved.items()})


def plant(prompts: Sequence[PromptTokens], max_tokens: int) -> Iterator[Tree]:
    """Gather neighbouring prompts of one key into trees of at most ``max_tokens`` tokens.

    A tree that would be too long is cut into several, each with what its own prompts share. What
    belongs to one request stays together. A single request longer than ``max_tokens`` still makes
    a tree of its own.
    """
    for family in _neighbours(prompts):
        ordered = _together(family)
        shared = _shared(ordered)
        start, size, at = 0, 0, 0
        while at < len(ordered):
            end = at + 1
            while end < len(ordered) and ordered[end].owner[0] == ordered[at].owner[0]:
                end += 1
            whole = len(ordered[at].ids) + sum(
                len(ordered[i].ids) - shared[i] for i in range(at + 1, end)
            )
            more = whole - (shared[at] if at > start else 0)
            if at > start and size + more > max_tokens:
                yield Tree(tuple(ordered[start:at]))
                start, size, more = at, 0, whole
            size += more
            at = end
        yield Tree(tuple(ordered[start:]))


def lay_out(trees: Sequence[Tree]) -> Pack:
    """Put ``trees`` into one pack. Neighbouring trees that begin alike share that too."""
    prompts = [p for tree in trees for p in tree.prompts]
    before = _shared(prompts)
    ids: list[int] = []
    positions: list[int] = []
    holder: list[int] = []
    last: list[int] = []
    path: list[int] = []  # where each token of the current prompt lies in the pack
    for number, (prompt, shared) in enumerate(zip(prompts, before, strict=True)):
        new = prompt.ids[shared:]
        path = path[:shared] + list(range(len(ids), len(ids) + len(new)))
        ids += new
        positions += range(shared, len(prompt.ids))
        holder += [number] * len(new)
        last.append(path[-1])
    return Pack(
        torch.tensor([ids]),
        torch.tensor([positions]),
        torch.tensor(holder),
        _pairwise(prompts, before),
        torch.tensor(last),
        tuple(p.owner for p in prompts),
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


def _neighbours(prompts: Sequence[PromptTokens]) -> Iterator[list[PromptTokens]]:
    family: list[PromptTokens] = []
    for prompt in prompts:
        if family and prompt.tree != family[0].tree:
            yield family
            family = []
        family.append(prompt)
    if family:
        yield family


def _together(family: Sequence[PromptTokens]) -> list[PromptTokens]:
    """Those that begin alike side by side, otherwise near the order given."""
    rank: dict[int, int] = {}
    for prompt in family:
        for token in prompt.ids:
            rank.setdefault(token, len(rank))
    return sorted(family, key=lambda p: ([rank[t] for t in p.ids], p.owner))


def _shared(prompts: Sequence[PromptTokens]) -> list[int]:
    """How many tokens each prompt begins like the one before it (0 for the first)."""
    found = [0]
    for a, b in pairwise(prompts):
        length = 0
        for x, y in zip(a.ids, b.ids, strict=False):
            if x != y:
                break
            length += 1
        found.append(length)
    return found


def _pairwise(prompts: Sequence[PromptTokens], before: Sequence[int]) -> torch.Tensor:
    """``Pack.shared``: in this order two prompts share the least of what lies between them."""
    count = len(prompts)
    shared = torch.zeros(count, count, dtype=torch.long)
    steps = torch.tensor(before)
    for i, prompt in enumerate(prompts):
        shared[i, i] = len(prompt.ids)
        if i + 1 < count:
            least = torch.cummin(steps[i + 1 :], dim=0).values
            shared[i, i + 1 :] = least
            shared[i + 1 :, i] = least
    return shared
