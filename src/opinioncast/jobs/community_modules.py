"""Opening the models of Modular Pluralism: adapters share one base, anything else is a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from opinioncast.backends.protocol import Backend, Generator, can_write
from opinioncast.errors import ModelError

ADAPTER_CONFIG = "adapter_config.json"


def writer(backend: Backend) -> Generator:
    """``backend`` as a model that writes text.

    Raises:
        ModelError: it only scores labels.
    """
    if not can_write(backend):
        raise ModelError(
            "The model cannot write text",
            where=backend.name,
            expected="a backend that generates",
            hint="take --method zero-shot, or another --backend",
        )
    return backend


def open_modules(
    names: Sequence[str],
    named: Callable[[str], Backend],
    local: Callable[[str], Backend],
) -> list[Generator]:
    """A generator for each of ``names``, in their order.

    Args:
        names: adapter folders, which go onto the base model their configuration names, one copy of
            it for all of them; or models by folder or name.
        named: opens a model. local: opens an adapter's base in this process; asked again for the
            same model it must give the same one.

    Raises:
        ModelError: a folder or model that cannot be opened.
    """
    return [
        _on_base(Path(name), local)
        if (Path(name) / ADAPTER_CONFIG).is_file()
        else writer(named(name))
        for name in names
    ]


def _on_base(folder: Path, local: Callable[[str], Backend]) -> Generator:
    from opinioncast.backends.torch_backend import TorchBackend
    from opinioncast.backends.torch_model import with_adapter

    base = local(_base_name(folder))
    if not isinstance(base, TorchBackend):
        raise ModelError(
            "An adapter's base model must run in this process",
            where=str(folder),
            expected="the PyTorch backend",
            found=base.name,
        )
    # a module only writes: whether its prompts could share prefixes need not be probed
    return TorchBackend(with_adapter(base.loaded, folder), shared_prefix=False)


def _base_name(folder: Path) -> str:
    path = folder / ADAPTER_CONFIG
    try:
        name = json.loads(path.read_text("utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            "An adapter does not name its base model",
            where=str(path),
            expected="base_model_name_or_path: a folder, a hub name, or embedded",
            found=error,
        ) from error
    return str(name)
