"""Sheets with one option a row: merged, repeated and empty cells, codes, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import xlsxwriter
from tests.questionnaires.instruments import checks, fields, imported
from tests.questionnaires.word_files import word_file

from opinioncast.errors import InputError
from opinioncast.questionnaires import read_questionnaire
from opinioncast.questionnaires.check_list import Outcome
from opinioncast.questionnaires.option_rows import OptionColumns, questions_of

COLUMNS = OptionColumns(0, 1, (2,), lambda cell: "|" not in cell, "|")


def test_rows_go_on_with_the_question_above_them() -> None:
    rows = [
        ("1", ("Too high?", "", "")),
        ("2", ("", "Yes", "1")),
        ("3", ("", "No", "2")),
        ("4", ("Rent?", "Yes", "")),
        ("5", ("Rent?", "No", "")),
        ("6", ("Both?", "Yes|No", "")),
        ("7", ("", "", "")),
    ]
    groups = questions_of(rows, COLUMNS)
    assert [[place for place, _ in group] for group in groups] == [
        ["1", "2", "3"],
        ["4", "5"],
        ["6"],
        ["7"],
    ]
    assert COLUMNS.joined(groups[0]) == ("1", ("Too high?", "Yes|No", "1|2"))
    assert COLUMNS.joined(groups[1]) == ("4", ("Rent?", "Yes|No", ""))
    assert COLUMNS.several(groups[0]) is None
    assert COLUMNS.several(groups[2]) == rows[5]


LONG = """id,question,option,scale,observed: TOTAL
rent,Are rents too high?,"Yes, definitely",1,50%
{0}"No, not at all",2,40%
{0}Don't know,-1,10%
vote,Will you vote?,Yes,,
{1}No,,
"""


@pytest.mark.parametrize(
    ("rents", "votes"),
    [
        (",,", ",,"),
        ("rent,Are rents too high?,", "vote,Will you vote?,"),
        ("rent,,", ",Will you vote?,"),
    ],
)
def test_columns_of_ours(tmp_path: Path, rents: str, votes: str) -> None:
    path = tmp_path / "long.csv"
    path.write_text(LONG.format(rents, votes), encoding="utf-8")
    found = read_questionnaire(path)
    first, second = found.questions
    assert first.options == ("Yes, definitely", "No, not at all", "Don't know")
    assert first.ordinal == (1, 2, -1)
    assert (second.question_id, second.options) == ("vote", ("Yes", "No"))
    assert found.observed is not None
    assert found.observed.frame["distribution"].to_list() == [[0.5, 0.4, 0.1]]


def test_merged_cells_of_a_workbook(tmp_path: Path) -> None:
    rows: list[list[str | int | None]] = [
        ["Variable", "Question", "Code", "Label"],
        ["Housing", None, None, None],
        ["v1", "Are rents too high?", 1, "Yes, definitely"],
        [None, None, 2, "No"],
        [None, None, 9, "Don't know"],
        ["v2", "Will you vote?", 1, "Yes"],
        ["v2", "Will you vote?", 2, "No"],
        ["v3", "What would you change?", None, "open"],
    ]
    path = tmp_path / "codebook.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
        for column in (0, 1):
            sheet.merge_range(2, column, 4, column, rows[2][column])
    instrument = imported(tmp_path / "codebook.xlsx", path.read_bytes())
    found = fields(instrument)
    assert found["v1"]["options"] == ["Yes, definitely", "No", "Don't know"]
    assert found["v1"]["codes"] == ["1", "2", "9"]
    assert found["v1"]["block"] == "Housing"
    assert found["v2"]["options"] == ["Yes", "No"]
    assert checks(instrument)["v3"].outcome is Outcome.LEFT_OUT


def test_a_table_in_a_document(tmp_path: Path) -> None:
    rows = [
        ["Nr", "Frage", "Antworten"],
        ["1", "Sind die Mieten zu hoch?", "Ja"],
        ["", "", "Nein"],
        ["2", "Und die Steuern?", "Ja / Nein"],
        ["", "", "weiß nicht"],
    ]
    instrument = imported(tmp_path / "mieten.docx", word_file([rows]))
    assert fields(instrument)["Q1"]["options"] == ["Ja", "Nein"]
    left = checks(instrument)["Q2"]
    assert left.outcome is Outcome.LEFT_OUT


def test_heads_as_data_bases_have_them(tmp_path: Path) -> None:
    text = "question_id,question_text,option_id,option_text\n7,Own?,1,Yes\n7,Own?,2,No\n"
    found = fields(imported(tmp_path / "x.csv", text + "8,Rent?,1,Yes\n8,Rent?,2,No\n"))
    assert list(found) == ["Q7", "Q8"]
    assert found["Q8"]["options"] == ["Yes", "No"]
    assert found["Q8"]["codes"] == ["1", "2"]


def test_a_code_column_of_questions_is_their_number(tmp_path: Path) -> None:
    text = "Question,Code,Answers\nToo high?,A1,Yes / No\nRent?,A2,Yes / No\n"
    assert list(fields(imported(tmp_path / "x.csv", text))) == ["A1", "A2"]


@pytest.mark.parametrize(
    ("text", "title", "line"),
    [
        ("question,options\nQ?,Yes|No\n,Maybe\n", "in one cell and in rows", "line 2"),
        ("id,question,options\na,Q?,Yes\nb,Q?,No\n", "are not one question", "line 3"),
        ("question,options\nQ?,Yes\nR?,Yes|No\nQ?,No\n", "are not one question", "line 4"),
        ("id,question,options\na,Q?,Yes\na,,No\nb,,Maybe\n", "has no question", "line 4"),
        ("question,options\nQ?,Yes\nQ?,No\nQ?,Yes\n", "appears twice", "line 2"),
        ("question,options,scale\nQ?,Yes,1\n,No,\n,Maybe,3\n", "not a number", "line 2"),
    ],
)
def test_what_may_be_meant_otherwise_is_refused(
    tmp_path: Path, text: str, title: str, line: str
) -> None:
    path = tmp_path / "q.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=title) as caught:
        read_questionnaire(path)
    assert line in str(caught.value.where)
