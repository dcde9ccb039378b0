"""Trainings and predictions of a setting, each made once: steps in the store, scores in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.backends.catalogue import CATALOGUE, folder_of
from opinioncast.backends.reference import ModelReference
from opinioncast.curate.sources import find_file
from opinioncast.errors import IncompleteRunError
from opinioncast.evaluate.input_use import input_use
from opinioncast.evaluate.scaling import subsets
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.files import atomic_path
from opinioncast.finetune.trainer import Moment
from opinioncast.jobs.finetune import finetune_to_folder
from opinioncast.methods.declaration import method_kind
from opinioncast.methods.row_cache import RowCache
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.reproduce.models import adapter_identity, identity
from opinioncast.reproduce.prompting import prompted_otherwise, used_prompting
from opinioncast.reproduce.recipe import MethodRow, ReproductionRecipe, TrainingRecipe
from opinioncast.reproduce.setting import Setting
from opinioncast.reproduce.store import Store, file_hash
from opinioncast.reproduce.tables import Tables
from opinioncast.survey import Cells, GroupScheme, OpinionTable, PredictionTable, load_groups
from opinioncast.survey.tables import KEY

FINE_TUNED = "fine_tuned"
"""Key of the training that is the paper's own model; --adapter can stand in for it."""

_PREDICTIONS = "predictions.parquet"
_INPUT_USE = "input_use.parquet"
_TRAIN, _VALIDATION = "train.parquet", "validation.parquet"


@dataclass
class Workshop:
    """Makes what recipes need.

    Attributes:
        adapter: in place of the training FINE_TUNED of the recipes that need no other.
        epochs: passes of every training; None: the recipes'.
        compile: compile the layers in training.
        moment, rows: told how far a training, a prediction is.
        cache: file of finished rows; None: the user's.
    """

    setting: Setting
    store: Store
    tables: Tables
    adapter: Path | None = None
    epochs: int | None = None
    compile: bool = False
    moment: Callable[[Moment], None] | None = None
    rows: Callable[[int, int], None] | None = None
    cache: Path | None = None
    _scores: dict[tuple[str, str], CellScores] = field(default_factory=dict)
    _open: tuple[tuple[str, str | None], Predictor] | None = None

    def trained(self, recipe: ReproductionRecipe, model: str, training: str) -> Path:
        """The folder of an adapter: given by the user, or trained here."""
        if training == FINE_TUNED and self.adapter is not None and one_adapter(recipe):
            return self.adapter
        wanted = {**self.setting.trainings, **recipe.trainings}[training]
        return self._train(model, training, wanted) / "adapter"

    def training_record(self, recipe: ReproductionRecipe, model: str, training: str) -> Path:
        """Folder with ``curve.csv`` and ``manifest.json`` of a training; never the user's."""
        wanted = {**self.setting.trainings, **recipe.trainings}[training]
        return self._train(model, training, wanted) / "adapter"

    def training_table(self, training: TrainingRecipe) -> OpinionTable:
        """The table of a training, cut to its subset of questions."""
        table = self.tables.table(training.table)
        if training.subset < 1:
            table = subsets(table, [training.subset], seed=self.tables.seed)[training.subset]
        return table

    def _train(self, model: str, name: str, training: TrainingRecipe) -> Path:
        table = self.training_table(training)
        held = None if training.validation is None else self.tables.table(training.validation)
        given: dict[str, Any] = {"name": f"{model}-{name}", "table": _TRAIN}
        if held is not None:
            given["validation"] = _VALIDATION
        if self.epochs is not None:
            given["optimizer"] = {"epochs": self.epochs}
        if self.compile:
            given["compile"] = True
        recipe = self.setting.finetune(model, training, given)
        groups = _present(table, recipe.groups)
        chosen = self.setting.models[model].model
        shape = {
            "recipe": recipe.model_dump(mode="json"),
            "groups": groups,
            "table": table.content_hash,
            "validation": None if held is None else held.content_hash,
            "model": identity(chosen),
        }

        def make(folder: Path) -> None:
            if recipe.groups is not None and groups != recipe.groups:
                absent = len(load_groups(*recipe.groups)) - len(groups or ())
                self.store.say(f"  the table has no rows of {absent} of the groups to train on")
            table.write(folder / _TRAIN)
            if held is not None:
                held.write(folder / _VALIDATION)
            # an embedded model's name stays: it is what the adapter's card and licence go by
            where = chosen if chosen in CATALOGUE else folder_of(chosen)
            wanted = recipe.model_copy(update={"model": where, "groups": groups})
            finetune_to_folder(wanted, folder, beside=folder, progress=self.moment)

        return self.store.step("train", f"{model}-{name}", shape, make)

    def predicted(
        self, recipe: ReproductionRecipe, table: str, row: MethodRow, model: str
    ) -> PredictionTable:
        """Predictions of every cell of a table, as a step.

        Raises:
            IncompleteRunError: a cell has none.
        """
        observed = self.tables.table(table)
        chosen = row.model or model
        named = self.setting.models[chosen]
        adapter = None
        if row.training is not None:
            adapter = self.trained(recipe, chosen, row.training)
        train = None if row.train is None else self.tables.table(row.train)
        language = method_kind(str(row.method)).language_model
        shape = {
            "table": observed.content_hash,
            "method": row.method,
            "format": str(row.format),
            "answers": str(row.answers),
            "prompt": self.setting.prompt.model_dump(mode="json") if language else None,
            "chat": named.chat if language else None,
            "model": identity(named.model) if language else None,
            "adapter": None if adapter is None else adapter_identity(adapter),
            "train": None if train is None else train.content_hash,
            "modules": {path.name: file_hash(path) for path in self._modules(row)},
        }
        if otherwise := prompted_otherwise(self.setting, row, chosen, adapter):
            shape["prompted"] = otherwise
        if language and named.backend != "torch":  # another engine, other last digits
            shape["backend"] = named.backend

        def make(folder: Path) -> None:
            examples = None if train is None else train.write(folder / _TRAIN)
            with RowCache(self.cache) as cache:
                predictor = self._predictor(row, chosen, adapter, examples, cache)
                prediction = predictor.predict(Cells.of_table(observed), progress=self.rows)
            missing = [p for p in prediction.problems if p.missing]
            if missing:
                raise IncompleteRunError(
                    f"{len(missing)} of {len(observed)} rows are missing",
                    where=f"{row.name} on {table}: " + "; ".join(map(str, missing[:3])),
                    expected="a prediction of every cell",
                    hint="the finished rows are kept; another model or format may answer",
                )
            prediction.table.write(folder / _PREDICTIONS)

        label = f"{table}-{chosen}-{row.key}"
        return PredictionTable.read(self.store.step("predict", label, shape, make) / _PREDICTIONS)

    def scores(
        self, recipe: ReproductionRecipe, table: str, row: MethodRow, model: str
    ) -> CellScores:
        """Predictions scored, over the recipe's groups of the table."""
        predictions = self.predicted(recipe, table, row, model)
        narrowed = self.observed(recipe, table)
        key = (narrowed.content_hash, predictions.content_hash)
        if key not in self._scores:
            cells = predictions.frame.join(
                narrowed.frame.select(KEY), on=list(KEY), how="semi", maintain_order="left"
            )
            self._scores[key] = score_cells(narrowed, PredictionTable(cells, predictions.meta))
        return self._scores[key]

    def observed(self, recipe: ReproductionRecipe, table: str) -> OpinionTable:
        """The table, narrowed to the recipe's groups and attributes."""
        observed = self.tables.table(table)
        frame = observed.frame
        if recipe.groups is not None:
            keys = pl.DataFrame(
                [g.key for g in load_groups(*recipe.groups)],
                schema={"attribute": pl.String, "group": pl.String},
                orient="row",
            )
            frame = frame.join(keys, on=keys.columns, how="semi", maintain_order="left")
        if recipe.attributes is not None:
            frame = frame.filter(pl.col("attribute").is_in(list(recipe.attributes)))
        return OpinionTable(frame, dict(observed.meta))

    def input_use(
        self, recipe: ReproductionRecipe, table: str, row: MethodRow, model: str
    ) -> pl.DataFrame:
        """What :func:`opinioncast.evaluate.input_use.input_use` finds of a method, as a step."""
        observed = self.observed(recipe, table)
        chosen = row.model or model
        adapter = None
        if row.training is not None:
            adapter = self.trained(recipe, chosen, row.training)
        shape = {
            "table": observed.content_hash,
            "row": row.model_dump(mode="json", exclude={"name"}),
            "prompt": self.setting.prompt.model_dump(mode="json"),
            "model": identity(self.setting.models[chosen].model),
            "adapter": None if adapter is None else adapter_identity(adapter),
            # the step holds intervals: those of an earlier way to draw must not be taken for these
            "drawn": "questions, with all their waves",
        }
        if otherwise := prompted_otherwise(self.setting, row, chosen, adapter):
            shape["prompted"] = otherwise
        if self.setting.models[chosen].backend != "torch":
            shape["backend"] = self.setting.models[chosen].backend
        scheme = GroupScheme.of_standard(observed.subpopulations(), "the table scored")

        def make(folder: Path) -> None:
            with RowCache(self.cache) as cache:
                predictor = self._predictor(row, chosen, adapter, None, cache)
                frame = input_use(
                    observed,
                    lambda questions, groups: (
                        predictor.predict(
                            questions, scheme.with_subpopulations(groups), progress=self.rows
                        ).table
                    ),
                )
            with atomic_path(folder / _INPUT_USE) as temporary:
                frame.write_parquet(temporary)

        label = "-".join(filter(None, [table, chosen, row.training]))
        return pl.read_parquet(self.store.step("input_use", label, shape, make) / _INPUT_USE)

    def _predictor(
        self,
        row: MethodRow,
        model: str,
        adapter: Path | None,
        train: Path | None,
        cache: RowCache | None,
    ) -> Predictor:
        """The method of a row; the models opened last serve again, no others: models are large."""
        assert row.method is not None  # bounds are not predicted
        kind = method_kind(row.method)
        named = self.setting.models[model]
        put = used_prompting(self.setting, row, model, adapter)
        wanted = {
            "layout": put.layout,
            "format": put.format,
            "answers": put.answers,
            "refusal": put.refusal,
            "chat": put.chat,
            "orders": put.orders,
            "train": train,
            "modules": tuple(str(p) for p in self._modules(row)) or None,
        }
        options: dict[str, Any] = {n: v for n, v in wanted.items() if n in kind.options}
        if kind.language_model:
            options |= {
                "model": ModelReference(named.model, named.backend),
                "adapter": None if adapter is None else str(adapter),
            }
        settings = PredictSettings(method=row.method, **options)
        key = (named.model, None if adapter is None else adapter_identity(adapter))
        if self._open is not None and self._open[0] != key:
            self._open[1].close()
            self._open = None
        if self._open is None:
            self._open = (key, Predictor(settings, cache=cache))
        return Predictor(settings, cache=cache, beside=self._open[1])

    def _modules(self, row: MethodRow) -> list[Path]:
        """Folders of a row's community modules; the plan has seen to it that they are there."""
        found = [find_file(name, self.tables.data) for name in row.modules]
        return [path for path in found if path is not None]


def one_adapter(recipe: ReproductionRecipe) -> bool:
    """Whether a recipe needs one adapter only, that of FINE_TUNED on its one model.

    Only then can an adapter from elsewhere stand in: beside others trained here it would differ
    from them in more than the recipe compares, and it fits one base model.
    """
    trained = [r for r in recipe.rows() if r.training]
    named = {r.training for r in trained}
    own = not any(r.model for r in trained)
    return named == {FINE_TUNED} and own and len(recipe.models) == 1 and not recipe.curves


def _present(table: OpinionTable, wanted: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The wanted groups, without those that a small draw left without rows."""
    if wanted is None:
        return None
    present = set(table.subpopulations())
    groups = list(load_groups(*wanted))
    if present.issuperset(groups):
        return wanted
    return tuple(str(g) for g in groups if g in present)
