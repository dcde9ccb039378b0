"""How high a row is, and what a cell may hold."""

from __future__ import annotations

import pytest

from opinioncast.report.workbook_cells import lines_of, safe_text


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 10, 1),
        ("one two", 7, 1),
        ("one two", 6, 2),
        ("one\ntwo", 10, 2),
        ("abcdefghijkl", 5, 3),  # a word longer than its column is broken
        ("日本語", 4, 2),  # signs twice as wide
    ],
)
def test_lines_of_a_text_by_its_words(text: str, width: float, lines: int) -> None:
    assert lines_of(text, width) == lines


def test_a_text_longer_than_a_cell_is_cut_and_says_so() -> None:
    assert safe_text("short") == "short"
    cut = safe_text("x" * 40_000)
    assert len(cut) < 32_767
    assert cut.endswith("[…]")
