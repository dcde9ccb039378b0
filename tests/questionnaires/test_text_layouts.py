"""Tables with a question in each row, by what their heads say."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import xlsxwriter
from tests.questionnaires.instruments import checks, fields, imported
from tests.questionnaires.word_files import word_file

from opinioncast.errors import InputError
from opinioncast.questionnaires import read_questionnaire
from opinioncast.questionnaires.check_list import Outcome
from opinioncast.questionnaires.text_layouts import options_in_cell, rows_of_layout
from opinioncast.questionnaires.text_lines import Grid


def test_a_questionnaire_laid_out_row_by_row(tmp_path: Path) -> None:
    rows = [
        ["Nr.", "Frage", "Antworten", "Filter", "Typ"],
        ["Wohnen", "", "", "", ""],
        ["1", "Sind die Mieten zu hoch?", "1 = Ja\n2 = Nein\n98 = weiß nicht", "alle", ""],
        ["2", "Wie zufrieden sind Sie?", "1 sehr; 2 eher nicht", "wenn 1=1", ""],
        ["3", "Was würden Sie ändern?", "offen", "", ""],
        ["4", "Wie kommen Sie zur Arbeit?", "Auto, Bus, Rad", "", "Mehrfachnennung"],
    ]
    instrument = imported(tmp_path / "mieten.docx", word_file([rows]))
    found = fields(instrument)
    assert list(found) == ["Q1", "Q2", "Q4"]
    assert found["Q1"]["options"] == ["Ja", "Nein", "weiß nicht"]
    assert found["Q1"]["codes"] == ["1", "2", "98"]
    assert "routing" not in found["Q1"]
    assert found["Q1"]["block"] == "Wohnen"
    assert found["Q2"]["options"] == ["sehr", "eher nicht"]
    assert found["Q2"]["routing"] == "Ask if: wenn 1=1"
    assert found["Q4"]["select_all"] == "yes"
    (left,) = [c for c in checks(instrument).values() if c.outcome is Outcome.LEFT_OUT]
    assert left.id == "Q3"


def test_a_table_that_says_no_such_heads_is_read_otherwise() -> None:
    assert rows_of_layout(Grid("t", (("", "Agree", "Disagree"), ("The army", "1", "2")))) is None
    assert rows_of_layout(Grid("t", (("Question", "Interviewer"), ("Why?", "")))) is None


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("Yes\nNo", ["Yes", "No"]),
        ("Yes / No / Not sure", ["Yes", "No", "Not sure"]),
        ("1) Yes 2) No", ["1. Yes", "2. No"]),
        ("Yes, No", ["Yes", "No"]),
        ("نعم، لا", ["نعم", "لا"]),
        ("Yes, I would do that again, No", ["Yes, I would do that again, No"]),
        ("", []),
    ],
)
def test_options_in_one_cell(cell: str, options: list[str]) -> None:
    assert options_in_cell(cell) == options


def test_sheets_as_other_people_head_them(tmp_path: Path) -> None:
    text = (
        "Question,Option 1,Option 2,Option 3\nToo high?,Yes,No,Not sure\nWhy?,,,\nRent?,Yes,No,\n"
    )
    instrument = imported(tmp_path / "rents.csv", text)
    found = fields(instrument)
    assert found["Q1"]["options"] == ["Yes", "No", "Not sure"]
    assert found["Q3"]["options"] == ["Yes", "No"]
    assert checks(instrument)["Q2"].outcome is Outcome.LEFT_OUT
    assert checks(instrument)["Q2"].where == "line 3"


def test_options_side_by_side_below_their_question(tmp_path: Path) -> None:
    parts = [
        "Q1. Do you rent your home?",
        [["□ Yes", "□ No", "□ Don't know"]],
        "Q2. How satisfied are you?",
        [["Very", "Rather", "Not at all"], ["1", "2", "3"]],
        "Q3. Do you vote?",
        [["1", "2"], ["Yes", "No"]],
        "Q3b. Which?",
        [["A", "The army"], ["B", "The courts"]],
        "Q4. How old are you?",
        [["< 18", "18-64", "65+"]],
    ]
    found = fields(imported(tmp_path / "zoo.docx", word_file(parts)))
    assert found["Q1"]["options"] == ["Yes", "No", "Don't know"]
    assert found["Q2"]["options"] == ["Very", "Rather", "Not at all"]
    assert found["Q2"]["codes"] == ["1", "2", "3"]
    assert found["Q3"]["options"] == ["Yes", "No"]
    assert found["Q4"]["scale"] == [1, 2, 3]
    assert found["Q3b"]["options"] == ["The army", "The courts"]
    assert len(found) == 5


def test_columns_of_ours_are_read_as_ours(tmp_path: Path) -> None:
    path = tmp_path / "rents.csv"
    path.write_text("question,options\nToo high?,Yes|No\n", encoding="utf-8")
    read = read_questionnaire(path)
    assert read.check_list is None
    assert read.questions[0].options == ("Yes", "No")


def test_no_answer_is_no_letter_and_a_column_says_multi(tmp_path: Path) -> None:
    head = "Frage;Typ;Antwortmöglichkeiten"
    text = f"{head}\nZufrieden?;SA;Ja|Nein|k. A.\nWas haben Sie?;Multi;Auto|Rad\n"
    found = fields(imported(tmp_path / "zoo.csv", text))
    assert found["Q1"]["options"] == ["Ja", "Nein", "k. A."]
    assert found["Q2"]["select_all"] == "yes"


def test_the_sheet_with_the_questions_is_found(tmp_path: Path) -> None:
    def book(*questions: str) -> bytes:
        buffer = io.BytesIO()
        with xlsxwriter.Workbook(buffer) as made:
            made.add_worksheet("Notes").write_column(0, 0, ["Draft of May", "For Ann"])
            for name in questions:
                sheet = made.add_worksheet(name)
                sheet.write_row(0, 0, ["Rents", ""])
                sheet.write_row(1, 0, ["Question", "Answers"])
                sheet.write_row(2, 0, ["Too high?", "Yes / No"])
        return buffer.getvalue()

    instrument = imported(tmp_path / "rents.xlsx", book("Survey"))
    assert fields(instrument)["Q1"]["options"] == ["Yes", "No"]
    assert checks(instrument)["Q1"].where == "sheet Survey, row 3"
    path = tmp_path / "two.xlsx"
    path.write_bytes(book("Wave 1", "Wave 2"))
    with pytest.raises(InputError, match="Several sheets") as caught:
        read_questionnaire(path)
    assert caught.value.found == "Wave 1, Wave 2"
