"""What may be done with a survey's results: stated beside them, and kept where they may not go on.

A table's ``meta`` carries ``citation``, ``terms`` and ``redistribution`` from the recipe to every
sidecar. What makes files to hand on (a page, a CSV of observed shares) asks :func:`check_export`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opinioncast.errors import InputError
from opinioncast.files import atomic_path

NAME = "terms.txt"
_MEANING = {
    "group-level": "Results per group may be passed on, with the citation; respondents' rows may "
    "not.",
    "none": "Nothing in this folder may be passed on: neither rows nor results per group.",
}


def write_terms(folder: Path, meta: Mapping[str, Any]) -> Path:
    """Write ``terms.txt``: who made the data and what may be done with what stands beside it."""
    path = folder / NAME
    text = f"{meta['citation']}\n\n{meta['terms']}\n\n{_MEANING[meta['redistribution']]}\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")
    return path


def check_export(meta: Mapping[str, Any], what: str) -> None:
    """Refuse to copy observed results into a file made to be passed on.

    Args:
        meta: of an opinion table; one that says nothing (a user's own data) may be passed on.
        what: what would hold the results ("the page").

    Raises:
        InputError: the survey's terms do not allow results to be redistributed.
    """
    if meta.get("redistribution") == "none":
        raise InputError(
            f"The survey's terms do not allow its results in {what}",
            where=str(meta.get("recipe", "opinion table")),
            expected="a table whose recipe says redistribution: group-level",
            found=f"redistribution: none ({meta.get('terms', '')})",
            hint="leave the observed answers out; distances to them may be reported",
        )
