"""Tables of scores by method (Tables 1, 5, 6), between the upper and the lower bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from opinioncast.evaluate.compare import paired_test
from opinioncast.evaluate.repeats import standard_error
from opinioncast.evaluate.scores import CellScores, mean_over, shared_cells
from opinioncast.methods.declaration import method_kind
from opinioncast.report.dot_chart import DotPanel, DotSeries, dot_figure
from opinioncast.report.interactive import dots
from opinioncast.report.terminal import span
from opinioncast.reproduce.context import (
    AXIS,
    Context,
    base_words,
    interval,
    joined,
    mass_words,
    note,
    per_model,
    with_note,
)
from opinioncast.reproduce.given import FINE_TUNED
from opinioncast.reproduce.recipe import MethodRow, ReproductionRecipe, Value
from opinioncast.reproduce.result import PAPER, Result, beside_paper


def methods(context: Context) -> Result:
    """One row per table, method and model: mean distance with its interval over questions."""
    rows = []
    scored: dict[str, CellScores] = {}
    measures: dict[str, Value] = {}
    for table in context.recipe.tables:
        reductions: list[float | None] = []
        tests: dict[str, dict[str, Value]] = {}
        for model in context.recipe.models:
            found: dict[str, CellScores] = {}
            for row in context.recipe.methods:
                if row.bound is None and table in (row.tables or (table,)):
                    found[row.name] = context.scores(table, row, model)
            some = next(iter(found.values()))
            scored.setdefault(context.title(table), some)
            reductions.append(_reduction(context.recipe, found))
            for against, words in _tests(context.recipe, found).items():
                tests.setdefault(against, {})[context.label(model)] = words
            for row in context.recipe.methods:
                if row.bound is not None:
                    values = _bound(context, row, some, table)
                    name = None if len(context.recipe.models) == 1 else context.label(model)
                elif row.name not in found:
                    continue
                else:
                    values = _mean(found[row.name])
                    if context.recipe.seeds > 1:
                        runs = context.runs(table, row, model)
                        of_each = [run.mean()["wd"] for run in runs]
                        values |= {"se": standard_error(of_each), "seeds": len(runs)}
                    mass = mass_words({"": found[row.name]}).replace(":  in", " in")
                    seen = context.trained_on(table, row, model)
                    values["note"] = joined(str(values["note"]), mass, seen)
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
        measures |= {f"{against}_{table}": per_model(words) for against, words in tests.items()}
    # a row with a model of its own is the same beside each of the recipe's models
    frame = pl.DataFrame(rows, infer_schema_length=None).unique(maintain_order=True)
    frame, paper = beside_paper(frame, context.recipe.paper, label="model")
    panels = [
        _method_panel(context, table, frame.filter(pl.col("table") == table), paper)
        for table in context.recipe.tables
    ]
    base = base_words(scored)
    title = f"{context.recipe.title} ({context.setting.name} setting)"
    repeated = ["se", "seeds"] if context.recipe.seeds > 1 else []
    distance = ["wd", *repeated, "low", "high", "one_hot_error", "cells"]
    shown = ["table", "method", "model", *distance, *paper]
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
    if _puts_prompts(row):
        said = context.label(model, row)
        return f"{said} and MiniLM" if row.method == "blend" else said
    return "MiniLM" if row.method in ("network", "nearest") else None


def _reduction(recipe: ReproductionRecipe, found: Mapping[str, CellScores]) -> float | None:
    """How much nearer the fine-tuned model is than the best language model without training."""
    asked = [
        m for m in recipe.methods if m.name in found and _puts_prompts(m) and m.questions is None
    ]
    others = [found[m.name] for m in asked if m.training is None]
    ours = [found[m.name] for m in asked if m.training == FINE_TUNED and not m.model]
    if not others or not ours:
        return None
    cells = shared_cells(ours[0], *others)  # a ratio of means over the same cells
    best = min((mean_over(cells, s) for s in others), default=0.0)
    return float(1 - mean_over(cells, ours[0]) / best) if cells.height and best > 0 else None


def _tests(recipe: ReproductionRecipe, found: Mapping[str, CellScores]) -> dict[str, Value]:
    """Ours against the first zero-shot prompt and against the blend: difference, interval, p.

    Zero-shot is the first listed, not the best: a choice by the result would flatter it.
    """
    rows = [m for m in recipe.methods if m.name in found and not m.model]
    alone = [m for m in rows if m.method == "zero-shot"]
    pairs = {
        "against_zero_shot": next((m for m in alone if m.training is None), None),
        "against_blend": next((m for m in rows if m.method == "blend"), None),
    }
    ours = next((m for m in alone if m.training == FINE_TUNED), None)
    return {
        name: None
        if ours is None or other is None
        else _tested(found[ours.name], found[other.name])
        for name, other in pairs.items()
    }


def _tested(ours: CellScores, other: CellScores) -> str | None:
    if not (ours.mean()["cells"] and other.mean()["cells"]):
        return None  # no question has a scale
    test = paired_test(ours, other)
    return (
        f"{test.difference:+.3f} ({span(test.low, test.high)}), p = {test.p_value:.1g}, "
        f"{test.cells:,} cells of {test.questions} questions"
    )


def _range(values: Sequence[float | None]) -> Value:
    """One value, or the ends of several."""
    known = [v for v in values if v is not None]
    if len(values) < 2 or not known:
        return known[0] if known else None
    return f"{min(known):.3f} to {max(known):.3f}"


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
    bounds = None if row.bound == "upper" else context.bounds(table, scores)
    if row.bound == "upper":
        wd = means["wd_uniform"]
        low, high = interval(scores, "wd_uniform")
    elif bounds is not None:
        wd, low, high, _, note = bounds.select(
            "human", "human_low", "human_high", "cells", "note"
        ).row(-1)
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


def _puts_prompts(row: MethodRow) -> bool:
    """Whether a row's method asks a language model."""
    return row.method is not None and method_kind(row.method).language_model
