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

NAME = "manifest.json"
_PACKAGES = ("opinioncast", "numpy", "polars", "torch", "transformers", "peft", "httpx", "vllm")


def write_manifest(folder: Path, record: Mapping[str, Any], files: Sequence[Path]) -> Path:
    """Write ``manifest.json`` into ``folder``: ``record``, versions, and each file's SHA-256.

    It is written last: a folder without one holds an unfinished run.
    """
    manifest = {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | _versions(),
        **record,
        "files": {file.name: checksum(file) for file in files},
    }
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
