"""The door to an output folder: nothing of anybody else's is replaced or deleted."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from opinioncast.documents import read_document
from opinioncast.errors import InputError, StorageError
from opinioncast.files import atomic_path, checksum, discard
from opinioncast.jobs.manifest import write_manifest
from opinioncast.output_folder import (
    KeptAsideWarning,
    holds_folder,
    output_folder,
)
from opinioncast.output_records import is_unfinished, usable


def run(out: Path, files: dict[str, str], command: str = "predict") -> Path:
    """A run that writes ``files`` and its manifest."""
    with output_folder(out, command):
        for name, text in files.items():
            with atomic_path(out / name) as temporary:
                temporary.write_text(text)
        return write_manifest(out, {"seconds": 1}, [])


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_run_replaces_its_own_and_removes_what_it_no_longer_writes(tmp_path: Path) -> None:
    run(tmp_path, {"table.csv": "1", "chart-2.png": "x", "evidence/piece_1.json": "{}"})
    run(tmp_path, {"table.csv": "2"})
    assert names(tmp_path) == ["manifest.json", "table.csv"]
    assert not (tmp_path / "evidence").exists()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert list(manifest["files"]) == ["table.csv"]
    assert manifest["command"] == "predict"


@pytest.mark.filterwarnings("error::opinioncast.output_folder.KeptAsideWarning")
def test_a_number_that_is_not_known_leaves_the_folder_its_owner(tmp_path: Path) -> None:
    for text in ("1", "2"):
        with output_folder(tmp_path, "predict"):
            with atomic_path(tmp_path / "table.csv") as temporary:
                temporary.write_text(text)
            path = write_manifest(tmp_path, {"scores": {"loss": float("nan"), "rows": 2}}, [])
        assert read_document(path, "A manifest")["scores"] == {"loss": None, "rows": 2}
    assert names(tmp_path) == ["manifest.json", "table.csv"]
    path = write_manifest(tmp_path, {"loss": float("inf")}, [])  # held by nobody
    assert read_document(path, "A manifest")["loss"] is None


def test_what_is_the_users_stays(tmp_path: Path) -> None:
    (tmp_path / "chart-budget.png").write_text("mine")
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "notes.md").write_text("mine")
    run(tmp_path, {"table.csv": "1", "chart-2.png": "x", "evidence/piece_1.json": "{}"})
    run(tmp_path, {"table.csv": "2"})
    assert (tmp_path / "chart-budget.png").read_text() == "mine"
    assert (tmp_path / "evidence" / "notes.md").read_text() == "mine"
    assert not (tmp_path / "chart-2.png").exists()


def test_what_is_in_the_way_is_kept_and_named(tmp_path: Path) -> None:
    (tmp_path / "written.jsonl").write_text("mine")
    with pytest.warns(KeptAsideWarning, match=r"written\.jsonl was there already: kept as kept-1"):
        run(tmp_path, {"written.jsonl": "ours"})
    assert (tmp_path / "kept-1.written.jsonl").read_text() == "mine"
    assert (tmp_path / "written.jsonl").read_text() == "ours"
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["kept_aside"] == {"written.jsonl": "kept-1.written.jsonl"}
    run(tmp_path, {})
    assert (tmp_path / "kept-1.written.jsonl").read_text() == "mine"


def test_an_edited_file_is_kept(tmp_path: Path) -> None:
    run(tmp_path, {"wording.csv": "a"}, "curate")
    for number in (1, 2):
        (tmp_path / "wording.csv").write_text(f"edit {number}")
        with pytest.warns(KeptAsideWarning, match="was changed since it was written"):
            run(tmp_path, {"wording.csv": "a"}, "curate")
        assert (tmp_path / f"kept-{number}.wording.csv").read_text() == f"edit {number}"
    (tmp_path / "wording.csv").write_text("edit 3")
    run(tmp_path, {}, "curate")  # not written any more: an edited one is a person's
    assert (tmp_path / "wording.csv").read_text() == "edit 3"


def test_another_commands_files_stay_and_are_known(tmp_path: Path) -> None:
    run(tmp_path, {"opinions.parquet": "o", "notes.txt": "n"}, "curate")
    run(tmp_path, {"predictions.csv": "p", "notes.txt": "m"}, "predict")
    assert names(tmp_path) == ["manifest.json", "notes.txt", "opinions.parquet", "predictions.csv"]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["earlier_files"]["opinions.parquet"]["command"] == "curate"
    run(tmp_path, {"opinions.parquet": "o2"}, "curate")  # replaced without a word: it is its own
    assert (tmp_path / "opinions.parquet").read_text() == "o2"
    assert (tmp_path / "predictions.csv").read_text() == "p"


def test_a_manifest_of_another_program_is_kept(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "My App", "files": {"table.csv": 1}}')
    (tmp_path / "table.csv").write_text("mine")
    with pytest.warns(KeptAsideWarning):
        run(tmp_path, {"table.csv": "1"})
    assert (tmp_path / "kept-1.table.csv").read_text() == "mine"
    assert "My App" in (tmp_path / "kept-1.manifest.json").read_text()


@pytest.mark.parametrize(
    "name", ["../victim.txt", "/etc/x", "link/victim.txt", "a/../../victim.txt"]
)
def test_a_manifest_that_lies_deletes_nothing_outside(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("1")
    out = tmp_path / "out"
    run(out, {"table.csv": "1"})
    (out / "link").symlink_to(tmp_path)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["files"][name] = checksum(victim)
    (out / "manifest.json").write_text(json.dumps(manifest))
    run(out, {})
    assert victim.read_text() == "1"


def test_before_the_first_file_the_earlier_run_is_whole(tmp_path: Path) -> None:
    run(tmp_path, {"table.csv": "1"})
    with pytest.raises(ZeroDivisionError), output_folder(tmp_path, "predict"):
        raise ZeroDivisionError
    assert names(tmp_path) == ["manifest.json", "table.csv"]
    with output_folder(tmp_path, "predict"), atomic_path(tmp_path / "table.csv") as temporary:
        temporary.write_text("2")  # and the run ends without its manifest
    assert not (tmp_path / "manifest.json").exists()
    assert is_unfinished(tmp_path)
    run(tmp_path, {"table.csv": "3"})
    assert names(tmp_path) == ["manifest.json", "table.csv"]


@pytest.mark.parametrize("spoil", ["file", "device", "loop", "below a file", "nul", "long"])
def test_what_is_no_folder_is_refused(tmp_path: Path, spoil: str) -> None:
    out = tmp_path / "out"
    if spoil == "file":
        out.write_text("x")
    elif spoil == "device":
        out = Path("/dev/null")
    elif spoil == "loop":
        out.symlink_to(out)
    elif spoil == "below a file":
        out.write_text("x")
        out = out / "sub" / "folder"
    elif spoil == "nul":
        out = Path(f"{tmp_path}/a\0b")
    else:
        out = tmp_path / ("x" * 300)
    with pytest.raises((InputError, StorageError)) as caught:
        run(out, {"a.csv": "1"})
    assert "out" in str(caught.value)


def test_a_planned_file_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    for plan in ((), ("page.html",)):
        with (
            pytest.raises(InputError, match="A folder is where a file"),
            output_folder(tmp_path, "evaluate", plan=plan),
            atomic_path(tmp_path / "page.html"),
        ):
            pass
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(InputError), output_folder(tmp_path, "evaluate"):
        pass


def test_links_and_pipes_in_the_way_are_kept(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.csv").symlink_to(elsewhere)
    (out / "b.csv").symlink_to("/dev/null")
    os.mkfifo(out / "c.csv")
    with pytest.warns(KeptAsideWarning):
        run(out, {"a.csv": "1", "b.csv": "2", "c.csv": "3"})
    assert elsewhere.read_text() == "mine"
    assert [(out / f"{n}.csv").read_text() for n in "abc"] == ["1", "2", "3"]
    assert not (out / "b.csv").is_symlink()
    assert Path("/dev/null").is_char_device()


def test_two_files_of_one_run_with_one_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="same name") as caught:
        run(tmp_path, {"split-A.parquet": "1", "split-a.parquet": "2"})
    assert "split-A.parquet and split-a.parquet" in str(caught.value)


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    @holds_folder("plan")
    def job(first: int, out: Path, *, last: int = 0) -> Path:
        with atomic_path(out / "a.csv") as temporary:
            temporary.write_text(str(first + last))
        return write_manifest(out, {}, [out / "a.csv"])

    assert job(1, Path("~/x"), last=2) == tmp_path / "x" / "manifest.json"
    assert (tmp_path / "x" / "a.csv").read_text() == "3"
    assert not (tmp_path / "~").exists()
    assert usable(Path("~/new")) == tmp_path / "new"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused_before_any_work(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(StorageError, match="cannot be written"), output_folder(tmp_path / "x", "p"):
        pytest.fail("it began")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here")
def test_a_file_system_where_nothing_can_be_made() -> None:
    with pytest.raises(StorageError, match="could not be written"):
        run(Path("/proc/self/fd/new/folder"), {"a.csv": "1"})


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077])
def test_modes_are_the_umasks(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        run(tmp_path / "out", {"a.csv": "1", "in/b.csv": "2"})
    finally:
        os.umask(before)
    for name in ("a.csv", "in/b.csv", "manifest.json"):
        assert (tmp_path / "out" / name).stat().st_mode & 0o777 == 0o666 & ~mask
    assert (tmp_path / "out" / "in").stat().st_mode & 0o777 == 0o777 & ~mask


_KILLED = """
import sys, time
from pathlib import Path
from opinioncast.files import atomic_path
from opinioncast.output_folder import output_folder
out = Path(sys.argv[1])
with output_folder(out, "predict"):
    for name in ("table.csv", "evidence/piece.json", "chart.png"):
        with atomic_path(out / name) as temporary:
            temporary.write_text("half")
            if name == "chart.png":
                print("now", flush=True)
                time.sleep(60)
"""


def test_what_a_killed_run_left_is_swept_up(tmp_path: Path) -> None:
    (tmp_path / ".chart.png.mine").write_text("mine")
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_KILLED), str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    alive = names(tmp_path)
    run(tmp_path, {"other.csv": "1"}, "plan")  # beside a live run: its files are its own
    assert set(alive) - {"manifest.json"} <= set(names(tmp_path))
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert any(n.startswith(".chart.png.") and n != ".chart.png.mine" for n in names(tmp_path))
    run(tmp_path, {"table.csv": "whole"})  # no warning: the killed run's files are known
    assert names(tmp_path) == [".chart.png.mine", "manifest.json", "other.csv", "table.csv"]
    assert (tmp_path / "table.csv").read_text() == "whole"


@pytest.mark.parametrize("after", range(9))
def test_a_full_disk_at_every_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The disk is full after so many steps: one error that names the place, nothing half."""
    run(tmp_path, {"table.csv": "old", "chart.png": "old"})
    left = after

    def full(real):  # type: ignore[no-untyped-def]
        def step(*args, **kwargs):  # type: ignore[no-untyped-def]
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **kwargs)

        return step

    with monkeypatch.context() as patched:
        for place, name in ((os, "fsync"), (os, "open"), (Path, "replace")):
            patched.setattr(place, name, full(getattr(place, name)))
        with pytest.raises(StorageError, match="No space left") as caught:
            run(tmp_path, {"table.csv": "new", "chart.png": "new"})
    assert str(tmp_path) in str(caught.value)
    for name in ("table.csv", "chart.png"):
        assert (tmp_path / name).read_text() in ("old", "new")
    assert not [n for n in names(tmp_path) if n.startswith((".table", ".chart", ".manifest"))]
    run(tmp_path, {"table.csv": "newer"})
    assert names(tmp_path) == ["manifest.json", "table.csv"]


def test_discard_asks_the_door(tmp_path: Path) -> None:
    run(tmp_path, {"evidence/piece_1.json": "1"})
    (tmp_path / "evidence" / "piece_mine.json").write_text("mine")
    with output_folder(tmp_path, "update"):
        discard(tmp_path / "evidence" / "piece_1.json")
        with pytest.warns(KeptAsideWarning, match="is left"):
            discard(tmp_path / "evidence" / "piece_mine.json")
    assert names(tmp_path / "evidence") == ["piece_mine.json"]
