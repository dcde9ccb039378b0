"""What may come in, by size, ending and content; under names of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from opinioncast.app.projects import Project
from opinioncast.app.uploads import (
    ENDINGS,
    checked,
    checked_groups,
    drop,
    instrument_endings,
    take,
    take_instrument,
)
from opinioncast.errors import InputError
from opinioncast.jobs.serve_page import MAX_UPLOAD_MB

YAML = b"questions:\n  - {id: rent, question: Are rents too high?, options: [Yes, No]}\n"


def test_an_instrument_becomes_a_questionnaire(tmp_path: Path) -> None:
    project = take_instrument(Project.new(tmp_path), "../../my draft.YAML", YAML)
    assert project.questionnaire is not None
    assert "Are rents too high?" in project.questionnaire.read_text()
    assert project.choices.instrument == "../../my draft.YAML"  # shown, never a path
    assert [p.name for p in tmp_path.iterdir()] == [project.token]


def test_a_second_instrument_takes_the_place_of_the_first(tmp_path: Path) -> None:
    project = take_instrument(Project.new(tmp_path), "a.yaml", YAML)
    project = take_instrument(project, "b.csv", b"question,options\nIs it late?,Yes|No\n")
    assert project.questionnaire is not None
    assert "Is it late?" in project.questionnaire.read_text()


def test_what_holds_no_question_leaves_the_project_as_it_was(tmp_path: Path) -> None:
    project = take_instrument(Project.new(tmp_path), "a.yaml", YAML)
    with pytest.raises(InputError):
        take_instrument(project, "b.yaml", b"nothing: here\n")
    again = Project.open(tmp_path, project.token)
    assert again.choices.instrument == "a.yaml"
    assert "Are rents too high?" in (again.questionnaire or Path()).read_text()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.exe", b"MZ", "of a kind that is not read here"),
        ("a", b"questions", "of a kind that is not read here"),
        ("a.docx", YAML, "not what its name says"),
        ("a.xlsx", b"PK-but-no-zip", "not what its name says"),
        ("a.yaml", b"\x00\x01\x02binary", "not what its name says"),
        ("a.csv", b"x" * (MAX_UPLOAD_MB * 2**20 + 1), "too large"),
    ],
)
def test_what_may_not_come_in(name: str, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        checked(name, content, instrument_endings())


@pytest.mark.parametrize("mark", [b"$FL2", b"$FL3"])
def test_microdata_by_their_first_bytes(mark: bytes) -> None:
    assert checked("Pilot.SAV", mark + b"rest", ENDINGS["pilot"]) == ".sav"
    with pytest.raises(InputError, match="not what its name says"):
        checked("pilot.dta", mark + b"rest", ENDINGS["pilot"])


def test_evidence_is_kept_replaced_and_dropped(tmp_path: Path) -> None:
    project = take(Project.new(tmp_path), "known", "topline.csv", b"question_id,group\n")
    first = project.file_of("known")
    project = take(project, "known", "topline.yaml", b"questions: []\n")
    assert first is not None
    assert not first.exists()  # one file a part
    assert project.file_of("known") == project.folder / "known.yaml"
    project = drop(project, "known")
    assert project.file_of("known") is None
    assert not (project.folder / "known.yaml").exists()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../other/pilot.sav", "..", "~/x", "sub\\..\\x", "a/wording.json"]
)
def test_a_recipe_that_names_files_elsewhere(tmp_path: Path, path: str) -> None:
    recipe = f"waves:\n  - family: X\n    file: '{path}'\n".encode()
    project = Project.new(tmp_path)
    with pytest.raises(InputError, match="names a file elsewhere"):
        take(project, "recipe", "r.yaml", recipe)
    assert not (project.folder / "recipe.yaml").exists()


def test_groups_are_named_not_read() -> None:
    assert checked_groups(["paper22", "SEX=Female & RACE=Black"])
    for names in (["groups.yaml"], ["/etc/groups.json"], [], ["NOSUCH=Thing"]):
        with pytest.raises(InputError):
            checked_groups(names)
