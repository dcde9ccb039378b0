"""Evaluate predictions against what people answered: tables, figures, and a page to pass on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from opinioncast.csv_files import write_csv
from opinioncast.errors import InputError
from opinioncast.evaluate.bands import entropy_bands, similarity_bands, training_bands
from opinioncast.evaluate.bounds import Bounds
from opinioncast.evaluate.compare import PairedTest, paired_test, skill_score
from opinioncast.evaluate.scores import CellScores, score_cells, shared_cells
from opinioncast.evaluate.steerability import Steerability, attributes, steerability
from opinioncast.evidence.worth import OVERALL, Worth, measure_worth
from opinioncast.files import atomic_path, safe_names
from opinioncast.jobs.evaluation_inputs import (
    GROUP,
    Inputs,
    data_card,
    identity,
    model_card,
    name_of,
    waves,
    why_withheld,
    without_library,
)
from opinioncast.jobs.evaluation_tables import (
    CAPTIONS,
    FEW_CELLS,
    SHOWN,
    average_tables,
    with_worth,
    withhold_few,
    write_cells,
)
from opinioncast.jobs.manifest import write_manifest
from opinioncast.json_text import json_text
from opinioncast.methods.prediction import Progress, seen_before
from opinioncast.output_folder import holds_folder
from opinioncast.report.answers_chart import answers_chart
from opinioncast.report.figure_files import save_figure
from opinioncast.report.group_chart import group_chart
from opinioncast.report.heatmap import steerability_figure
from opinioncast.report.page import PageFigure, write_page
from opinioncast.report.tables import write_table
from opinioncast.survey import OpinionTable, PredictionTable, standard_attributes
from opinioncast.survey.sameness import Sameness, find_same
from opinioncast.survey.tables import KEY

_PARTS = 3
"""Of an evaluation, beside its figures: scoring, tables, the page."""


@dataclass(frozen=True)
class EvaluationRun:
    """What :func:`evaluate_to_files` made.

    Attributes:
        scores, baseline: of the model and of the other method.
        test: the model against the other method.
        worth: of the model, over all cells and by group, in respondents.
        steerability: by attribute, of the model.
        withheld: why observed shares are in none of the files; None where they are.
        same: questions that the training table given asks too.
        lower: the human bound of the groups and questions scored
            (:meth:`opinioncast.evaluate.bounds.Bounds.of`).
        library_knew: questions that are not scored: their predictions start from the library's
            results of the very question.
    """

    scores: CellScores
    baseline: CellScores | None
    test: PairedTest | None
    worth: Mapping[str, Worth]
    steerability: Mapping[str, Steerability]
    withheld: str | None
    files: tuple[Path, ...]
    same: Sameness | None = None
    lower: pl.DataFrame | None = None
    library_knew: int = 0


@holds_folder("evaluate", plan=("scores.csv", "summary.json", "page.html"))
def evaluate_to_files(
    inputs: Inputs, out: Path, *, progress: Progress | None = None
) -> EvaluationRun:
    """Score, and write everything to ``out``.

    ``scores.csv`` (a row per cell); ``by_group``, ``by_wave``, ``by_family``, ``by_entropy`` and,
    with training questions, ``by_similarity`` and ``by_training`` (whether the question is asked
    there too), each as CSV, Markdown and LaTeX; ``groups`` and
    ``steerability_ATTRIBUTE`` as SVG and PNG; ``coverage.csv``; ``summary.json``; ``page.html``;
    ``manifest.json``, written last. Observed shares are in them only where the table's meta allows
    passing on group-level results (``redistribution: group-level``) or ``inputs.private`` is set.
    Figures and the page come after all tables.

    Args:
        progress: called with parts done and in all: scoring, tables, each figure, the page.

    Raises:
        DataError: no usable cell in common.
        InputError: training questions without an encoder.
    """
    started = time.monotonic()
    done = 0

    def went_on(charts: int = 1) -> None:
        nonlocal done
        if progress is not None:
            progress(done, _PARTS + charts)
        done += 1

    went_on()
    inputs, library_knew = without_library(inputs)
    scores, same = _scored(inputs)
    other = None if inputs.baseline is None else score_cells(inputs.opinions, inputs.baseline)
    test = None if other is None else paired_test(scores, other)
    worth = measure_worth(scores)
    went_on()
    withheld = None if inputs.private else why_withheld(inputs.opinions.meta)
    model = name_of(inputs.predictions, "model")
    zero_shot = name_of(inputs.baseline, "baseline") if inputs.baseline is not None else ""
    if zero_shot == model:
        zero_shot = f"{model}, baseline"

    files = [write_cells(scores, out / "scores.csv", withheld)]
    lower = _lower(inputs, scores)
    shared = None if other is None else _lower(inputs, scores, other)
    tables = average_tables(scores, other, lower, shared)
    tables["by_group"] = with_worth(tables["by_group"], worth)
    for name, frame in tables.items():
        frame = withhold_few(frame) if withheld else frame
        tables[name] = frame
        files += write_table(
            frame,
            out / name,
            caption=CAPTIONS[name],
            shown=[c for c in frame.columns if c in SHOWN or c in KEY or c.endswith("_band")],
        )
    files.append(write_csv(scores.coverage.frame(), out / "coverage.csv", for_excel=False))
    panels = _steerability(inputs, scores, other, model, zero_shot)
    steered = {attribute: of[model] for attribute, of in panels.items()}
    told = {n: w for n, w in worth.items() if withheld is None or w.cells >= FEW_CELLS}
    summary = _summary(lower, scores, test, tables["by_group"], steered, withheld)
    summary["asked_in_training_too"] = None if same is None else same.record()
    predicted = inputs.predictions
    trained = seen_before(predicted.meta) if isinstance(predicted, PredictionTable) else []
    summary["in_training_of_the_model"] = trained
    summary["library_knew"] = library_knew
    summary["worth"] = {name: w.record() for name, w in told.items()}
    files.append(_write(out / "summary.json", json_text(summary, indent=2)))
    went_on(charts := 1 + len(panels))
    title = "Predicted and observed answers" + _of(inputs.opinions)
    chart = group_chart(
        scores,
        model=model,
        title=title,
        baseline=None if other is None else (zero_shot, other),
        bounds=lower,
    )
    files += save_figure(chart, out / "groups")
    figures = []
    for attribute, name in safe_names(panels).items():
        went_on(charts)
        figures.append(_heatmaps(attribute, panels[attribute]))
        files += save_figure(figures[-1].figure, out / f"steerability_{name}")
    went_on(charts)
    by_group = tables["by_group"]
    files.append(
        write_page(
            out / "page.html",
            scores,
            title=title,
            chart=chart,
            answers=None if withheld else answers_chart(scores.frame),
            worth=told.get(OVERALL),
            human_bound=summary["human_bound"],
            comparison=None if test is None else (zero_shot, test),
            by_group=by_group.select(c for c in by_group.columns if c in SHOWN or c in GROUP),
            figures=figures,
            withheld=withheld,
            model_card=model_card(inputs.predictions)
            | ({"Worth": str(told[OVERALL])} if OVERALL in told else {})
            | ({"Questions asked in training too": same.words()} if same else {})
            | ({"In the training of the model": "; ".join(trained)} if trained else {})
            | (
                {"Questions not scored, as the library had their answers": str(library_knew)}
                if library_knew
                else {}
            ),
            data_card=data_card(inputs.opinions),
        )
    )
    went_on(charts)
    seconds = round(time.monotonic() - started, 2)
    files.append(write_manifest(out, _record(inputs) | {"seconds": seconds}, files))
    return EvaluationRun(
        scores, other, test, told, steered, withheld, tuple(files), same, lower, library_knew
    )


def _scored(inputs: Inputs) -> tuple[CellScores, Sameness | None]:
    """Scores with their bands, and which questions the training asked too."""
    scores = entropy_bands(score_cells(inputs.opinions, inputs.predictions))
    if inputs.training is None:
        return scores, None
    if inputs.encode is None:
        raise InputError(
            "Similarity to training questions needs a sentence model",
            expected="an encoder beside the training questions",
        )
    asked, training = inputs.opinions.questions(), inputs.training.questions()
    same = find_same(asked, training, inputs.encode)
    scores = similarity_bands(scores, asked, training, inputs.encode)
    return training_bands(scores, asked, same), same


def _lower(
    inputs: Inputs, scores: CellScores, other: CellScores | None = None
) -> pl.DataFrame | None:
    """The human bound of the cells that were scored, by both methods where there are two."""
    if inputs.bounds is None:
        return None
    known = inputs.bounds if isinstance(inputs.bounds, Bounds) else Bounds(inputs.bounds)
    return known.of(shared_cells(scores, *([] if other is None else [other])))


def _steerability(
    inputs: Inputs,
    scores: CellScores,
    other: CellScores | None,
    model: str,
    zero_shot: str,
) -> dict[str, dict[str, Steerability]]:
    """Of each attribute with two groups to compare: the matrices of each method, by its name."""
    found = {}
    shared = attributes(scores)
    if other is not None:
        shared = [a for a in shared if a in attributes(other)]
    for attribute in shared:
        groups = _groups_in_order(attribute, scores, other)
        if len(groups) < 2:
            continue
        panels = {model: steerability(scores, attribute, groups=groups, seen=inputs.seen)}
        if other is not None:
            panels[zero_shot] = steerability(other, attribute, groups=groups, seen=inputs.seen)
        found[attribute] = panels
    return found


def _heatmaps(attribute: str, panels: Mapping[str, Steerability]) -> PageFigure:
    standard = standard_attributes().get(attribute)
    label = attribute if standard is None else standard.label
    return PageFigure(
        f"Is it steered by {label}?",
        steerability_figure(panels, title=f"Intergroup disagreement: {label}"),
        f"Heatmaps of the distance between groups by {label}: people against people, and people "
        "against the model told to be another group",
        "; ".join(f"{name}: {_agreement_words(s)}" for name, s in panels.items()) + ".",
    )


def _groups_in_order(attribute: str, scores: CellScores, other: CellScores | None) -> list[str]:
    """Groups that all methods were scored on, in the attribute's own order."""
    present = []
    for each in (scores, other):
        if each is not None:
            rows = each.frame.filter(pl.col("wd").is_not_null(), pl.col("attribute") == attribute)
            present.append(rows["group"].unique(maintain_order=True).to_list())
    known = standard_attributes().get(attribute)
    order = [*(known.groups if known else ()), *present[0]]
    return [g for g in dict.fromkeys(order) if all(g in p for p in present)]


def _agreement_words(of: Steerability) -> str:
    found = of.agreement()
    words = []
    if found.correlation is not None:
        words.append(f"correlation with people's pattern {found.correlation:.2f}")
    if found.correlation_within is not None:
        words.append(f"{found.correlation_within:.2f} within rows")
    if found.variance_ratio is not None:
        words.append(f"variance {found.variance_ratio:.2f} of people's")
    words.append(
        f"another group's name costs {found.penalty:.3f} (between people {found.human_penalty:.3f})"
    )
    return ", ".join(words)


def _summary(
    bounds: pl.DataFrame | None,
    scores: CellScores,
    test: PairedTest | None,
    by_group: pl.DataFrame,
    steered: Mapping[str, Steerability],
    withheld: str | None,
) -> dict[str, Any]:
    """What ``summary.json`` holds; NaN where a figure is not known, which is written as null."""
    human, of = (None, None) if bounds is None else bounds.select("human", "note").row(-1)
    questions, with_waves = scores.questions()
    low, high = scores.interval()
    means = scores.mean()
    lower = means["wd_noise"] if human is None else human
    relative: list[float] = []
    if "relative" in by_group.columns:
        relative = by_group["relative"].drop_nulls().to_list()
    return {
        "origin": "model output compared with survey data",
        "mean": means,
        "interval_95": None if np.isnan(low) else (low, high),
        "questions": questions,
        "questions_with_waves": with_waves,
        "human_bound": human,
        "human_bound_note": of or None,
        "lower_bound": "sampling noise" if human is None else "human",
        "skill": skill_score(means["wd_uniform"], means["wd"], lower),
        "against_baseline": None if test is None else asdict(test),
        "relative_improvement": {
            "groups": len(relative),
            "mean": float(np.mean(relative)),
            "standard_deviation": float(np.std(relative, ddof=1)) if len(relative) > 1 else None,
        }
        if len(relative)
        else None,
        "steerability": {a: asdict(s.agreement()) for a, s in steered.items()},
        "coverage": {
            "asked": scores.coverage.asked,
            "scored": scores.coverage.scored,
            "with_distance": scores.coverage.scaled,
            "findings": [asdict(f) for f in scores.coverage.findings],
        },
        "observed_shares_withheld": withheld,
    }


def _record(inputs: Inputs) -> dict[str, Any]:
    return {
        "predictions": identity(inputs.predictions),
        "opinions": inputs.opinions.content_hash,
        "baseline": None if inputs.baseline is None else identity(inputs.baseline),
        "bounds": inputs.bounds is not None,
        "seen": None if inputs.seen is None else [str(s) for s in inputs.seen],
        "training": None if inputs.training is None else inputs.training.content_hash,
        "private": inputs.private,
    }


def _of(opinions: OpinionTable) -> str:
    names = [w for w in waves(opinions) if w]
    if not names:
        return ""
    return ": " + (", ".join(names) if len(names) <= 4 else f"{len(names)} waves")


def _write(path: Path, text: str) -> Path:
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")
    return path
