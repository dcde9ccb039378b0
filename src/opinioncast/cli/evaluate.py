"""``opinioncast evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opinioncast.backends.sentences import SentenceModel
from opinioncast.cli.progress import progress_bar
from opinioncast.cli.screen import Screen
from opinioncast.evaluate.clusters import question_words
from opinioncast.evidence.worth import OVERALL
from opinioncast.jobs.evaluate import evaluate_to_files
from opinioncast.jobs.evaluation_inputs import (
    Inputs,
    read_bounds,
    read_opinions,
    read_predictions,
)
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.report.terminal import decimal, percent, score_table, span
from opinioncast.survey import load_groups

_console = Screen()


def evaluate(
    predictions: Annotated[
        Path, typer.Argument(help="Parquet of `opinioncast predict`, or SubPOP's layout.")
    ],
    opinions: Annotated[
        Path, typer.Argument(help="Parquet of `opinioncast curate`, or SubPOP's layout.")
    ],
    baseline: Annotated[
        Path | None, typer.Option(help="Predictions to compare with, for example zero-shot.")
    ] = None,
    bounds: Annotated[
        Path | None, typer.Option(help="CSV of `opinioncast bounds`: the human lower bound.")
    ] = None,
    seen: Annotated[
        list[str] | None,
        typer.Option(help="Groups of the training data, to mark: scheme, file or expression."),
    ] = None,
    training: Annotated[
        Path | None,
        typer.Option(help="Training questions, for scores by similarity (needs [demo])."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/evaluation"
    ),
    private: Annotated[
        bool,
        typer.Option("--private", help="Copy observed shares even if they may not be passed on."),
    ] = False,
) -> None:
    """Score predictions against what people answered: tables, figures and one page."""
    inputs = Inputs(
        read_predictions(predictions),
        read_opinions(opinions),
        baseline=None if baseline is None else read_predictions(baseline),
        bounds=None if bounds is None else read_bounds(bounds),
        seen=tuple(load_groups(*seen)) if seen else None,
        training=None if training is None else read_opinions(training),
        encode=None if training is None else SentenceModel.load().encode,
        private=private,
    )
    with progress_bar("tables, figures and page") as progress:
        run = evaluate_to_files(inputs, out, progress=progress)
    _console.heading(MODEL_OUTPUT, ", compared with survey data\n")
    if OVERALL in run.worth:
        _console.heading(str(run.worth[OVERALL]), " a group, over all cells")
    _console.say("\nWorth in respondents; mean Wasserstein distance to the answers (0 to 1)")
    _console.print(score_table(run.scores, run.worth))
    means = run.scores.mean()
    interval = span(*run.scores.interval())
    _console.say(
        f"\n{means['cells']} of {means['asked']} cells of "
        f"{question_words(run.scores.frame.drop_nulls('wd'))}: model "
        f"{decimal(means['wd'])} (95% over questions {interval}), uniform guess "
        f"{decimal(means['wd_uniform'])}, sampling noise {decimal(means['wd_noise'])}"
    )
    if means["covered"] is not None:
        _console.say(
            f"90% intervals hold {percent(means['covered'])} of the observed shares, half-width "
            f"{100 * means['half_width']:.0f} points on average"
        )
    if run.test is not None:
        _console.say(
            f"against the baseline's {decimal(run.test.second)}: {run.test.difference:+.3f} "
            f"({span(run.test.low, run.test.high)}, p = {run.test.p_value:.2g}), over "
            f"{run.test.cells} shared cells of {run.test.questions} questions"
        )
    if run.lower is not None and (note := run.lower["note"][-1]):
        _console.say(f"lower bound {decimal(run.lower['human'][-1])}: {note}")
    if run.same is not None:
        _console.say(f"asked in training too: {run.same.words()}")
    if run.library_knew:
        _console.say(
            f"not scored: {run.library_knew} question(s) whose answers the library had; predict "
            "with --no-library to score them"
        )
    for finding in run.scores.coverage.findings:
        _console.say(f"note: {finding}")
    if run.withheld is not None:
        _console.say(run.withheld)
    _console.wrote(run.files)
