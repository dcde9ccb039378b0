"""Ours against zero-shot: tables by group (Tables 2, 7, 9, 10, Figure 3) and by wave (Table 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from opinioncast.evaluate.compare import improvement_by
from opinioncast.evaluate.repeats import standard_error
from opinioncast.jobs.evaluation_inputs import GROUP, why_withheld
from opinioncast.report.dot_chart import DotPanel, DotSeries, dot_figure
from opinioncast.report.group_labels import attributes_once
from opinioncast.report.interactive import dots
from opinioncast.reproduce.context import (
    AXIS,
    FEW_CELLS,
    Context,
    absent_words,
    compared_words,
    group_order,
    joined,
    note,
    with_note,
)
from opinioncast.reproduce.result import PAPER, Result, beside_paper
from opinioncast.survey import OpinionTable, load_groups

SAMPLING = "sampling noise"
LOWER_ENDS = ("lower_low", "lower_high")
"""95% of the lower bound, over resampled respondents; null where sampling noise stands for it."""

_NO_NUMBER = pl.lit(None, dtype=pl.Float64)


def groups(context: Context) -> Result:
    """One row per group: lower bound, zero-shot, ours and the share of the gap that is closed."""
    recipe = context.recipe
    (table,) = recipe.tables
    frame = pl.concat([_compared(context, table, model, GROUP) for model in recipe.models])
    human = context.workshop.tables.bounds(table) is not None
    place = {key: i for i, key in enumerate(group_order(recipe))}
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
    for attribute in dict.fromkeys(a for a, _ in group_order(recipe)):
        part = _spread(first.filter(pl.col("attribute") == attribute))
        measures[f"relative_mean_{attribute}"] = part["relative_mean"]
    base = joined(
        compared_words(context, table),
        absent_words(recipe, first.select(GROUP).rows()),
        _lower_words(frame, human),
        spread_words(first, "groups"),
    )
    name = "lower bound" if human else SAMPLING
    return _improvement_result(context, frame, GROUP, paper, base, measures, withheld, name)


def waves(context: Context) -> Result:
    """One row per wave: zero-shot and ours."""
    recipe = context.recipe
    (table,) = recipe.tables
    frame = pl.concat([_compared(context, table, model, ("wave",)) for model in recipe.models])
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


def _compared(
    context: Context,
    table: str,
    model: str,
    columns: tuple[str, ...],
) -> pl.DataFrame:
    recipe = context.recipe
    assert recipe.ours is not None  # the recipe's own check
    assert recipe.zero_shot is not None
    zero_shot = context.scores(table, recipe.zero_shot, model)
    ours = context.scores(table, recipe.ours, model)
    lower = None
    if columns == GROUP and (bounds := context.bounds(table, ours, zero_shot)) is not None:
        lower = bounds.select(*GROUP, lower="human", lower_low="human_low", lower_high="human_high")
    frame = improvement_by(ours, zero_shot, *columns, lower=lower)
    ends = ours.intervals(*columns)
    frame = frame.join(ends, on=list(columns), how="left", maintain_order="left")
    repeated: list[str] = []
    if recipe.seeds > 1:
        runs = context.runs(table, recipe.ours, model)
        frame = with_errors(
            frame, [improvement_by(run, zero_shot, *columns, lower=lower) for run in runs]
        )
        repeated = list(ERRORS.values())
    if lower is None:
        frame = frame.with_columns(lower_low=_NO_NUMBER, lower_high=_NO_NUMBER)
    else:
        band = lower.select(*columns, *LOWER_ENDS)
        frame = frame.join(band, on=list(columns), how="left", maintain_order="left")
    return frame.select(
        *columns,
        pl.lit(context.label(model)).alias("model"),
        "lower",
        *LOWER_ENDS,
        "zero_shot",
        "ours",
        "low",
        "high",
        "absolute",
        "relative",
        *repeated,
        "cells",
        "asked",
        "note",
    )


ERRORS = {"ours": "ours_se", "relative": "relative_se"}
"""Column -> that of its standard error over seeds."""


def with_errors(frame: pl.DataFrame, runs: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """``frame`` with the standard error of its :data:`ERRORS`.

    Args:
        runs: the same rows of each seed, in the same order.
    """
    found = {
        error: [standard_error(values) for values in zip(*(run[c] for run in runs), strict=True)]
        for c, error in ERRORS.items()
    }
    return frame.with_columns(pl.Series(n, v, dtype=pl.Float64) for n, v in found.items())


def _withhold(frame: pl.DataFrame, observed: OpinionTable) -> tuple[pl.DataFrame, str]:
    """Blank what people's answers alone decide where it stands on a few cells of a closed table."""
    if why_withheld(observed.meta) is None:
        return frame, ""
    few = (pl.col("cells") < FEW_CELLS) & pl.col("lower").is_not_null()
    count = frame.filter(few).height
    if not count:
        return frame, ""
    hidden = frame.with_columns(
        pl.when(~few).then(pl.col(c)).alias(c)
        for c in ("lower", *LOWER_ENDS, "relative", ERRORS["relative"])
        if c in frame.columns
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


def spread_words(frame: pl.DataFrame, what: str) -> str:
    """Over how many of the rows a mean relative improvement is, where not over all."""
    known = frame.height - frame["relative"].null_count()
    if known in (0, frame.height):
        return ""
    return f"relative improvement known for {known} of {frame.height} {what}"


def _lower_words(frame: pl.DataFrame, drawn: bool) -> str:
    """What stands in the column ``lower``; empty where nothing does."""
    if frame["lower"].null_count() == frame.height:
        return ""
    return "lower: " + ("bootstrap of respondents" if drawn else f"{SAMPLING} to expect")


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
            _lower_series(lower, part),
        ]
        series += [
            DotSeries(c.replace(PAPER, "paper, "), part[c].to_list(), hollow=True)
            for c in paper
            if "relative" not in c
        ]
        series = [s for s in series if any(v is not None for v in s.values)]
        panels.append(DotPanel(label, _row_labels(part, columns), series))
    title = f"{recipe.title} ({context.setting.name} setting)"
    hide = {"absolute", "asked", *LOWER_ENDS} | ({"model"} if len(recipe.models) == 1 else set())
    if frame["lower"].null_count() == frame.height:
        hide |= {"lower", "relative", ERRORS["relative"]}
    own = [c for c in frame.columns if not c.startswith(PAPER) and c not in hide]
    band = frame["lower_low"].null_count() < frame.height
    return Result(
        recipe,
        frame,
        with_note([*own, *paper], frame),
        base,
        lambda: dot_figure(
            panels, title=title, axis=AXIS, note=note(context, base, paper, band=band)
        ),
        lambda: dots(panels, axis=AXIS),
        measures,
        withheld=withheld,
    )


def _lower_series(name: str, frame: pl.DataFrame) -> DotSeries:
    """The lower bound, in its band where respondents were resampled (paper, Figure 3)."""
    low, high = (frame[c].to_list() for c in LOWER_ENDS)
    if all(v is None for v in low):
        return DotSeries(name, frame["lower"].to_list())
    return DotSeries(name, frame["lower"].to_list(), low, high, band=True)


def _row_labels(frame: pl.DataFrame, columns: tuple[str, ...]) -> list[str]:
    if columns != GROUP:
        rows = frame.select(columns).iter_rows()
        return [" ".join(f"{c} {v}" for c, v in zip(columns, row, strict=True)) for row in rows]
    labels = []
    attributes = attributes_once(frame["attribute"])
    for attribute, group in zip(attributes, frame["group"], strict=True):
        labels.append(f"{attribute} · {group}" if attribute else str(group))
    return labels
