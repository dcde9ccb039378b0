"""Every table and figure of the paper is in the list, made or said to be absent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.reproduce.reading_list import reading_list

ROOT = Path(__file__).parents[2]


def test_every_table_and_figure_is_there() -> None:
    listed = {p.part for p in reading_list()}
    assert {f"Table {i}" for i in range(1, 11)} <= listed
    assert {f"Figure {i}" for i in range(1, 17)} <= listed
    paper = next((ROOT.parent / "shared" / "paper").glob("*.txt"), None)
    if paper is not None:
        captions = re.findall(r"^((?:Table|Figure) \d+):", paper.read_text("utf-8"), re.M)
        assert set(captions) <= listed


def test_each_is_made_or_said_to_be_absent() -> None:
    for part in reading_list():
        assert bool(part.command) != bool(part.absent), part
        assert bool(part.command) == bool(part.file), part
        for code in re.findall(r"src/\S+\.py", part.file):
            assert (ROOT / code).is_file(), code


def test_tables_come_first_by_number() -> None:
    parts = [p.part for p in reading_list() if "(" not in p.part]
    assert parts[:10] == [f"Table {i}" for i in range(1, 11)]
    assert parts[10:12] == ["Figure 1", "Figure 2"]
