"""Writing a file whole or not at all."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from opinioncast.errors import StorageError
from opinioncast.files import (
    atomic_path,
    cache_folder,
    checksum,
    is_storage_problem,
    made_apart,
    safe_name,
    safe_names,
)


def test_a_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.csv"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".csv"
        temporary.write_text("done")
        assert not target.exists()
    assert target.read_text() == "done"
    assert [f.name for f in target.parent.iterdir()] == ["out.csv"]
    assert stat.S_IMODE(target.stat().st_mode) & 0o400
    assert not stat.S_IMODE(target.stat().st_mode) & 0o111


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_a_failure_keeps_the_old_file(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error), match=r"^(a bug)?$"):
        fail()
    assert target.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["out.csv"]


def full_disk() -> Exception:
    return OSError(errno.ENOSPC, "No space left on device")


def full_disk_in_polars() -> Exception:
    return pl.exceptions.ComputeError(
        "parquet: File out of specification: underlying IO error: No space left on device "
        "(os error 28)"
    )


@pytest.mark.parametrize("make", [full_disk, full_disk_in_polars])
def test_a_full_disk_is_a_named_error(tmp_path: Path, make: Callable[[], Exception]) -> None:
    target = tmp_path / "out.parquet"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise make()

    with pytest.raises(StorageError, match="could not be written") as caught:
        fail()
    assert caught.value.where == str(target)
    assert "No space left" in str(caught.value.found)
    assert target.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["out.parquet"]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full here")
def test_this_is_how_polars_reports_a_full_disk(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="could not be written"),
        atomic_path(tmp_path / "out.parquet"),
    ):
        pl.DataFrame({"a": range(100_000)}).write_parquet("/dev/full")


def test_other_polars_errors_pass_through(tmp_path: Path) -> None:
    with (
        pytest.raises(pl.exceptions.ComputeError, match="nested data"),
        atomic_path(tmp_path / "out.csv") as temporary,
    ):
        pl.DataFrame({"a": [[1]]}).write_csv(temporary)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with (
        pytest.raises(StorageError, match="could not be written"),
        atomic_path(tmp_path / "out") as temporary,
    ):
        temporary.write_text("x")
    assert [f.name for f in tmp_path.iterdir()] == ["out"]


def test_a_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(StorageError, match="could not be written"),
        atomic_path(tmp_path / "file" / "out.csv"),
    ):
        pass


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("OPINIONCAST_CACHE", raising=False)
    assert cache_folder() == tmp_path / "xdg" / "opinioncast"
    monkeypatch.setenv("OPINIONCAST_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("OPINIONCAST_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "opinioncast"


def test_a_checksum_is_that_of_the_bytes(tmp_path: Path) -> None:
    file = tmp_path / "abc"
    file.write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert checksum(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(FileNotFoundError):
        checksum(tmp_path / "absent")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "../../x",
            "a/b",
            "a\\b",
            ".hidden",
            "..",
            "",
            "CON",
            "nul.txt",
            "x" * 300,
            "a\0b",
            "a\nb",
        ),
        *("é" * 200, "\x1b]52;c;aGk=\x07", "\u202egnp", "a:b", "a*b?", " x ", "-rf"),
    ],
)
def test_a_name_from_data_stays_in_its_folder(tmp_path: Path, text: str) -> None:
    name = safe_name(text)
    assert Path(name).name == name
    assert name not in ("", ".", "..")
    assert name[0] not in ".-"
    assert name != text  # another text has another name, for it holds the text's hash
    (tmp_path / f"steerability_{name}.csv").write_text("x")
    assert len(f".{name}.csv".encode()) < 220


def test_names_are_told_apart_whatever_their_case() -> None:
    names = safe_names(["Age", "age", "AGE", "Age", "a/b", "a:b"])
    assert list(names) == ["Age", "age", "AGE", "a/b", "a:b"]
    assert len({n.casefold() for n in names.values()}) == 5


def test_a_stream_is_written_through(tmp_path: Path) -> None:
    with atomic_path("/dev/null") as temporary:
        temporary.write_text("x")
    assert Path("/dev/null").is_char_device()
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "link.csv").symlink_to(tmp_path / "real.csv")
    with atomic_path(tmp_path / "sub" / "link.csv") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "real.csv").read_text() == "new"
    assert (tmp_path / "sub" / "link.csv").is_symlink()


def test_a_link_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(StorageError) as caught, atomic_path(tmp_path / "loop" / "out.csv"):
        pass
    assert "loop" in str(caught.value.where)


def _of_safetensors(place: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(1_000_000)}, place)


def _of_sqlite(place: Path) -> None:
    sqlite3.connect(place / "no" / "such").execute("create table a (b)")


@pytest.mark.parametrize(
    "write",
    [
        lambda place: pl.DataFrame({"a": [1]}).write_parquet(place / "x"),
        lambda place: pl.DataFrame({"a": [1]}).write_csv(place / "x"),
        lambda place: _of_safetensors(place / "x"),
        lambda place: shutil.copytree(place.parent, place / "x"),
        lambda place: shutil.copyfile(__file__, place / "x"),
        lambda place: np.save(place / "x", np.zeros(3)),
        lambda place: (place / "x").write_text("x"),
        _of_sqlite,
    ],
)
def test_every_library_says_the_same(tmp_path: Path, write: Callable[[Path], object]) -> None:
    absent = tmp_path / "file"
    absent.write_text("in a folder's place")
    with pytest.raises(Exception) as met:  # noqa: PT011  each library has its own
        write(absent)
    assert is_storage_problem(met.value)
    with pytest.raises(StorageError) as caught, atomic_path(tmp_path / "out"):
        raise met.value
    assert caught.value.where == str(tmp_path / "out")
    assert caught.value.hint


def test_files_made_apart_come_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("mine")
    with pytest.raises(TypeError), made_apart(tmp_path) as work:  # noqa: PT012
        (work / "weights").write_text("half")
        (work / "other").write_text(1)  # type: ignore[arg-type]
    assert [f.name for f in tmp_path.iterdir()] == ["notes.md"]
    with made_apart(tmp_path) as work:
        (work / "weights").write_text("whole")
        (work / "weights").chmod(0o600)
    assert (tmp_path / "weights").stat().st_mode & 0o077
    assert sorted(f.name for f in tmp_path.iterdir()) == ["notes.md", "weights"]
