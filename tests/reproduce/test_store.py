"""Finished steps are reused, anything else is done anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from opinioncast.reproduce import store as module
from opinioncast.reproduce.store import RECORD, Store, file_hash, is_whole, shape_key


class Work:
    """Counts how often it was done."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        (folder / "result.txt").write_text(f"time {self.times}", "utf-8")


def test_a_finished_step_is_not_done_again(tmp_path: Path) -> None:
    work = Work()
    said: list[str] = []
    first = Store(tmp_path, said.append).step("train", "a", {"rate": 1}, work)
    again = Store(tmp_path, said.append)
    assert again.step("train", "a", {"rate": 1}, work) == first
    assert again.step("train", "a", {"rate": 1}, work) == first
    assert work.times == 1
    assert [(d.name, d.reused) for d in again.done] == [("a", True)]
    assert said[-1] == "train a: there already"


def test_another_shape_or_version_is_done_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, store = Work(), Store(tmp_path)
    folders = {store.step("train", "a", {"rate": rate}, work) for rate in (1, 2)}
    monkeypatch.setattr(module, "VERSION", "99")
    folders.add(store.step("train", "a", {"rate": 1}, work))
    assert len(folders) == work.times == 3


@pytest.mark.parametrize("damage", ["changed", "gone", "no record", "broken record"])
def test_what_is_not_whole_is_done_again(damage: str, tmp_path: Path) -> None:
    work, store = Work(), Store(tmp_path)
    folder = store.step("train", "a", {}, work)
    if damage == "changed":
        (folder / "result.txt").write_text("time 7", "utf-8")
    elif damage == "gone":
        (folder / "result.txt").unlink()
    elif damage == "no record":
        (folder / RECORD).unlink()
    else:
        (folder / RECORD).write_text("{", "utf-8")
    assert not is_whole(folder)
    store.step("train", "a", {}, work)
    assert work.times == 2
    assert is_whole(folder)


def test_a_step_that_stops_goes_on_in_its_folder(tmp_path: Path) -> None:
    def stops(folder: Path) -> None:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "half").write_text("half", "utf-8")
        raise KeyboardInterrupt

    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.step("train", "a", {}, stops)

    def goes_on(folder: Path) -> None:
        assert (folder / "checkpoints" / "half").is_file()
        (folder / "whole").write_text("whole", "utf-8")

    folder = store.step("train", "a", {}, goes_on)
    (folder / "checkpoints" / "half").unlink()  # no part of the result
    assert is_whole(folder)


def test_keys_and_hashes(tmp_path: Path) -> None:
    assert shape_key("a", {"x": 1, "y": 2}) == shape_key("a", {"y": 2, "x": 1})
    assert shape_key("a", {"x": 1}) != shape_key("b", {"x": 1})
    (tmp_path / "one").write_text("1", "utf-8")
    before = file_hash(tmp_path)
    (tmp_path / "two").write_text("2", "utf-8")
    assert file_hash(tmp_path) != before
