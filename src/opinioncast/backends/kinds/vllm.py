"""The vLLM backend: batched inference in this process, on one or several GPUs."""

from __future__ import annotations

from dataclasses import replace

from opinioncast.backends.catalogue import folder_of, label_of
from opinioncast.backends.declaration import BackendKind, LanguageModel, Opening
from opinioncast.backends.vllm_settings import VllmSettings


def open_vllm(opening: Opening) -> LanguageModel:
    """Load a model with vLLM in this process, or on an engine that holds it already.

    Raises:
        ModelError: vLLM is not installed or cannot load the model or adapter.
    """
    from opinioncast.backends.vllm_backend import VllmBackend

    settings: VllmSettings = opening.settings
    wanted = replace(
        settings,
        model=folder_of(opening.model),
        other_adapters=tuple(dict.fromkeys((*settings.other_adapters, *opening.adapters))),
        name=label_of(opening.model) or settings.name,
    )
    engines = [b.engine for b in opening.beside if isinstance(b, VllmBackend)]
    engine = next((e for e in engines if e is not None and e.serves(wanted)), None)
    return VllmBackend(wanted, engine=engine)


BACKEND = BackendKind(
    name="vllm",
    help="vLLM in this process, on one or several GPUs.",
    settings=VllmSettings,
    open=open_vllm,
    order=30,
    serves_adapters=True,
)
