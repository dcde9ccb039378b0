"""A survey question as it is put to a model: wording, substantive options, and their scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from opinioncast.errors import InputError
from opinioncast.survey.population import US_ADULTS, Population

REFUSED = "Refused"
"""The last option of a prompt that offers a refusal, and of SubPOP's layout."""

OFF_SCALE = -1.0
"""Position of an option that is not on the scale ("Not sure", "Neither"); paper, Appendix B."""

MAX_OPTIONS = 26
"""Options are labelled A to Z, so a question can show 26 of them, "Refused" included."""


@dataclass(frozen=True, slots=True)
class Question:
    """One closed question.

    >>> from opinioncast import Question
    >>> rent = Question("rent", "Are rents too high?", ("Yes", "No", "Not sure"), (1, 2, -1))
    >>> rent.has_scale, rent.scale_range
    (True, 1.0)

    Attributes:
        question_id: unique key within its table (SubPOP's ``qkey``).
        text: wording as prompted.
        options: the substantive options in the order asked, without "Refused".
        ordinal: position of each option on its scale, same length as ``options``;
            ``-1`` marks an option off the scale, all equal values mean that there is no scale.
            Left out, the question counts as having no scale: listing order is not evidence of one.
        family, wave: who fielded it and when, empty for a draft that was never asked.
        paraphrase: True where ``text`` is not the fielded wording.
        population: whom it is put to.

    Raises:
        InputError: fewer than 2 or more than 26 options, empty or duplicate options, an empty
            wording, or a scale whose length or values do not fit.
    """

    question_id: str
    text: str
    options: tuple[str, ...]
    ordinal: tuple[float, ...] = field(default=())
    family: str = ""
    wave: str = ""
    paraphrase: bool = False
    population: Population = US_ADULTS

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "question_id", str(self.question_id).strip())
        set_(self, "text", str(self.text).strip())
        set_(self, "options", tuple(str(o).strip() for o in self.options))
        if not self.ordinal:
            set_(self, "ordinal", (0.0,) * len(self.options))
        set_(self, "ordinal", tuple(_number(v) for v in self.ordinal))
        self._check()

    def _check(self) -> None:
        where = f'question "{self.question_id or self.text[:60]}"'
        if not self.question_id:
            raise InputError("A question has no id", where=where, expected="a non-empty id")
        if not self.text:
            raise InputError("A question has no wording", where=where, expected="non-empty text")
        k = len(self.options)
        if k < 2 or k > MAX_OPTIONS:
            raise InputError(
                "A question needs between 2 and 26 options",
                where=where,
                expected="2 to 26 substantive options (they are labelled A to Z)",
                found=f"{k} option(s): {list(self.options)}",
                hint="merge or split the options; long lists cannot be put as multiple choice",
            )
        for i, option in enumerate(self.options, start=1):
            if not option:
                raise InputError(
                    "An option is empty",
                    where=f"{where}, option {i}",
                    expected="text for every option",
                    found=list(self.options),
                    hint="delete the empty option or give it a text",
                )
        seen: dict[str, int] = {}
        for i, option in enumerate(self.options, start=1):
            first = seen.setdefault(option.casefold(), i)
            if first != i:
                raise InputError(
                    "An option appears twice",
                    where=f"{where}, options {first} and {i}",
                    expected="different options",
                    found=option,
                    hint="remove one of them; shares of identical options cannot be told apart",
                )
        if len(self.ordinal) != k:
            raise InputError(
                "The scale does not have one position per option",
                where=where,
                expected=f"{k} numbers, one per option (-1 for an option off the scale)",
                found=f"{len(self.ordinal)} numbers: {list(self.ordinal)}",
                hint="give one position per option, or leave the scale out",
            )
        for i, value in enumerate(self.ordinal, start=1):
            if not math.isfinite(value) or (value < 0 and value != OFF_SCALE):
                raise InputError(
                    "A scale position is not usable",
                    where=f"{where}, option {i}",
                    expected="a number of 0 or more, or -1 for an option off the scale",
                    found=value,
                )

    @property
    def has_scale(self) -> bool:
        """True when at least two on-scale options have different positions."""
        return self.scale_range > 0

    @property
    def scale_range(self) -> float:
        """Distance between the two ends of the scale, 0 where there is none."""
        on = [v for v in self.ordinal if v != OFF_SCALE]
        return max(on) - min(on) if on else 0.0


def label(index: int) -> str:
    """The letter of the option at ``index`` (0 -> ``A``)."""
    if not 0 <= index < MAX_OPTIONS:
        raise InputError("There is no letter for this option", expected="0 to 25", found=index)
    return chr(ord("A") + index)


def _number(value: object) -> float:
    """``value`` as a float; NaN, which every check refuses, where it is none."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def check_distribution(
    shares: Sequence[float], n_options: int, *, where: str, tolerance: float = 0.005
) -> tuple[float, ...]:
    """Check an observed distribution and return it renormalised to exactly one.

    Args:
        shares: one share per substantive option; percentages (summing to 100) are accepted.
        tolerance: how far from one (or, in percent, 100 times that from 100) rounding may lead.

    Raises:
        InputError: wrong length, a negative or non-finite share, or a sum that is not one.
    """
    values = [_number(s) for s in shares]
    if len(values) != n_options:
        raise InputError(
            "A distribution does not have one share per option",
            where=where,
            expected=f"{n_options} shares",
            found=f"{len(values)}: {values}",
        )
    if any(not math.isfinite(v) or v < 0 for v in values):
        raise InputError(
            "A distribution holds a share that is negative or not a number",
            where=where,
            expected="shares of 0 or more",
            found=list(shares),
        )
    total = sum(values)
    if abs(total - 100) <= 100 * tolerance:
        values, total = [v / 100 for v in values], total / 100
    if abs(total - 1) > tolerance:
        raise InputError(
            "A distribution does not sum to one",
            where=where,
            expected="shares summing to 1 (or percentages summing to 100)",
            found=f"sum {total:g} of {values}",
            hint="leave out refusals and don't-knows, then rescale the rest to 1",
        )
    return tuple(v / total for v in values)
