"""Figures of the paper that are no tables of scores: heatmaps, scaling, curves, maps, input use."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from opinioncast.csv_files import read_csv
from opinioncast.curate.overlap import Encoder, QuestionSet, find_overlap
from opinioncast.curate.question_map import question_map
from opinioncast.errors import InputError
from opinioncast.evaluate.clusters import question_counts, question_words
from opinioncast.evaluate.distance import Array
from opinioncast.evaluate.repeats import standard_error
from opinioncast.evaluate.scaling import PowerLaw, bootstrap_power_law
from opinioncast.evaluate.scores import CellScores, mean_over, shared_cells
from opinioncast.evaluate.steerability import Steerability, steerability
from opinioncast.jobs.evaluation_inputs import why_withheld
from opinioncast.report import interactive
from opinioncast.report.curve_chart import curve_figure, read_curve
from opinioncast.report.dot_chart import DotPanel, DotSeries, dot_figure
from opinioncast.report.heatmap import steerability_figure
from opinioncast.report.overlap_figures import question_map_figure, similarity_figure
from opinioncast.report.scaling_chart import scaling_figure
from opinioncast.reproduce.context import (
    FEW_CELLS,
    Context,
    absent_words,
    base_words,
    compared_words,
    interval,
    joined,
    note,
    per_model,
    with_note,
)
from opinioncast.reproduce.recipe import MethodRow, Value, subset_training
from opinioncast.reproduce.result import Result, beside_paper
from opinioncast.survey import load_groups, standard_attributes
from opinioncast.survey.sameness import MINILM_THRESHOLD

UNIT = "training questions"
WITH_WAVES = "with waves"
"""Column: questions counting each wave's by itself."""


def heatmaps(context: Context) -> Result:
    """Disagreement between groups: people, ours, zero-shot; one attribute a recipe."""
    recipe = context.recipe
    (table,), model = recipe.tables, recipe.models[0]
    assert recipe.attributes is not None
    assert recipe.ours is not None
    assert recipe.zero_shot is not None
    (attribute,) = recipe.attributes
    order = standard_attributes()[attribute].groups
    seen = tuple(load_groups(*context.setting.seen))
    scores = {
        row.name: context.scores(table, row, model) for row in (recipe.ours, recipe.zero_shot)
    }
    label = context.label(model)
    found = {
        f"{name} ({label})": steerability(each, attribute, groups=order, seen=seen)
        for name, each in scores.items()
    }
    first = next(iter(found.values()))
    fewest = int(first.questions.min())
    if why_withheld(context.observed(table).meta) is not None and fewest < FEW_CELLS:
        raise InputError(
            "Distances between groups over so few questions would give the survey's answers away",
            where=f"{recipe.name}, {table}",
            expected=f"at least {FEW_CELLS} questions for every pair of groups",
            found=fewest,
            hint="draw more --questions",
        )
    matrices = {"People": first.human} | {name: s.model for name, s in found.items()}
    present = [(attribute, g) for g in first.groups]
    base = joined(compared_words(context, table), absent_words(recipe, present))
    title = context.heading(context.title(table))
    rows = [
        _agreement(name, s, scored)
        for (name, s), scored in zip(found.items(), scores.values(), strict=True)
    ]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return Result(
        recipe,
        frame,
        with_note([c for c in frame.columns if c != "asked"], frame),
        base,
        lambda: steerability_figure(found, title=title),
        lambda: interactive.heatmaps(matrices, first.groups, first.seen),
        more={"matrices": _long(matrices, first)},
    )


def _agreement(name: str, of: Steerability, scores: CellScores) -> dict[str, object]:
    found, means = of.agreement(), scores.mean()
    return {
        "method": name,
        "correlation": found.correlation,
        "correlation_within": found.correlation_within,
        "variance_ratio": found.variance_ratio,
        "spread_ratio": found.spread_ratio,
        "own_group_nearest": found.own_group_nearest,
        "penalty": found.penalty,
        "human_penalty": found.human_penalty,
        "questions": int(of.questions.min()),
        **{c: means[c] for c in ("cells", "asked", "note")},
    }


def _long(matrices: dict[str, Array], of: Steerability) -> pl.DataFrame:
    """A row per panel, target and source, and whether these were in the training data."""
    seen = [None] * len(of.groups) if of.seen is None else ["yes" if s else "no" for s in of.seen]
    return pl.DataFrame(
        [
            {
                "panel": name,
                "target": of.groups[i],
                "source": of.groups[j],
                "distance": float(value),
                "questions": int(of.questions[i, j]),
                "target_trained_on": seen[i],
                "source_trained_on": seen[j],
            }
            for name, matrix in matrices.items()
            for (i, j), value in np.ndenumerate(matrix)
        ],
        infer_schema_length=None,
    )


def scaling(context: Context) -> Result:
    """Distance against training questions, with the line through them and the data for a target."""
    recipe = context.recipe
    (table,) = recipe.tables
    assert recipe.zero_shot is not None
    assert recipe.target is not None
    rows, fits = [], {}
    measures: dict[str, dict[str, Value]] = {}
    base = ""
    for model in recipe.models:
        scored = {}
        for fraction in recipe.fractions:
            row = MethodRow(
                name=f"{fraction:g}", method="zero-shot", training=subset_training(fraction)
            )
            training = {**context.setting.trainings, **recipe.trainings}[subset_training(fraction)]
            trained_on = context.workshop.training_table(training)
            size, with_waves = question_counts(trained_on.frame)
            if float(size) in scored:
                raise InputError(
                    "Two fractions hold the same number of questions",
                    where=f"{recipe.name}, fraction {fraction:g}",
                    expected="fractions that differ by a question of the training table",
                    found=f"{size} questions in both",
                    hint="draw more --questions, or name fewer fractions",
                )
            scores = scored[float(size)] = context.scores(table, row, model)
            low, high = interval(scores)
            means = scores.mean()
            means["note"] = joined(means["note"], context.trained_on(table, row, model))
            rows.append(
                {
                    "model": context.label(model),
                    "fraction": fraction,
                    UNIT: size,
                    WITH_WAVES: with_waves,
                    "wd": means["wd"],
                    **_repeated(context, table, row, model),
                    "low": low,
                    "high": high,
                    **{c: means[c] for c in ("cells", "asked", "note")},
                }
            )
        scored = dict(sorted(scored.items()))  # whatever order the fractions are written in
        fit = fits[context.label(model)] = bootstrap_power_law(scored)
        base = base or base_words({context.title(table): next(iter(scored.values()))})
        zero_shot = context.scores(table, recipe.zero_shot, model)
        found = _scaling_measures(scored, fit, zero_shot, recipe.target, recipe.fractions)
        for name, value in found.items():
            measures.setdefault(name, {})[context.label(model)] = value
    frame, paper = beside_paper(
        pl.DataFrame(rows, infer_schema_length=None), recipe.paper, label="model"
    )
    title = context.heading(context.title(table))
    shown = [*rows[0], *paper]
    if frame[UNIT].equals(frame[WITH_WAVES], check_names=False):
        shown.remove(WITH_WAVES)
    shown.remove("asked")
    return Result(
        recipe,
        frame,
        with_note(shown, frame),
        base,
        lambda: scaling_figure(fits, title=title, unit=UNIT, target=recipe.target),
        lambda: interactive.scaling(fits, unit=UNIT),
        {name: per_model(values) for name, values in measures.items()},
    )


def _repeated(context: Context, table: str, row: MethodRow, model: str) -> dict[str, Value]:
    """Standard error of the mean distance over the recipe's seeds, where it has several."""
    if context.recipe.seeds < 2:
        return {}
    runs = context.runs(table, row, model)
    return {"se": standard_error([run.mean()["wd"] for run in runs]), "seeds": len(runs)}


def _scaling_measures(
    scored: Mapping[float, CellScores],
    fit: PowerLaw,
    zero_shot: CellScores,
    target: float,
    fractions: Sequence[float],
) -> dict[str, Value]:
    """Gain at a quarter of the questions, times the data for the target, slope.

    Args:
        scored: by size, the smallest first.
    """
    cells = shared_cells(zero_shot, *scored.values())
    untrained, *trained = (mean_over(cells, s) for s in (zero_shot, *scored.values()))
    place = sorted(fractions).index(0.25) if 0.25 in fractions else None
    quarter = None if place is None else trained[place]
    whole = untrained - trained[-1]
    estimate, low, high = fit.size_for(target)
    times = "not reached by more data"
    if math.isfinite(estimate):
        ends = " to ".join(
            f"{v / fit.sizes[-1]:.3g}" if math.isfinite(v) else "no end" for v in (low, high)
        )
        times = f"{estimate / fit.sizes[-1]:.3g} ({ends}) to {target:g}"
    return {
        "gain_at_quarter": (untrained - quarter) / whole
        if quarter is not None and whole > 0
        else None,
        "times_for_target": times,
        "slope": f"{fit.slope:.3f} ({fit.slope_low:.3f} to {fit.slope_high:.3f})",
    }


def curves(context: Context) -> Result:
    """Training and validation losses of every training, over its updates."""
    recipe = context.recipe
    frames: dict[str, pl.DataFrame] = {}
    rows = []
    for model in recipe.models:
        for name, training in recipe.curves.items():
            frame = read_curve(read_csv(context.workshop.curve(recipe, model, training)))
            label = name if len(recipe.models) == 1 else f"{name}, {context.label(model)}"
            frames[label] = frame
            rows.append({"loss": label, **_ends(frame)})
    table = context.workshop.tables.table(recipe.tables[0])
    words = question_words(table.frame)
    base = f"{context.title(recipe.tables[0])}: {len(table):,} rows of {words}"
    return Result(
        recipe,
        pl.DataFrame(rows, infer_schema_length=None),
        list(rows[0]),
        base,
        lambda: curve_figure(frames, title=context.heading(f"{context.setting.name} setting")),
        lambda: interactive.curves(frames),
        more={"curves": pl.concat([f.with_columns(loss=pl.lit(k)) for k, f in frames.items()])},
    )


def _ends(frame: pl.DataFrame) -> dict[str, object]:
    """Means over the last tenth of the training, and the validation's first, best and last."""
    train = frame.filter(pl.col("part") == "train")
    valid = frame.filter(pl.col("part") == "validation")
    last = train.tail(max(1, train.height // 10))
    kl, wd = valid["kl"].drop_nulls(), valid["wasserstein"].drop_nulls()
    return {
        "updates": frame["step"].max(),
        "train_kl": last["kl"].mean(),
        "train_wd": last["wasserstein"].mean(),
        "valid_kl_first": kl[0] if len(kl) else None,
        "valid_kl_last": kl[-1] if len(kl) else None,
        "valid_wd_first": wd[0] if len(wd) else None,
        "valid_wd_best": wd.min(),
        "valid_wd_last": wd[-1] if len(wd) else None,
    }


def _sets(context: Context, encode: Encoder) -> list[QuestionSet]:
    return [
        QuestionSet.of_table(context.title(t), context.workshop.tables.table(t), encode)
        for t in context.recipe.tables
    ]


def sentence_encoder() -> Encoder:
    """The embedded sentence model's."""
    from opinioncast.backends.sentences import SentenceModel

    return SentenceModel.load().encode


def question_maps(context: Context) -> Result:
    """Where the questions of the tables lie."""
    sets = _sets(context, sentence_encoder())
    points = question_map(sets)
    counts = [
        question_counts(context.workshop.tables.table(t).frame) for t in context.recipe.tables
    ]
    different, with_waves = ([c[i] for c in counts] for i in (0, 1))
    names = [s.name for s in sets]
    frame = pl.DataFrame({"set": names, "questions": different, WITH_WAVES: with_waves})
    measures = {f"questions_{t}": n for t, n in zip(context.recipe.tables, different, strict=True)}
    return Result(
        context.recipe,
        frame,
        frame.columns,
        f"{len(points):,} points: questions, one for each wave that asked them, embedded by MiniLM",
        lambda: question_map_figure(points),
        lambda: interactive.question_map(points),
        measures,
        more={"points": points},
        model=False,
    )


def similarities(context: Context) -> Result:
    """How alike the questions of two tables are."""
    left, right = _sets(context, sentence_encoder())
    overlap = find_overlap(left, right, threshold=MINILM_THRESHOLD)
    edges = (0.5, 0.6, 0.7, MINILM_THRESHOLD, 0.8, 0.87, 1.0)
    rows = [
        {
            "cosine of at least": edge,
            "pairs": int(overlap.histogram.filter(pl.col("low") >= edge - 1e-9)["pairs"].sum()),
        }
        for edge in edges[:-1]
    ]
    frame = pl.DataFrame(rows)
    pairs = int(overlap.histogram["pairs"].sum())
    words = " and ".join(
        question_words(context.workshop.tables.table(t).frame) for t in context.recipe.tables
    )
    return Result(
        context.recipe,
        frame,
        frame.columns,
        f"{pairs:,} pairs of {words}, embedded by MiniLM",
        lambda: similarity_figure(overlap),
        lambda: interactive.similarities(overlap.histogram, overlap.threshold),
        {"threshold": overlap.threshold},
        more={"histogram": overlap.histogram},
        model=False,
    )


def input_use(context: Context) -> Result:
    """Each method as asked and three ways poorer."""
    recipe = context.recipe
    (table,) = recipe.tables
    frames = []
    for model in recipe.models:
        for row in recipe.methods:
            found = context.workshop.input_use(recipe, table, row, model)
            frames.append(
                found.select(
                    pl.lit(row.name).alias("method"),
                    pl.lit(context.label(model, row)).alias("model"),
                    pl.all(),
                )
            )
    frame = pl.concat(frames)
    panels = _input_panels(frame)
    cells, observed = int(frame["cells"][0]), context.observed(table)
    axis = "Wasserstein distance above that as asked (0: not used)"
    scored = f"{cells:,}" if cells == len(observed) else f"{cells:,} of {len(observed):,}"
    base = f"{context.title(table)}: {scored} cells of {question_words(observed.frame)}"
    shown = with_note([c for c in frame.columns if c != "asked"], frame)
    return Result(
        recipe,
        frame,
        shown,
        base,
        lambda: dot_figure(panels, title=recipe.title, axis=axis, note=note(context, base)),
        lambda: interactive.dots(panels, axis=axis),
    )


def _input_panels(frame: pl.DataFrame) -> Sequence[DotPanel]:
    panels = []
    for names, part in frame.group_by("method", "model", maintain_order=True):
        poorer = part.filter(pl.col("p_value").is_not_null())
        values: dict[str, list[Any]] = {c: poorer[c].to_list() for c in ("worse_by", "low", "high")}
        series = DotSeries("worse by", values["worse_by"], values["low"], values["high"])
        panels.append(DotPanel(", ".join(map(str, names)), poorer["input"].to_list(), [series]))
    return panels
