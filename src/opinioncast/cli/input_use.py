"""``opinioncast input-use``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from opinioncast.cli.options import predict_options, takes
from opinioncast.cli.progress import progress_bar
from opinioncast.cli.screen import Screen
from opinioncast.jobs.evaluation_inputs import read_opinions
from opinioncast.jobs.input_use import input_use_to_files
from opinioncast.methods.prediction import raise_for_problems
from opinioncast.predictor import PredictSettings
from opinioncast.report.report import MODEL_OUTPUT

_console = Screen()


@takes(predict_options(but=("seed",)))
def input_use(
    opinions: Annotated[
        Path, typer.Argument(help="What people answered: parquet, or SubPOP's layout.")
    ],
    seed: Annotated[int, typer.Option(help="Of the shuffled options.")] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/input-use"
    ),
    *,
    given: Any,
) -> None:
    """How much worse a method is without the group or question, or with shuffled options."""
    settings = PredictSettings(**given)
    with progress_bar("prompts") as progress:
        run = input_use_to_files(
            read_opinions(opinions), settings, out, seed=seed, progress=progress
        )
    _console.heading(MODEL_OUTPUT, ", compared with survey data\n")
    columns = ("input", "wd", "worse_by", "low", "high", "p_value", "moved", "cells")
    grid = Table(box=None, pad_edge=False)
    for column in columns:
        grid.add_column(column, justify="left" if column == "input" else "right")
    for row in run.table.select(columns).iter_rows():
        grid.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v or "-") for v in row))
    _console.print(grid)
    _console.wrote(run.files)
    raise_for_problems(run.problems, hint=settings.kind.advice)
