"""What may be done with a survey's results, stated beside them.

A table's ``meta`` carries ``citation``, ``terms`` and ``redistribution`` from the recipe to every
sidecar; what makes files to hand on reads them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
