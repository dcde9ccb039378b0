"""Modular Pluralism's three prompts: comment, choose, answer with a passage (paper, Figure 16).

The figure's choosing prompt ends with its request. A model that completes text needs a place to
answer, so "Answer:" follows, as in the other two; chat models get the message without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from opinioncast.prompts.layout import ANSWER, ChatTemplate
from opinioncast.prompts.multiple_choice import question_block
from opinioncast.survey.groups import GroupScheme, Subpopulation, load_groups
from opinioncast.survey.population import US_ADULTS, Population
from opinioncast.survey.question import Question, label


@dataclass(frozen=True, slots=True)
class PassagePrompt:
    """The last prompt, ending where the letter is expected.

    Attributes:
        labels: the letter of each option, in the order given (not the order shown).
        tree: key shared by the prompts that begin alike (same group and passage).
    """

    text: str
    labels: tuple[str, ...]
    tree: str


def comment_prompt(
    question: Question,
    subpopulation: Subpopulation,
    scheme: GroupScheme,
    *,
    chat_template: ChatTemplate | None = None,
) -> str:
    """The first prompt, put to every community's model: answer and explain."""
    asked = question_block(question.text, question.options, force_choice=False)
    stance = _stance(subpopulation, scheme, question.population)
    message = f"{stance} Please respond to the following question with explanation.\n\n{asked}"
    return _closed(message, chat_template)


def choice_prompt(
    comments: Sequence[str],
    subpopulation: Subpopulation,
    scheme: GroupScheme,
    *,
    population: Population = US_ADULTS,
    chat_template: ChatTemplate | None = None,
) -> str:
    """The second prompt, put to the chooser; comments are numbered from 1."""
    traits = _traits(subpopulation, scheme)
    who = f"all {population.people}"
    if traits:
        groups = " and ".join(group for _, group in traits)
        attributes = " and ".join(attribute for attribute, _ in traits)
        people = "people" if population.is_default else population.people
        who = f"the {people} of {groups} in terms of {attributes}"
    listed = "\n".join(f"Comment {i}: {text}" for i, text in enumerate(comments, start=1))
    message = (
        f"Which of the following comments best reflect {who}?\n\n{listed}\n\n"
        f"Please select one comment number from 1 to {len(comments)}."
    )
    return _closed(message, chat_template)


def passage_prompt(
    question: Question,
    subpopulation: Subpopulation,
    scheme: GroupScheme,
    passage: str,
    *,
    order: Sequence[int] | None = None,
    chat_template: ChatTemplate | None = None,
) -> PassagePrompt:
    """The third prompt: the question again, with the chosen comment before it.

    Args:
        order: a permutation of the indices of ``question.options``; as given when left out.
    """
    order = range(len(question.options)) if order is None else order
    stance = _stance(subpopulation, scheme, question.population)
    shared = (
        f"{stance} Please respond to the following question with the help of a passage.\n\n"
        f"Passage: {passage}\n\n"
    )
    shown = [question.options[i] for i in order]
    message = shared + question_block(question.text, shown, force_choice=False)
    letters = [""] * len(shown)
    for place, index in enumerate(order):
        letters[index] = label(place)
    tree = hashlib.sha256(shared.encode()).hexdigest()[:16]
    return PassagePrompt(_closed(message, chat_template), tuple(letters), tree)


def pluralism_template_hash(chat_template: ChatTemplate | None = None) -> str:
    """Hash of a fixed example of all three: it changes when any wording of them does."""
    question = Question("template", "Is this an example?", ("Yes", "No"), (1, 2))
    scheme = load_groups("CREGION=South", "SEX=Female & RACE=Black", "total")
    texts: list[str] = []
    for group in scheme:
        texts += [
            comment_prompt(question, group, scheme, chat_template=chat_template),
            choice_prompt(("One.", "Two."), group, scheme, chat_template=chat_template),
            passage_prompt(question, group, scheme, "One.", chat_template=chat_template).text,
        ]
    return hashlib.sha256("\x00".join(texts).encode()).hexdigest()[:16]


def _stance(subpopulation: Subpopulation, scheme: GroupScheme, population: Population) -> str:
    traits = _traits(subpopulation, scheme)
    everyone = f"You are {population.person}."
    if not traits:
        return everyone
    clauses = " and ".join(f"in terms of {a}, you are {g}" for a, g in traits)
    stance = f"{clauses[0].upper()}{clauses[1:]}."
    return stance if population.is_default else f"{everyone} {stance}"


def _traits(subpopulation: Subpopulation, scheme: GroupScheme) -> list[tuple[str, str]]:
    """What the attribute is called and how the group is said, for each condition."""
    scheme.check(subpopulation)
    return [
        (scheme.attributes[a].label, scheme.attributes[a].answer(g))
        for a, g in subpopulation.conditions
    ]


def _closed(message: str, chat_template: ChatTemplate | None) -> str:
    return f"{message}\n\n{ANSWER}" if chat_template is None else chat_template(message)
