"""What is edited in the grid is read back; what is no questionnaire changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from opinioncast.app.editing import grid, save
from opinioncast.errors import InputError
from opinioncast.questionnaires import read_questionnaire

TEXT = """
population: adults in Berlin
questions:
  - {id: rent, question: Are rents too high?, options: [Yes, No], known: {TOTAL: [60, 40]}}
  - {id: vote, question: How often do you vote?, options: [Always, Sometimes, Never],
     scale: [1, 2, 3]}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "questionnaire.yaml"
    path.write_text(TEXT)
    return path


def test_unedited_it_is_the_same(path: Path) -> None:
    before = read_questionnaire(path)
    assert save(path, grid(path).to_dicts()) == []
    after = read_questionnaire(path)
    assert (after.questions, after.known[0].shares) == (before.questions, before.known[0].shares)
    assert after.population == before.population


def test_wordings_and_rows(path: Path) -> None:
    rows = grid(path).to_dicts()
    assert rows[1]["options"] == "Always | Sometimes | Never"
    rows[0]["question"] = "Are rents much too high?"
    rows[1]["use"] = False
    new = {"use": True, "id": None, "question": "Is it late?", "options": "Yes|No", "routing": None}
    assert save(path, [*rows, new]) == []
    asked = read_questionnaire(path).questions
    assert [q.text for q in asked] == ["Are rents much too high?", "Is it late?"]


def test_what_belonged_to_other_options_goes_and_is_said(path: Path) -> None:
    rows = grid(path).to_dicts()
    rows[0]["options"] = "Yes | No | Not sure"
    rows[1]["options"] = "Always | Never"
    assert save(path, rows) == [
        "rent: its options changed, so known went",
        "vote: its options changed, so scale went",
    ]
    asked = read_questionnaire(path)
    assert not asked.known
    assert asked.questions[1].options == ("Always", "Never")


@pytest.mark.parametrize(
    "edit", [{"options": "Only one"}, {"options": ""}, {"id": "rent"}, {"options": "A | A"}]
)
def test_what_is_no_questionnaire_changes_nothing(path: Path, edit: dict[str, str]) -> None:
    rows = grid(path).to_dicts()
    rows[1] |= edit
    with pytest.raises(InputError):
        save(path, rows)
    assert path.read_text() == TEXT
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_nothing_left(path: Path) -> None:
    with pytest.raises(InputError, match="No question is left"):
        save(path, [row | {"use": False} for row in grid(path).to_dicts()])
