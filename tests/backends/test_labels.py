"""Which tokens say a label."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

from opinioncast.backends.labels import LabelPlan, plan_labels, plan_words  # noqa: E402
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


def test_words_are_read_where_they_fork() -> None:
    tokenizer = words("very", "not", "good", "bad", "at", "all", "\n")
    tokenizer.backend_tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    # to this tokenizer the line break is white space: it closes nothing
    plan = plan_words(tokenizer, "Answer:", ("very good", "very bad", "not at all"))
    very, no, good, bad = (
        tokenizer.convert_tokens_to_ids(w) for w in ("very", "not", "good", "bad")
    )
    assert plan.continuations == ((), (very,))
    assert plan.wanted == ((very, no), (good, bad))
    assert [spellings(plan, i) for i in range(3)] == [[[very, good]], [[very, bad]], [[no]]]
    # hand-worked: "very" is begun with in 0.3 of cases and "not" in 0.1; after "very", "good" has
    # 0.02 and "bad" 0.06, so "good" is a quarter of what can be said there
    read = [np.log([0.3, 0.1]), np.log([0.02, 0.06])]
    assert np.exp(plan.log_probs(read)) == pytest.approx([0.3 / 4, 0.3 * 3 / 4, 0.1])


def test_an_option_in_words_may_begin_another() -> None:
    plan = plan_words(Spelled(), "Answer:", ("Agree", "Agree a lot"))
    begun = tuple(map(ord, " Agree"))
    assert plan.continuations == (begun,)  # all that comes before is the same in both
    assert plan.wanted == ((ord("\n"), ord(" ")),)
    assert plan.forks


@pytest.mark.parametrize("other", ["Agree", " Agree "])
def test_two_options_with_the_same_words(other: str) -> None:
    with pytest.raises(ModelError, match="same tokens"):
        plan_words(Spelled(), "Answer:", ("Agree", other))


def test_an_option_the_tokenizer_cannot_write() -> None:
    with pytest.raises(ModelError, match="cannot write") as caught:
        plan_words(words("very"), "Answer:", ("very", "good"))
    assert caught.value.where == 'label " good" after "Answer:"'


@given(
    st.lists(
        st.text("abc ", min_size=1, max_size=6),
        min_size=2,
        max_size=8,
        unique_by=lambda o: tuple(o.split()),
    ),
    st.integers(0, 10_000),
)
def test_shares_in_words_are_those_of_a_walk_through_the_options(
    options: list[str], seed: int
) -> None:
    """However the tree of options is made, walking it letter by letter gives the same shares."""
    options = [f"x {o}" for o in options]
    plan = plan_words(Spelled(), "Answer:", options)
    draw = np.random.default_rng(seed)
    odds: dict[tuple[int, ...], dict[int, float]] = {}

    def odd(begun: tuple[int, ...], letter: int) -> float:
        return odds.setdefault(begun, {}).setdefault(letter, float(draw.uniform(0.01, 1)))

    said = [tuple(map(ord, " " + " ".join(o.split()) + "\n")) for o in options]
    expected = []
    for one in said:
        share = 1.0
        for i, letter in enumerate(one):
            can = {other[i] for other in said if len(other) > i and other[:i] == one[:i]}
            share *= odd(one[:i], letter) / sum(odd(one[:i], c) for c in sorted(can))
        expected.append(share)
    assert math.isclose(sum(expected), 1)
    read = [
        np.log([odd(begun, letter) for letter in wanted])
        for begun, wanted in zip(plan.continuations, plan.wanted, strict=True)
    ]
    found = np.exp(plan.log_probs(read))
    assert found / found.sum() == pytest.approx(expected)
