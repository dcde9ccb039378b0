"""Whether two names are of the same weights: an adapter's base, and the model it is put on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from opinioncast.backends import embedded
from opinioncast.backends.adapter_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, adapter_settings
from opinioncast.documents import parse_json
from opinioncast.errors import ModelError
from opinioncast.files import end_of_path

_BASE, _BASE_WEIGHTS = "opinioncast_base", "opinioncast_base_weights"
"""In the header of an adapter's file that was trained here: its base, and what the weights are."""

_EMBEDDED = "embedded"
_ROWS, _SAMPLE = 8, 1_024
"""Rows and numbers of each tensor that are compared. Training and merging move them all."""


def weight_identity(model: str | Path, revision: str | None = None) -> str | None:
    """SHA-256 over names, shapes and a sample of every tensor of a model's files, rounded to
    bfloat16, so that copies in other precisions are the same model.

    Args:
        model: a folder, ``embedded``, or a name on the hub (looked for in its cache only).

    Returns:
        None where the files are not on this machine or cannot be read.
    """
    folder = _files_of(str(model), revision)
    digest = hashlib.sha256()
    names: dict[str, Path] = {}
    try:
        for file in sorted(folder.glob("*.safetensors")) if folder else ():
            with safe_open(file, "pt") as tensors:
                names |= {str(name): file for name in tensors.keys()}  # noqa: SIM118
        for name in sorted(names):
            with safe_open(names[name], "pt") as tensors:
                digest.update(name.encode())
                digest.update(_sample(tensors.get_slice(name)))
    except (OSError, SafetensorError):
        return None
    return digest.hexdigest() if names else None


def record_base(adapter: Path, base: str) -> None:
    """Write into the file of an adapter that is being made which weights it was trained on, where
    they are on this machine."""
    identity = weight_identity(base)
    file = adapter / ADAPTER_WEIGHTS
    if identity is None or not file.is_file():
        return
    said = {"format": "pt", _BASE: base, _BASE_WEIGHTS: identity}
    tensors = {k: v.clone() for k, v in load_file(file).items()}  # its own file is written over
    save_file(tensors, file, metadata=said)  # in a folder that is being made apart
    _order_notes(file)


def _order_notes(file: Path) -> None:
    """Sort what a file's header says besides its tensors: the library writes it in any order, and
    equal runs are to give equal files. The layout is safetensors' own: the header's length in eight
    bytes, the header as JSON, filled up with spaces to eight, then the tensors.
    """
    content = file.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = parse_json(content[8:end], where=file.name, what="A model file's header")
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    written = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 8)
    file.write_bytes(len(written).to_bytes(8, "little") + written + content[end:])


def check_base(adapter: Path, model: str) -> str:
    """How it is known that ``adapter`` was made for ``model``, for a manifest.

    Weights are compared where both are on this machine, or where the adapter's file records its
    base's; else names, by their last part.

    Raises:
        ModelError: it was made for another base, as far as can be told.
    """
    settings = adapter_settings(adapter)
    base, revision = settings.get("base_model_name_or_path"), settings.get("revision")
    recorded = _recorded(adapter)
    said = base or recorded.get(_BASE)
    if recorded.get(_BASE_WEIGHTS):
        mine = weight_identity(model)
        if mine is not None:
            return _same(mine == recorded[_BASE_WEIGHTS], said, adapter, model)
    if not base:
        return "the adapter names no base model: not compared"
    pinned = revision not in (None, "main")
    if not pinned and _one_folder(base, model):
        return f"{end_of_path(base)}: the same model"
    theirs = weight_identity(base, revision)
    if theirs is not None:
        mine = weight_identity(model)
        if mine is not None:
            return _same(mine == theirs, said, adapter, model)
    if not pinned and (base == model or _last_part(base) == _last_part(model)):
        return f"{end_of_path(base)}: the same name; weights not compared"
    if pinned:
        said = f"{said}, revision {revision}"
    return _same(False, said, adapter, model)


def _sample(stored: Any) -> bytes:
    """Some of a tensor's numbers, from rows all over it, and its shape; the rest is not read."""
    shape = tuple(stored.get_shape())
    if not shape:
        part = stored[:].reshape(1)
    else:
        rows = range(0, shape[0], max(1, shape[0] // _ROWS))
        part = torch.cat([stored[i : i + 1].flatten() for i in rows])
        part = part[:: max(1, len(part) // _SAMPLE)]
    if part.is_floating_point():
        part = part.to(torch.bfloat16)
    return str(shape).encode() + part.contiguous().view(torch.uint8).numpy().tobytes()


def _same(is_so: bool, base: str | None, adapter: Path, model: str) -> str:
    if not is_so:
        raise ModelError(
            "The adapter was made for another base model",
            where=str(adapter),
            expected=f"the base it names, {base}",
            found=f"{model} (not the same weights, or none to compare)",
            hint=f"give --model {base}; if this model is that one under another name, write its "
            f'name as "base_model_name_or_path" in {ADAPTER_CONFIG} (and as "revision": null)',
        )
    return f"{end_of_path(base or model)}: the same weights"


def _recorded(adapter: Path) -> Mapping[str, str]:
    with safe_open(adapter / ADAPTER_WEIGHTS, "pt") as file:
        return dict(file.metadata() or {})


def _files_of(model: str, revision: str | None) -> Path | None:
    if model == _EMBEDDED:
        return embedded.folder()
    if Path(model).is_dir():
        return Path(model)
    try:
        config = try_to_load_from_cache(model, "config.json", revision=revision)
    except ValueError:  # no name that a hub could have
        return None
    return Path(config).parent if isinstance(config, str) else None


def _one_folder(base: str, model: str) -> bool:
    one, other = _files_of(base, None), _files_of(model, None)
    return one is not None and other is not None and one.resolve() == other.resolve()


def _last_part(name: str) -> str:
    """Of a path or hub name; of a folder of the hub's cache, the name it was downloaded by."""
    for part in Path(name).parts:
        if part.startswith("models--"):
            return part.split("--")[-1].casefold()
    return Path(name).name.casefold()
