"""What can be answered to the names that conditions use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answers:
    """What can be answered to a name that conditions use.

    Attributes:
        by_word: code or wording, case-folded -> (question, place of the option). Of a select-all
            question each option leads to the "Yes" of its own question.
        numbers: codes that are numbers, and the same; empty where they are none.
    """

    by_word: Mapping[str, tuple[str, int]]
    numbers: tuple[tuple[float, tuple[str, int]], ...] = ()


def number_of(text: str) -> float | None:
    """A number as a number, None for other words."""
    try:
        return float(text)
    except ValueError:
        return None


def answers_of(
    options: Sequence[str], places: Sequence[tuple[str, int]], codes: Sequence[Any] = ()
) -> Answers:
    """What can be answered to one name.

    Args:
        options: wordings.
        places: question and place of the option that each leads to.
        codes: of the options in data, as many; or none.
    """
    by_word = {o.strip().casefold(): p for o, p in zip(options, places, strict=True)}
    numbers = []
    for code, place in zip(codes, places, strict=False):
        by_word[str(code).strip().casefold()] = place
        if (number := number_of(str(code))) is not None:
            numbers.append((number, place))
    return Answers(by_word, tuple(numbers) if len(numbers) == len(options) else ())
