"""The manifest of a run: what was run, with what, for how long, and what it wrote."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from opinioncast.documents import read_document
from opinioncast.files import atomic_path, checksum
from opinioncast.json_text import json_text
from opinioncast.output_folder import MANIFEST as NAME
from opinioncast.output_folder import OF_FOLDER, held, output_folder

__all__ = ["NAME", "copy_finished", "write_manifest"]

_PACKAGES = (
    "opinioncast",
    "numpy",
    "polars",
    "torch",
    "transformers",
    "peft",
    "httpx",
    "vllm",
    "ray",
)


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
        temporary.write_text(json_text(manifest, indent=2), "utf-8")
    return path


def copy_finished(source: Path, target: Path, command: str) -> None:
    """Copy a finished run's files to ``target``, one whole file after the other, manifest last.

    Raises:
        InputError: ``source`` has no manifest, or ``target`` is no folder.
        StorageError: ``target`` cannot be written.
    """
    manifest = dict(read_document(source / NAME, "A manifest"))
    with output_folder(target, command) as owner:
        for name in manifest.pop("files"):
            with atomic_path(target / name) as temporary:
                shutil.copyfile(source / name, temporary)
        for of_source in OF_FOLDER:
            manifest.pop(of_source, None)
        owner.finish(manifest)


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # the base runs without PyTorch
    return found
