"""Groups in a column: an attribute is named once, beside the first of its groups."""

from __future__ import annotations

from collections.abc import Iterable


def attributes_once(attributes: Iterable[str]) -> list[str]:
    """Each attribute where a run of it begins, else an empty text."""
    shown: list[str] = []
    before = None
    for attribute in attributes:
        shown.append("" if attribute == before else attribute)
        before = attribute
    return shown
