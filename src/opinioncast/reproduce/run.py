"""Run reproduction recipes: plan, shared steps, one folder of files per recipe."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from opinioncast.errors import IncompleteRunError, InputError, OpinioncastError
from opinioncast.finetune.trainer import Moment
from opinioncast.models import SHIPPED
from opinioncast.report.interactive import graph_objects
from opinioncast.reproduce import data_outputs, figure_outputs, improvement_outputs, method_outputs
from opinioncast.reproduce.changes import Changes
from opinioncast.reproduce.context import Context
from opinioncast.reproduce.crew import Crew, crew_of_torchrun
from opinioncast.reproduce.given import (
    FINE_TUNED,
    GivenAdapters,
    is_shipped,
    one_adapter,
    trainings_of,
)
from opinioncast.reproduce.lock import only_run
from opinioncast.reproduce.models import adapter_identity
from opinioncast.reproduce.plan import Plan, plan
from opinioncast.reproduce.prompting import prompting_words
from opinioncast.reproduce.recipe import (
    ReproductionRecipe,
    builtin_reproductions,
    load_reproduction,
)
from opinioncast.reproduce.result import Result, write_result
from opinioncast.reproduce.setting import Setting, builtin_settings, load_setting
from opinioncast.reproduce.store import Done, Store
from opinioncast.reproduce.tables import Tables
from opinioncast.reproduce.workshop import Workshop, train_here

ALL = "all"
WORK = "work"
SETTING = "embedded"
"""The setting of a command that names none."""

_KINDS: Mapping[str, Callable[[Context], Result]] = {
    "methods": method_outputs.methods,
    "groups": improvement_outputs.groups,
    "waves": improvement_outputs.waves,
    "heatmaps": figure_outputs.heatmaps,
    "scaling": figure_outputs.scaling,
    "curves": figure_outputs.curves,
    "map": figure_outputs.question_maps,
    "similarities": figure_outputs.similarities,
    "input_use": figure_outputs.input_use,
    "people": data_outputs.people,
    "topics": data_outputs.topics,
}


@dataclass(frozen=True)
class Reporter:
    """Who is told of the progress: of steps, of a training's updates, of predicted rows."""

    say: Callable[[str], None] = lambda _: None
    moment: Callable[[Moment], None] | None = None
    rows: Callable[[int, int], None] | None = None


@dataclass(frozen=True)
class Request:
    """What is to be reproduced.

    Attributes:
        names: recipes (names or YAML files); "all" stands for every one that ships.
        setting: name or YAML file.
        data: folders with the survey files.
        out: a folder per recipe is written there, and the steps' own under ``work``.
        adapter: stands in for the fine-tuned one where a recipe needs no other.
        adapters: further ones, as ``--adapter`` takes them (:mod:`opinioncast.reproduce.given`).
        changes: ``field=value`` of every recipe, or ``setting.field=value``
            (:mod:`opinioncast.reproduce.changes`).
        questions, seed: draw that many questions of every table.
        epochs: passes of every training.
        compile: compile the layers in training.
        cache: file of finished rows; None: the user's.
        backend: where predictions run (``torch``, ``vllm``); None: as the setting says.
    """

    names: Sequence[str]
    setting: str | Path = SETTING
    data: Sequence[Path] = (Path(),)
    out: Path = Path("opinioncast-out/reproduce")
    adapter: Path | None = None
    adapters: Sequence[str] = ()
    changes: Sequence[str] = ()
    questions: int | None = None
    seed: int = 0
    epochs: int | None = None
    compile: bool = False
    cache: Path | None = None
    backend: str | None = None

    def load(self) -> tuple[list[ReproductionRecipe], Setting]:
        """The recipes as they stand in the setting, and the setting.

        Raises:
            InputError: an unknown name, or a file that does not fit.
        """
        changes, setting = Changes.read(self.changes), self.load_setting()
        names = list(dict.fromkeys(self.names))
        if ALL in names:
            names = builtin_reproductions()
        if not names:
            raise InputError("Nothing to reproduce", expected="a recipe, or all", found="nothing")
        return [load_reproduction(n, setting.name, changes.recipe) for n in names], setting

    def load_setting(self) -> Setting:
        """The setting, as the request changes it.

        Raises:
            InputError: an unknown name, or a file that does not fit.
        """
        setting = load_setting(self.setting, Changes.read(self.changes).setting)
        return setting if self.backend is None else setting.on_backend(self.backend)

    def given(self, setting: Setting) -> GivenAdapters:
        """The adapters that were handed over.

        Raises:
            InputError: they are of models that the setting does not have, or of no model.
        """
        found = GivenAdapters.read(self.adapters, list(setting.models))
        if self.adapter is None:
            return found
        if found.single is not None:
            raise InputError(
                "Several adapters are given without saying of which model each is",
                where="--adapter",
                expected="MODEL=FOLDER for each",
                found=f"{self.adapter} and {found.single}",
            )
        return replace(found, single=self.adapter)

    def plan(self) -> Plan:
        """The steps, without running any."""
        recipes, setting = self.load()
        return plan(
            recipes,
            setting,
            self.data,
            given=self.given(setting),
            questions=self.questions,
            epochs=self.epochs,
        )

    def check_adapters(self, recipes: Sequence[ReproductionRecipe], setting: Setting) -> list[str]:
        """Names of the recipes that train, but where the adapter without a model cannot stand in.

        Raises:
            ModelError: a folder holds no PEFT adapter.
            InputError: no recipe uses one of them, there are fewer than seeds, or one is two.
        """
        given = self.given(setting)
        given.check()
        used = [given.used(r) for r in recipes]
        for (model, training), folders in given.named.items():
            key = model if training == FINE_TUNED else f"{model}:{training}"
            if max(len(u.get(key, ())) for u in used) < len(folders):  # one a seed, or none
                raise _unused(recipes, f"{key}=FOLDER")
        if given.single is None:
            return []
        if not any(one_adapter(r) for r in recipes):
            raise _unused(recipes, str(given.single))
        return [r.name for r in recipes if trainings_of(r) and not one_adapter(r)]

    def limits(self, recipe: ReproductionRecipe, setting: Setting) -> str:
        """How the run is smaller or other than the recipe, in words; empty where it is not."""
        parts = []
        if self.changes:
            parts.append("set: " + ", ".join(self.changes))
        if self.questions is not None:
            parts.append(f"{self.questions} questions drawn of every table (seed {self.seed})")
        if self.epochs is not None:
            parts.append(f"{self.epochs} epoch(s) of every training")
        used = self.given(setting).used(recipe)
        for name, folders in used.items():
            if not name and is_shipped(folders[0]):
                said = "shipped adapter in place of a training of the recipe's own"
            else:
                hashes = ", ".join(adapter_identity(f)[:12] for f in folders)
                said = f"fine-tuned adapter given{f' for {name}' if name else ''}: {hashes}"
            parts.append(said)
            parts += self._prompted_otherwise(recipe, setting, name, folders[0])
        if used and recipe.kind in ("groups", "heatmaps"):
            parts.append("which groups it was trained on is the setting's word, not checked")
        return "Not as the recipe says: " + "; ".join(parts) if parts else ""

    def _prompted_otherwise(
        self, recipe: ReproductionRecipe, setting: Setting, name: str, folder: Path
    ) -> list[str]:
        """How an adapter's prompts differ from those of the recipe's own training."""
        model, _, named = name.partition(":")
        model, training = model or recipe.models[0], named or FINE_TUNED
        asked = [
            row
            for row in recipe.rows()
            if row.training == training and (row.model or model) == model
        ]
        if not asked:
            return []
        wanted = {**setting.trainings, **recipe.trainings}[training]
        words = prompting_words(setting, asked[0], model, wanted, folder)
        return [words] if words else []

    def options(self, recipe: ReproductionRecipe) -> list[str]:
        """Options of the command that shape this recipe's result; a user's paths as FILE, FOLDER.

        What does not reach the recipe (an adapter where none is asked) is left out: with these
        options, the command makes the result anew.
        """
        named = str(self.setting) in builtin_settings()
        parts = []
        if str(self.setting) != SETTING:
            parts.append(f"--setting {self.setting if named else 'FILE'}")
        if self.backend is not None and recipe.rows():
            parts.append(f"--backend {self.backend}")
        used = self.given(self.load_setting()).used(recipe)
        for name, folders in used.items():
            if name:
                parts += [f"--adapter {name}=FOLDER"] * min(len(folders), recipe.seeds)
            else:
                parts.append(f"--adapter {SHIPPED if is_shipped(folders[0]) else 'FOLDER'}")
        parts += [f"--set {shlex.quote(change)}" for change in self.changes]
        if self.questions is not None:
            parts.append(f"--questions {self.questions}")
        if self.seed:
            parts.append(f"--seed {self.seed}")
        taken = {name.partition(":")[::2] for name in used if name}
        given = {(m, t or FINE_TUNED) for m, t in taken}
        left = [pair for pair in trainings_of(recipe) if pair not in given]
        if left and "" not in used:
            if self.epochs is not None:
                parts.append(f"--epochs {self.epochs}")
            if self.compile:
                parts.append("--compile")
        return parts


def _unused(recipes: Sequence[ReproductionRecipe], adapter: str) -> InputError:
    return InputError(
        "The adapter is used by none of the recipes",
        where=", ".join(r.name for r in recipes),
        expected="a recipe that needs one fine-tuned adapter, of one model (table1, say); or "
        "MODEL=FOLDER, or MODEL:TRAINING=FOLDER, of a training that a recipe needs",
        found=f"--adapter {adapter}",
    )


@dataclass(frozen=True)
class ReproductionRun:
    """What :func:`reproduce` made.

    Attributes:
        contents: of each ``result.json``, in the order run.
        failed: recipe -> why it could not be made.
        steps: every step asked for, and whether it was there already.
    """

    setting: Setting
    contents: Sequence[Mapping[str, Any]]
    failed: Mapping[str, OpinioncastError]
    steps: Sequence[Done]
    folder: Path
    made: Sequence[Path] = field(default_factory=tuple)

    def raise_for_failures(self) -> None:
        """Raise IncompleteRunError if a recipe could not be made, naming each."""
        if self.failed:
            raise IncompleteRunError(
                f"{len(self.failed)} of {len(self.failed) + len(self.contents)} recipes failed",
                where="; ".join(self.failed),
                expected="every table and figure asked for",
                found=next(iter(self.failed.values())),
                hint="the same command goes on with what is left; steps done are kept",
            )


def reproduce(request: Request, reporter: Reporter | None = None) -> ReproductionRun:
    """Make tables and figures; the same call goes on where a killed one stopped.

    A recipe that fails does not keep the next ones from being made. Under torchrun every process
    calls it: one does the work, the others join its trainings and have no contents.

    Raises:
        InputError: recipes or the setting do not fit; a single recipe that fails raises its own.
        DataError, ModelError: files or models are missing: all of them are named, nothing is run.
        StorageError: another run is at work in the folder.
    """
    crew = crew_of_torchrun()
    if crew is not None and not crew.leads:
        crew.follow()
        return ReproductionRun(request.load_setting(), (), {}, (), request.out)
    try:
        return _lead(request, reporter or Reporter(), crew)
    finally:
        if crew is not None:
            crew.end()


def _lead(request: Request, reporter: Reporter, crew: Crew | None) -> ReproductionRun:
    recipes, setting = request.load()
    graph_objects()  # before hours of work, not after
    not_given = request.check_adapters(recipes, setting)
    request.plan().check(request.data)
    with only_run(request.out / WORK):
        for name in not_given:
            reporter.say(
                f"{name}: --adapter is not used: it needs more trainings than the fine-tuned one"
            )
        return _run(request, recipes, setting, reporter, crew)


def _run(
    request: Request,
    recipes: Sequence[ReproductionRecipe],
    setting: Setting,
    reporter: Reporter,
    crew: Crew | None,
) -> ReproductionRun:
    store = Store(request.out / WORK, reporter.say)
    tables = Tables(setting, store, request.data, request.questions, request.seed)
    workshop = Workshop(
        setting,
        store,
        tables,
        given=request.given(setting),
        epochs=request.epochs,
        compile=request.compile,
        train=train_here if crew is None else crew.train,
        moment=reporter.moment,
        rows=reporter.rows,
        cache=request.cache,
    )
    contents, made = [], []
    failed: dict[str, OpinioncastError] = {}
    for recipe in recipes:
        setting.check(recipe)
        store.asked.clear()
        try:
            limits = request.limits(recipe, setting)
            result = _KINDS[recipe.kind](Context(recipe, setting, workshop, limits))
            record = {
                "origin": "model output compared with survey data",
                "setting": setting.name,
                "limits": limits,
                "options": request.options(recipe),
                "seed": request.seed,
                "steps": _names(store.asked),
                "new_steps": _names([d for d in store.asked if not d.reused]),
            }
            folder = request.out / recipe.name
            contents.append(write_result(result, folder, record))
            made.append(folder)
        except OpinioncastError as error:
            if len(recipes) == 1:
                raise
            failed[recipe.name] = error
            reporter.say(f"{recipe.name} failed: {error.title}")
    return ReproductionRun(
        setting, tuple(contents), failed, tuple(store.done), request.out, tuple(made)
    )


def _names(steps: Sequence[Done]) -> list[str]:
    return list(dict.fromkeys(f"{d.kind}/{d.folder.name}" for d in steps))
