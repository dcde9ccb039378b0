"""Steering prompts: how a subpopulation is described (paper, section 4.1, Figure 14).

An intersection states each of its traits in turn. The total population has no trait to state: QA
then asks the question without any steering.
"""

from __future__ import annotations

from enum import StrEnum

from opinioncast.prompts.multiple_choice import question_block
from opinioncast.survey.groups import Attribute, GroupScheme, Subpopulation
from opinioncast.survey.question import label

KEEP_IN_MIND = "Answer the following question keeping in mind your previous answers.\n"
_EVERYONE_BIO = "I am an adult living in the United States."
_EVERYONE_PORTRAY = "are an adult living in the United States"


class Format(StrEnum):
    """How a subpopulation is put into words."""

    QA = "qa"
    BIO = "bio"
    PORTRAY = "portray"


def steering_text(subpopulation: Subpopulation, scheme: GroupScheme, format: Format) -> str:
    """The text before the survey question in the paper's layout.

    QA ends with the line "Answer the following question keeping in mind your previous answers.";
    BIO and PORTRAY end with a blank line.
    """
    traits = _traits(subpopulation, scheme)
    if format is Format.QA:
        if not traits:
            return ""
        asked = [
            question_block(a.question, [a.answer(other) for other in a.groups], force_choice=False)
            + f"\n\nAnswer: {label(a.groups.index(g))}. {a.answer(g)}\n\n"
            for a, g in traits
        ]
        return "".join(asked) + KEEP_IN_MIND
    if format is Format.BIO:
        return (" ".join(_bio(a, g) for a, g in traits) or _EVERYONE_BIO) + "\n\n"
    clauses = " and ".join(_portray(a, g) for a, g in traits) or _EVERYONE_PORTRAY
    return f"Answer the following question as if you {clauses}.\n\n"


def steering_line(subpopulation: Subpopulation, scheme: GroupScheme, format: Format) -> str:
    """The one line that follows the question in the question-first layout (no line break)."""
    traits = _traits(subpopulation, scheme)
    if format is Format.BIO:
        return " ".join(_bio(a, g) for a, g in traits) or _EVERYONE_BIO
    if format is Format.PORTRAY:
        clauses = " and ".join(_portray(a, g) for a, g in traits) or _EVERYONE_PORTRAY
        return f"Answer as if you {clauses}."
    described = "; ".join(f"{a.label}: {a.answer(g)}" for a, g in traits)
    return f"Asked of: {described or 'all adults in the United States'}"


def _traits(subpopulation: Subpopulation, scheme: GroupScheme) -> list[tuple[Attribute, str]]:
    scheme.check(subpopulation)
    return [(scheme.attributes[a], g) for a, g in subpopulation.conditions]


def _bio(attribute: Attribute, group: str) -> str:
    return attribute.bio.format(attribute.phrase(group))


def _portray(attribute: Attribute, group: str) -> str:
    return attribute.portray.format(attribute.phrase(group))
