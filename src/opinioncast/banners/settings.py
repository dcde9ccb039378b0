"""What a user may choose about banner tables; each choice is named in the tables' footer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from opinioncast.errors import InputError

Correction = Literal["none", "bonferroni", "holm", "benjamini-hochberg"]
Compare = Literal["columns", "total", "nothing"]

CORRECTIONS: tuple[str, ...] = get_args(Correction)
COMPARISONS: tuple[str, ...] = get_args(Compare)


@dataclass(frozen=True, slots=True)
class BannerSettings:
    """How tables are made.

    Attributes:
        level: of capital letters; the share of true differences of nothing that are not flagged.
        low_level: of small letters, below ``level``; None: no small letters.
        correction: for many comparisons, over those of one row within one attribute.
        compare: groups of an attribute with each other (letters), each group with the whole (up and
            down arrows), or nothing.
        small_base: unweighted bases below are starred.
        suppress_base: below this the column's figures are not shown and not tested.
        decimals: of percentages.
        nets: how many options at each end of a scale make a net; 0: no nets.

    Raises:
        InputError: a level that is none, a correction or comparison that does not exist, bases in
            the wrong order.
    """

    level: float = 0.95
    low_level: float | None = 0.90
    correction: Correction = "none"
    compare: Compare = "columns"
    small_base: int = 100
    suppress_base: int = 30
    decimals: int = 0
    nets: int = 2

    def __post_init__(self) -> None:
        if not 0.5 <= self.level < 1:
            raise _wrong("level", "a level from 0.5 to below 1, such as 0.95", self.level)
        if self.low_level is not None and not 0.5 <= self.low_level < self.level:
            raise _wrong("low level", f"from 0.5 to below {self.level:g}, or none", self.low_level)
        if self.correction not in CORRECTIONS:
            raise _wrong("correction", ", ".join(CORRECTIONS), self.correction)
        if self.compare not in COMPARISONS:
            raise _wrong("comparison", ", ".join(COMPARISONS), self.compare)
        if not 0 <= self.suppress_base <= self.small_base:
            raise _wrong(
                "base",
                "0 <= suppress base <= small base",
                f"{self.suppress_base}, {self.small_base}",
            )
        if not 0 <= self.decimals <= 3:
            raise _wrong("number of decimals", "0 to 3", self.decimals)
        if not 0 <= self.nets <= 5:
            raise _wrong("net", "0 (none) to 5 options", self.nets)


def _wrong(what: str, expected: str, found: object) -> InputError:
    return InputError(f"A {what} of tables cannot be used", expected=expected, found=found)
