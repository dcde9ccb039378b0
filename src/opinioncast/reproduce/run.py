"""Run reproduction recipes: plan, shared steps, one folder of files per recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opinioncast.errors import IncompleteRunError, InputError, OpinioncastError
from opinioncast.finetune.trainer import Moment
from opinioncast.models import SHIPPED, SHIPPED_ADAPTER
from opinioncast.report.interactive import graph_objects
from opinioncast.reproduce import figure_outputs, improvement_outputs, method_outputs
from opinioncast.reproduce.context import Context
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
from opinioncast.reproduce.workshop import FINE_TUNED, Workshop, one_adapter

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
        setting = load_setting(self.setting)
        if self.backend is not None:
            setting = setting.on_backend(self.backend)
        names = list(dict.fromkeys(self.names))
        if ALL in names:
            names = builtin_reproductions()
        if not names:
            raise InputError("Nothing to reproduce", expected="a recipe, or all", found="nothing")
        return [load_reproduction(n, setting.name) for n in names], setting

    def plan(self) -> Plan:
        """The steps, without running any."""
        recipes, setting = self.load()
        return plan(
            recipes,
            setting,
            self.data,
            adapter=self.adapter,
            questions=self.questions,
            epochs=self.epochs,
        )

    def check_adapter(self, recipes: Sequence[ReproductionRecipe]) -> list[str]:
        """Names of the recipes that train, but where the adapter cannot stand in.

        Raises:
            ModelError: the folder holds no PEFT adapter.
            InputError: no recipe uses it.
        """
        if self.adapter is None:
            return []
        adapter_identity(self.adapter)
        if not any(one_adapter(r) for r in recipes):
            raise InputError(
                "The adapter is used by none of the recipes",
                where=", ".join(r.name for r in recipes),
                expected="a recipe that needs one fine-tuned adapter, of one model (table1, say)",
                found=f"--adapter {self.adapter}",
            )
        trained = [r for r in recipes if r.curves or any(row.training for row in r.rows())]
        return [r.name for r in trained if not one_adapter(r)]

    def limits(self, recipe: ReproductionRecipe, setting: Setting) -> str:
        """How the run is smaller or other than the recipe, in words; empty where it is not."""
        parts = []
        if self.questions is not None:
            parts.append(f"{self.questions} questions drawn of every table (seed {self.seed})")
        if self.epochs is not None:
            parts.append(f"{self.epochs} epoch(s) of every training")
        if self.adapter is not None and one_adapter(recipe):
            given = "shipped adapter in place of a training of the recipe's own"
            if not self._shipped():
                given = f"fine-tuned adapter given: {adapter_identity(self.adapter)[:12]}"
            parts.append(given)
            row = next(r for r in recipe.rows() if r.training)
            training = {**setting.trainings, **recipe.trainings}[FINE_TUNED]
            if words := prompting_words(setting, row, recipe.models[0], training, self.adapter):
                parts.append(words)
            if recipe.kind in ("groups", "heatmaps"):
                parts.append("which groups it was trained on is the setting's word, not checked")
        return "Not as the recipe says: " + "; ".join(parts) if parts else ""

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
        given = self.adapter is not None and one_adapter(recipe)
        if given:
            parts.append(f"--adapter {SHIPPED if self._shipped() else 'FOLDER'}")
        if self.questions is not None:
            parts.append(f"--questions {self.questions}")
        if self.seed:
            parts.append(f"--seed {self.seed}")
        if not given and (recipe.curves or any(row.training for row in recipe.rows())):
            if self.epochs is not None:
                parts.append(f"--epochs {self.epochs}")
            if self.compile:
                parts.append("--compile")
        return parts

    def _shipped(self) -> bool:
        """Whether the adapter given is the one that ships, under whatever path."""
        assert self.adapter is not None  # asked of a given one only
        return adapter_identity(self.adapter) == adapter_identity(SHIPPED_ADAPTER)


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

    A recipe that fails does not keep the next ones from being made.

    Raises:
        InputError: recipes or the setting do not fit; a single recipe that fails raises its own.
        DataError, ModelError: files or models are missing: all of them are named, nothing is run.
        StorageError: another run is at work in the folder.
    """
    reporter = reporter or Reporter()
    recipes, setting = request.load()
    graph_objects()  # before hours of work, not after
    not_given = request.check_adapter(recipes)
    request.plan().check(request.data)
    with only_run(request.out / WORK):
        for name in not_given:
            reporter.say(
                f"{name}: --adapter is not used: it needs more trainings than the fine-tuned one"
            )
        return _run(request, recipes, setting, reporter)


def _run(
    request: Request,
    recipes: Sequence[ReproductionRecipe],
    setting: Setting,
    reporter: Reporter,
) -> ReproductionRun:
    store = Store(request.out / WORK, reporter.say)
    tables = Tables(setting, store, request.data, request.questions, request.seed)
    workshop = Workshop(
        setting,
        store,
        tables,
        adapter=request.adapter,
        epochs=request.epochs,
        compile=request.compile,
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
