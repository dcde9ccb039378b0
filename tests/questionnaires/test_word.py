"""Word questionnaires, made up with python-docx: pollsters' own and Qualtrics' export."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from tests.questionnaires.instruments import checks, fields, imported
from tests.questionnaires.word_files import word_file

from opinioncast.errors import InputError
from opinioncast.questionnaires.check_list import Outcome
from opinioncast.questionnaires.word_document import Paragraph, WordTable, word_blocks

GRID = [["", "A lot (1)", "Not at all (2)"], ["The army (1)", "", ""], ["The police (2)", "", ""]]


def test_a_pollsters_document(tmp_path: Path) -> None:
    content = word_file(
        [
            ("Zoo poll", "Title"),
            ("Animals", "Heading 1"),
            "ASK IF AGE > 17",
            "Q1. Do you like animals? [ROTATE]",
            "1. Yes",
            "2. No",
            "98. DK",
            "Q2. How much do you trust each?",
            GRID,
            "Q3. Why?",
            "______________",
            [["Q4.", "Do you vote?", "1. Yes\n2. No"]],
            [["Q5. In one cell?\n1. Yes\n2. No"]],
            "Q1. The same id?",
            "1. Yes\n2. No",
        ]
    )
    instrument = imported(tmp_path / "zoo.docx", content)
    found, checked = fields(instrument), checks(instrument)
    assert list(found) == ["Q1", "Q2_1", "Q2_2", "Q4", "Q5", "Q1_2"]
    assert instrument.head.title == "Zoo poll"
    assert found["Q1"] == {
        "id": "Q1", "block": "Animals", "question": "Do you like animals?",
        "options": ["Yes", "No", "DK"], "codes": ["1", "2", "98"], "scale": [1, 2, -1],
        "routing": "ASK IF AGE > 17", "note": "ROTATE",
    }  # fmt: skip
    assert found["Q2_2"]["battery"] == "How much do you trust each?"
    assert found["Q2_2"]["codes"] == ["1", "2"]
    assert found["Q4"]["question"] == "Do you vote?"
    assert found["Q5"]["options"] == ["Yes", "No"]
    assert checked["Q3"].why == "open answer"
    assert checked["Q3"].where == "paragraph 18"  # nine of them in the table's cells
    assert checked["Q1"].remarks == ("the id Q1 stands at paragraph 4 too: here Q1_2",)


def test_list_numbers_that_word_counts(tmp_path: Path) -> None:
    parts = [("Do you vote?", "List Number"), "Yes", ("How often?", "List Number"), "Never"]
    document = docx.Document(io.BytesIO(word_file(parts)))
    for paragraph in document.paragraphs[1::2]:
        paragraph.style = document.styles["List Bullet"]
        paragraph.insert_paragraph_before("Always", document.styles["List Bullet"])
    buffer = io.BytesIO()
    document.save(buffer)
    found = fields(imported(tmp_path / "zoo.docx", buffer.getvalue()))
    assert [(i, f["question"], f["options"]) for i, f in found.items()] == [
        ("Q1", "Do you vote?", ["Always", "Yes"]),
        ("Q2", "How often?", ["Always", "Never"]),
    ]


def test_tracked_changes_controls_and_merged_cells(tmp_path: Path) -> None:
    document = docx.Document()
    run = "<w:r><w:t>{}</w:t></w:r>"
    deleted = '<w:del w:id="1"><w:r><w:delText>gone</w:delText></w:r></w:del>'
    inserted = f'<w:ins w:id="2">{run.format("new")}</w:ins>'
    body = document.element.body
    body.insert(0, parse_xml(f"<w:p {nsdecls('w')}>{deleted}{inserted}</w:p>"))
    held = f"<w:sdtContent><w:p>{run.format('held')}</w:p></w:sdtContent>"
    control = f"<w:sdt {nsdecls('w')}>{held}</w:sdt>"
    body.insert(1, parse_xml(control))
    table = document.add_table(2, 3)
    table.cell(0, 0).merge(table.cell(1, 0)).text = "tall"
    table.cell(0, 1).merge(table.cell(0, 2)).text = "wide"
    buffer = io.BytesIO()
    document.save(buffer)
    blocks = word_blocks(tmp_path / "a.docx", buffer.getvalue())
    assert [b.text for b in blocks if isinstance(b, Paragraph)][:2] == ["new", "held"]
    (grid,) = [b.texts() for b in blocks if isinstance(b, WordTable)]
    assert grid == [["tall", "wide", ""], ["", "", ""]]


def test_text_boxes_come_last_and_once(tmp_path: Path) -> None:
    document = docx.Document(io.BytesIO(word_file(["Q1. Do you rent?", "1. Yes", "2. No"])))
    said = "".join(
        f"<w:p><w:r><w:t>{t}</w:t></w:r></w:p>" for t in ("Q2. Boxed?", "1. Yes", "2. No")
    )
    box = f"<w:txbxContent>{said}</w:txbxContent>"
    document.paragraphs[0]._p.append(
        parse_xml(
            '<w:r xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
            ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
            ' xmlns:v="urn:schemas-microsoft-com:vml"><mc:AlternateContent>'
            f'<mc:Choice Requires="w">{box}</mc:Choice>'
            f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict>"
            "</mc:Fallback></mc:AlternateContent></w:r>"
        )
    )
    buffer = io.BytesIO()
    document.save(buffer)
    instrument = imported(tmp_path / "boxed.docx", buffer.getvalue())
    found = fields(instrument)
    assert list(found) == ["Q1", "Q2"]
    assert found["Q1"]["options"] == found["Q2"]["options"] == ["Yes", "No"]
    assert checks(instrument)["Q2"].where == "text box 1, paragraph 4"


def test_qualtrics_export(tmp_path: Path) -> None:
    content = word_file(
        [
            ("Zoo", "H2"),
            ("Start of Block: Main", "BlockStartLabel"),
            "",
            "Q1 Do you like it?",
            ("Yes  (1) ", "List Paragraph"),
            ("No  (7) ", "List Paragraph"),
            ("If No Is Selected, Then Skip To End", "QSkipLogic"),
            "",
            ("Display This Question:", "QDisplayLogic"),
            ("If Do you like it? = Yes", "QDisplayLogic"),
            "",
            "Q2 \nWhich do you own?",
            ("A car  (1) ", "List Paragraph"),
            ("If shown", "QDisplayLogic"),
            ("A bike  (2) ", "List Paragraph"),
            ("⊗None  (3) ", "List Paragraph"),
            "",
            "Q3 Trust?",
            GRID,
            "",
            "Q4 Why?",
            ("", "TextEntryLine"),
            "",
            "Q5 How many?",
            ("Cats  (1) ________", "List Paragraph"),
            ("Dogs  (2) ________", "List Paragraph"),
            "",
            "Q6 Which state?",
            ("▼ Ohio (1) ... Utah (50)", "Dropdown"),
            "",
            "Thanks for your time.",
            ("End of Block: Main", "BlockEndLabel"),
        ],
        "QQuestionTable",
    )
    instrument = imported(tmp_path / "zoo.docx", content)
    found, checked = fields(instrument), checks(instrument)
    assert list(found) == ["Q1", "Q2", "Q3_1", "Q3_2"]
    assert instrument.head.title == "Zoo"
    assert found["Q1"]["codes"] == ["1", "7"]
    assert found["Q1"]["block"] == "Main"
    assert found["Q1"]["routing"] == "then skip: If No Is Selected, Then Skip To End"
    assert found["Q2"]["routing"] == "If Do you like it? = Yes"
    assert found["Q2"]["options"] == ["A car", "A bike", "None"]
    assert found["Q2"]["select_all"] == "yes"  # an exclusive option
    assert checked["Q2"].remarks == ("shown only by logic: A bike",)
    assert found["Q3_2"]["question"] == "The police"
    assert checked["Q4"].why == "open answer"
    assert checked["Q5"].why == "open answer: 2 lines to fill in"
    assert checked["Q6"].why == "no options in the file: the export shows only two"
    assert checked["Thanks"].outcome.value == "no question"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (word_file(["Dear all,", "nothing here."]), "No closed question"),
        (word_file([]), "nothing that looks like a question"),
        (b"PK", "cannot be opened"),
    ],
)
def test_what_is_no_questionnaire(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(InputError) as refused:
        imported(tmp_path / "zoo.docx", content)
    assert said in str(refused.value)


def test_a_document_with_an_entity_reaches_for_nothing(tmp_path: Path) -> None:
    source = io.BytesIO(word_file(["Q1. Do you?", "1. Yes", "2. No"]))
    target = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "word/document.xml":
                part = part.replace(
                    b"<w:document",
                    b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><w:document',
                    1,
                )
                part = part.replace(b"Do you?", b"Do you &e;?")
            new.writestr(name, part)
    instrument = imported(tmp_path / "zoo.docx", target.getvalue())
    assert "root" not in fields(instrument)["Q1"]["question"]


def test_instructions_on_the_line_of_the_label_are_no_wording(tmp_path: Path) -> None:
    content = word_file(
        [
            "Q1. ASK ALL. SINGLE CODE",
            "Who would you vote for?",
            "Labour (1)",
            "Nobody (97)",
            "Q2. ASK IF Q1=1. MULTICODE. RANDOMISE",
            "Which have you done?",
            "1. Voted",
            "2. Marched",
            "Q3. NASA and the EU spend too much. Do you agree?",
            "Yes (1) No (2)",
        ]
    )
    found = fields(imported(tmp_path / "vote.docx", content))
    assert found["Q1"]["question"] == "Who would you vote for?"
    assert found["Q1"]["routing"] == "ASK ALL"
    assert found["Q1"]["note"] == "SINGLE CODE"
    assert found["Q2"]["question"] == "Which have you done?"
    assert found["Q2"]["routing"] == "ASK IF Q1=1"
    assert found["Q2"]["select_all"] == "yes"
    assert found["Q3"]["question"] == "NASA and the EU spend too much. Do you agree?"
    assert found["Q3"]["options"] == ["Yes", "No"]
    assert found["Q3"]["codes"] == ["1", "2"]


def test_options_without_a_mark_and_between_tabs(tmp_path: Path) -> None:
    content = word_file(
        [
            "Q1. What is your gender?",
            "Male\nFemale\nOther",
            "Q2. Do you own a car?\tYes 1\tNo 2",
            "Q3. And a bicycle?",
            "Yes 1\tNo 2\tRefused 9",
            "Q4. Please rank these",
            "Army",
            "Police",
            "Q5. Anything else you would like to say?",
            "Thank you for your time!",
        ]
    )
    instrument = imported(tmp_path / "zoo.docx", content)
    found, checked = fields(instrument), checks(instrument)
    assert list(found) == ["Q1", "Q2", "Q3"]
    assert found["Q1"]["options"] == ["Male", "Female", "Other"]
    assert "without a number or mark" in " ".join(checked["Q1"].remarks)
    assert found["Q2"]["question"] == "Do you own a car?"
    assert found["Q2"]["options"] == ["Yes", "No"]
    assert found["Q3"]["options"] == ["Yes", "No", "Refused"]
    assert "ranking" in checked["Q4"].why
    assert checked["Q5"].outcome is Outcome.LEFT_OUT


def test_short_lines_of_scripts_without_capitals_are_no_titles(tmp_path: Path) -> None:
    content = word_file(["س1: هل ستشارك؟", "☐ نعم", "☐ لا 🙂", "第2题"])
    found = fields(imported(tmp_path / "zoo.docx", content))
    assert found["س1"]["options"] == ["نعم", "لا 🙂"]
    assert "block" not in found["س1"]


def test_a_head_of_two_rows_with_merged_cells(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("Q1. Do you agree?")
    table = document.add_table(4, 6)
    table.cell(0, 1).merge(table.cell(0, 2)).text = "Agree"
    table.cell(0, 4).merge(table.cell(0, 5)).text = "Disagree"
    for k, text in enumerate(["Strongly", "Tend to", "Neither", "Tend to", "Strongly"], start=1):
        table.cell(1, k).text = text
    for i, text in enumerate(["Taxes are too high", "Taxes are too low"], start=2):
        table.cell(i, 0).text = text
        for k in range(1, 6):
            table.cell(i, k).text = str(k)
    buffer = io.BytesIO()
    document.save(buffer)
    found = fields(imported(tmp_path / "zoo.docx", buffer.getvalue()))
    assert list(found) == ["Q1_1", "Q1_2"]
    assert found["Q1_1"]["options"] == [
        *("Agree: Strongly", "Agree: Tend to", "Neither"),
        *("Disagree: Tend to", "Disagree: Strongly"),
    ]
    assert found["Q1_1"]["codes"] == ["1", "2", "3", "4", "5"]


def test_heads_that_do_not_name_every_column(tmp_path: Path) -> None:
    ends = [["", "Not at all", "", "", "Completely"], ["The army", "1", "2", "3", "4"]]
    ends.append(["The police", "1", "2", "3", "4"])
    codes = [["", "Low", "", "High"], ["", "1", "2", "3"], ["The army", "", "", ""]]
    codes.append(["The police", "", "", ""])
    behind = [["", "Yes", "No", ""], ["The army", "1", "2", "3"], ["The police", "1", "2", "3"]]
    content = word_file(["Q1. Trust?", ends, "Q2. Trust?", codes, "Q3. Trust?", behind])
    instrument = imported(tmp_path / "zoo.docx", content)
    found, checked = fields(instrument), checks(instrument)
    assert found["Q1_1"]["options"] == ["1 (Not at all)", "2", "3", "4 (Completely)"]
    assert found["Q2_2"]["options"] == ["1 (Low)", "2", "3 (High)"]
    assert checked["Q3"].outcome is Outcome.LEFT_OUT
    assert "names 2 of 3 columns" in checked["Q3"].why
