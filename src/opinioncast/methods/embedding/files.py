"""The folder of a trained embedding model: half-precision weights beside their settings.

The sentence model is not in it; its fingerprint is, and another one is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from opinioncast.documents import read_document
from opinioncast.errors import InputError, ModelError
from opinioncast.files import atomic_path, checksum
from opinioncast.methods.embedding.features import TextEncoder

WEIGHTS = "network.safetensors"
CONFIG = "network.json"
FORMAT = 1
_SEAL = "settings_sha256"
"""Of everything else in the settings; earlier files have none."""
_KINDS: Mapping[str, Any] = {
    "kind": str,
    "weights_sha256": str,
    "sentence_model": Mapping,
    "temperature": int | float,
    "seen": list,
    "record": Mapping,
}


def write_model(
    folder: str | Path,
    kind: str,
    tensors: Mapping[str, npt.NDArray[Any]],
    config: Mapping[str, Any],
    encoder: TextEncoder,
) -> list[Path]:
    """Write weights and settings, each atomically; the settings come last and hold the hash.

    Raises:
        StorageError: the folder cannot be written.
    """
    from safetensors.numpy import save_file

    folder = Path(folder)
    half = {
        name: np.ascontiguousarray(v.astype(np.float16) if v.dtype.kind == "f" else v)
        for name, v in tensors.items()
    }
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(half, temporary)
    whole = {
        "format": FORMAT,
        "kind": kind,
        "weights_sha256": checksum(folder / WEIGHTS),
        "sentence_model": {"name": encoder.name, "fingerprint": encoder.fingerprint},
        **config,
    }
    whole[_SEAL] = _seal(whole)
    with atomic_path(folder / CONFIG) as temporary:
        temporary.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return [folder / WEIGHTS, folder / CONFIG]


def read_kind(folder: str | Path) -> str:
    """What kind of model a folder holds.

    Raises:
        ModelError: it holds none.
    """
    return str(_read_config(Path(folder))["kind"])


def read_model(
    folder: str | Path, kind: str, encoder: TextEncoder
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Weights (single precision) and settings.

    Raises:
        ModelError: files absent or damaged, another kind, weights that do not belong to the
            settings, or a model trained on another sentence model than ``encoder``.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = Path(folder)
    config = _read_config(folder)
    if config["kind"] != kind:
        raise ModelError(
            "The folder holds another kind of model",
            where=str(folder),
            expected=kind,
            found=config["kind"],
        )
    trained_on = config["sentence_model"]
    if trained_on["fingerprint"] != encoder.fingerprint:
        raise ModelError(
            "The model was trained on another sentence model",
            where=str(folder),
            expected=f"{trained_on['name']}, {trained_on['fingerprint'][:16]}",
            found=f"{encoder.name}, {encoder.fingerprint[:16]}",
            hint="load that sentence model, or train on this one",
        )
    try:
        found = checksum(folder / WEIGHTS)
        if found != config["weights_sha256"]:
            raise ModelError(
                "The weights do not belong to the settings beside them",
                where=str(folder / WEIGHTS),
                expected=f"sha256 {config['weights_sha256']}",
                found=found,
                hint="copy the whole folder again",
            )
        tensors = load_file(folder / WEIGHTS)
        for name, values in tensors.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ValueError(f"{name} has numbers that are none (NaN or infinite)")
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(
            "The weights cannot be loaded",
            where=str(folder / WEIGHTS),
            expected="a safetensors file",
            found=error,
        ) from error
    return {
        name: v.astype(np.float32) if v.dtype == np.float16 else v for name, v in tensors.items()
    }, config


@contextmanager
def fitting_weights(folder: str | Path) -> Iterator[None]:
    """Building a model of what :func:`read_model` gave.

    Raises:
        ModelError: the weights are those of another model.
    """
    try:
        yield
    except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            "The weights do not fit the settings beside them",
            where=str(folder),
            expected="the weights of this model",
            found=error,
        ) from error


def _seal(config: Mapping[str, Any]) -> str:
    told = {k: v for k, v in config.items() if k != _SEAL}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = read_document(folder / CONFIG, "The settings of an embedding model")
        if config["format"] != FORMAT:
            raise ValueError(f"format {config['format']}")
        for key, kind in _KINDS.items():
            if not isinstance(config[key], kind) or isinstance(config[key], bool):
                raise TypeError(f"{key} is {config[key]!r}")
        if not 0 < config["temperature"] < math.inf:
            raise ValueError(f"temperature {config['temperature']}")
        for key in ("name", "fingerprint"):
            if not isinstance(config["sentence_model"][key], str):
                raise TypeError(f"sentence_model.{key}")
        if config.get(_SEAL, "") not in ("", _seal(config)):
            raise ValueError("changed after it was written")
    except (InputError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            "An embedding model cannot be read",
            where=str(folder / CONFIG),
            expected=f"the settings `opinioncast train-network` writes (format {FORMAT})",
            found=error,
        ) from error
    return dict(config)
