"""Which tokens say a label."""

from __future__ import annotations

from typing import Any

import pytest

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

from opinioncast.backends.labels import LabelPlan, plan_labels  # noqa: E402
from opinioncast.errors import ModelError  # noqa: E402


def words(*known: str, lower: bool = False, unknown: str | None = "?") -> Any:
    """A tokenizer with one token per word: a label is the same with and without its space."""
    vocabulary = {word: i for i, word in enumerate(("?", "Answer", ":", *known))}
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="?"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    if lower:
        raw.normalizer = tokenizers.normalizers.Replace("B", "A")
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, unk_token=unknown)


def spellings(plan: LabelPlan, label: int) -> list[list[int]]:
    return [[plan.wanted[c][place] for c, place in path] for path in plan.paths[label]]


def test_a_label_written_one_way_counts_once() -> None:
    tokenizer = words("A", "B")
    plan = plan_labels(tokenizer, "Answer:", ("A", "B"))
    assert plan.single_token
    assert spellings(plan, 0) == [[3]]
    assert spellings(plan, 1) == [[4]]


def test_two_labels_with_the_same_tokens() -> None:
    with pytest.raises(ModelError, match="same tokens") as caught:
        plan_labels(words("A", lower=True), "Answer:", ("A", "B"))
    assert caught.value.where == 'labels "A" and "B"'


def test_a_label_the_tokenizer_does_not_know() -> None:
    with pytest.raises(ModelError, match="cannot write an option label") as caught:
        plan_labels(words("A"), "Answer:", ("A", "Z"))
    assert caught.value.where == 'label "Z" after "Answer:"'
    assert caught.value.hint


class Spelled:
    """A tokenizer that says a word letter by letter."""

    unk_token_id = None

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [ord(c) for c in text]}


def test_labels_of_several_tokens_share_their_beginning() -> None:
    plan = plan_labels(Spelled(), "Answer:", ("Ax", "Ay"))
    assert not plan.single_token
    a, space, x, y = map(ord, "A xy")
    assert spellings(plan, 0) == [[a, x], [space, a, x]]
    assert spellings(plan, 1) == [[a, y], [space, a, y]]
    assert plan.continuations == ((), (a,), (space,), (space, a))


def test_a_label_that_begins_another() -> None:
    with pytest.raises(ModelError, match="begins another") as caught:
        plan_labels(Spelled(), "Answer:", ("A", "AB"))
    assert caught.value.where == 'labels "A" and "AB"'
