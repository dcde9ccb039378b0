"""Opening the models of Modular Pluralism: adapters share one base, anything else is a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from opinioncast.backends.protocol import Backend, Generator, can_write
from opinioncast.errors import ModelError
from opinioncast.jobs.parts import Part, base_name


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
        names: as :meth:`opinioncast.jobs.parts.Part.read` takes them: adapter folders, which go
            onto the base model their configuration names, one copy of it for all of them; or
            models by folder or name. Each may say where it runs.
        named: opens anything but an adapter in this process. local: opens such an adapter's base;
            asked again for the same model it must give the same one.

    Raises:
        InputError, ModelError: a folder or model that cannot be opened.
    """
    return [
        _on_base(Path(part.model), local)
        if part.is_adapter and part.kind != "vllm"
        else writer(named(name))
        for name, part in zip(names, map(Part.read, names), strict=True)
    ]


def _on_base(folder: Path, local: Callable[[str], Backend]) -> Generator:
    from opinioncast.backends.torch_backend import TorchBackend
    from opinioncast.backends.torch_model import with_adapter

    base = local(base_name(folder))
    if not isinstance(base, TorchBackend):
        raise ModelError(
            "An adapter's base model must run in this process",
            where=str(folder),
            expected="the PyTorch backend",
            found=base.name,
        )
    # a module only writes: whether its prompts could share prefixes need not be probed
    return TorchBackend(with_adapter(base.loaded, folder), shared_prefix=False)
