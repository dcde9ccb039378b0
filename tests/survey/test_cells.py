"""Cells: a product or part of one, question by question, and columns built at once."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinioncast.errors import InputError
from opinioncast.survey import Cells, OpinionTable, Question, load_groups, opinion_row

QUESTIONS = [
    Question(f"q{i}", f"Number {i}?", tuple("abcdef"[: 2 + i % 4]), family="F", wave=str(i % 2))
    for i in range(5)
]
GROUPS = load_groups("SEX=Female", "SEX=Male", "RACE=Black", "total")


def test_a_product_stands_question_by_question() -> None:
    cells = Cells.cross(QUESTIONS, GROUPS)
    assert list(cells) == [(q, g) for q in QUESTIONS for g in GROUPS]
    assert list(cells.of_question(2)) == [8, 9, 10, 11]


@pytest.mark.slow
@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1))
def test_the_cells_of_a_table(pairs: set[tuple[int, int]]) -> None:
    groups = GROUPS.subpopulations
    rows = [
        opinion_row(q := QUESTIONS[i], groups[j], [1 / len(q.options)] * len(q.options))
        for i, j in sorted(pairs, key=hash)
    ]
    table = OpinionTable.from_rows(rows)
    cells = Cells.of_table(table)
    keys = ["family", "wave", "question_id", "attribute", "group"]
    assert sorted(cells.frame().select(keys).rows()) == sorted(table.frame.select(keys).rows())
    places = cells.question.tolist()
    assert places == sorted(places)
    for question, asked in cells.by_question():
        assert {g for _, g in asked} == {g for q, g in cells if q == question}


def test_the_frame_is_that_of_rows() -> None:
    cells = Cells.cross(QUESTIONS, GROUPS)
    by_row = OpinionTable.from_rows(
        [opinion_row(q, g, [1 / len(q.options)] * len(q.options)) for q, g in cells]
    ).frame
    frame = cells.frame()
    assert frame.equals(by_row.select(frame.columns))
    part = cells.frame([7, 3])
    assert part.equals(pl.concat([frame[7:8], frame[3:4]]))


def test_one_key_twice() -> None:
    with pytest.raises(InputError, match="one id"):
        Cells.cross([QUESTIONS[0], QUESTIONS[0]], GROUPS)
