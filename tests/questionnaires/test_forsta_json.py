"""Forsta schemas, made up: languages, grids of grids, loops, scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.questionnaires.instruments import checks, fields, imported


def texts(text: str, other: str = "") -> list[dict[str, Any]]:
    made = [{"languageId": 9, "text": text}]
    return [{"languageId": 7, "text": other}, *made] if other else made


def variable(name: str, kind: str, text: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "variableType": kind, "texts": texts(text), **more}


def coded(*labels: str) -> list[dict[str, Any]]:
    return [{"code": str(i), "texts": texts(t, "deutsch")} for i, t in enumerate(labels, start=1)]


SCORED = [
    {"code": "1", "score": 5.0, "texts": texts("Good")},
    {"code": "2", "score": 1.0, "texts": texts("Bad")},
    {"code": "9", "texts": texts("No view")},
]
ROOT = {
    "variables": [
        variable("status", "singleChoice", "Status", isSystemVariable=True, options=coded("a")),
        variable("q1", "singleChoice", "<b>Like</b> it?", options=coded("Yes", "No")),
        variable("q2", "multiChoice", "Which?", options=coded("Tea", "Milk")),
        variable("q3", "rating", "Rate", fields=coded("Zoo", "Park"), options=SCORED),
        variable("g4", "grid3D", "Trust", options=coded("Army", "Police")),
        variable("q5", "singleChoice", "now", parentVariableName="g4", options=coded("Yes", "No")),
        variable("q6", "ranking", "Order", fields=coded("a", "b")),
        variable("q7", "numeric", "How many?"),
        variable("q8", "info", "Hello ^f('q1')^"),
        variable("q9", "singleChoice", "You said ^f('q1')^?", options=coded("Yes", "No")),
    ],
    "children": [
        {"name": "l1", "variables": [variable("q10", "singleChoice", "Again?",
                                              options=coded("Yes", "No"))]}
    ],
}  # fmt: skip


def test_every_type(tmp_path: Path) -> None:
    content = json.dumps({"defaultConfirmitLanguageId": 9, "root": ROOT})
    instrument = imported(tmp_path / "zoo.json", content)
    found, checked = fields(instrument), checks(instrument)
    assert instrument.head.language == "en"
    assert list(found) == ["q1", "q2", "q3_1", "q3_2", "q5_1", "q5_2", "q10"]
    assert found["q1"]["question"] == "Like it?"
    assert found["q1"]["options"] == ["Yes", "No"]
    assert found["q2"]["select_all"] == "yes"
    assert found["q3_2"]["question"] == "Park"
    assert found["q3_2"]["scale"] == [4, 0, -1]
    assert found["q5_1"]["battery"] == "Trust - now"
    assert found["q10"]["routing"] == "in the loop l1"
    assert checked["status"].why.endswith("a system variable")
    assert (checked["q6"].why, checked["q7"].why) == ("ranking", "open number")
    assert checked["q9"].why == "piped text: ^f('q1')^"
