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
from opinioncast.errors import IncompleteRunError, InputError
from opinioncast.evaluate.input_use import input_use
from opinioncast.evaluate.repeats import mean_of_runs
from opinioncast.evaluate.scaling import subsets
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.files import atomic_path
from opinioncast.finetune.recipe import FinetuneRecipe
from opinioncast.finetune.trainer import Moment
from opinioncast.jobs.finetune import CURVE, finetune_to_folder
from opinioncast.methods.declaration import method_kind
from opinioncast.methods.row_cache import RowCache
from opinioncast.parquet_files import read_parquet
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.reproduce.given import GivenAdapters
from opinioncast.reproduce.models import adapter_identity
from opinioncast.reproduce.prompting import used_prompting
from opinioncast.reproduce.recipe import MethodRow, ReproductionRecipe, TrainingRecipe
from opinioncast.reproduce.setting import Setting
from opinioncast.reproduce.shapes import INPUT_USE, method_shape, training_shape
from opinioncast.reproduce.store import Store
from opinioncast.reproduce.tables import Tables, draw_questions
from opinioncast.survey import Cells, GroupScheme, OpinionTable, PredictionTable, load_groups
from opinioncast.survey.tables import KEY

_PREDICTIONS = "predictions.parquet"
_INPUT_USE = "input_use.parquet"
_TRAIN, _VALIDATION = "train.parquet", "validation.parquet"


Train = Callable[[FinetuneRecipe, Path, Callable[[Moment], None] | None], None]
"""Train a recipe whose tables lie in a folder, into that folder."""


def train_here(
    recipe: FinetuneRecipe, folder: Path, progress: Callable[[Moment], None] | None
) -> None:
    """:func:`opinioncast.jobs.finetune.finetune_to_folder` in this process alone."""
    finetune_to_folder(recipe, folder, beside=folder, progress=progress)


@dataclass(frozen=True)
class _Put:
    """How a row of a recipe is put to a table, and what a step made of it is known by."""

    model: str
    adapter: Path | None
    train: OpinionTable | None
    shape: dict[str, Any]


@dataclass
class Workshop:
    """Makes what recipes need.

    Attributes:
        given: adapters trained elsewhere.
        epochs: passes of every training; None: the recipes'.
        compile: compile the layers in training.
        train: how a training is run.
        moment, rows: told how far a training, a prediction is.
        cache: file of finished rows; None: the user's.
    """

    setting: Setting
    store: Store
    tables: Tables
    given: GivenAdapters = field(default_factory=GivenAdapters)
    epochs: int | None = None
    compile: bool = False
    train: Train = train_here
    moment: Callable[[Moment], None] | None = None
    rows: Callable[[int, int], None] | None = None
    cache: Path | None = None
    _scores: dict[tuple[str, str], CellScores] = field(default_factory=dict)
    _open: tuple[tuple[str, str | None], Predictor] | None = None

    def trained(self, recipe: ReproductionRecipe, model: str, training: str, run: int = 0) -> Path:
        """The folder of an adapter: given by the user, or trained here.

        Args:
            run: which of the recipe's seeds.
        """
        given = self.given.of(recipe, model, training, run)
        if given is not None:
            return given
        wanted = {**self.setting.trainings, **recipe.trainings}[training]
        return self._train(model, training, wanted, run) / "adapter"

    def curve(self, recipe: ReproductionRecipe, model: str, training: str) -> Path:
        """The loss curve of a training.

        Raises:
            InputError: an adapter from elsewhere that brings none.
        """
        path = self.trained(recipe, model, training) / CURVE
        if not path.is_file():
            raise InputError(
                "An adapter that was given has no loss curve",
                where=str(path.parent),
                expected=f"{CURVE}, as `opinioncast finetune` writes it",
                found="no such file",
                hint="leave it out, to have it trained here",
            )
        return path

    def training_table(self, training: TrainingRecipe, run: int = 0) -> OpinionTable:
        """The table of a training, cut to its subset of questions; another draw for each seed."""
        table = self.tables.table(training.table)
        if training.subset < 1:
            drawn = subsets(table, [training.subset], seed=self.tables.seed + run)
            table = drawn[training.subset]
        return table

    def _train(self, model: str, name: str, training: TrainingRecipe, run: int) -> Path:
        recipe, table, held = self.training(model, name, training, run)
        groups = _present(table, recipe.groups)
        chosen = self.setting.models[model].model
        shape = training_shape(recipe, groups, table, held, chosen)

        def make(folder: Path) -> None:
            if recipe.groups is not None and groups != recipe.groups:
                absent = len(load_groups(*recipe.groups)) - len(groups or ())
                self.store.say(f"  the table has no rows of {absent} of the groups to train on")
            self.train(write_training(recipe, groups, table, held, folder), folder, self.moment)

        return self.store.step("train", recipe.name, shape, make)

    def training(
        self, model: str, name: str, training: TrainingRecipe, run: int = 0
    ) -> tuple[FinetuneRecipe, OpinionTable, OpinionTable | None]:
        """The recipe of a training with its tables, as the run asks for it."""
        table = self.training_table(training, run)
        held = None if training.validation is None else self.tables.table(training.validation)
        label = f"{model}-{name}" if run == 0 else f"{model}-{name}-seed{run}"
        given: dict[str, Any] = {"name": label, "table": _TRAIN}
        if held is not None:
            given["validation"] = _VALIDATION
        if self.epochs is not None:
            given["optimizer"] = {"epochs": self.epochs}
        if self.compile:
            given["compile"] = True
        recipe = self.setting.finetune(model, training, given)
        return recipe.model_copy(update={"seed": recipe.seed + run}), table, held

    def predicted(
        self, recipe: ReproductionRecipe, table: str, row: MethodRow, model: str, run: int = 0
    ) -> PredictionTable:
        """Predictions of every cell of a table, as a step.

        Args:
            run: which of the recipe's seeds.

        Raises:
            IncompleteRunError: a cell has none; of methods that write, whose answers may not be
                readable, only where no cell has one: the scores count the cells.
        """
        observed = self.tables.table(table)
        if row.questions is not None:
            observed = draw_questions(observed, row.questions, self.tables.seed)
        put = self._put(recipe, row, model, observed, run)

        def make(folder: Path) -> None:
            examples = None if put.train is None else put.train.write(folder / _TRAIN)
            with RowCache(self.cache) as cache:
                predictor = self._predictor(row, put.model, put.adapter, examples, cache)
                prediction = predictor.predict(Cells.of_table(observed), progress=self.rows)
            missing = [p for p in prediction.problems if p.missing]
            if missing and (not row.writes or len(missing) == len(observed)):
                raise IncompleteRunError(
                    f"{len(missing)} of {len(observed)} rows are missing",
                    where=f"{row.name} on {table}: " + "; ".join(map(str, missing[:3])),
                    expected="a prediction of every cell",
                    hint="the finished rows are kept; another model or format may answer",
                )
            prediction.table.write(folder / _PREDICTIONS)

        label = f"{table}-{put.model}-{row.key}" + (f"-seed{run}" if run else "")
        made = self.store.step("predict", label, put.shape, make)
        return PredictionTable.read(made / _PREDICTIONS)

    def scores(
        self, recipe: ReproductionRecipe, table: str, row: MethodRow, model: str
    ) -> CellScores:
        """Predictions scored, over the recipe's groups of the table; with several seeds, each cell
        has the mean of its runs."""
        return mean_of_runs(self.runs(recipe, table, row, model))

    def runs(
        self, recipe: ReproductionRecipe, table: str, row: MethodRow, model: str
    ) -> list[CellScores]:
        """Scores of each of the recipe's seeds; one only where the row trains nothing."""
        count = recipe.seeds if row.training is not None else 1
        return [self._scored(recipe, table, row, model, run) for run in range(count)]

    def _scored(
        self, recipe: ReproductionRecipe, table: str, row: MethodRow, model: str, run: int
    ) -> CellScores:
        predictions = self.predicted(recipe, table, row, model, run)
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
        put = self._put(recipe, row, model, observed)
        shape = put.shape | {"measured": INPUT_USE}
        scheme = GroupScheme.of_standard(observed.subpopulations(), "the table scored")

        def make(folder: Path) -> None:
            examples = None if put.train is None else put.train.write(folder / _TRAIN)
            with RowCache(self.cache) as cache:
                predictor = self._predictor(row, put.model, put.adapter, examples, cache)
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

        label = "-".join(filter(None, [table, put.model, row.training]))
        return read_parquet(self.store.step("input_use", label, shape, make) / _INPUT_USE)

    def _put(
        self,
        recipe: ReproductionRecipe,
        row: MethodRow,
        model: str,
        observed: OpinionTable,
        run: int = 0,
    ) -> _Put:
        """A row on a table: its adapter is trained here where the row has one."""
        chosen = row.model or model
        adapter = None
        if row.training is not None:
            adapter = self.trained(recipe, chosen, row.training, run)
        train = None if row.train is None else self.tables.table(row.train)
        shape = method_shape(
            self.setting,
            row,
            chosen,
            adapter=adapter,
            observed=observed,
            train=train,
            modules=self._modules(row),
        )
        return _Put(chosen, adapter, train, shape)

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
            "modules": tuple(map(str, self._modules(row))) or None,
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

    def _modules(self, row: MethodRow) -> list[Path | str]:
        """Folders of a row's community modules, or names of models that ship; the plan has seen to
        it that they are there."""
        found = [n if n in CATALOGUE else find_file(n, self.tables.data) for n in row.modules]
        return [module for module in found if module is not None]


def write_training(
    recipe: FinetuneRecipe,
    groups: tuple[str, ...] | None,
    table: OpinionTable,
    held: OpinionTable | None,
    folder: Path,
) -> FinetuneRecipe:
    """Put a training's tables into ``folder``, and return its recipe with the model's place in it.

    Raises:
        StorageError: a file cannot be written.
    """
    table.write(folder / _TRAIN)
    if held is not None:
        held.write(folder / _VALIDATION)
    # an embedded model's name stays: it is what the adapter's card and licence go by
    where = recipe.model if recipe.model in CATALOGUE else folder_of(recipe.model)
    return recipe.model_copy(update={"model": where, "groups": groups})


def _present(table: OpinionTable, wanted: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The wanted groups, without those that a small draw left without rows.

    Those of a file stay as they are: by their names alone they would lose the file's own words, and
    training says which of them has no rows.
    """
    if wanted is None or any(Path(name).suffix in (".yaml", ".yml") for name in wanted):
        return wanted
    present = set(table.subpopulations())
    groups = list(load_groups(*wanted))
    if present.issuperset(groups):
        return wanted
    return tuple(str(g) for g in groups if g in present)
