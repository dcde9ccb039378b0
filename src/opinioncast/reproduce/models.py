"""Models of a setting: where they are, what identifies them, and which are missing."""

from __future__ import annotations

import hashlib
from pathlib import Path

from opinioncast.backends.catalogue import CATALOGUE
from opinioncast.errors import ModelError
from opinioncast.reproduce.store import file_hash

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def identity(model: str) -> str:
    """What changes when the model's content does: a hash, or a hub name with its revision."""
    if model in CATALOGUE:
        return CATALOGUE[model].sha256
    folder = Path(model)
    if folder.is_dir():
        # all but its card: chat templates, vocabularies and older weights shape answers too
        files = sorted(f.relative_to(folder) for f in folder.rglob("*") if f.is_file())
        files = [f for f in files if f.suffix != ".md" and not any(p[0] == "." for p in f.parts)]
        text = "".join(f"{f.as_posix()} {file_hash(folder / f)}\n" for f in files)
        return hashlib.sha256(text.encode()).hexdigest()
    return f"{model} {_revision(model)}"


def adapter_identity(adapter: Path) -> str:
    """Hash of an adapter's weights and configuration.

    Raises:
        ModelError: the folder holds no PEFT adapter.
    """
    absent = [name for name in ADAPTER_FILES if not (adapter / name).is_file()]
    if absent:
        raise ModelError(
            "The adapter folder holds no PEFT adapter",
            where=str(adapter),
            expected=" and ".join(ADAPTER_FILES),
            found=f"no {' and no '.join(absent)}",
        )
    text = " ".join(file_hash(adapter / name) for name in ADAPTER_FILES)
    return hashlib.sha256(text.encode()).hexdigest()


def how_to_get(model: str) -> str | None:
    """How to get a model that is not on this machine; None where it is.

    Models of the hub must have been downloaded: nobody wants to learn after a day of training that
    the next model's licence was not accepted.
    """
    if model in CATALOGUE:
        return None if CATALOGUE[model].installed else CATALOGUE[model].how_to_get
    if Path(model).is_dir() or _revision(model):
        return None
    return f"accept its licence at huggingface.co/{model}, then: hf download {model}"


def _revision(model: str) -> str:
    """Revision of a hub model in the local cache; empty where it was not downloaded."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "config.json")
    except HFValidationError:  # a path that is not there, say
        return ""
    return Path(found).parent.name if isinstance(found, str) else ""
