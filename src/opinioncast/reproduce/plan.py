"""The plan of a reproduction: its steps with estimates, and what is missing, before it is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opinioncast.backends.catalogue import CATALOGUE
from opinioncast.curate.sources import described, find_file
from opinioncast.errors import ModelError
from opinioncast.finetune.recipe import FinetuneRecipe
from opinioncast.methods.declaration import method_kind
from opinioncast.reproduce.given import GivenAdapters
from opinioncast.reproduce.models import how_to_get
from opinioncast.reproduce.needs import NOTHING, Needs, prediction_needs, training_needs
from opinioncast.reproduce.recipe import MethodRow, ReproductionRecipe
from opinioncast.reproduce.setting import Setting, TableSetting
from opinioncast.reproduce.tables import missing_files
from opinioncast.survey import load_groups


@dataclass(frozen=True)
class PlannedStep:
    """One step.

    Attributes:
        kind: curate, bounds, train, predict or score.
        name: as the step's folder begins; two trainings of one name differ in what ``text`` says.
        rows: prompts, or rows of training times passes; about. None where it takes no model.
        wanted_by: the first recipe that needs it.
        text: what a training is of, or a curation.
        needs: memory and hours, as far as the setting says what its models are.
    """

    kind: str
    name: str
    rows: int | None
    wanted_by: str
    text: str = ""
    needs: Needs = NOTHING


@dataclass(frozen=True)
class Plan:
    """Steps in the order they run, shared ones once; files and models that are not here."""

    steps: tuple[PlannedStep, ...]
    files: dict[str, str]
    models: dict[str, str]

    def rows(self, kind: str) -> int:
        """Rows of all steps of a kind, about."""
        return sum(s.rows or 0 for s in self.steps if s.kind == kind)

    @property
    def hours(self) -> float | None:
        """Of all steps whose hours can be estimated, on the setting's machine; None for none."""
        known = [s.needs.hours for s in self.steps if s.needs.hours is not None]
        return sum(known) if known else None

    def check(self, data: Sequence[Path]) -> None:
        """Raise what is missing, all of it at once.

        Raises:
            DataError: files of the data folders.
            ModelError: models.
        """
        if self.files:
            error = missing_files(self.files, data)
            if self.models:
                error.expected = f"{error.expected}\n  and these models{_listed(self.models)}"
            raise error
        if self.models:
            raise ModelError(
                f"{len(self.models)} model(s) that the reproduction needs are not here",
                expected=f"these models{_listed(self.models)}",
            )


def plan(
    recipes: Sequence[ReproductionRecipe],
    setting: Setting,
    data: Sequence[Path],
    *,
    given: GivenAdapters | None = None,
    questions: int | None = None,
    epochs: int | None = None,
) -> Plan:
    """What :func:`opinioncast.reproduce.run.reproduce` would do, without doing it."""
    planner = _Planner(setting, data, given or GivenAdapters(), questions, epochs)
    for recipe in recipes:
        setting.check(recipe)
        planner.add(recipe)
    return Plan(tuple(planner.steps.values()), planner.files, planner.models)


class _Planner:
    def __init__(
        self,
        setting: Setting,
        data: Sequence[Path],
        given: GivenAdapters,
        questions: int | None,
        epochs: int | None,
    ) -> None:
        self.setting, self.data, self.given = setting, data, given
        self.questions, self.epochs = questions, epochs
        self.steps: dict[tuple[object, ...], PlannedStep] = {}
        self.files: dict[str, str] = {}
        self.models: dict[str, str] = {}

    def add(self, recipe: ReproductionRecipe) -> None:
        for table in recipe.tables:
            self._table(table, recipe.name)
        if recipe.kind == "people":
            for table in recipe.tables:
                for curation in self.setting.tables[table].curated:
                    self._step("people", curation, None, recipe.name)
        for model in recipe.models:
            for row in recipe.rows():
                for table in row.tables or recipe.tables:
                    self._predict(recipe, table, row, model)
            for training in recipe.curves.values():
                self._train(recipe, model, training)
        self._step("score", recipe.name, None, recipe.name, recipe.title)

    def _step(
        self,
        kind: str,
        name: str,
        rows: int | None,
        wanted_by: str,
        text: str = "",
        shape: object = None,
        needs: Needs = NOTHING,
    ) -> None:
        """Add a step once.

        Args:
            shape: what tells it from others of its name, which two recipes may both have.
        """
        step = PlannedStep(kind, name, rows, wanted_by, text, needs)
        self.steps.setdefault((kind, name, shape), step)

    def _table(self, key: str, wanted_by: str) -> None:
        table = self.setting.tables[key]
        for names in (table.file, table.only):
            if names is not None and find_file(names, self.data) is None:
                self.files[described(names)] = self.setting.how_to_get(names[0])
        for curation in table.curated:
            self._curate(curation, wanted_by)
            if table.bounds:
                self._step("bounds", curation, None, wanted_by)

    def _curate(self, key: str, wanted_by: str) -> None:
        apart = self.setting.curations[key].apart
        for source in apart.values():
            self._curate(source, wanted_by)
        recipe, beside = self.setting.curation(key)
        names = [tuple(n) for wave in recipe.waves for n in wave.files]
        if recipe.overlap is not None:
            names += [(n,) for n in recipe.overlap.against if n not in apart]
        for each in names:
            if find_file(each, [*self.data, beside]) is None:
                self.files[described(each)] = self.setting.how_to_get(each[0])
        self._step("curate", key, None, wanted_by, recipe.title)

    def _model(self, model: str) -> None:
        name = self.setting.models[model].model
        how = how_to_get(name)
        if how is not None:
            self.models[name] = how

    def _share(self, table: str) -> float:
        if self.questions is None:
            return 1.0
        return min(1.0, self.questions / self.setting.tables[table].questions)

    def _train(self, recipe: ReproductionRecipe, model: str, training: str) -> object:
        """Add a training, if it is to be run, and return what tells its adapter from others."""
        if self.given.of(recipe, model, training) is not None:
            return "given", model, training
        self._model(model)
        wanted = {**self.setting.trainings, **recipe.trainings}[training]
        for key in filter(None, (wanted.table, wanted.validation)):
            self._table(key, recipe.name)
        settings = self.setting.finetune(model, wanted, {"name": training, "table": "table"})
        table = self.setting.tables[wanted.table]
        rows = table.questions * _groups(table, settings) * self._share(wanted.table)
        rows *= wanted.subset * settings.fraction * (settings.augment or 1)
        rows *= settings.optimizer.epochs if self.epochs is None else self.epochs
        answers = f"answers in {settings.answers}"
        text = ", ".join([f"{settings.target} target", _loss(settings), answers])
        shape = (wanted.table, wanted.validation, wanted.subset, settings.hash, recipe.seeds)
        name = f"{model}-{training}"
        if recipe.seeds > 1:
            name += f" (x {recipe.seeds} seeds)"
        needs = training_needs(self.setting, model, settings, recipe.seeds * rows)
        self._step("train", name, round(recipe.seeds * rows), recipe.name, text, shape, needs)
        return shape

    def _predict(self, recipe: ReproductionRecipe, table: str, row: MethodRow, model: str) -> None:
        chosen = row.model or model
        language = row.method is not None and method_kind(row.method).language_model
        if language:
            self._model(chosen)
        if row.train is not None:
            self._table(row.train, recipe.name)
        for module in row.modules:
            if module in CATALOGUE:
                if (how := how_to_get(module)) is not None:
                    self.models[module] = how
            elif find_file(module, self.data) is None:
                self.files[module] = self.setting.how_to_get(module)
        shape = None if row.training is None else self._train(recipe, chosen, row.training)
        share = self._share(table)
        if row.questions is not None:
            share = min(share, row.questions / self.setting.tables[table].questions)
        cells = round(self.setting.tables[table].cells * share)
        if recipe.kind == "input_use":
            # as asked, without the question, shuffled: each cell; without the group: each question
            cells = 3 * cells + self.setting.tables[table].questions
        if row.training is not None:
            cells *= recipe.seeds
        label = f"{table}-{chosen}-{row.key}"
        if recipe.kind == "input_use":
            label += "-input_use"
        needs = prediction_needs(self.setting, chosen, row, cells) if language else NOTHING
        rows = cells if language else None
        self._step("predict", label, rows, recipe.name, shape=shape, needs=needs)


def _loss(recipe: FinetuneRecipe) -> str:
    mix = {k: v for k, v in recipe.loss.model_dump().items() if v}
    return "loss " + " + ".join(f"{v:g} {k}" for k, v in mix.items())


def _listed(models: dict[str, str]) -> str:
    return "".join(f"\n    {name}: {how}" for name, how in models.items())


def _groups(table: TableSetting, settings: FinetuneRecipe) -> float:
    """Rows that a training takes of each question."""
    groups = [table.cells / table.questions]
    if settings.groups is not None:
        groups.append(len(load_groups(*settings.groups)))
    if settings.groups_per_question is not None:
        groups.append(settings.groups_per_question)
    return min(groups)
