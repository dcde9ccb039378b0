"""Adapters trained elsewhere, and which trainings they stand for.

    --adapter FOLDER                   the fine-tuned one, of recipes that need one adapter only
    --adapter MODEL=FOLDER             the fine-tuned one of a model of the setting
    --adapter MODEL:TRAINING=FOLDER    another training's

One model's may be given several times: with ``seeds: 3`` in a recipe, one for each seed, in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opinioncast.errors import InputError, ModelError
from opinioncast.models import SHIPPED, SHIPPED_ADAPTER, adapter_folder
from opinioncast.reproduce.models import adapter_identity
from opinioncast.reproduce.recipe import ReproductionRecipe

FINE_TUNED = "fine_tuned"
"""Key of the training that is the paper's own model; --adapter can stand in for it."""


@dataclass(frozen=True)
class GivenAdapters:
    """What was handed over.

    Attributes:
        single: for recipes that need one adapter only.
        named: (key of a model, of a training) -> a folder per seed.
    """

    single: Path | None = None
    named: Mapping[tuple[str, str], tuple[Path, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, texts: Sequence[str], models: Sequence[str]) -> GivenAdapters:
        """What a command line says.

        Args:
            models: keys of the setting's models.

        Raises:
            InputError: a model that the setting does not have, or two adapters without a model.
        """
        single: list[Path] = []
        named: dict[tuple[str, str], tuple[Path, ...]] = {}
        for text in texts:
            name, equals, folder = text.partition("=")
            model, _, training = name.partition(":")
            if equals and model in models and folder:
                key = model, training or FINE_TUNED
                named[key] = (*named.get(key, ()), _folder(folder))
            elif equals and not Path(text).exists():
                raise InputError(
                    "An adapter is for a model that the setting does not have",
                    where="--adapter",
                    expected=f"MODEL=FOLDER with one of {', '.join(models)}, or a folder",
                    found=text,
                )
            else:
                single.append(_folder(text))
        if len(single) > 1:
            raise InputError(
                "Several adapters are given without saying of which model each is",
                where="--adapter",
                expected=f"MODEL=FOLDER with one of {', '.join(models)}",
                found=", ".join(map(str, single)),
            )
        return cls(single[0] if single else None, named)

    def of(
        self, recipe: ReproductionRecipe, model: str, training: str, run: int = 0
    ) -> Path | None:
        """The folder that stands for a training's run; None where it is to be trained.

        Raises:
            InputError: adapters for some of the seeds only.
        """
        given = self.named.get((model, training), ())
        if not given and training == FINE_TUNED and self.single is not None and one_adapter(recipe):
            given = (self.single,)
        if not given:
            return None
        if len(given) < recipe.seeds:
            raise InputError(
                "There are fewer adapters than seeds",
                where=f"{recipe.name}, --adapter {model}:{training}",
                expected=f"one for each of the {recipe.seeds} seeds, or seeds: {len(given)}",
                found=len(given),
            )
        return given[run]

    def check(self) -> None:
        """Raise ModelError where a folder holds no PEFT adapter, InputError where two seeds of a
        training are one adapter: their scatter would be nothing."""
        for folder in self.folders():
            adapter_identity(folder)
        for (model, training), folders in self.named.items():
            seen: dict[str, Path] = {}
            for folder in folders:
                other = seen.setdefault(adapter_identity(folder), folder)
                if other is not folder:
                    raise InputError(
                        "One adapter is given for two seeds",
                        where=f"--adapter {model}:{training}",
                        expected="an adapter of each seed's own",
                        found=f"{other} and {folder} hold the same weights",
                    )

    def folders(self) -> list[Path]:
        """Every folder given."""
        listed = [path for paths in self.named.values() for path in paths]
        return [*([] if self.single is None else [self.single]), *listed]

    def used(self, recipe: ReproductionRecipe) -> dict[str, tuple[Path, ...]]:
        """What a recipe takes of them: "model" or "model:training" -> folders; the single one's
        name is empty."""
        found: dict[str, tuple[Path, ...]] = {}
        for model, training in trainings_of(recipe):
            given = self.named.get((model, training))
            if given:
                name = model if training == FINE_TUNED else f"{model}:{training}"
                found[name] = given[: recipe.seeds]
            elif self.of(recipe, model, training) is not None and self.single is not None:
                found[""] = (self.single,)
        return found


def trainings_of(recipe: ReproductionRecipe) -> list[tuple[str, str]]:
    """(Model, training) of every adapter that a recipe needs, each once."""
    wanted = [
        (row.model or model, row.training)
        for model in recipe.models
        for row in recipe.rows()
        if row.training
    ]
    wanted += [(model, training) for model in recipe.models for training in recipe.curves.values()]
    return list(dict.fromkeys(wanted))


def one_adapter(recipe: ReproductionRecipe) -> bool:
    """Whether a recipe needs one adapter only, that of FINE_TUNED on its one model.

    Only then can an adapter from elsewhere stand in without being named: beside others trained here
    it would differ from them in more than the recipe compares, and it fits one base model.
    """
    trained = [r for r in recipe.rows() if r.training]
    named = {r.training for r in trained}
    own = not any(r.model for r in trained)
    return named == {FINE_TUNED} and own and len(recipe.models) == 1 and not recipe.curves


def is_shipped(folder: Path) -> bool:
    """Whether an adapter is the one that ships, under whatever path."""
    return adapter_identity(folder) == adapter_identity(SHIPPED_ADAPTER)


def _folder(text: str) -> Path:
    found = Path(adapter_folder(text) or text) if text == SHIPPED else Path(text)
    if not found.is_dir():
        raise ModelError(
            "An adapter's folder is not there",
            where="--adapter",
            expected=f"the folder of an adapter, or {SHIPPED}",
            found=text,
        )
    return found
