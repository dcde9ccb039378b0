"""Qualtrics' survey files, made up small, with the quirks of real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.questionnaires.instruments import checks, fields, imported

from opinioncast.errors import InputError
from opinioncast.questionnaires.check_list import Outcome

IF_YES = {
    "0": {
        "0": {
            "LogicType": "Question",
            "Description": '<span class="ConjDesc">If</span> <span>Do you vote?</span>'
            "<span>Yes</span><span>Is Selected</span>",
        },
        "1": {"LogicType": "Question", "Description": "Age &gt; 17", "Conjuction": "And"},
        "Type": "If",
    },
    "Type": "BooleanExpression",
}


def question(qid: str, tag: str, text: str, kind: str = "MC", **more: Any) -> dict[str, Any]:
    payload = {"QuestionText": text, "DataExportTag": tag, "QuestionType": kind, **more}
    return {"Element": "SQ", "PrimaryAttribute": qid, "Payload": payload}


def choices(*texts: str) -> dict[str, dict[str, str]]:
    return {str(i): {"Display": t} for i, t in enumerate(texts, start=1)}


QUESTIONS = [  # not in the order asked
    question("QID9", "OLD", "Deleted?", Selector="SAVR", Choices=choices("Yes", "No")),
    question(
        "QID2",
        "Q2",
        "<p>Which do you <b>own</b>?&nbsp;(Select all that apply)</p>",
        Selector="MAVR",
        Choices=choices("A car", "A bike", "Other (please specify):", "Don't know"),
        ChoiceOrder=["2", 1, 3, 4],
        RecodeValues={"2": "12"},
    ),
    question("QID1", "Q1", "Do you vote?", Selector="SAVR", Choices=choices("Yes", "No")),
    question(
        "QID3",
        "Q3",
        "How much do you trust each?",
        "Matrix",
        Selector="Likert",
        SubSelector="SingleAnswer",
        Choices=choices("The army", "The ${e://Field/party}"),
        Answers=choices("A lot", "Some", "Not at all"),
        AnswerOrder=[3, 2, 1],
        ChoiceDataExportTags={"1": "Q3_army", "2": False},
        DisplayLogic=IF_YES,
    ),
    question("QID4", "Q4", "Hello ${q://QID1/ChoiceGroup/SelectedChoices}?", Selector="SAVR",
             Choices=choices("Yes", "No")),
    question("QID5", "Q5", "Which did you ride?", Selector="MAVR", Choices=[],
             DynamicChoices={"Locator": "q://QID2/ChoiceGroup/SelectedChoices"}),
    question("QID6", "Q6", "How warm?", "Slider", Selector="HBAR", Choices=choices("The Left"),
             Configuration={"CSSliderMin": 0, "CSSliderMax": 100}),
    question("QID7", "Q7", "How many?", "TE",
             Validation={"Settings": {"ContentType": "ValidNumber"}}),
    question("QID8", "Q8", "Order these", "RO", Choices=choices("a", "b")),
    question("QID10", "INTRO", "Welcome!", "DB"),
    question("QID11", "Q11", "Recommend us?", "NPS", Selector="NPS"),
    question("QID12", "Q12", "Lost block?", Selector="SAVR", Choices=choices("Yes", "No")),
]  # fmt: skip


def block(name: str, *ids: str, kind: str = "Standard") -> dict[str, Any]:
    elements = [{"Type": "Question", "QuestionID": q} for q in ids]
    return {"Type": kind, "Description": name, "ID": f"BL_{name}", "BlockElements": elements}


def qsf(blocks: Any, flow: Any) -> str:
    elements = [
        *QUESTIONS,
        {"Element": "BL", "Payload": blocks},
        {"Element": "FL", "Payload": {"Flow": flow}},
        {"Element": "QC", "Payload": None},
    ]
    entry = {"SurveyName": "Zoo", "SurveyLanguage": "EN"}
    return json.dumps({"SurveyEntry": entry, "SurveyElements": elements})


BLOCKS = [
    block("Trash", "QID9", kind="Trash"),
    block("Main", "QID10", "QID2", "QID3", "QID4", "QID5", "QID6", "QID7", "QID8", "QID11"),
    block("Screener", "QID1"),
    block("Unused", "QID12"),
]
FLOW = [
    {"Type": "EmbeddedData"},
    {"Type": "Block", "ID": "BL_Screener"},
    {"Type": "Branch", "BranchLogic": IF_YES, "Flow": [{"Type": "Standard", "ID": "BL_Main"}]},
]


@pytest.mark.parametrize("blocks", [BLOCKS, {str(i): b for i, b in enumerate(BLOCKS)}])
def test_order_codes_and_types(tmp_path: Path, blocks: Any) -> None:
    instrument = imported(tmp_path / "zoo.qsf", qsf(blocks, FLOW))
    found, checked = fields(instrument), checks(instrument)
    assert list(found) == ["Q1", "Q2", "Q3_army", "Q5", "Q6_1", "Q11"]
    assert instrument.head.title == "Zoo"
    assert instrument.head.language == "en"
    assert found["Q1"]["block"] == "Screener"
    assert found["Q2"]["options"] == ["A bike", "A car", "Other"]
    assert found["Q2"]["codes"] == ["12", "1", "3"]
    assert found["Q2"]["question"] == "Which do you own? (Select all that apply)"
    assert found["Q2"]["select_all"] == "yes"
    assert found["Q3_army"]["battery"] == "How much do you trust each?"
    assert found["Q3_army"]["question"] == "The army"
    assert found["Q3_army"]["options"] == ["Not at all", "Some", "A lot"]
    assert found["Q3_army"]["codes"] == ["3", "2", "1"]
    assert found["Q3_army"]["scale"] == [1, 2, 3]
    condition = "If Do you vote? Yes Is Selected and Age > 17"
    assert found["Q3_army"]["routing"] == f"{condition}; {condition}"  # the branch's, its own
    assert found["Q5"]["options"] == ["A bike", "A car", "Other"]
    assert found["Q6_1"]["options"][0] == "0 to 20"
    assert found["Q6_1"]["scale"] == [0, 1, 2, 3, 4]
    assert found["Q11"]["options"] == [str(n) for n in range(11)]
    assert checked["Q4"].why.startswith("piped text: ${q://QID1")
    assert checked["Q7"].why == "open number"
    assert checked["Q8"].why == "ranking"
    assert checked["OLD"].why == "in the trash of the file"
    assert checked["Q12"].why == "its block is not in the flow"
    assert checked["INTRO"].outcome is Outcome.NO_QUESTION
    assert checked["Q6"].outcome is Outcome.BANDS
    assert checked["Q4"].where == "element QID4"


def test_without_a_flow_the_blocks_order_counts(tmp_path: Path) -> None:
    instrument = imported(tmp_path / "zoo.qsf", qsf(BLOCKS[1:3], []))
    assert list(fields(instrument))[-1] == "Q1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "valid JSON"),
        ('{"SurveyElements": []}', "No closed question was found"),
        ("[" * 100, "levels"),
        ('{"a": 1}', "an object with `SurveyElements`"),
        ("", "valid JSON"),
    ],
)
def test_bad_files_are_refused_with_their_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        imported(tmp_path / "zoo.qsf", text)
    assert said in str(refused.value)
    assert "zoo.qsf" in str(refused.value)


def test_logic_that_asks_for_choices_names_tags_and_answers(tmp_path: Path) -> None:
    def leaf(qid: str, choice: int, operator: str = "Selected", joined: str = "") -> dict[str, str]:
        return {
            "LogicType": "Question",
            "Operator": operator,
            "ChoiceLocator": f"q://{qid}/SelectableChoice/{choice}",
            "Description": "If Do you ...? Yes Is Selected",
            "Conjuction": joined,
        }

    first = {"0": leaf("QID1", 1), "1": leaf("QID1", 2, "NotSelected", "Or"), "Type": "If"}
    second = {"0": leaf("QID2", 2), "Type": "AndIf"}
    own = choices("Yes", "No (never)")
    questions = [
        question("QID1", "vote", "Do you vote?", Selector="SAVR", Choices=own),
        question("QID2", "own", "Which?", Selector="MAVR", Choices=choices("A car", "A bike")),
        question("QID3", "why", "Why?", Selector="SAVR", Choices=own,
                 DisplayLogic={"0": first, "1": second, "Type": "BooleanExpression"}),
    ]  # fmt: skip
    content = json.dumps({"SurveyEntry": {}, "SurveyElements": [
        *questions, {"Element": "BL", "Payload": [block("Main", "QID1", "QID2", "QID3")]},
    ]})  # fmt: skip
    found = fields(imported(tmp_path / "zoo.qsf", content))
    expected = 'If (vote = "Yes" or vote != "No (never)") and (own = "A bike")'
    assert found["why"]["routing"] == expected


def test_a_scale_between_two_ends_says_which_end_is_which(tmp_path: Path) -> None:
    ends, points = choices("Cold:Warm", "Bad"), choices("1", "2", "3")
    more = {"Selector": "Bipolar", "Choices": ends, "Answers": points}
    asked = question("QID1", "q1", "How is it?", "Matrix", **more)
    content = json.dumps({"SurveyEntry": {}, "SurveyElements": [
        asked, {"Element": "BL", "Payload": [block("Main", "QID1")]},
    ]})  # fmt: skip
    found = fields(imported(tmp_path / "zoo.qsf", content))
    assert found["q1_1"]["question"] == "from Cold (1) to Warm (3)"
    assert found["q1_2"]["question"] == "Bad"
