"""Option orders, labels, trees and the template hash."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinioncast.errors import InputError
from opinioncast.prompts import (
    Answers,
    Format,
    Layout,
    Prompting,
    build_prompt,
    orders,
    template_hash,
)
from opinioncast.survey.groups import load_groups
from opinioncast.survey.question import Question, label

SCHEME = load_groups("all", "SEX=Female & RACE=Black", "total")
EVERY = [Prompting(a, b, refusal=c) for a in Layout for b in Format for c in (True, False)]


def question(n_options: int) -> Question:
    return Question("q", "Which one?", tuple(f"choice {i}" for i in range(n_options)))


@pytest.mark.slow
@given(st.integers(2, 26), st.integers(1, 40), st.integers(0, 5))
def test_orders_are_different_permutations(n_options: int, wanted: int, seed: int) -> None:
    found = orders(n_options, str(wanted), seed=seed)
    given_order = tuple(range(n_options))
    assert len(found) == len(set(found)) == min(wanted, math.factorial(n_options))
    assert all(sorted(order) == list(given_order) for order in found)
    assert found[:2] == [given_order, given_order[::-1]][:wanted]
    assert orders(n_options, str(wanted), seed=seed) == found
    assert orders(n_options, str(wanted + 1), seed=seed)[: len(found)] == found


def test_orders_by_name() -> None:
    assert orders(3, "given") == [(0, 1, 2)]
    assert orders(3, "reversed") == [(0, 1, 2), (2, 1, 0)]
    assert set(orders(3, "100")) == set(permutations(range(3)))
    assert orders(2, "1") == [(0, 1)]
    assert orders(8, "5", seed=1) != orders(8, "5", seed=2)


def test_orders_leave_the_global_random_state_alone() -> None:
    random.seed(0)
    before = random.getstate()
    orders(8, "6")
    assert random.getstate() == before


@pytest.mark.parametrize("spec", ["", "random", "0", "-1", "1.5", "²"])
def test_orders_that_are_none(spec: str) -> None:
    with pytest.raises(InputError, match="Unknown option orders"):
        orders(3, spec)


@given(st.data())
def test_a_label_stands_before_its_option(data: st.DataObject) -> None:
    n_options = data.draw(st.integers(2, 25))
    asked = question(n_options)
    order = tuple(data.draw(st.permutations(range(n_options))))
    style = data.draw(st.sampled_from(EVERY))
    group = data.draw(st.sampled_from(SCHEME.subpopulations))
    prompt = build_prompt(asked, group, SCHEME, style, order=order)
    after = prompt.text[prompt.text.index("Which one?") :]
    texts = [*asked.options, *([style.refusal_text] if style.refusal_text else [])]
    assert len(prompt.labels) == len(texts)
    for letter, text in zip(prompt.labels, texts, strict=True):
        assert f"\n{letter}. {text}\n" in after
    letters = [label(i) for i in range(len(texts))]
    assert sorted(prompt.labels) == letters
    assert f"Answer as a choice between {','.join(f'{x}.' for x in letters)}\n" in after
    assert prompt.text.endswith("\nAnswer:")


def test_trees_share_a_beginning_and_nothing_else_does() -> None:
    asked = [question(3), question(4)]
    for style in EVERY:
        prompts = [build_prompt(q, s, SCHEME, style) for q in asked for s in SCHEME]
        trees = {p.tree for p in prompts}
        wanted = len(SCHEME) if style.layout is Layout.PAPER else len(asked)
        assert len(trees) == wanted
        for tree in trees:
            members = [p.text for p in prompts if p.tree == tree]
            shared = len(asked) if style.layout is Layout.PAPER else len(SCHEME)
            assert len(members) == shared


def test_an_order_changes_the_question_first_tree() -> None:
    group = SCHEME.subpopulations[0]
    style = Prompting()
    a = build_prompt(question(3), group, SCHEME, style)
    b = build_prompt(question(3), group, SCHEME, style, order=(2, 1, 0))
    assert a.tree != b.tree
    assert a.labels[:3] == ("A", "B", "C")
    assert b.labels[:3] == ("C", "B", "A")


@pytest.mark.parametrize("order", [(), (0, 1), (0, 1, 1), (0, 1, 3), (1, 2, 3)])
def test_an_order_that_hides_an_option(order: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="every option once"):
        build_prompt(question(3), SCHEME.subpopulations[0], SCHEME, Prompting(), order=order)


def test_no_letter_left_for_the_refusal() -> None:
    group = SCHEME.subpopulations[0]
    with pytest.raises(InputError, match="no letter left") as caught:
        build_prompt(question(26), group, SCHEME, Prompting())
    assert caught.value.hint
    prompt = build_prompt(question(26), group, SCHEME, Prompting(refusal=False))
    assert prompt.labels[-1] == "Z"


def test_a_refusal_among_the_options() -> None:
    asked = Question("q", "Which?", ("Yes", "No", "refused"))
    with pytest.raises(InputError, match="already"):
        build_prompt(asked, SCHEME.subpopulations[0], SCHEME, Prompting())
    build_prompt(asked, SCHEME.subpopulations[0], SCHEME, Prompting(refusal=False))


def test_a_group_of_another_scheme() -> None:
    (group,) = load_groups("SEX=Female")
    narrow = replace(SCHEME, attributes={"RACE": SCHEME.attributes["RACE"]})
    with pytest.raises(InputError, match="Unknown attribute"):
        build_prompt(question(2), group, narrow, Prompting())


def test_the_template_hash_tells_styles_apart() -> None:
    plain = {template_hash(style) for style in EVERY}
    chatty = {template_hash(style, lambda text: f"<user>{text}<model>") for style in EVERY}
    assert len(plain | chatty) == 2 * len(EVERY)
    assert template_hash(EVERY[0]) == template_hash(EVERY[0])


@pytest.mark.parametrize("n", [3, 5, 8])
def test_as_many_orders_as_options_share_the_places_out(n: int) -> None:
    found = orders(n, str(n))
    for place in range(n):
        often = [sum(order[place] == item for order in found) for item in range(n)]
        assert max(often) <= 2


def test_answers_in_words() -> None:
    style = Prompting(answers=Answers.WORDS)
    asked = Question("q", "Can people be trusted?", ("Always", "Mostly", "Never"))
    prompt = build_prompt(asked, SCHEME.subpopulations[-1], SCHEME, style, order=(2, 0, 1))
    assert prompt.text.startswith(
        "Question: Can people be trusted?\n- Never\n- Always\n- Mostly\n- Refused\n\n"
    )
    assert prompt.text.endswith("\nAnswer:")
    assert "A." not in prompt.text
    assert prompt.labels == ("Always", "Mostly", "Never", "Refused")  # as given, not as shown
    assert prompt.words
    assert template_hash(style) != template_hash(Prompting())
