"""``opinioncast estimate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.table import Table

from opinioncast.cli.screen import Screen
from opinioncast.evidence.frame import read_frame
from opinioncast.jobs.estimate import BASIS, estimate_to_files
from opinioncast.jobs.update import PilotFile
from opinioncast.survey import PredictionTable
from opinioncast.survey.groups import TOTAL_ATTRIBUTE

_console = Screen()
_SHOWN = 12


def estimate(
    predictions: Annotated[Path, typer.Argument(help="Parquet of `opinioncast predict`.")],
    recipe: Annotated[str, typer.Option(help="Curation recipe of the pilot: a name or a file.")],
    pilot: Annotated[
        Path | None, typer.Option(help="The pilot's microdata, where the recipe names another.")
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option("--data", "-d", help="Folder of the recipe's files.")
    ] = None,
    frame: Annotated[
        Path | None, typer.Option(help="Population frame, CSV or parquet (default: US adults).")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/estimate"
    ),
) -> None:
    """The unbiased estimate of a pilot: its weighted shares, made more precise by predictions."""
    run = estimate_to_files(
        PredictionTable.read(predictions),
        PilotFile(recipe, pilot),
        read_frame(frame),
        out,
        folders=tuple(data or (Path(),)),
    )
    _console.heading("Design-based estimates", f": {BASIS}\n")
    grid = Table(box=None, pad_edge=False)
    for column in ("question", "option", "n", "share", "± (se)", "pilot alone", "± (se)", "gain"):
        grid.add_column(column, justify="left" if column in ("question", "option") else "right")
    totals = run.table.filter(pl.col("attribute") == TOTAL_ATTRIBUTE)
    for row in totals.head(4 * _SHOWN).iter_rows(named=True):
        grid.add_row(
            row["question_id"],
            row["option"],
            str(row["n"]),
            *(f"{100 * row[c]:.1f}" for c in ("share", "se", "plain_share", "plain_se")),
            "-" if row["gain"] is None else f"{100 * row['gain']:+.0f}%",
        )
    _console.print(grid)
    _console.say("\nThe whole sample; its groups are in the file. Gain: respondents saved.")
    for note in run.notes[:_SHOWN]:
        _console.say(f"note: {note}")
    _console.wrote(run.files)
