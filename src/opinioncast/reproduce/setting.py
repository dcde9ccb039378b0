"""The setting of a reproduction: what recipes' names of models, tables and trainings stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from opinioncast.backends.declaration import backend_kind, backend_kinds
from opinioncast.curate.recipe import CurationRecipe, File, load_curation, parse_curation
from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.finetune.recipe import FinetuneRecipe, load_finetune, parse_finetune
from opinioncast.prompts import Layout
from opinioncast.recipe_files import Strict, builtin_names, locate_recipe
from opinioncast.reproduce.changes import Change, changed
from opinioncast.reproduce.recipe import (
    ReproductionRecipe,
    TrainingRecipe,
    merged,
    parse,
)


class PromptSettings(Strict):
    """Layout of the prompts, and the option orders averaged in prediction."""

    layout: Layout
    orders: str


class ModelSetting(Strict):
    """A model.

    Attributes:
        label: what tables call it, as the paper does where it is the paper's.
        model: ``embedded``, ``embedded-chat``, a folder, or a name on the Hugging Face hub.
        chat: put prompts through its chat template.
        backend: where its predictions run: ``torch`` or ``vllm``.
        finetune: how it is trained: name of a fine-tuning recipe, or its fields.
        billions: of parameters, for estimates.
    """

    label: str
    model: str
    chat: bool = False
    backend: str = "torch"
    finetune: str | Mapping[str, Any]
    billions: float | None = Field(default=None, gt=0)


class MachineSetting(Strict):
    """What estimates of memory and hours are for.

    Attributes:
        name: of one processor.
        teraflops: operations that it does in a second, in work of this kind, / 10^12.
        memory_gb: that it has.
        accelerator: it is a GPU.
        source: where these come from.
    """

    name: str
    teraflops: float = Field(gt=0)
    memory_gb: float = Field(gt=0)
    accelerator: bool = True
    source: str


class CurationSetting(Strict):
    """A curation recipe, with other groups or other fields of its waves.

    Attributes:
        apart: name under which the recipe looks for a table to keep apart from -> key of the
            curation that makes it.
        overlap: fields of the recipe's ``overlap``: tables whose questions are taken out.
    """

    recipe: str
    groups: tuple[str, ...] | None = None
    wave: Mapping[str, Any] = Field(default_factory=dict)
    apart: Mapping[str, str] = Field(default_factory=dict)
    overlap: Mapping[str, Any] | None = None


class TableSetting(Strict):
    """An opinion table: curated ones put together, or a file in SubPOP's layout.

    Attributes:
        curated: keys of curations; ``part``: of their split.
        file, where: the file, and the rows wanted by column and value.
        only: file with the questions wanted: a key per line, or a table in SubPOP's layout.
        bounds: the human lower bound can be computed (there are respondents).
        questions, cells: about how many, for the plan.
    """

    title: str
    curated: tuple[str, ...] = ()
    part: str | None = None
    file: File | None = None
    where: Mapping[str, bool | str] = Field(default_factory=dict)
    only: File | None = None
    bounds: bool = False
    questions: int = Field(ge=1)
    cells: int = Field(ge=1)

    @model_validator(mode="after")
    def _one(self) -> TableSetting:
        if bool(self.curated) == (self.file is not None):
            raise ValueError("either curated or file")
        return self


class Setting(Strict):
    """Everything recipes refer to by name.

    Attributes:
        seen: groups of the training data, bold in heatmaps.
        machine: that the plan's estimates are for.
        get: file -> how to get it; a file is found by its whole name, then by how it begins.
        notes: how the setting differs from the paper.
    """

    name: str
    title: str
    prompt: PromptSettings
    seen: tuple[str, ...]
    models: Mapping[str, ModelSetting]
    curations: Mapping[str, CurationSetting]
    tables: Mapping[str, TableSetting]
    trainings: Mapping[str, TrainingRecipe]
    machine: MachineSetting | None = None
    get: Mapping[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def on_backend(self, backend: str) -> Setting:
        """The setting with every model's predictions on ``backend``.

        Raises:
            InputError: no such backend, or one that takes no folder and no adapter.
        """
        kind = backend_kind(backend)
        if "adapter" not in kind.options:
            able = [k.name for k in backend_kinds() if "adapter" in k.options]
            raise InputError(
                "Predictions of a reproduction cannot run there",
                where="--backend",
                expected=" or ".join(able),
                found=backend,
            )
        models = {k: m.model_copy(update={"backend": backend}) for k, m in self.models.items()}
        return self.model_copy(update={"models": models})

    def how_to_get(self, name: str) -> str:
        """Where a missing file comes from."""
        if name in self.get:
            return self.get[name]
        for start, text in self.get.items():
            if name.startswith(start):
                return text
        return "see docs/curation.md, The datasets"

    def check(self, recipe: ReproductionRecipe) -> None:
        """Raise InputError where ``recipe`` names what the setting does not have."""
        trainings = {**self.trainings, **recipe.trainings}
        rows = recipe.rows()
        named = [
            ("models", [*recipe.models, *(m.model for m in rows if m.model)], self.models),
            (
                "tables",
                [
                    *recipe.tables,
                    *(m.train for m in rows if m.train),
                    *(t.table for t in trainings.values()),
                    *(t.validation for t in trainings.values() if t.validation),
                ],
                self.tables,
            ),
            (
                "trainings",
                [*(m.training for m in rows if m.training), *recipe.curves.values()],
                trainings,
            ),
            (
                "curations",
                [c for t in self.tables.values() for c in t.curated],
                self.curations,
            ),
        ]
        for what, names, known in named:
            unknown = sorted(set(names) - set(known))
            if unknown:
                raise InputError(
                    f"A recipe names {what} that the setting does not have",
                    where=f"{recipe.name}, setting {self.name}",
                    expected=f"among {', '.join(known)}",
                    found=", ".join(unknown),
                )

    def curation(self, key: str) -> tuple[CurationRecipe, Path]:
        """A curation recipe with the setting's changes, and the folder it stands in."""
        wanted = self.curations[key]
        recipe, beside = load_curation(wanted.recipe)
        if wanted.groups is None and not wanted.wave and wanted.overlap is None:
            return recipe, beside
        raw = recipe.model_dump(mode="json")
        if wanted.groups is not None:
            raw["groups"] = list(wanted.groups)
        raw["waves"] = [wave | dict(wanted.wave) for wave in raw["waves"]]
        if wanted.overlap is not None:
            raw["overlap"] = {**(raw.get("overlap") or {}), **wanted.overlap}
        return parse_curation(raw, f"{wanted.recipe} as {key}"), beside

    def finetune(
        self, model: str, training: TrainingRecipe, given: Mapping[str, Any]
    ) -> FinetuneRecipe:
        """The fine-tuning recipe of a model on a training's tables.

        Args:
            given: fields that come last: the tables' files, and what the command asked for.

        Raises:
            InputError: fields that do not fit.
        """
        chosen = self.models[model]
        if isinstance(chosen.finetune, str):
            base: Mapping[str, Any] = load_finetune(chosen.finetune)[0].model_dump(mode="json")
        else:
            base = chosen.finetune
        raw = merged(base, {"model": chosen.model, "chat": chosen.chat})
        raw = merged(raw, training.changes)
        return parse_finetune(merged(raw, given), f"training of {chosen.label}")


def builtin_settings() -> list[str]:
    """Names of the settings that come with the package."""
    return builtin_names("settings")


def load_setting(name_or_path: str | Path, changes: Sequence[Change] = ()) -> Setting:
    """Read a setting that comes with the package, or a user's own YAML file.

    Args:
        changes: made to it last.

    Raises:
        InputError: no such setting, invalid YAML, or a field that is unknown, missing or wrong.
    """
    path = locate_recipe(name_or_path, "settings", builtin_settings(), "setting")
    raw = changed(read_document(path, "A setting"), changes, str(name_or_path))
    return parse(Setting, raw, str(name_or_path))
