"""Imports go one way only: nothing lower imports anything higher."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "opinioncast"

MAY_IMPORT = {
    "survey": set(),
    "readers": {"survey"},
    "prompts": {"survey"},
    "backends": set(),
    "curate": {"survey", "readers"},
    "evaluate": {"survey"},
    "methods": {"survey", "prompts", "backends", "curate", "evaluate"},
    "evidence": {"survey", "curate", "evaluate"},
    "finetune": {"survey", "prompts", "backends", "curate", "evaluate", "evidence", "methods"},
    "report": {"survey", "curate", "evaluate", "evidence"},
    "jobs": {
        "survey",
        "readers",
        "prompts",
        "backends",
        "curate",
        "evaluate",
        "evidence",
        "methods",
        "finetune",
        "report",
    },
    "reproduce": {
        "survey",
        "readers",
        "prompts",
        "backends",
        "curate",
        "evaluate",
        "evidence",
        "methods",
        "finetune",
        "report",
        "jobs",
    },
}
"""Folder -> folders it may import; ``errors`` and ``files`` are open to all, ``cli`` to none."""


def imported(file: Path) -> set[str]:
    """Folders of this package that a module imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "opinioncast" and len(parts) > 1:
                found.add(parts[1])
    return found


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_one_direction(folder: str) -> None:
    allowed = MAY_IMPORT[folder] | {folder, "errors", "files"}
    for file in sorted((PACKAGE / folder).rglob("*.py")):
        known = {p.name for p in PACKAGE.iterdir() if p.is_dir()}
        assert (imported(file) & known) <= allowed, f"{file.name}: {imported(file) - allowed}"
