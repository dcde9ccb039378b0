"""What every table and figure is made from, and the words that stand under it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from opinioncast.evaluate.clusters import question_words
from opinioncast.evaluate.scores import CellScores, shared_cells
from opinioncast.methods.label_answers import MIN_LABEL_MASS
from opinioncast.methods.prediction import seen_before
from opinioncast.reproduce.recipe import MethodRow, ReproductionRecipe, Value
from opinioncast.reproduce.setting import Setting
from opinioncast.reproduce.workshop import Workshop
from opinioncast.survey import OpinionTable, Subpopulation, load_groups, standard_attributes

AXIS = "Mean Wasserstein distance to people's answers (0 = equal)"
FEW_CELLS = 5
"""Averages over fewer cells say almost what the cells say: withheld where the survey's are."""


@dataclass(frozen=True)
class Context:
    """What every kind of output works with.

    Attributes:
        limits: how the run is other than the recipe, in words; empty where it is not.
    """

    recipe: ReproductionRecipe
    setting: Setting
    workshop: Workshop
    limits: str = ""

    def heading(self, what: str) -> str:
        """Over a figure that has no note: the recipe's title, what it shows, the limits."""
        lines = [f"{self.recipe.title} ({what})", *textwrap.wrap(self.limits, 70)]
        return "\n".join(lines)

    def label(self, model: str, row: MethodRow | None = None) -> str:
        """What tables call a model."""
        chosen = model if row is None or row.model is None else row.model
        return self.setting.models[chosen].label

    def title(self, table: str) -> str:
        return self.setting.tables[table].title

    def scores(self, table: str, row: MethodRow, model: str) -> CellScores:
        return self.workshop.scores(self.recipe, table, row, model)

    def runs(self, table: str, row: MethodRow, model: str) -> list[CellScores]:
        """Of each of the recipe's seeds."""
        return self.workshop.runs(self.recipe, table, row, model)

    def trained_on(self, table: str, row: MethodRow, model: str) -> str:
        """How many of the table's questions the method was trained on, in words; empty for none."""
        made = self.workshop.predicted(self.recipe, table, row, model)
        return joined(*seen_before(made.meta))

    def observed(self, table: str) -> OpinionTable:
        return self.workshop.observed(self.recipe, table)

    def bounds(self, table: str, *scores: CellScores) -> pl.DataFrame | None:
        """The human lower bound of the cells that all of ``scores`` have
        (:meth:`opinioncast.evaluate.bounds.Bounds.of`); None where there are no respondents."""
        known = self.workshop.tables.bounds(table)
        return None if known is None else known.of(shared_cells(*scores))


def base_words(scores: Mapping[str, CellScores]) -> str:
    """Cells and questions of each table, by title; those with a distance."""
    parts = []
    for title, each in scores.items():
        cells = each.frame.filter(pl.col("wd").is_not_null())
        parts.append(f"{title}: {cells.height:,} cells of {question_words(cells)}")
    return "; ".join(parts)


def mass_words(scores: Mapping[str, CellScores]) -> str:
    """Which methods hardly answered with an option, in how many cells; empty for none."""
    counts = {
        name: each.frame.filter(pl.col("label_mass") < MIN_LABEL_MASS).height
        for name, each in scores.items()
    }
    parts = [
        f"{name} in {count:,} of {scores[name].frame.height:,} cells"
        for name, count in counts.items()
        if count
    ]
    return "hardly any probability on the options: " + ", ".join(parts) if parts else ""


def compared_words(context: Context, table: str) -> str:
    """Base of the kinds that compare zero-shot with ours: of the first model."""
    recipe = context.recipe
    assert recipe.ours is not None  # the recipe's own check
    assert recipe.zero_shot is not None
    rows = (recipe.ours, recipe.zero_shot)
    scores = {row.name: context.scores(table, row, recipe.models[0]) for row in rows}
    base = base_words({context.title(table): next(iter(scores.values()))})
    seen = {context.trained_on(table, row, recipe.models[0]): None for row in rows}
    return joined(base, mass_words(scores), *seen)


def absent_words(recipe: ReproductionRecipe, present: Sequence[tuple[str, ...]]) -> str:
    """Groups that the recipe asks for and the table lacks, named; empty for none."""
    absent = [k for k in dict.fromkeys(group_order(recipe)) if k not in present]
    names = ", ".join(str(Subpopulation.from_key(*k)) for k in absent)
    return f"not in the table: {names}" if names else ""


def group_order(recipe: ReproductionRecipe) -> list[tuple[str, str]]:
    """Keys of the recipe's groups, or of its attributes' own, in the order shown."""
    if recipe.groups is not None:
        return [g.key for g in load_groups(*recipe.groups)]
    known = standard_attributes()
    return [(a, g) for a in recipe.attributes or () for g in known[a].groups]


def joined(*parts: str) -> str:
    """What is there of the parts."""
    return "; ".join(filter(None, parts))


def note(
    context: Context,
    base: str,
    paper: Sequence[str] = (),
    *,
    bounds: bool = False,
    band: bool = False,
) -> str:
    """At the foot of a figure.

    Args:
        bounds: a lower bound has a bar too.
        band: it has a shaded band instead.
    """
    hollow = " Hollow: the paper." if paper else ""
    drawn = "; of a lower bound, over resampled respondents" if bounds else ""
    shaded = " Shaded: 95% of the lower bound, over resampled respondents." if band else ""
    limits = f" {context.limits}." if context.limits else ""
    return f"{base}.{limits} Bars: 95% intervals over questions{drawn}.{shaded}{hollow}"


def with_note(shown: Sequence[str], frame: pl.DataFrame) -> list[str]:
    """``shown`` with the column ``note`` where it says anything."""
    said = "note" in frame.columns and any(frame["note"].to_list())
    return [*(c for c in shown if c != "note"), *(["note"] if said else [])]


def interval(scores: CellScores, column: str = "wd") -> tuple[float | None, float | None]:
    """95% interval of a mean over questions; None for both ends where one question is all."""
    low, high = scores.interval(column)
    return (None, None) if np.isnan(low) else (low, high)


def per_model(values: Mapping[str, Value]) -> Value:
    """A measure of one model as it is, of several in words."""
    if len(values) == 1:
        return next(iter(values.values()))
    texts = {
        k: "not known" if v is None else f"{v:.3f}" if isinstance(v, float) else v
        for k, v in values.items()
    }
    return "; ".join(f"{model} {text}" for model, text in texts.items())
