"""One module per institution: how its files mark missing answers, found from its declaration.

Each module has one ``CONVENTIONS``. One of another package is found by its entry point in the group
``opinioncast.conventions``, or is told to :func:`register`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opinioncast.declarations import Declared
from opinioncast.readers.conventions import PLAIN, Conventions

_declared: Declared[Conventions] = Declared(
    Conventions,
    "opinioncast.readers.institutions",
    "CONVENTIONS",
    entry_points="opinioncast.conventions",
)
register = _declared.register


def conventions() -> Mapping[str, Conventions]:
    """Every declaration by the name that recipes give, in lower case; ``none`` first."""
    return {PLAIN.name: PLAIN} | {c.name.casefold(): c for c in _declared.in_order()}


def recognised(columns: Sequence[str]) -> tuple[str, str] | None:
    """Whose file this is by its variables' names, and why; None: no telling."""
    names = frozenset(name.casefold() for name in columns)
    for name, declared in conventions().items():
        why = declared.recognise(names) if declared.recognise else None
        if why:
            return name, why
    return None
