"""A question and its lettered options, as every prompt format prints them."""

from __future__ import annotations

from collections.abc import Sequence

from opinioncast.survey.question import label


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
