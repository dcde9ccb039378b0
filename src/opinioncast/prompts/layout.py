"""Two layouts of one prompt: the paper's (group first) and question first.

A survey asks every group the same question, so prompts share long beginnings. The paper's layout
shares a group's steering text between questions; the question-first layout shares the question
with its options between groups and leaves one short line per group, which is what makes it cheap:
of the same 22 groups it has about a ninth of the tokens (``benchmarks/predict.py`` counts them).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass

from opinioncast.errors import InputError
from opinioncast.prompts.multiple_choice import plain_block, question_block, shown_options
from opinioncast.prompts.prompting import Answers, Layout, Prompting, check_orders
from opinioncast.prompts.steering import steering_line, steering_text
from opinioncast.survey.groups import GroupScheme, Subpopulation, load_groups
from opinioncast.survey.question import Question, label

ANSWER = "Answer:"
ChatTemplate = Callable[[str], str]
"""Wraps a user's message in a chat model's turns, up to where the model's answer begins."""


def template_hash(prompting: Prompting, chat_template: ChatTemplate | None = None) -> str:
    """Hash of a fixed example: it changes when any wording of this way of prompting does."""
    question = Question("template", "Is this an example?", ("Yes", "No"), (1, 2))
    scheme = load_groups("CREGION=South", "SEX=Female & RACE=Black", "total")
    texts = [
        build_prompt(question, group, scheme, prompting, chat_template=chat_template).text
        for group in scheme
    ]
    return hashlib.sha256("\x00".join(texts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt, ending where the model's answer is expected.

    Attributes:
        text: the whole prompt.
        labels: what names each option shown (its letter, or its text): first the substantive
            options in the order they were given (not the order shown), then the refusal where
            there is one.
        tree: key shared by the prompts that begin alike.
        words: the labels are texts.
    """

    text: str
    labels: tuple[str, ...]
    tree: str
    words: bool = False


def build_prompt(
    question: Question,
    subpopulation: Subpopulation,
    scheme: GroupScheme,
    prompting: Prompting,
    *,
    order: tuple[int, ...] | None = None,
    chat_template: ChatTemplate | None = None,
) -> Prompt:
    """Write the prompt for one question and one subpopulation.

    Args:
        order: a permutation of the indices of ``question.options``; as given when left out. The
            refusal always comes last.
        chat_template: for chat models: the prompt becomes the user's message and the closing
            "Answer:" gives way to the model's turn.

    Raises:
        InputError: the options and the refusal together need more than 26 letters, the refusal is
            an option already, or ``order`` is not a permutation.
    """
    given = tuple(range(len(question.options)))
    order = given if order is None else order
    if tuple(sorted(order)) != given:
        raise InputError(
            "An option order does not show every option once",
            where=f'question "{question.question_id}"',
            expected=f"a permutation of 0 to {len(given) - 1}",
            found=order,
        )
    shown = shown_options(question, prompting.refusal_text, order)
    words = prompting.answers is Answers.WORDS
    names = list(shown) if words else [label(place) for place in range(len(shown))]
    labels = [names[order.index(i)] for i in given] + names[len(order) :]
    if words:
        asked = plain_block(question.text, shown)
    else:
        asked = question_block(question.text, shown, force_choice=True)
    if prompting.layout is Layout.PAPER:
        shared = steering_text(subpopulation, scheme, prompting.format, question.population)
        rest = f"{asked}\n\n"
    else:
        shared = f"{asked}\n\n"
        line = steering_line(subpopulation, scheme, prompting.format, question.population)
        rest = f"{line}\n"
    if chat_template is None:
        text = f"{shared}{rest}{ANSWER}"
    else:
        text = chat_template(f"{shared}{rest}".rstrip())
    return Prompt(text, tuple(labels), hashlib.sha256(shared.encode()).hexdigest()[:16], words)


def orders(n_options: int, spec: str, *, seed: int = 0) -> list[tuple[int, ...]]:
    """The option orders a question is asked in; their predictions are averaged.

    Args:
        spec: ``given`` (one order), ``reversed`` (as given and reversed), or a number k: as given,
            reversed, then up to k random permutations (or all there are) that share the places
            out evenly among the options.
        seed: of the random permutations; the same for every group of a question.

    Raises:
        InputError: an unknown ``spec``.
    """
    given = tuple(range(n_options))
    if spec == "given":
        return [given]
    if spec == "reversed":
        return [given, given[::-1]]
    check_orders(spec)
    wanted = int(spec)
    possible = 1
    for i in range(2, n_options + 1):
        possible = min(possible * i, wanted)
    found = [given, given[::-1]][:wanted]
    draw = random.Random(f"{seed}/{n_options}")
    while len(found) < possible:
        # Of 64 draws the one whose options stand where they stood least: what a model gives to a
        # place in the list (the first, above all) is then shared out evenly.
        drawn = {tuple(draw.sample(given, n_options)) for _ in range(64)} - set(found)
        if drawn:
            found.append(min(sorted(drawn), key=lambda order: _repeats(order, found)))
    return found


def _repeats(order: tuple[int, ...], earlier: list[tuple[int, ...]]) -> int:
    """How often an option of ``order`` stands where it stood in an earlier one."""
    return sum(a == b for other in earlier for a, b in zip(order, other, strict=True))
