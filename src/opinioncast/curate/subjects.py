"""What a variable is about where that is no opinion: administrative, demographic, knowledge."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from opinioncast.documents import parse_yaml
from opinioncast.survey.wave import Variable


@cache
def _subjects() -> dict[str, dict[str, re.Pattern[str]]]:
    file = resources.files("opinioncast.curate") / "subjects.yaml"
    raw = parse_yaml(file.read_text(encoding="utf-8"), where="subjects.yaml", what="A lexicon")
    return {
        kind: {
            where: re.compile("|".join(f"(?:{p})" for p in patterns), re.IGNORECASE)
            for where, patterns in lists.items()
        }
        for kind, lists in raw.items()
    }


def subject_of(variable: Variable) -> tuple[str, str]:
    """Kind of subject in the lexicon ``subjects.yaml`` and what gave it away; ("", "") if none."""
    for kind, lists in _subjects().items():
        for where, pattern in lists.items():
            if where == "names":
                match = pattern.fullmatch(variable.name)
            else:
                match = pattern.search(variable.label if where == "labels" else variable.wording)
            if match:
                return kind, f'its {where[:-1]} has "{match.group()}"'
    return "", ""
