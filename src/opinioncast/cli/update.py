"""``opinioncast update``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opinioncast.cli.evidence_options import evidence_options, say_reading
from opinioncast.cli.options import takes
from opinioncast.cli.progress import progress_bar
from opinioncast.cli.screen import Screen
from opinioncast.jobs.update import Sources, update_to_files
from opinioncast.report.report import MODEL_OUTPUT

_console = Screen()


@takes(evidence_options(but=("no_library",)))
def update(
    predictions: Annotated[
        Path, typer.Argument(help="predictions.parquet of `predict` or of an earlier update.")
    ],
    *,
    sources: Sources,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/update"
    ),
) -> None:
    """Start from what is known: read toplines, a pilot's answers or past waves on predictions."""
    with progress_bar("questions") as progress:
        run = update_to_files(predictions, sources, out, progress)
    _console.heading(MODEL_OUTPUT, ", read with what is known")
    say_reading(_console, run.reading)
    _console.wrote(run.files)
