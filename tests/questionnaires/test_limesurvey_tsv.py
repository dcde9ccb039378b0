"""LimeSurvey's tab-separated structure, made up."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.questionnaires.instruments import checks, fields, imported

from opinioncast.errors import InputError

HEAD = "class\ttype/scale\tname\trelevance\ttext\tlanguage\tother\n"
ROWS = (
    "S\t\tlanguage\t\ten\t\t\n"
    "SL\t\tsurveyls_title\t\tZoo\ten\t\n"
    "G\t1\tMain\tage > 17\t\ten\t\n"
    'Q\tL\tq1\t1\t"Like ""it""?"\ten\tY\n'
    "A\t0\tA1\t\tYes\ten\t\n"
    "A\t0\tA2\t\tNo\ten\t\n"
    "Q\tF\tq2\tq1 == 'A1'\tTrust?\ten\t\n"
    "SQ\t0\tS1\t\tArmy\ten\t\n"
    "A\t0\t1\t\tA lot\ten\t\n"
    "A\t0\t2\t\tNot at all\ten\t\n"
    "Q\tT\tq3\t1\tWhy?\ten\t\n"
    "Q\tL\tq1\t1\tMag?\tde\t\n"
    "A\t0\tA1\t\tJa\tde\t\n"
)


@pytest.mark.parametrize("ending", [".txt", ".tsv"])
def test_rows(tmp_path: Path, ending: str) -> None:
    instrument = imported(tmp_path / f"zoo{ending}", HEAD + ROWS)
    found = fields(instrument)
    assert list(found) == ["q1", "q2_S1"]
    assert found["q1"]["question"] == 'Like "it"?'
    assert found["q1"]["options"] == ["Yes", "No", "Other"]
    assert found["q1"]["routing"] == "age > 17"
    assert found["q2_S1"]["routing"] == "age > 17; q1 == 'A1'"
    assert found["q2_S1"]["battery"] == "Trust?"
    assert instrument.head.title == "Zoo"
    assert checks(instrument)["q3"].where == "line 12, question q3"
    assert instrument.check_list is not None
    assert "not read: de" in instrument.check_list.notes[0]


def test_another_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks columns"):
        imported(tmp_path / "zoo.tsv", "question\toptions\nA?\tYes|No\n")
