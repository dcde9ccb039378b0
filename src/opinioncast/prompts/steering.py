"""Steering prompts: how a subpopulation is described (paper, section 4.1, Figure 14).

An intersection states each of its traits in turn. The total population has no trait to state: QA
then asks the question without any steering.

The paper's population (adults in the United States) is named for the total only, as in the paper.
Another one is named in every prompt: nothing else would tell a model where its groups live.
"""

from __future__ import annotations

from enum import StrEnum

from opinioncast.prompts.multiple_choice import question_block
from opinioncast.survey.groups import Attribute, GroupScheme, Subpopulation
from opinioncast.survey.population import US_ADULTS, Population
from opinioncast.survey.question import label

KEEP_IN_MIND = "Answer the following question keeping in mind your previous answers.\n"


class Format(StrEnum):
    """How a subpopulation is put into words."""

    QA = "qa"
    BIO = "bio"
    PORTRAY = "portray"


def steering_text(
    subpopulation: Subpopulation,
    scheme: GroupScheme,
    format: Format,
    population: Population = US_ADULTS,
) -> str:
    """The text before the survey question in the paper's layout.

    QA ends with the line "Answer the following question keeping in mind your previous answers.";
    BIO and PORTRAY end with a blank line.
    """
    traits = _traits(subpopulation, scheme)
    if format is Format.BIO:
        return _bio(traits, population) + "\n\n"
    if format is Format.PORTRAY:
        clauses = _portray(traits, population)
        return f"Answer the following question as if you {clauses}.\n\n"
    whom = "" if population.is_default else f"Asked of {population.people}.\n\n"
    if not traits:
        return whom
    asked = [
        question_block(a.question, [a.answer(other) for other in a.groups], force_choice=False)
        + f"\n\nAnswer: {label(a.groups.index(g))}. {a.answer(g)}\n\n"
        for a, g in traits
    ]
    return whom + "".join(asked) + KEEP_IN_MIND


def steering_line(
    subpopulation: Subpopulation,
    scheme: GroupScheme,
    format: Format,
    population: Population = US_ADULTS,
) -> str:
    """The one line that follows the question in the question-first layout (no line break)."""
    traits = _traits(subpopulation, scheme)
    if format is Format.BIO:
        return _bio(traits, population)
    if format is Format.PORTRAY:
        return f"Answer as if you {_portray(traits, population)}."
    described = [f"{a.label}: {a.answer(g)}" for a, g in traits]
    if not traits:
        described = [f"all {population.people}"]
    elif not population.is_default:
        described.insert(0, population.people)
    return f"Asked of: {'; '.join(described)}"


def _traits(subpopulation: Subpopulation, scheme: GroupScheme) -> list[tuple[Attribute, str]]:
    scheme.check(subpopulation)
    return [(scheme.attributes[a], g) for a, g in subpopulation.conditions]


def _bio(traits: list[tuple[Attribute, str]], population: Population) -> str:
    said = [attribute.bio.format(attribute.phrase(group)) for attribute, group in traits]
    if not said or not population.is_default:
        said.insert(0, f"I am {population.person}.")
    return " ".join(said)


def _portray(traits: list[tuple[Attribute, str]], population: Population) -> str:
    said = [attribute.portray.format(attribute.phrase(group)) for attribute, group in traits]
    if not said or not population.is_default:
        said.insert(0, f"are {population.person}")
    return " and ".join(said)
