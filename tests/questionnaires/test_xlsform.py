"""XLSForms, made up: sheets in any order, languages, groups, tables, lists that are not there."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import xlsxwriter
from tests.questionnaires.instruments import checks, fields, imported

from opinioncast.errors import InputError


def workbook(sheets: Mapping[str, Sequence[Sequence[str]]]) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return buffer.getvalue()


CHOICES = [
    ["list name", "name", "label::English (en)", "label::Deutsch (de)"],
    ["yn", "y", "Yes", "Ja"],
    ["yn", "n", "No", "Nein"],
    [],
    ["trust", "1", "A **lot**", "Sehr"],
    ["trust", "2", "Not at all", "Gar nicht"],
]
SURVEY = [
    ["Type", "name", "label::English (en)", "label :: Deutsch (de)", "appearance", "relevant",
     "choice_filter", "parameters"],
    ["start", "start"],
    ["begin_group", "g", "Main", "", "", "${age} > 17"],
    ["select_one yn or_other", "q1", "Do you _like_ it?", "Magst du es?"],
    ["select one from yn", "q2", "Again?", "", "", "${q1} = 'y'", "f=1"],
    [],
    ["select_multiple yn", "q3", "Which?"],
    ["select_one trust", "q4", "Trust?", "", "label"],
    ["select_one trust", "army", "The army", "", "list-nolabel"],
    ["select_one trust", "police", "The police", "", "list-nolabel", "${q1} = 'n'"],
    ["end group"],
    ["select_one gone", "q5", "Lost?"],
    ["select_one_from_file towns.csv", "q6", "Where?"],
    ["rank yn", "q7", "Order"],
    ["range", "q8", "How warm?", "", "", "", "", "start=0 end=10 step=1"],
    ["integer", "q9", "How many?"],
    ["text", "q10", "Why?"],
    ["note", "n", "Hello ${q1}"],
    ["select_one yn", "q11", "Is ${q10} right?"],
]  # fmt: skip
SETTINGS = [["form_title", "default_language"], ["Zoo", "English (en)"]]


def test_every_type(tmp_path: Path) -> None:
    sheets = {"Notes": [["x"]], "choices": CHOICES, "settings": SETTINGS, "Survey": SURVEY}
    instrument = imported(tmp_path / "zoo.xlsx", workbook(sheets))
    found, checked = fields(instrument), checks(instrument)
    assert list(found) == ["q1", "q2", "q3", "army", "police", "q8"]
    assert instrument.head.title == "Zoo"
    assert instrument.head.language == "English (en)"
    assert found["q1"] == {
        "id": "q1", "block": "Main", "question": "Do you like it?",
        "options": ["Yes", "No", "Other"], "codes": ["y", "n", "other"], "scale": [1, 2, -1],
        "routing": "${age} > 17",
    }  # fmt: skip
    assert found["q2"]["routing"] == "${age} > 17; ${q1} = 'y'"
    assert checked["q2"].remarks == ("options filtered by f=1: here all of them",)
    assert found["q3"]["select_all"] == "yes"
    assert found["police"]["battery"] == "Trust?"
    assert found["police"]["routing"] == "${age} > 17; ${q1} = 'n'"
    assert found["army"]["routing"] == "${age} > 17"
    assert found["police"]["options"] == ["A lot", "Not at all"]
    assert len(found["q8"]["options"]) == 11
    assert "block" not in found["q8"]
    reasons = {i: checked[i].why for i in ("q5", "q6", "q7", "q9", "q10", "q11")}
    assert reasons == {
        "q5": "no options in the file: the sheet choices has no list gone",
        "q6": "no options in the file: they are in another file (towns.csv)",
        "q7": "ranking: 2 options",
        "q9": "open number",
        "q10": "open answer",
        "q11": "piped text: ${q10}",
    }
    assert checked["q2"].where == "sheet Survey, row 5".replace("Survey", "survey")


def test_german_where_it_is_the_default(tmp_path: Path) -> None:
    german = [SETTINGS[0], ["Zoo", "Deutsch (de)"]]
    sheets = {"survey": SURVEY, "choices": CHOICES, "settings": german}
    instrument = imported(tmp_path / "zoo.xlsx", workbook(sheets))
    assert fields(instrument)["q1"]["question"] == "Magst du es?"
    assert fields(instrument)["q1"]["options"] == ["Ja", "Nein", "Other"]
    assert fields(instrument)["q2"]["question"] == "Again?"  # no German there


def test_a_workbook_of_rows_is_still_one(tmp_path: Path) -> None:
    rows = workbook({"survey": [["question", "options"], ["Is it so?", "Yes|No"]]})
    path = tmp_path / "rows.xlsx"
    path.write_bytes(rows)
    assert len(imported(path, rows).entries) == 1


def test_no_types(tmp_path: Path) -> None:
    sheets = {"survey": [["a", "b"], ["1", "2"]], "choices": CHOICES}
    with pytest.raises(InputError, match="XLSForm has no questions"):
        imported(tmp_path / "zoo.xlsx", workbook(sheets))
