"""The reproduction recipe: which tables, methods and trainings make a table or figure of the paper.

    name: table1
    kind: methods
    tables: [opinionqa, subpop_eval]
    models: [llama2_7b]
    methods:
      - {name: Zero-shot prompt (QA), method: zero-shot, format: qa}
      - {name: Ours, method: zero-shot, training: fine_tuned}
    paper: {where: Table 1, key: [table, method], columns: [...], rows: [...]}
    settings: {embedded: {models: [main]}}    # changes in that setting; null takes a field away

Names of tables, models and trainings are the setting's (:mod:`opinioncast.reproduce.setting`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.methods.declaration import method_kind, method_kinds
from opinioncast.prompts import Answers, Format
from opinioncast.recipe_files import Strict, builtin_names, locate_recipe, misfits
from opinioncast.reproduce.changes import Change, changed

Kind = Literal[
    "methods",
    "groups",
    "waves",
    "heatmaps",
    "scaling",
    "curves",
    "map",
    "similarities",
    "input_use",
    "people",
    "topics",
]
Value = str | float | int | None
M = TypeVar("M", bound=BaseModel)


class MethodRow(Strict):
    """One way of predicting, or a bound.

    Attributes:
        name: what the table calls it.
        method: name of a declared method; "zero-shot" is the language model by itself, with
            ``training`` an adapter on it.
        bound: a bound in place of a method.
        format: of the steering text.
        answers: how the model names options; a training's adapter is asked as it was trained.
        training: key of a training; its adapter goes on the model.
        model: key of another model than the recipe's.
        train: key of the table that a method takes its examples from.
        modules: folders of community models, looked for in the data folders, or models that ship
            (pluralism).
        questions: only so many questions of a table, drawn with the run's seed: for methods that
            write, where all would take days. The table says how many cells that are.
        tables: only on these of the recipe's tables.
    """

    name: str
    method: str | None = None
    bound: Literal["upper", "lower"] | None = None
    format: Format = Format.QA
    answers: Answers = Answers.LETTERS
    training: str | None = None
    model: str | None = None
    train: str | None = None
    modules: tuple[str, ...] = ()
    questions: int | None = Field(default=None, ge=1)
    tables: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _one(self) -> MethodRow:
        if (self.method is None) == (self.bound is None):
            raise ValueError("either a method or a bound")
        if self.method is not None and self.training is not None:
            takers = [kind.name for kind in method_kinds() if "layout" in kind.options]
            if method_kind(self.method).name not in takers:
                raise ValueError(f"only the methods {' and '.join(takers)} take a training")
        return self

    @property
    def writes(self) -> bool:
        """Whether its method has a language model write, so that an answer may not be readable."""
        kind = method_kind(str(self.method))
        return kind.language_model and "layout" not in kind.options

    @property
    def key(self) -> str:
        """What it does, short."""
        words = "words" if self.answers is Answers.WORDS else None
        drawn = None if self.questions is None else f"{self.questions}questions"
        return "-".join(filter(None, [self.method, str(self.format), words, self.training, drawn]))


class TrainingRecipe(Strict):
    """A training: the model's own fine-tuning recipe on a table, with changes.

    Attributes:
        table, validation: keys of tables; None: what the model's fine-tuning recipe says.
        subset: share of the training questions, nested in larger subsets (Figure 5).
        changes: fields of :class:`opinioncast.finetune.recipe.FinetuneRecipe`.
    """

    table: str
    validation: str | None = None
    subset: float = Field(default=1.0, gt=0, le=1)
    changes: Mapping[str, Any] = Field(default_factory=dict)


class Statement(Strict):
    """A figure of the paper's text, and the measure of ours that stands beside it."""

    what: str
    measure: str
    value: Value
    where: str


class PaperFigures(Strict):
    """What the paper reports, transcribed.

    In a file, ``figures_of: table9`` stands for key, columns, rows and shown of that recipe: a
    figure drawn from a table's figures.

    Attributes:
        where: table or figure.
        key: columns by which a row is matched with one of ours.
        columns, rows: the table; null where the paper has no figure.
        shown: columns beside ours in the narrow tables; None: all but the key.
        statements: figures in the text; a value of null where the paper gives none beside ours.
    """

    where: str
    key: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()
    shown: tuple[str, ...] | None = None
    statements: tuple[Statement, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> PaperFigures:
        odd = [r for r in self.rows if len(r) != len(self.columns)]
        if odd:
            raise ValueError(f"a row has not {len(self.columns)} columns: {odd[0]}")
        if not set(self.key) | set(self.shown or ()) <= set(self.columns):
            raise ValueError("key and shown must name columns")
        keys = [tuple(r[self.columns.index(k)] for k in self.key) for r in self.rows]
        if len(set(keys)) < len(keys):
            raise ValueError("two rows have the same key")
        return self


class ReproductionRecipe(Strict):
    """One table or figure.

    Attributes:
        order: place among all; cheap and telling ones first.
        kind: what is made (one function of :mod:`opinioncast.reproduce.outputs` each).
        tables: keys of the tables scored, or shown.
        models: keys of the models; each is predicted, trained and shown.
        methods: rows of "methods" and "input_use".
        zero_shot, ours: the two methods of the kinds that compare them.
        groups: schemes or expressions the scored groups are narrowed to.
        attributes: attributes the scored groups are narrowed to; one heatmap each.
        fractions, target: of "scaling"; training ``subset_25`` is that of 0.25, 1 is "fine_tuned".
        curves: legend -> training, of "curves".
        trainings: added to the setting's.
        seeds: how many times each training is run, with seeds that follow its own; tables then
            have the mean and its standard error.
        picture: shown in the document.
    """

    name: str
    order: int
    title: str
    kind: Kind
    tables: tuple[str, ...] = Field(min_length=1)
    models: tuple[str, ...] = ()
    methods: tuple[MethodRow, ...] = ()
    zero_shot: MethodRow | None = None
    ours: MethodRow | None = None
    groups: tuple[str, ...] | None = None
    attributes: tuple[str, ...] | None = None
    fractions: tuple[float, ...] = ()
    target: float | None = Field(default=None, gt=0)
    curves: Mapping[str, str] = Field(default_factory=dict)
    trainings: Mapping[str, TrainingRecipe] = Field(default_factory=dict)
    seeds: int = Field(default=1, ge=1)
    picture: bool = False
    paper: PaperFigures
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> ReproductionRecipe:
        needed = _NEEDED[self.kind]
        missing = [f for f in needed if not getattr(self, f)]
        if missing:
            raise ValueError(f"kind {self.kind} needs {', '.join(missing)}")
        if self.seeds > 1 and self.kind not in _REPEATED:
            raise ValueError(f"seeds are for the kinds {', '.join(_REPEATED)}")
        return self

    def rows(self) -> tuple[MethodRow, ...]:
        """Every method that is predicted."""
        both = tuple(m for m in (self.zero_shot, self.ours) if m is not None)
        scaled = tuple(
            MethodRow(name=f"{f:g}", method="zero-shot", training=subset_training(f))
            for f in self.fractions
        )
        return tuple(m for m in (*self.methods, *both, *scaled) if m.bound is None)


_REPEATED = ("methods", "groups", "waves", "scaling")
"""Kinds whose figures are means that several trainings can be averaged in."""

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "methods": ("methods", "models"),
    "groups": ("zero_shot", "ours", "models"),
    "waves": ("zero_shot", "ours", "models"),
    "heatmaps": ("zero_shot", "ours", "models", "attributes"),
    "scaling": ("fractions", "models", "target", "zero_shot"),
    "curves": ("curves", "models"),
    "map": (),
    "similarities": (),
    "people": (),
    "topics": (),
    "input_use": ("methods", "models"),
}


def subset_training(fraction: float) -> str:
    """Key of the training on a share of the questions."""
    return "fine_tuned" if fraction == 1 else f"subset_{100 * fraction:g}"


def builtin_reproductions() -> list[str]:
    """Names of the recipes that come with the package, in the order ``all`` runs them."""
    names = builtin_names("reproduce")
    return sorted(names, key=lambda n: (load_reproduction(n, "paper").order, n))


def load_reproduction(
    name_or_path: str | Path, setting: str, changes: Sequence[Change] = ()
) -> ReproductionRecipe:
    """Read a recipe as it stands in a setting.

    Args:
        changes: made to it last.

    Raises:
        InputError: no such recipe, invalid YAML, or a field that is unknown, missing or wrong.
    """
    names = builtin_names("reproduce")
    path = locate_recipe(name_or_path, "reproduce", names, "reproduction recipe")
    raw = with_figures(in_setting(read_document(path, "A reproduction recipe"), setting), setting)
    return parse(ReproductionRecipe, changed(raw, changes, str(name_or_path)), str(name_or_path))


def with_figures(raw: Any, setting: str) -> Any:
    """A recipe whose ``paper`` names another in ``figures_of``, with that one's figures in place.

    Raises:
        InputError: no such recipe, or its own figures do not fit.
    """
    paper = raw.get("paper") if isinstance(raw, Mapping) else None
    if not isinstance(paper, Mapping) or "figures_of" not in paper:
        return raw
    other = load_reproduction(str(paper["figures_of"]), setting).paper
    figures = other.model_dump(include={"key", "columns", "rows", "shown"})
    own = {k: v for k, v in paper.items() if k != "figures_of"}
    return {**raw, "paper": figures | own}


def in_setting(raw: Any, setting: str) -> Any:
    """A recipe with its changes for ``setting``; notes are added, not replaced."""
    if not isinstance(raw, Mapping):
        return raw
    settings = raw.get("settings") or {}
    base = {k: v for k, v in raw.items() if k != "settings"}
    changes = dict(settings.get(setting) or {}) if isinstance(settings, Mapping) else {}
    notes = [*(base.get("notes") or ()), *(changes.pop("notes", None) or ())]
    return merged(base, changes) | {"notes": notes}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``, mapping by mapping; None takes a field away.

    A None for a field that is not there stays: these may be changes to be made to something else.
    """
    out = dict(base)
    for key, value in changes.items():
        if value is None and key in out:
            del out[key]
        elif isinstance(value, Mapping) and isinstance(out.get(key), Mapping):
            out[key] = merged(out[key], value)
        else:
            out[key] = value
    return out


def parse(model: type[M], raw: Any, source: str) -> M:
    """``raw`` checked; every wrong field is named at once.

    Raises:
        InputError: see above.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise InputError(
            "A recipe has fields that do not fit",
            where=source,
            expected=f"the fields of {model.__name__} (docs/reproduction.md)",
            found="; ".join(misfits(error)),
        ) from error
