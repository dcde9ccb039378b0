"""The manifest: versions, hashes of what was written, and last of all."""

from __future__ import annotations

import hashlib
import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from opinioncast.jobs.manifest import NAME, write_manifest


def test_it_names_versions_and_the_hash_of_every_file(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(b"a,b\n1,2\n")
    path = write_manifest(tmp_path, {"method": "zero-shot", "folder": Path("x")}, [table])
    assert path == tmp_path / NAME
    manifest = json.loads(path.read_text("utf-8"))
    assert manifest["method"] == "zero-shot"
    assert manifest["folder"] == "x"  # what JSON has no form for is written as text
    assert manifest["versions"]["python"] == platform.python_version()
    assert manifest["versions"]["polars"] == version("polars")
    assert manifest["files"] == {"table.csv": hashlib.sha256(b"a,b\n1,2\n").hexdigest()}
    age = datetime.now(UTC) - datetime.fromisoformat(manifest["written"])
    assert 0 <= age.total_seconds() < 600


def test_a_file_that_was_not_written_leaves_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_manifest(tmp_path, {}, [tmp_path / "absent.csv"])
    assert not list(tmp_path.iterdir())
