"""What a run has open: language models, a sentence model, tables, the cache; each once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from opinioncast.backends.declaration import Opening, backend_kind, close, kind_of, usage_record
from opinioncast.backends.protocol import Backend, Generator, writer
from opinioncast.backends.reference import ModelReference, base_name
from opinioncast.backends.sentences import SentenceModel
from opinioncast.errors import ModelError
from opinioncast.methods.row_cache import RowCache
from opinioncast.models import adapter_folder
from opinioncast.predictor.settings import PredictSettings
from opinioncast.predictor.trained import Training
from opinioncast.prompts import Prompting
from opinioncast.prompts.prompting import over
from opinioncast.survey import OpinionTable


class Resources:
    """Opens what a method asks for and keeps it until :meth:`close`.

    Args:
        settings: of the run.
        cache: finished rows; None: the user's cache, unless the settings want none.
        beside: of another predictor, whose models and tables serve here too; it closes them.
    """

    def __init__(
        self,
        settings: PredictSettings,
        *,
        cache: RowCache | None = None,
        beside: Resources | None = None,
    ) -> None:
        self._settings = settings
        self._given_cache = cache
        self._own_cache: RowCache | None = None
        self._lent = beside is not None
        self._models: dict[tuple[str, str, str | None], Backend]
        self._sentences: dict[str | None, SentenceModel]
        self._tables: dict[Path, OpinionTable]
        if beside is None:
            self._models, self._sentences, self._tables = {}, {}, {}
        else:
            self._models = beside._models
            self._sentences = beside._sentences
            self._tables = beside._tables
        self._modules: dict[str, Generator] = {}
        self._training: Training | None = None

    def close(self) -> None:
        """Close connections, journals and the cache; what comes next is opened anew."""
        self._modules.clear()
        if not self._lent:
            close(list(self._models.values()))
            self._models.clear()
        if self._own_cache is not None:
            self._own_cache.close()
            self._own_cache = None

    @property
    def usage(self) -> dict[str, Any]:
        """What the open models did, and how much of what was kept between runs was damaged and made
        anew (rows, sentence vectors, answers of services), for a manifest."""
        told = usage_record(list(self._models.values()))
        cache = self._own_cache if self._given_cache is None else self._given_cache
        dropped = 0 if cache is None else cache.dropped
        dropped += sum(m.dropped for m in self._sentences.values())
        services = told.get("backend_usage", {}).values()
        dropped += sum(usage.get("kept_answers_dropped", 0) for usage in services)
        return told | {"cache_dropped": dropped}

    @property
    def adapter(self) -> str | None:
        """Folder of the adapter on the language model."""
        return adapter_folder(self._settings.adapter)

    @property
    def training(self) -> Training:
        """What the adapter, or without one the model's folder, says of its training; read once."""
        if self._training is None:
            model = self._settings.model
            folder = self.adapter or (None if model is None else model.model)
            self._training = Training.read(folder)
        return self._training

    @property
    def prompting(self) -> Prompting:
        """What was asked for; what was not, as the adapter or model was trained."""
        return over(self._settings.of_method, self.training.prompting)

    @property
    def trained_questions(self) -> str:
        """Digests of the questions that the adapter was trained on; empty where it keeps none."""
        return self.training.asked

    @property
    def as_trained(self) -> bool:
        """Whether the adapter says what it was trained to answer with, and is asked for that."""
        trained = self.training.prompting
        return trained is not None and trained.answers is self.prompting.answers

    @property
    def untrained(self) -> list[str]:
        """Where prompts, or the name of the model, differ from those the adapter was trained on."""
        trained, model = self.training.prompting, self._settings.model
        if trained is None or model is None:
            return []
        found = []
        base = self.training.model if self.adapter is not None else None
        if base is not None and base != model.model:
            found.append(f"model: {model.model}; the adapter was trained on {base}")
        method = self._settings.kind
        if "layout" not in method.options:
            other = f"prompts of {method.name}; the adapter was trained with those of zero-shot"
            return [*found, other]
        return found + [
            f"{name}: {asked}; the adapter was trained with {was}"
            for name, (asked, was) in self.prompting.differences(trained).items()
        ]

    @property
    def cache(self) -> RowCache | None:
        """Finished rows."""
        if self._given_cache is not None or not self._settings.use_cache:
            return self._given_cache
        if self._own_cache is None:
            self._own_cache = RowCache()
        return self._own_cache

    def language_model(self) -> Backend:
        """The model that answers, with its adapter if it has one."""
        assert self._settings.model is not None, "asked for by methods that have one only"
        return self._opened(self._settings.model, self.adapter)

    def named(self, name: str) -> Backend:
        """Another model, as named to ``--modules`` or ``--chooser``.

        Raises:
            InputError, ModelError: it cannot be opened.
        """
        reference = ModelReference.read(name, "--modules or --chooser")
        kind = self._kind(reference)
        if reference.is_adapter:
            folder = reference.model
            return self._opened(ModelReference(base_name(folder), kind), folder)
        return self._opened(reference, None)

    def module(self, name: str) -> Generator:
        """A model that writes: an adapter in this process goes onto its base, one copy of it for
        all; anything else is opened as it is named.

        Raises:
            InputError, ModelError: it cannot be opened, or it cannot write.
        """
        reference = ModelReference.read(name, "--modules or --chooser")
        named = None if reference.kind is None else backend_kind(reference.kind)
        if not reference.is_adapter or (named is not None and named.serves_adapters):
            return writer(self.named(name))
        if name not in self._modules:
            self._modules[name] = self._on_base(Path(reference.model))
        return self._modules[name]

    def _on_base(self, folder: Path) -> Generator:
        from opinioncast.backends.torch_backend import TorchBackend
        from opinioncast.backends.torch_model import with_adapter

        base = self._opened(ModelReference(base_name(folder), "torch"), None)
        if not isinstance(base, TorchBackend):
            raise ModelError(
                "An adapter's base model must run in this process",
                where=str(folder),
                expected="the PyTorch backend",
                found=base.name,
            )
        # a module only writes: whether its prompts could share prefixes need not be probed
        return TorchBackend(with_adapter(base.loaded, folder), shared_prefix=False)

    def sentence_model(self, name: str | None) -> SentenceModel:
        """A sentence model; None: the embedded one."""
        if name not in self._sentences:
            self._sentences[name] = SentenceModel.load(name)
        return self._sentences[name]

    def table(self, path: Path) -> OpinionTable:
        """An opinion table; read, and its hash checked, once."""
        if path not in self._tables:
            self._tables[path] = OpinionTable.read(path)
        return self._tables[path]

    def _kind(self, reference: ModelReference) -> str:
        return reference.runs_on(kind_of(self._settings.backend).name)

    def _opened(self, reference: ModelReference, adapter: str | None) -> Backend:
        kind = self._kind(reference)
        settings = self._settings.of_backend(kind)
        if reference.base_url is not None:
            settings = replace(settings, base_url=reference.base_url)
        if hasattr(settings, "adapter"):
            settings = replace(settings, adapter=adapter)
        key = (kind, f"{reference.model}@{getattr(settings, 'base_url', '')}", adapter)
        if key not in self._models:
            opening = Opening(
                reference.model,
                settings,
                adapters=self._adapters_on(kind, reference.model),
                chat=self.prompting.chat,
                use_cache=self._settings.use_cache,
                beside=list(self._models.values()),
            )
            self._models[key] = kind_of(settings).open(opening)
        return self._models[key]

    def _adapters_on(self, kind: str, model: str) -> tuple[str, ...]:
        """Every adapter that the run puts on one model of a backend: an engine makes room for all
        of them when it is opened."""
        found = set()
        own = self._settings.model
        if self.adapter and own and own.model == model and self._kind(own) == kind:
            found.add(self.adapter)
        for reference in self._settings.references.values():
            here = reference.is_adapter and self._kind(reference) == kind
            if here and base_name(reference.model) == model:
                found.add(reference.model)
        return tuple(sorted(found))
