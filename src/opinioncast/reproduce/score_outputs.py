"""Tables of scores: by method (Tables 1, 5, 6), by group (2, 7, 9, 10, Figure 3), by wave (8)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from opinioncast.evaluate.compare import improvement_by
from opinioncast.evaluate.scores import QUESTION, CellScores
from opinioncast.jobs.evaluation_inputs import GROUP, why_withheld
from opinioncast.jobs.methods import LANGUAGE_MODEL_METHODS
from opinioncast.methods.letter_answers import MIN_LABEL_MASS
from opinioncast.report.dot_chart import DotPanel, DotSeries, dot_figure
from opinioncast.report.group_labels import attributes_once
from opinioncast.report.interactive import dots
from opinioncast.reproduce.recipe import MethodRow, ReproductionRecipe, Value
from opinioncast.reproduce.result import PAPER, Result, beside_paper
from opinioncast.reproduce.setting import Setting
from opinioncast.reproduce.workshop import FINE_TUNED, Workshop
from opinioncast.survey import OpinionTable, Subpopulation, load_groups, standard_attributes

AXIS = "Mean Wasserstein distance to people's answers (0 = equal)"
SAMPLING = "sampling noise"
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

    def observed(self, table: str) -> OpinionTable:
        return self.workshop.observed(self.recipe, table)

    def bounds(self, table: str) -> pl.DataFrame | None:
        return self.workshop.tables.bounds(table)


def base_words(scores: Mapping[str, CellScores]) -> str:
    """Cells and questions of each table, by title."""
    parts = []
    for title, each in scores.items():
        cells = each.frame.filter(pl.col("wd").is_not_null())
        questions = cells.select(QUESTION).n_unique()
        parts.append(f"{title}: {cells.height:,} cells of {questions} questions")
    return "; ".join(parts)


def mass_words(scores: Mapping[str, CellScores]) -> str:
    """Which methods hardly answered with an option letter, in how many cells; empty for none."""
    counts = {
        name: each.frame.filter(pl.col("label_mass") < MIN_LABEL_MASS).height
        for name, each in scores.items()
    }
    parts = [
        f"{name} in {count:,} of {scores[name].frame.height:,} cells"
        for name, count in counts.items()
        if count
    ]
    return "hardly any probability on the option letters: " + ", ".join(parts) if parts else ""


def compared_words(context: Context, table: str) -> str:
    """Base of the kinds that compare zero-shot with ours: of the first model."""
    recipe = context.recipe
    assert recipe.zero_shot is not None
    rows = (_ours(recipe), recipe.zero_shot)
    scores = {row.name: context.scores(table, row, recipe.models[0]) for row in rows}
    base = base_words({context.title(table): next(iter(scores.values()))})
    return joined(base, mass_words(scores))


def methods(context: Context) -> Result:
    """One row per table, method and model: mean distance with its interval over questions."""
    rows = []
    scored: dict[str, CellScores] = {}
    measures: dict[str, Value] = {}
    for table in context.recipe.tables:
        reductions: list[float | None] = []
        for model in context.recipe.models:
            found: dict[str, CellScores] = {}
            for row in context.recipe.methods:
                if row.bound is None and table in (row.tables or (table,)):
                    found[row.name] = context.scores(table, row, model)
            some = next(iter(found.values()))
            scored.setdefault(context.title(table), some)
            reductions.append(_reduction(context.recipe, found))
            for row in context.recipe.methods:
                if row.bound is not None:
                    values = _bound(context, row, some, table)
                    name = None if len(context.recipe.models) == 1 else context.label(model)
                elif row.name not in found:
                    continue
                else:
                    values = _mean(found[row.name])
                    mass = mass_words({"": found[row.name]}).replace(":  in", " in")
                    values["note"] = joined(str(values["note"]), mass)
                    name = _answered(context, row, model)
                rows.append(
                    {
                        "table": table,
                        "method": row.name,
                        "model": name,
                        **values,
                    }
                )
        measures[f"reduction_{table}"] = _range(reductions)
    # a row with a model of its own is the same beside each of the recipe's models
    frame = pl.DataFrame(rows, infer_schema_length=None).unique(maintain_order=True)
    frame, paper = beside_paper(frame, context.recipe.paper, label="model")
    panels = [
        _method_panel(context, table, frame.filter(pl.col("table") == table), paper)
        for table in context.recipe.tables
    ]
    base = base_words(scored)
    title = f"{context.recipe.title} ({context.setting.name} setting)"
    shown = ["table", "method", "model", "wd", "low", "high", "one_hot_error", "cells", *paper]
    shown = with_note(shown, frame)
    return Result(
        context.recipe,
        frame,
        [c for c in shown if c in frame.columns],
        base,
        lambda: dot_figure(
            panels, title=title, axis=AXIS, note=note(context, base, paper, bounds=True)
        ),
        lambda: dots(panels, axis=AXIS),
        measures,
    )


def _answered(context: Context, row: MethodRow, model: str) -> str | None:
    """The model that answered: none in the baselines that ask none."""
    if row.method in LANGUAGE_MODEL_METHODS:
        return context.label(model, row)
    return "MiniLM" if row.method == "network" else None


def _reduction(recipe: ReproductionRecipe, found: Mapping[str, CellScores]) -> float | None:
    """How much nearer the fine-tuned model is than the best language model without training."""
    asked = [m for m in recipe.methods if m.name in found and m.method in LANGUAGE_MODEL_METHODS]
    others = [found[m.name].mean()["wd"] for m in asked if m.training is None]
    ours = [found[m.name].mean()["wd"] for m in asked if m.training == FINE_TUNED and not m.model]
    values = [*others, *ours]
    if not others or not ours or any(v is None for v in values) or not min(others) > 0:
        return None
    return float(1 - ours[0] / min(others))


def _range(values: Sequence[float | None]) -> Value:
    """One value, or the ends of several."""
    known = [v for v in values if v is not None]
    if len(values) < 2 or not known:
        return known[0] if known else None
    return f"{min(known):.3f} to {max(known):.3f}"


def with_note(shown: Sequence[str], frame: pl.DataFrame) -> list[str]:
    """``shown`` with the column ``note`` where it says anything."""
    said = "note" in frame.columns and any(frame["note"].to_list())
    return [*(c for c in shown if c != "note"), *(["note"] if said else [])]


def note(context: Context, base: str, paper: Sequence[str] = (), *, bounds: bool = False) -> str:
    """At the foot of a figure.

    Args:
        bounds: a lower bound has a bar too.
    """
    hollow = " Hollow: the paper." if paper else ""
    drawn = "; of a lower bound, over resampled respondents" if bounds else ""
    limits = f" {context.limits}." if context.limits else ""
    return f"{base}.{limits} Bars: 95% intervals over questions{drawn}.{hollow}"


def interval(scores: CellScores, column: str = "wd") -> tuple[float | None, float | None]:
    """95% interval of a mean over questions; None for both ends where one question is all."""
    low, high = scores.interval(column)
    return (None, None) if np.isnan(low) else (low, high)


def _mean(scores: CellScores) -> dict[str, object]:
    means = scores.mean()
    low, high = interval(scores)
    return {
        "wd": means["wd"],
        "low": low,
        "high": high,
        "one_hot_error": means["one_hot_error"],
        "cells": means["cells"],
        "asked": means["asked"],
        "note": means["note"],
    }


def _bound(context: Context, row: MethodRow, scores: CellScores, table: str) -> dict[str, object]:
    means, note = scores.mean(), ""
    low: float | None = None
    high: float | None = None
    bounds, recipe = context.bounds(table), context.recipe
    if row.bound == "upper":
        wd = means["wd_uniform"]
        low, high = interval(scores, "wd_uniform")
    elif bounds is not None and (recipe.groups or recipe.attributes):
        keys = [s.key for s in context.observed(table).subpopulations()]
        wd, note = narrowed_bound(bounds, keys), "averaged over these groups, without an interval"
    elif bounds is not None:
        wd, low, high = bounds.select("human", "human_low", "human_high").row(-1)
    else:
        wd, note = means["wd_noise"], "sampling noise to expect, in place of a bootstrap"
        if wd is None:
            note = "no respondents to draw from, and not every cell's base is known"
    return {
        "wd": wd,
        "low": low,
        "high": high,
        "one_hot_error": None,
        "cells": means["cells"],
        "asked": means["asked"],
        "note": note,
    }


def narrowed_bound(bounds: pl.DataFrame, keys: Sequence[tuple[str, str]]) -> float | None:
    """The lower bound over some of the groups: each weighs as many cells as it has."""
    wanted = pl.DataFrame(keys, schema=dict.fromkeys(GROUP, pl.String), orient="row")
    rows = bounds.filter(pl.col("human").is_not_null()).join(wanted, on=list(GROUP), how="semi")
    if rows.height == 0:
        return None
    return float(np.average(rows["human"].to_numpy(), weights=rows["n_questions"].to_numpy()))


def _method_panel(
    context: Context, table: str, frame: pl.DataFrame, paper: Sequence[str]
) -> DotPanel:
    several = len(context.recipe.models) > 1
    names = [
        f"{method}, {model}" if several and model else method
        for method, model in frame.select("method", "model").iter_rows()
    ]
    series = [
        DotSeries(
            "this package", frame["wd"].to_list(), frame["low"].to_list(), frame["high"].to_list()
        )
    ]
    series += [
        DotSeries(c.replace(PAPER, "paper, "), frame[c].to_list(), hollow=True) for c in paper
    ]
    return DotPanel(context.title(table), names, series)


def groups(context: Context) -> Result:
    """One row per group: lower bound, zero-shot, ours and the share of the gap that is closed."""
    recipe = context.recipe
    (table,) = recipe.tables
    bounds = context.bounds(table)
    lower = None if bounds is None else bounds.select(*GROUP, lower="human")
    frames = [_compared(context, table, model, GROUP, lower) for model in recipe.models]
    frame = pl.concat(frames)
    place = {key: i for i, key in enumerate(_group_order(recipe))}
    keys = [place.get((a, g), len(place)) for a, g in frame.select(GROUP).iter_rows()]
    frame = frame.with_columns(_place=pl.Series(keys, dtype=pl.Int64))
    frame = frame.sort("_place", maintain_order=True).drop("_place")
    seen = {g.key for g in load_groups(*context.setting.seen)}
    frame = frame.with_columns(
        trained_on=pl.Series(
            ["yes" if key in seen else "no" for key in frame.select(GROUP).iter_rows()]
        )
    )
    frame, withheld = _withhold(frame, context.observed(table))
    frame, paper = beside_paper(frame, recipe.paper, label="model")
    first = frame.filter(pl.col("model") == context.label(recipe.models[0]))
    measures = _spread(first)
    for attribute in dict.fromkeys(a for a, _ in _group_order(recipe)):
        part = _spread(first.filter(pl.col("attribute") == attribute))
        measures[f"relative_mean_{attribute}"] = part["relative_mean"]
    base = joined(
        compared_words(context, table),
        absent_words(recipe, first.select(GROUP).rows()),
        _lower_words(frame, lower is not None),
        spread_words(first, "groups"),
    )
    name = "lower bound" if lower is not None else SAMPLING
    return _improvement_result(context, frame, GROUP, paper, base, measures, withheld, name)


def joined(*parts: str) -> str:
    """What is there of the parts."""
    return "; ".join(filter(None, parts))


def absent_words(recipe: ReproductionRecipe, present: Sequence[tuple[str, ...]]) -> str:
    """Groups that the recipe asks for and the table lacks, named; empty for none."""
    absent = [k for k in dict.fromkeys(_group_order(recipe)) if k not in present]
    names = ", ".join(str(Subpopulation.from_key(*k)) for k in absent)
    return f"not in the table: {names}" if names else ""


def _lower_words(frame: pl.DataFrame, drawn: bool) -> str:
    """What stands in the column ``lower``; empty where nothing does."""
    if frame["lower"].null_count() == frame.height:
        return ""
    return "lower: " + ("bootstrap of respondents" if drawn else f"{SAMPLING} to expect")


def spread_words(frame: pl.DataFrame, what: str) -> str:
    """Over how many of the rows a mean relative improvement is, where not over all."""
    known = frame.height - frame["relative"].null_count()
    if known in (0, frame.height):
        return ""
    return f"relative improvement known for {known} of {frame.height} {what}"


def _group_order(recipe: ReproductionRecipe) -> list[tuple[str, str]]:
    """Of the recipe's groups, or of its attributes' own."""
    if recipe.groups is not None:
        return [g.key for g in load_groups(*recipe.groups)]
    known = standard_attributes()
    return [(a, g) for a in recipe.attributes or () for g in known[a].groups]


def waves(context: Context) -> Result:
    """One row per wave: zero-shot and ours."""
    recipe = context.recipe
    (table,) = recipe.tables
    frame = pl.concat(
        [_compared(context, table, model, ("wave",), None) for model in recipe.models]
    )
    frame = frame.sort(pl.col("wave").cast(pl.Int64, strict=False), maintain_order=True)
    frame, withheld = _withhold(frame, context.observed(table))
    frame, paper = beside_paper(frame, recipe.paper, label="model")
    first = frame.filter(pl.col("model") == context.label(recipe.models[0]))
    base = joined(
        compared_words(context, table),
        _lower_words(frame, False),
        spread_words(first, "waves"),
    )
    measures = _spread(first)
    return _improvement_result(context, frame, ("wave",), paper, base, measures, withheld, SAMPLING)


def _ours(recipe: ReproductionRecipe) -> MethodRow:
    assert recipe.ours is not None  # the recipe's own check
    return recipe.ours


def _compared(
    context: Context,
    table: str,
    model: str,
    columns: tuple[str, ...],
    lower: pl.DataFrame | None,
) -> pl.DataFrame:
    assert context.recipe.zero_shot is not None
    zero_shot = context.scores(table, context.recipe.zero_shot, model)
    ours = context.scores(table, _ours(context.recipe), model)
    frame = improvement_by(ours, zero_shot, *columns, lower=lower)
    ends = ours.intervals(*columns)
    return frame.join(ends, on=list(columns), how="left", maintain_order="left").select(
        *columns,
        pl.lit(context.label(model)).alias("model"),
        "lower",
        "zero_shot",
        "ours",
        "low",
        "high",
        "absolute",
        "relative",
        "cells",
        "asked",
        "note",
    )


def _withhold(frame: pl.DataFrame, observed: OpinionTable) -> tuple[pl.DataFrame, str]:
    """Blank what people's answers alone decide where it stands on a few cells of a closed table."""
    if why_withheld(observed.meta) is None:
        return frame, ""
    few = (pl.col("cells") < FEW_CELLS) & pl.col("lower").is_not_null()
    count = frame.filter(few).height
    if not count:
        return frame, ""
    hidden = frame.with_columns(
        pl.when(~few).then(pl.col(c)).alias(c) for c in ("lower", "relative")
    )
    return hidden, f"{count} lower bounds on fewer than {FEW_CELLS} cells"


def _spread(frame: pl.DataFrame) -> dict[str, float | None]:
    """Mean, deviation and range of the relative improvements."""
    values = frame["relative"].drop_nulls().to_list()
    if not values:
        return dict.fromkeys(("relative_mean", "relative_sd", "relative_min", "relative_max"))
    return {
        "relative_mean": float(np.mean(values)),
        "relative_sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "relative_min": min(values),
        "relative_max": max(values),
    }


def _improvement_result(
    context: Context,
    frame: pl.DataFrame,
    columns: tuple[str, ...],
    paper: Sequence[str],
    base: str,
    measures: Mapping[str, float | None],
    withheld: str,
    lower: str,
) -> Result:
    recipe = context.recipe
    panels = []
    for model in recipe.models:
        label = context.label(model)
        part = frame.filter(pl.col("model") == label)
        series = [
            DotSeries(
                "ours", part["ours"].to_list(), part["low"].to_list(), part["high"].to_list()
            ),
            DotSeries("zero-shot", part["zero_shot"].to_list()),
            DotSeries(lower, part["lower"].to_list()),
        ]
        series += [
            DotSeries(c.replace(PAPER, "paper, "), part[c].to_list(), hollow=True)
            for c in paper
            if "relative" not in c
        ]
        series = [s for s in series if any(v is not None for v in s.values)]
        panels.append(DotPanel(label, _row_labels(part, columns), series))
    title = f"{recipe.title} ({context.setting.name} setting)"
    hide = {"absolute", "asked"} | ({"model"} if len(recipe.models) == 1 else set())
    if frame["lower"].null_count() == frame.height:
        hide |= {"lower", "relative"}
    own = [c for c in frame.columns if not c.startswith(PAPER) and c not in hide]
    return Result(
        recipe,
        frame,
        with_note([*own, *paper], frame),
        base,
        lambda: dot_figure(panels, title=title, axis=AXIS, note=note(context, base, paper)),
        lambda: dots(panels, axis=AXIS),
        measures,
        withheld=withheld,
    )


def _row_labels(frame: pl.DataFrame, columns: tuple[str, ...]) -> list[str]:
    if columns != GROUP:
        rows = frame.select(columns).iter_rows()
        return [" ".join(f"{c} {v}" for c, v in zip(columns, row, strict=True)) for row in rows]
    labels = []
    attributes = attributes_once(frame["attribute"])
    for attribute, group in zip(attributes, frame["group"], strict=True):
        labels.append(f"{attribute} · {group}" if attribute else str(group))
    return labels
