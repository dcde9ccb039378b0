"""Writing a file whole or not at all."""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from opinioncast.errors import StorageError
from opinioncast.files import atomic_path, cache_folder, checksum


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
