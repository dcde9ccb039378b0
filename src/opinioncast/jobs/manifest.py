"""The manifest of a run: what was run, with what, for how long, and what it wrote."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from opinioncast.files import atomic_path, checksum
from opinioncast.output_folder import MANIFEST as NAME
from opinioncast.output_folder import held

__all__ = ["NAME", "write_manifest"]

_PACKAGES = ("opinioncast", "numpy", "polars", "torch", "transformers", "peft", "httpx", "vllm")


def write_manifest(folder: Path, record: Mapping[str, Any], files: Sequence[Path]) -> Path:
    """Write ``manifest.json`` into ``folder``: ``record``, versions, and each file's SHA-256.

    It is written last: a folder without one holds an unfinished run. Where a job holds the folder
    (:mod:`opinioncast.output_folder`), every file it wrote is listed.
    """
    manifest = {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | _versions(),
        **record,
    }
    owner = held(folder)
    if owner is not None:
        return owner.finish(manifest, files)
    manifest["files"] = {file.relative_to(folder).as_posix(): checksum(file) for file in files}
    path = folder / NAME
    with atomic_path(path) as temporary:
        temporary.write_text(
            json.dumps(manifest, indent=2, ensure_ascii=False, default=str) + "\n", "utf-8"
        )
    return path


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # the base runs without PyTorch
    return found
