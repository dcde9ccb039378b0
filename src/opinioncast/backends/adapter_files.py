"""A PEFT adapter's two files, checked before anything is made of them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from opinioncast.documents import read_document
from opinioncast.errors import ModelError
from opinioncast.files import checksum
from opinioncast.output_records import is_ours, is_unfinished, loaded

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_MANIFEST = "manifest.json"
_TEXTS = ("base_model_name_or_path", "revision", "peft_type", "task_type")


def adapter_settings(adapter: Path) -> dict[str, Any]:
    """What an adapter's configuration says.

    Raises:
        ModelError: there is none, or it is not what PEFT writes.
    """
    path = adapter / ADAPTER_CONFIG
    found = read_document(path, "An adapter's configuration", error=ModelError)
    if not isinstance(found, dict):
        raise _unlike(path, "a JSON object", found)
    for key in _TEXTS:
        if not isinstance(found.get(key), str | None):
            raise _unlike(path, f"text or null as {key}", found[key])
    return dict(found)


def _unlike(path: Path, expected: str, found: object) -> ModelError:
    return ModelError(
        "An adapter's configuration cannot be read",
        where=str(path),
        expected=f"{expected}, as PEFT writes it",
        found=found,
    )


def check_adapter(adapter: Path) -> dict[str, Any]:
    """The settings of an adapter whose files are whole and belong together.

    Raises:
        ModelError: a file is missing or cannot be read; the run that was to write it did not end;
            it is not what its manifest says was written; a tensor that is no finite numbers.
    """
    if not all((adapter / name).is_file() for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS)):
        raise ModelError(
            "The adapter folder holds no PEFT adapter",
            where=str(adapter),
            expected=f"{ADAPTER_CONFIG} and {ADAPTER_WEIGHTS} (pickled weights are not loaded)",
            found=sorted(f.name for f in adapter.iterdir()) if adapter.is_dir() else "no folder",
        )
    if is_unfinished(adapter):
        raise ModelError(
            "The adapter is not whole",
            where=str(adapter),
            expected="the manifest of a run that ended",
            found="the notes of one that was killed, or is still writing",
            hint="run the training command again: it goes on where it stopped",
        )
    settings = adapter_settings(adapter)
    files = [adapter / ADAPTER_CONFIG, adapter / ADAPTER_WEIGHTS, adapter / _MANIFEST]
    try:
        marks = tuple((s.st_mtime_ns, s.st_size) for s in (f.stat() for f in files[:2]))
        _check(adapter, marks, files[2].stat().st_mtime_ns if files[2].is_file() else 0)
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise ModelError(
            "The adapter's weights cannot be read",
            where=str(adapter / ADAPTER_WEIGHTS),
            expected="a safetensors file, as PEFT writes it",
            found=error,
            hint="copy the whole folder again, or train it again",
        ) from error
    return settings


@lru_cache(maxsize=64)
def _check(adapter: Path, marks: Any, manifest: int) -> None:
    """Once for the files as they are now."""
    written = loaded(adapter / _MANIFEST)
    if is_ours(written):
        for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
            said = written["files"].get(name)
            if said is not None and said != checksum(adapter / name):
                raise ModelError(
                    "The adapter was changed after it was written",
                    where=str(adapter / name),
                    expected=f"sha256 {said}, as {_MANIFEST} has it",
                    found=checksum(adapter / name),
                    hint=f"copy the whole folder again; if you changed it on purpose, remove "
                    f"{_MANIFEST}",
                )
    with safe_open(adapter / ADAPTER_WEIGHTS, "pt") as file:
        names = list(file.keys())
        if not names:
            raise ValueError("no tensors")
        for name in names:
            tensor = file.get_tensor(name)
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
                raise ValueError(f"{name} has numbers that are none (NaN or infinite)")
