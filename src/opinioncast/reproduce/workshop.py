"""Trainings and predictions of a setting, each made once: steps in the store, scores in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.curate.sources import find_file
from opinioncast.errors import IncompleteRunError
from opinioncast.evaluate.input_use import input_use
from opinioncast.evaluate.scaling import subsets
from opinioncast.evaluate.scores import QUESTION, CellScores, score_cells
from opinioncast.files import atomic_path
from opinioncast.finetune.trainer import Moment
from opinioncast.jobs.finetune import finetune_to_folder
from opinioncast.jobs.methods import (
    LANGUAGE_MODEL_METHODS,
    LanguageModels,
    MethodSettings,
    build_method,
)
from opinioncast.methods.prediction import Method, Prediction, Problem
from opinioncast.methods.row_cache import RowCache
from opinioncast.methods.zero_shot import ZeroShot
from opinioncast.prompts import PromptStyle
from opinioncast.reproduce.models import adapter_identity, folder_of, identity, name_of
from opinioncast.reproduce.prompting import prompted_otherwise, used_prompting
from opinioncast.reproduce.recipe import MethodRow, ReproductionRecipe, TrainingRecipe
from opinioncast.reproduce.setting import Setting
from opinioncast.reproduce.store import Store, file_hash
from opinioncast.reproduce.tables import Tables
from opinioncast.survey import GroupScheme, OpinionTable, PredictionTable, load_groups
from opinioncast.survey.tables import KEY, ORIGIN

FINE_TUNED = "fine_tuned"
"""Key of the training that is the paper's own model; --adapter can stand in for it."""

REFUSED = "Refused"
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
    _backend: tuple[tuple[str, str | None], TorchBackend] | None = None

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
            where = chosen if chosen == "embedded" else folder_of(chosen)
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
        language = row.method in LANGUAGE_MODEL_METHODS
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

        def make(folder: Path) -> None:
            examples = None if train is None else train.write(folder / _TRAIN)
            with RowCache(self.cache) as cache:
                method = self._method(row, chosen, adapter, examples, cache)
                prediction = predict_cells(method, observed, cross=not language, progress=self.rows)
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
        scheme = GroupScheme.of_standard(observed.subpopulations(), "the table scored")

        def make(folder: Path) -> None:
            with RowCache(self.cache) as cache:
                method = self._method(row, chosen, adapter, None, cache)
                frame = input_use(
                    observed,
                    lambda questions, groups: (
                        method.predict(
                            questions, scheme.with_subpopulations(groups), progress=self.rows
                        ).table
                    ),
                )
            with atomic_path(folder / _INPUT_USE) as temporary:
                frame.write_parquet(temporary)

        label = "-".join(filter(None, [table, chosen, row.training]))
        return pl.read_parquet(self.store.step("input_use", label, shape, make) / _INPUT_USE)

    def _method(
        self,
        row: MethodRow,
        model: str,
        adapter: Path | None,
        train: Path | None,
        cache: RowCache | None,
    ) -> Method:
        named, orders = self.setting.models[model], self.setting.prompt.orders
        prompting = used_prompting(self.setting, row, model, adapter)
        refusal = REFUSED if prompting.refusal else None
        style = PromptStyle(prompting.layout, prompting.format, refusal, prompting.answers)
        assert row.method is not None  # bounds are not predicted
        if row.method == "zero-shot":
            return ZeroShot(
                backend=self._open(named.model, adapter),
                style=style,
                option_orders=orders,
                chat=prompting.chat,
                cache=cache,
            )
        models = LanguageModels(
            own=lambda: self._open(named.model, adapter),
            named=lambda other: self._open(other, None),
            local=lambda other: self._open(other, None),
            style=style,
            orders=orders,
            chat=prompting.chat,
            cache=cache,
        )
        modules = tuple(str(p) for p in self._modules(row))
        return build_method(row.method, MethodSettings(train=train, modules=modules), models)

    def _modules(self, row: MethodRow) -> list[Path]:
        """Folders of a row's community modules; the plan has seen to it that they are there."""
        found = [find_file(name, self.tables.data) for name in row.modules]
        return [path for path in found if path is not None]

    def _open(self, model: str, adapter: Path | None) -> TorchBackend:
        """The backend; the one opened last is kept, no more: models are large."""
        key = (model, None if adapter is None else adapter_identity(adapter))
        if self._backend is None or self._backend[0] != key:
            self._backend = None
            backend = TorchBackend.load(folder_of(model), adapter=adapter, name=name_of(model))
            self._backend = (key, backend)
        return self._backend[1]


def one_adapter(recipe: ReproductionRecipe) -> bool:
    """Whether a recipe needs one adapter only, that of FINE_TUNED on its one model.

    Only then can an adapter from elsewhere stand in: beside others trained here it would differ
    from them in more than the recipe compares, and it fits one base model.
    """
    trained = [r for r in recipe.rows() if r.training]
    named = {r.training for r in trained}
    own = not any(r.model for r in trained)
    return named == {FINE_TUNED} and own and len(recipe.models) == 1 and not recipe.curves


def predict_cells(
    method: Method,
    observed: OpinionTable,
    *,
    cross: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Prediction:
    """Predict the cells of a table, not every question for every group.

    Questions with the same groups are predicted together, so that prompts still share what they
    begin with.

    Args:
        cross: predict every question for every group at once and drop the other cells: for methods
            to which a row costs nothing and a call much.
    """
    together: dict[tuple[Any, ...], list[Any]] = {}
    groups = {s.key: s for s in observed.subpopulations()}
    asked: dict[tuple[str, str, str], set[tuple[str, str]]] = {}
    for *question, attribute, group in observed.frame.select(
        *QUESTION, "attribute", "group"
    ).iter_rows():
        asked.setdefault(tuple(question), set()).add((attribute, group))
    for q in observed.questions():
        wanted = groups.keys() if cross else asked[(q.family, q.wave, q.question_id)]
        together.setdefault(tuple(k for k in groups if k in wanted), []).append(q)
    scheme = GroupScheme.of_standard(groups.values(), "the table scored")
    tables: list[pl.DataFrame] = []
    problems: list[Problem] = []
    record: dict[str, Any] = {}
    done = 0
    for keys, questions in together.items():
        part = method.predict(questions, scheme.with_subpopulations([groups[k] for k in keys]))
        tables.append(part.table.frame)
        problems += part.problems
        record = dict(part.record)
        done += len(questions) * len(keys)
        if progress:
            progress(min(done, len(observed)), len(observed))
    meta: Mapping[str, Any] = {"origin": ORIGIN, **record}
    cells = pl.concat(tables).join(observed.frame.select(KEY), on=list(KEY), how="semi")
    return Prediction(PredictionTable(cells, meta), tuple(problems), record)


def _present(table: OpinionTable, wanted: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The wanted groups, without those that a small draw left without rows."""
    if wanted is None:
        return None
    present = set(table.subpopulations())
    groups = list(load_groups(*wanted))
    if present.issuperset(groups):
        return wanted
    return tuple(str(g) for g in groups if g in present)
