"""LimeSurvey structures, made up: texts in tables of their own, and in rows by language."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.questionnaires.instruments import checks, fields, imported

from opinioncast.errors import InputError


def table(name: str, *rows: dict[str, str]) -> str:
    made = "".join(
        "<row>" + "".join(f"<{k}><![CDATA[{v}]]></{k}>" for k, v in row.items()) + "</row>"
        for row in rows
    )
    return f"<{name}><fields/><rows>{made}</rows></{name}>"


TYPES = {  # qid: type, code, wording
    "1": ("L", "q1", "<p>Like&nbsp;it?</p>"),
    "2": ("M", "q2", "Which?"),
    "3": ("F", "q3", "Trust?"),
    "4": ("5", "q4", "Points?"),
    "5": ("Y", "q5", "Vote?"),
    "6": ("1", "q6", "Both?"),
    "7": ("K", "q7", "Warm?"),
    "8": ("R", "q8", "Order"),
    "9": ("N", "q9", "How many?"),
    "10": ("S", "q10", "Why?"),
    "11": ("L", "q11", "Dear {TOKEN:FIRSTNAME}?"),
    "12": ("L", "q12", "Hidden?"),
    "13": ("X", "q13", "Hello"),
    "14": ("C", "q14", "Agree?"),
}
SUBS = {"2": ("Tea", "Milk"), "3": ("Army", "Police"), "6": ("Zoo",), "7": ("Zoo",), "14": ("It",)}
ANSWERS = {"1": ("Yes", "No"), "3": ("A lot", "Not at all"), "11": ("a", "b"), "12": ("a", "b")}


def lss(new: bool) -> str:
    """A survey in today's tables, or in those before texts had their own."""

    def worded(text: str, field: str, language: str) -> dict[str, str]:
        return {} if new else {field: text if language == "en" else "x", "language": language}

    questions, q_texts, subs, answers, a_texts = [], [], [], [], []
    for language in ("en",) if new else ("en", "de"):
        for qid, (kind, code, text) in TYPES.items():
            more = {
                "other": "Y" if qid == "1" else "N",
                "relevance": "q1 == 1" if qid == "2" else "1",
            }
            questions.append(
                {
                    "qid": qid,
                    "parent_qid": "0",
                    "gid": "9",
                    "type": kind,
                    "title": code,
                    "question_order": str(100 - int(qid)),
                    **more,
                    **worded(text, "question", language),
                }
            )
        for qid, rows in SUBS.items():
            for n, text in enumerate(rows, start=1):
                subs.append(
                    {
                        "qid": f"{qid}0{n}",
                        "parent_qid": qid,
                        "title": f"S{n}",
                        "scale_id": "0",
                        "question_order": str(n),
                        **worded(text, "question", language),
                    }
                )
        sides = [
            ("6", t, s) for s, ts in (("0", ("Bad", "Good")), ("1", ("Rare", "Often"))) for t in ts
        ]
        for n, (qid, text, scale) in enumerate(
            [(q, t, "0") for q, ts in ANSWERS.items() for t in ts] + sides, start=1
        ):
            answers.append(
                {
                    "aid": str(n),
                    "qid": qid,
                    "code": f"A{n}",
                    "sortorder": str(n),
                    "scale_id": scale,
                    **worded(text, "answer", language),
                }
            )
            a_texts.append({"aid": str(n), "answer": text, "language": "en"})
    if new:
        q_texts = [{"qid": q, "question": v[2], "language": "en"} for q, v in TYPES.items()]
        q_texts += [{"qid": q, "question": "x", "language": "de"} for q in TYPES]
        q_texts += [
            {"qid": f"{q}0{n}", "question": t, "language": "en"}
            for q, ts in SUBS.items()
            for n, t in enumerate(ts, start=1)
        ]
    attributes = [
        {"qid": "7", "attribute": "slider_layout", "value": "1", "language": ""},
        {"qid": "7", "attribute": "slider_max", "value": "10", "language": ""},
        {"qid": "12", "attribute": "hidden", "value": "1", "language": ""},
    ]
    parts = [
        table(
            "groups", {"gid": "9", "group_order": "1", **({} if new else {"group_name": "Main"})}
        ),
        table("questions", *questions),
        table("subquestions", *subs),
        table("answers", *answers),
        table("question_attributes", *attributes),
        table("surveys", {"sid": "1", "language": "en"}),
        table("surveys_languagesettings", {"surveyls_language": "en", "surveyls_title": "Zoo"}),
    ]
    if new:
        parts += [
            table("question_l10ns", *q_texts),
            table("answer_l10ns", *a_texts),
            table("group_l10ns", {"gid": "9", "group_name": "Main", "language": "en"}),
        ]
    head = "<LimeSurveyDocType>Survey</LimeSurveyDocType><DBVersion>1</DBVersion>"
    head += "<languages><language>en</language><language>de</language></languages>"
    return f"<document>{head}{''.join(parts)}</document>"


@pytest.mark.parametrize("new", [True, False])
def test_every_type(tmp_path: Path, new: bool) -> None:
    instrument = imported(tmp_path / "zoo.lss", lss(new))
    found, checked = fields(instrument), checks(instrument)
    assert list(found) == [
        *("q14_S1", "q7_S1", "q6#0_S1", "q6#1_S1", "q5", "q4", "q3_S1", "q3_S2", "q2", "q1")
    ]
    assert instrument.head.title == "Zoo"
    assert found["q1"]["question"] == "Like it?"
    assert found["q1"]["options"] == ["Yes", "No", "Other"]
    assert found["q1"]["codes"] == ["A1", "A2", "-oth-"]
    assert found["q1"]["block"] == "Main"
    assert found["q2"]["options"] == ["Tea", "Milk"]
    assert found["q2"]["routing"] == "q1 == 1"
    assert found["q3_S2"]["question"] == "Police"
    assert found["q4"]["scale"] == [0, 1, 2, 3, 4]
    assert found["q6#1_S1"]["options"] == ["Rare", "Often"]
    assert len(found["q7_S1"]["options"]) == 11
    assert found["q14_S1"]["options"] == ["Yes", "Uncertain", "No"]
    reasons = {i: checked[i].why for i in ("q8", "q9", "q10", "q11", "q12")}
    assert reasons == {
        "q8": "ranking",
        "q9": "open number",
        "q10": "open answer",
        "q11": "piped text: {TOKEN:FIRSTNAME}",
        "q12": "computed or hidden, nobody is asked: hidden",
    }


def test_another_xml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LimeSurvey file cannot be read"):
        imported(tmp_path / "zoo.lss", "<survey/>")
