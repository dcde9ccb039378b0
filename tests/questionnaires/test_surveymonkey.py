"""SurveyMonkey surveys, made up as the service's API words them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.questionnaires.instruments import checks, fields, imported


def question(name: str, family: str, subtype: str, text: str, **more: Any) -> dict[str, Any]:
    heading = [{"heading": text}]
    return {"id": name, "family": family, "subtype": subtype, "headings": heading, **more}


def choices(*texts: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": str(10 + i), "position": i, "text": t, "visible": True, **more}
        for i, t in enumerate(texts, start=1)
    ]


WEIGHTED = [
    *({"id": str(i), "position": i, "text": t, "weight": i} for i, t in enumerate(("Bad", "Good"))),
    {"id": "9", "position": 9, "text": "N/A", "weight": 0, "is_na": True},
]
QUESTIONS = [
    question("b", "single_choice", "vertical", "Second?", position=2,
             answers={"choices": choices("Yes", "No")[::-1],
                      "other": {"id": "5", "text": "Other (specify)", "is_answer_choice": True}}),
    question("a", "single_choice", "menu", "<strong>First</strong>?", position=1,
             answers={"choices": [*choices("Yes", "No"), *choices("Gone", visible=False)]}),
    question("c", "multiple_choice", "vertical", "Which?", position=3,
             answers={"choices": choices("Tea", "Milk")}),
    question("d", "matrix", "rating", "Rate", position=4,
             answers={"rows": choices("Zoo", "Park"), "choices": WEIGHTED}),
    question("e", "matrix", "rating", "One star?", position=5,
             answers={"rows": choices(""), "choices": WEIGHTED}),
    question("f", "matrix", "ranking", "Order", position=6, answers={"rows": choices("a", "b")}),
    question("g", "open_ended", "numerical", "Warm?", position=7,
             display_options={"display_type": "slider", "left_label": "Cold"},
             validation={"min": 0, "max": 10}),
    question("h", "open_ended", "essay", "Why?", position=8),
    question("i", "presentation", "descriptive_text", "Thanks", position=9),
    question("j", "datetime", "date_only", "When?", position=10),
]  # fmt: skip


def test_every_family(tmp_path: Path) -> None:
    page = {"title": "Main", "position": 1, "questions": QUESTIONS}
    survey = {"title": "Zoo", "language": "en", "pages": [page]}
    instrument = imported(tmp_path / "zoo.json", json.dumps(survey))
    found, checked = fields(instrument), checks(instrument)
    assert list(found) == ["a", "b", "c", "d_11", "d_12", "e", "g"]
    assert instrument.head.title == "Zoo"
    assert found["a"] == {
        "id": "a", "block": "Main", "question": "First?", "options": ["Yes", "No"],
        "codes": ["11", "12"], "scale": [1, 2],
    }  # fmt: skip
    assert found["b"]["options"] == ["Yes", "No", "Other"]
    assert found["c"]["select_all"] == "yes"
    assert found["d_12"]["question"] == "Park"
    assert found["d_12"]["scale"] == [0, 1, -1]
    assert found["e"]["question"] == "One star?"
    assert found["g"]["options"][0] == "0 (Cold)"
    assert len(found["g"]["options"]) == 11
    reasons = {i: checked[i].why for i in ("f", "h", "j")}
    assert reasons == {"f": "ranking: 2 rows", "h": "open answer", "j": "date or time"}
