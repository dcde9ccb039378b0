"""The Ray backend: PyTorch or vLLM on the workers of a cluster."""

from __future__ import annotations

from opinioncast.backends.catalogue import CATALOGUE, folder_of
from opinioncast.backends.declaration import BackendKind, LanguageModel, Opening
from opinioncast.backends.ray_settings import RaySettings
from opinioncast.errors import ModelError


def open_ray(opening: Opening) -> LanguageModel:
    """Connect to a cluster, or start one on this machine, whose workers load the model.

    Raises:
        ModelError: Ray or transformers is not installed, the cluster cannot be reached, or the
            model's tokenizer is not here.
    """
    from opinioncast.backends.ray_crew import Crew
    from opinioncast.backends.ray_worker import PlacedFile, WorkerTask

    try:
        from transformers import AutoTokenizer

        from opinioncast.backends.ray_backend import RayBackend
    except ImportError as error:
        raise ModelError(
            "The Ray backend needs the model's tokenizer",
            expected="the packages of the [ray] extra",
            found=error,
            hint="pip install 'opinioncast[ray]'",
        ) from error
    settings: RaySettings = opening.settings
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder_of(opening.model))
    except (OSError, ValueError) as error:
        raise ModelError(
            "The model's tokenizer cannot be loaded",
            where=opening.model,
            expected="a folder on storage that all machines share, or a name on the Hugging Face "
            "hub",
            found=error,
        ) from error
    adapter = None if settings.adapter is None else PlacedFile.of(settings.adapter)
    named = opening.model in CATALOGUE  # each machine prepares it from its package
    model = PlacedFile(opening.model, False) if named else PlacedFile.of(opening.model)
    adapters = {PlacedFile.of(a) for a in opening.adapters} | ({adapter} if adapter else set())
    room_for = tuple(sorted(adapters, key=lambda a: a.path))
    task = WorkerTask(settings.engine, model, settings.of_engine, room_for, opening.chat)
    crews = [b.crew for b in opening.beside if isinstance(b, RayBackend)]
    crew = next((c for c in crews if c is not None and c.task == task), None)
    return RayBackend(crew or Crew(settings, task), tokenizer, adapter)


BACKEND = BackendKind(
    name="ray",
    help="PyTorch or vLLM on the workers of a Ray cluster.",
    settings=RaySettings,
    open=open_ray,
    order=40,
    serves_adapters=True,
)
