"""A question and its options, as every prompt format prints them: lettered, or as a plain list."""

from __future__ import annotations

from collections.abc import Sequence

from opinioncast.errors import InputError
from opinioncast.survey.question import MAX_OPTIONS, Question, label


def lettered(options: Sequence[str]) -> str:
    """``A. first`` ... one option a line."""
    return "\n".join(f"{label(i)}. {text}" for i, text in enumerate(options))


def question_block(text: str, options: Sequence[str], *, force_choice: bool) -> str:
    """``Question:``, lettered options and, for survey questions, the line that asks for a letter.

    Ends without a line break; the paper's ``Answer:`` follows after a blank line (Figure 14).
    """
    block = f"Question: {text}\n{lettered(options)}"
    if force_choice:
        letters = ",".join(f"{label(i)}." for i in range(len(options)))
        block += f"\nAnswer as a choice between {letters}"
    return block


def plain_block(text: str, options: Sequence[str]) -> str:
    """``Question:`` and the options without letters, for answers in words."""
    return "\n".join([f"Question: {text}", *(f"- {option}" for option in options)])


def shown_options(
    question: Question, refusal: str | None, order: Sequence[int] | None = None
) -> list[str]:
    """The options of ``question`` in ``order`` (as given when left out), then the refusal if any.

    Raises:
        InputError: they need more than 26 letters, or the refusal is an option already.
    """
    shown = list(question.options) if order is None else [question.options[i] for i in order]
    if refusal is None:
        return shown
    if len(shown) == MAX_OPTIONS:
        raise InputError(
            "There is no letter left for the refusal option",
            where=f'question "{question.question_id}"',
            expected="25 substantive options at most when a refusal is shown",
            found=f"{len(shown)} options",
            hint="ask without one (--no-refusal, refusal: false in a recipe) or merge options",
        )
    if refusal.casefold() in {option.casefold() for option in shown}:
        raise InputError(
            "The refusal is among the substantive options already",
            where=f'question "{question.question_id}"',
            expected=f'options without "{refusal}", which the prompt adds',
            found=list(question.options),
            hint="take it out of the options, or ask without the prompt's (--no-refusal, refusal: "
            "false in a recipe)",
        )
    return [*shown, refusal]
