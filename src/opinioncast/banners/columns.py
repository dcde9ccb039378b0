"""Groups as the columns of a banner: the whole first, then attribute by attribute, with letters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from opinioncast.banners.significance import column_letters
from opinioncast.banners.table import Column
from opinioncast.survey import Subpopulation
from opinioncast.survey.groups import standard_attributes

_ONE_LETTER = 26


def banner_columns(
    subpopulations: Iterable[Subpopulation],
    labels: Mapping[str, str] | None = None,
    *,
    lettered: bool,
) -> tuple[Column, ...]:
    """The columns of groups, each attribute's together, in the order it first appears.

    Letters run through the banner where 26 do, else they begin anew with each attribute: only
    groups of one attribute are tested against each other.

    Args:
        labels: words for attributes beside the standard ones.
        lettered: whether columns are tested against each other.
    """
    words = {name: a.label for name, a in standard_attributes().items()} | dict(labels or {})
    by_attribute: dict[str, list[Column]] = {}
    for subpopulation in dict.fromkeys(subpopulations):
        names = [a for a, _ in subpopulation.conditions]
        words_of = " & ".join(words.get(name, name) for name in names)
        column = Column(subpopulation, words_of)
        by_attribute.setdefault(subpopulation.attribute if names else "", []).append(column)
    total = by_attribute.pop("", [])
    runs = list(by_attribute.values())
    if not lettered:
        return (*total, *(c for run in runs for c in run))
    count = sum(map(len, runs))
    letters = iter(column_letters(count))
    out = list(total)
    for run in runs:
        own = letters if count <= _ONE_LETTER else iter(column_letters(len(run)))
        out += [replace(column, letter=next(own)) for column in run]
    return tuple(out)
