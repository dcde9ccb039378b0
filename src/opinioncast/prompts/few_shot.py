"""Few-shot prompting: questions a group has answered, with its shares as JSON (paper, Figure 15).

The figure prints Python's single quotes; here the shares are JSON, as section 4.1 calls them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from opinioncast.prompts.layout import ChatTemplate
from opinioncast.prompts.multiple_choice import question_block, shown_options
from opinioncast.survey.groups import GroupScheme, Subpopulation, load_groups
from opinioncast.survey.population import US_ADULTS, Population
from opinioncast.survey.question import Question, label

ANSWER_DISTRIBUTION = "Answer distribution:"
PLACES = 3


@dataclass(frozen=True, slots=True)
class Example:
    """A question and what the group answered.

    Attributes:
        shares: of the substantive options, summing to one.
        refusal_rate: share of all asked that refused; None where that is not known: the refusal
            is then not among the options of this example.
    """

    question: Question
    shares: tuple[float, ...]
    refusal_rate: float | None = None


@dataclass(frozen=True, slots=True)
class FewShotPrompt:
    """One prompt, ending where the model's JSON is expected.

    Attributes:
        labels: the letter of each option shown: the substantive ones in order, then the refusal.
        options: the text of each.
    """

    text: str
    labels: tuple[str, ...]
    options: tuple[str, ...]


def few_shot_prompt(
    question: Question,
    subpopulation: Subpopulation,
    scheme: GroupScheme,
    examples: Sequence[Example],
    *,
    refusal: str | None,
    chat_template: ChatTemplate | None = None,
) -> FewShotPrompt:
    """The prompt of Figure 15.

    Args:
        examples: in the order shown; the paper shows the most similar question last.
        refusal: text of the last option; None leaves it out, of the examples too.
        chat_template: the prompt becomes the user's message, without the closing line.

    Raises:
        InputError: more options than letters, or the refusal is an option already.
    """
    shown = shown_options(question, refusal)
    parts = [f"{instruction(subpopulation, scheme, question.population)}\n\n"]
    for example in examples:
        parts.append(_example(example, refusal))
    asked = question_block(question.text, shown, force_choice=False)
    if chat_template is None:
        text = f"{''.join(parts)}{asked}\n{ANSWER_DISTRIBUTION}"
    else:
        closing = f"Write only the {ANSWER_DISTRIBUTION.rstrip(':').lower()}, as JSON."
        text = chat_template(f"{''.join(parts)}{asked}\n\n{closing}")
    return FewShotPrompt(text, tuple(label(i) for i in range(len(shown))), tuple(shown))


def instruction(
    subpopulation: Subpopulation, scheme: GroupScheme, population: Population = US_ADULTS
) -> str:
    """The first line: whose answers are to be predicted."""
    scheme.check(subpopulation)
    traits = [
        f"whose {scheme.attributes[a].label} is {scheme.attributes[a].answer(g)}"
        for a, g in subpopulation.conditions
    ]
    people = "people" if population.is_default else population.people
    who = f"{people} {' and '.join(traits)}" if traits else f"all {population.people}"
    return f"Predict the answer distribution of the following questions for {who}."


def shares_json(shares: Sequence[float]) -> str:
    """``{"A": 0.050, "B": 0.210}``: three decimals, as the paper prints them."""
    listed = (f"{json.dumps(label(i))}: {share:.{PLACES}f}" for i, share in enumerate(shares))
    return f"{{{', '.join(listed)}}}"


def _example(example: Example, refusal: str | None) -> str:
    question = example.question
    shares = list(example.shares)
    known = {option.casefold() for option in question.options}
    rate = example.refusal_rate
    if refusal is None or rate is None or refusal.casefold() in known:
        shown = list(question.options)
    else:
        shown = shown_options(question, refusal)
        shares = [*(s * (1 - rate) for s in shares), rate]
    block = question_block(question.text, shown, force_choice=False)
    return f"{block}\n{ANSWER_DISTRIBUTION} {shares_json(shares)}\n\n"


def few_shot_template_hash(refusal: str | None, chat_template: ChatTemplate | None = None) -> str:
    """Hash of a fixed example: it changes when any wording of the prompt does."""
    example = Example(Question("a", "Is this a test?", ("Yes", "No"), (1, 2)), (0.25, 0.75), 0.5)
    scheme = load_groups("CREGION=South", "SEX=Female & RACE=Black", "total")
    asked = Question("template", "Is this an example?", ("Yes", "No"), (1, 2))
    texts = [
        few_shot_prompt(
            asked, group, scheme, [example], refusal=refusal, chat_template=chat_template
        ).text
        for group in scheme
    ]
    return hashlib.sha256("\x00".join(texts).encode()).hexdigest()[:16]
