"""``opinioncast update``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opinioncast.cli.evidence_options import (
    Data,
    FrameFile,
    Past,
    Pilots,
    PriorFile,
    Recipes,
    Results,
    Year,
    say_reading,
    sources_of,
)
from opinioncast.cli.progress import progress_bar
from opinioncast.cli.screen import Screen
from opinioncast.jobs.update import update_to_files
from opinioncast.report.report import MODEL_OUTPUT

_console = Screen()


def update(
    predictions: Annotated[
        Path, typer.Argument(help="predictions.parquet of `predict` or of an earlier update.")
    ],
    pilot: Pilots = None,
    recipe: Recipes = None,
    known: Results = None,
    past: Past = None,
    year: Year = None,
    frame: FrameFile = None,
    groups: Annotated[
        list[str] | None, typer.Option("--groups", "-g", help="Group files of known results.")
    ] = None,
    prior: PriorFile = None,
    data: Data = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/update"
    ),
) -> None:
    """Start from what is known: read toplines, a pilot's answers or past waves on predictions."""
    sources = sources_of(pilot, recipe, known, past, year, frame, prior, data, groups)
    with progress_bar("questions") as progress:
        run = update_to_files(predictions, sources, out, progress)
    _console.heading(MODEL_OUTPUT, ", read with what is known")
    say_reading(_console, run.reading)
    _console.wrote(run.files)
