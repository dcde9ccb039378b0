"""Exact token ids of option labels, per tokenizer.

A label can be said with or without a space before it, and tokenizers write either as one token or
as several. A plan lists, for one context, which token must follow which to say each label.

Options can also be said in their own words. Their tokens make a tree, and only where it forks has
the model a choice: its answer is read as a decoder that is held to the options would give it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from opinioncast.documents import parse_json
from opinioncast.errors import ModelError

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """How to read label probabilities off a model.

    Attributes:
        continuations: token sequences to put after the prompt. Of letters the first is empty, and
            for tokenizers with one token per label it is the only one; of words they end where the
            options fork.
        wanted: for each continuation, the ids whose probability is read after it.
        paths: for each label, its spellings; a spelling is a list of (continuation, place in
            ``wanted`` of that continuation) whose probabilities multiply.
        forks: the labels are all that can be said, so that after every continuation but the first
            probabilities are taken among the ids that are wanted there.
    """

    continuations: tuple[TokenIds, ...]
    wanted: tuple[TokenIds, ...]
    paths: tuple[tuple[tuple[tuple[int, int], ...], ...], ...]
    forks: bool = False

    @property
    def single_token(self) -> bool:
        return len(self.continuations) == 1

    def log_probs(
        self, read: Sequence[Sequence[float] | npt.NDArray[np.float64]]
    ) -> npt.NDArray[np.float64]:
        """Log-probability of each label: its spellings add up, a spelling's tokens multiply.

        Of words they sum to the probability that the model begins one of the options at all (goes
        on with one of them, where all begin alike).

        Args:
            read: for each continuation, the log-probabilities of what is ``wanted`` after it.
        """
        if self.forks:
            read = [read[0], *(np.array(r) - np.logaddexp.reduce(r) for r in read[1:])]
        totals = [
            np.logaddexp.reduce([sum(read[c][place] for c, place in path) for path in paths])
            for paths in self.paths
        ]
        return np.array(totals, dtype=np.float64)


def plan_labels(tokenizer: Any, context: str, labels: Sequence[str]) -> LabelPlan:
    """Find how ``tokenizer`` writes each of ``labels`` after ``context``.

    The ids are taken in context, because a tokenizer that puts a space before every text writes a
    lone ``A`` differently from the ``A`` of ``Answer:A``.

    Args:
        tokenizer: a Hugging Face tokenizer.
        context: the end of a prompt, for example ``Answer:``.

    Raises:
        ModelError: two labels are written with the same tokens, or a label cannot be written.
    """
    end = _ContextEnd(tokenizer, context)
    owners: dict[TokenIds, str] = {}
    spellings: list[list[TokenIds]] = []
    for label in labels:
        found: list[TokenIds] = []
        for variant in (label, f" {label}"):
            ids = end.written(variant)
            owner = owners.setdefault(ids, label)
            if owner != label:
                raise _same_tokens(owner, label, ids)
            if not any(ids[: len(other)] == other for other in found):  # else counted within it
                found.append(ids)
        spellings.append(found)
    _check_no_prefix(owners, expected="labels that do not begin one another", hint=None)
    continuations: list[TokenIds] = [()]
    wanted: list[list[int]] = [[]]
    paths = []
    for found in spellings:
        label_paths = []
        for ids in found:
            steps = []
            for i, token in enumerate(ids):
                if ids[:i] not in continuations:
                    continuations.append(ids[:i])
                    wanted.append([])
                at = continuations.index(ids[:i])
                if token not in wanted[at]:
                    wanted[at].append(token)
                steps.append((at, wanted[at].index(token)))
            label_paths.append(tuple(steps))
        paths.append(tuple(label_paths))
    return LabelPlan(tuple(continuations), tuple(tuple(w) for w in wanted), tuple(paths))


def plan_words(
    tokenizer: Any, context: str, options: Sequence[str], *, closing: str = "\n"
) -> LabelPlan:
    """Find where ``options``, each said in full after ``context``, part from one another.

    What closes an option is read with it where one begins another ("Agree", "Agree strongly").

    Args:
        tokenizer: a Hugging Face tokenizer.
        context: the end of a prompt; a space follows it unless it ends in white space.
        closing: what the model writes after an answer: a line break, or what ends its turn in a
            chat.

    Raises:
        ModelError: two options are written with the same tokens, one cannot be written, or one
            begins another and its end has no token of its own.
    """
    end = _ContextEnd(tokenizer, context)
    space = "" if context[-1:].isspace() else " "
    owners: dict[TokenIds, str] = {}
    for option in options:
        ids = end.closed(space + " ".join(option.split()), closing)
        if ids in owners:
            raise _same_tokens(owners[ids], option, ids)
        owners[ids] = option
    _check_no_prefix(
        owners,
        expected="options whose ends this tokenizer writes (it has no token for what closes them)",
        hint="ask by letter (--answers letters), or use a model whose tokenizer writes line breaks",
    )
    follows: dict[TokenIds, list[int]] = {}
    for ids in owners:
        for i, token in enumerate(ids):
            known = follows.setdefault(ids[:i], [])
            if token not in known:
                known.append(token)
    forks = [begun for begun, tokens in follows.items() if len(tokens) > 1]
    place = {begun: i for i, begun in enumerate(forks)}
    paths = [
        tuple(
            (place[ids[:i]], follows[ids[:i]].index(token))
            for i, token in enumerate(ids)
            if ids[:i] in place
        )
        for ids in owners
    ]
    return LabelPlan(
        tuple(forks),
        tuple(tuple(follows[begun]) for begun in forks),
        tuple((path,) for path in paths),
        forks=True,
    )


class _ContextEnd:
    """What ``tokenizer`` writes after ``context``."""

    def __init__(self, tokenizer: Any, context: str) -> None:
        self._tokenizer, self._context = tokenizer, context
        self._before = _ids(tokenizer, context)
        self._unknown = _unknown(tokenizer)

    def written(self, text: str) -> TokenIds:
        """Raises ModelError where ``text`` cannot be written."""
        ids = self._after(text)
        if not ids or not self._unknown.isdisjoint(ids):
            raise ModelError(
                "The tokenizer cannot write an option label",
                where=f'label "{text}" after "{self._context}"',
                expected="token ids without the unknown token",
                found=ids,
                hint="use a model whose tokenizer covers the label's script",
            )
        return ids

    def closed(self, text: str, closing: str) -> TokenIds:
        """``text`` and what closes it; by itself, where that has no token of its own.

        To some tokenizers a line break is nothing, or a space, which says nothing about an
        answer's end: another word may follow it.
        """
        bare = self.written(text)
        closed = self._after(text + closing)
        lost = closed in (bare, self._after(f"{text} ")) or not self._unknown.isdisjoint(closed)
        return bare if lost else closed

    def _after(self, text: str) -> TokenIds:
        after, before = _ids(self._tokenizer, self._context + text), self._before
        follows = after[: len(before)] == before and len(after) > len(before)
        return after[len(before) :] if follows else _ids(self._tokenizer, text)


def _unknown(tokenizer: Any) -> frozenset[int]:
    """Ids of the token that stands for what a tokenizer does not know, if it has one. Its rules may
    hold one that its settings do not name."""
    found = {tokenizer.unk_token_id}
    rules = getattr(tokenizer, "backend_tokenizer", None)
    model = getattr(rules, "model", None)
    named = getattr(model, "unk_token", None)
    if model is not None and named is not None:
        found.add(model.token_to_id(named))
    elif rules is not None and type(model).__name__ == "Unigram" and found == {None}:
        said = parse_json(rules.to_str(), where="tokenizer", what="Its rules", lenient=True)
        found.add(said["model"].get("unk_id"))
    return frozenset(token for token in found if token is not None)


def _same_tokens(one: str, other: str, ids: TokenIds) -> ModelError:
    return ModelError(
        "Two option labels are the same tokens to this tokenizer",
        where=f'labels "{one}" and "{other}"',
        expected="different token ids",
        found=ids,
    )


def _check_no_prefix(owners: dict[TokenIds, str], *, expected: str, hint: str | None) -> None:
    """A spelling that begins another one would be counted within it."""
    for ids, label in owners.items():
        for i in range(1, len(ids)):
            shorter = owners.get(ids[:i])
            if shorter is not None and shorter != label:
                raise ModelError(
                    "One option label begins another to this tokenizer",
                    where=f'labels "{shorter}" and "{label}"',
                    expected=expected,
                    found=ids,
                    hint=hint,
                )


def _ids(tokenizer: Any, text: str) -> TokenIds:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
