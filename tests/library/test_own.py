"""The user's own tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.library.made import pistols

from opinioncast.errors import InputError
from opinioncast.library.own import add_table, data_folder, open_library, own_shelves, remove_table


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPINIONCAST_DATA", str(tmp_path))


def test_added_searched_and_removed() -> None:
    add_table("our polls", pistols())
    assert [s.name for s in open_library().shelves] == ["our polls", "reference"]
    assert open_library().by_wording("should whales be protected by treaty")[0].asked.source == (
        "our polls"
    )
    remove_table("our polls")
    assert own_shelves() == []


def test_what_else_is_in_a_tables_folder_stays() -> None:
    folder = add_table("our polls", pistols()).folder
    (folder / "notes.md").write_text("mine")
    remove_table("our polls")
    assert [p.name for p in folder.iterdir()] == ["notes.md"]
    assert own_shelves() == []


def test_a_table_that_was_being_added_is_not_there() -> None:
    folder = add_table("our polls", pistols()).folder
    (folder / ".opinioncast-0123abcd.jsonl").write_text("")
    assert own_shelves() == []


@pytest.mark.parametrize("name", ["reference", "../elsewhere", "", ".hidden"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(InputError, match="cannot be kept under this name"):
        add_table(name, pistols())


def test_only_ones_own_can_be_removed() -> None:
    with pytest.raises(InputError, match="no table of yours"):
        remove_table("reference")


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert data_folder() == tmp_path
    monkeypatch.delenv("OPINIONCAST_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert data_folder() == Path("/somewhere/opinioncast")
