"""Projects are found by their address alone, and addresses lead nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from opinioncast.app.projects import STATE, Project
from opinioncast.errors import InputError


def test_a_project_opened_again_is_as_it_was(tmp_path: Path) -> None:
    made = Project.new(tmp_path).with_choices(groups=("SEX=Female", "total"), method="network")
    again = Project.open(tmp_path, made.token)
    assert again == made
    assert again.choices.groups == ("SEX=Female", "total")


def test_two_projects_share_nothing(tmp_path: Path) -> None:
    one, other = Project.new(tmp_path), Project.new(tmp_path)
    one.with_choices(population="adults in Berlin")
    assert one.token != other.token
    assert Project.open(tmp_path, other.token).choices.population == ""


def test_a_project_is_its_owners(tmp_path: Path) -> None:
    assert Project.new(tmp_path).folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "token", ["", ".", "..", "../outside", "/etc", "a" * 32, "x/../" + "a" * 32, "a" * 31 + "\n"]
)
def test_an_address_leads_nowhere_else(tmp_path: Path, token: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / STATE).write_text("{}")
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(InputError, match="no such project"):
        Project.open(root, token)
