"""``opinioncast synthesize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from opinioncast.cli.progress import progress_bar
from opinioncast.cli.screen import Screen
from opinioncast.jobs.synthesize import SynthesisRequest, synthesize_to_files
from opinioncast.report.disclosure import SYNTHETIC_NOTICE, Parties
from opinioncast.synthesis.files import WRITERS

_console = Screen()


def synthesize(
    predictions: Annotated[
        Path, typer.Argument(help="predictions.parquet of `predict` or `update`, or its folder.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/synthetic"
    ),
    records: Annotated[int, typer.Option("--records", "-n", help="How many.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same file.")] = 0,
    name: Annotated[
        str, typer.Option(help="In the files' names: synthetic_NAME_nRECORDS.sav.")
    ] = "survey",
    write: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(WRITERS)}. Repeat; default: all.")
    ] = None,
    frame: Annotated[
        Path | None,
        typer.Option(help="Population: .csv or .parquet; US adults when left out."),
    ] = None,
    ask_if: Annotated[
        list[str] | None,
        typer.Option(help="Skip pattern 'QUESTION: OTHER=Option|Option'. Repeat."),
    ] = None,
    questionnaire: Annotated[
        Path | None,
        typer.Option(help="The questionnaire that was predicted: its skip patterns are followed."),
    ] = None,
    sponsor: Annotated[str, typer.Option(help="For the disclosure card.")] = "",
    conducted_by: Annotated[str, typer.Option(help="For the disclosure card.")] = "",
    reviewed_by: Annotated[str, typer.Option(help="For the disclosure card.")] = "",
    contact: Annotated[str, typer.Option(help="For the disclosure card.")] = "",
) -> None:
    """Synthetic records (SPSS, Stata, ...) whose crosstabs give predictions back."""
    request = SynthesisRequest(
        count=records,
        seed=seed,
        name=name,
        formats=tuple(write or WRITERS),
        frame=frame,
        ask_if=tuple(ask_if or ()),
        questionnaire=questionnaire,
        parties=Parties(sponsor, conducted_by, reviewed_by, contact),
    )
    with progress_bar("questions") as progress:
        run = synthesize_to_files(predictions, out, request, progress=progress)
    _console.heading(
        "Synthetic records", f", {run.records.frame.height} of them. {SYNTHETIC_NOTICE}"
    )
    cells = run.agreement.unique(["question_id", "attribute", "group"]).filter(
        pl.col("p").is_not_null()
    )
    if cells.height:
        low = cells.filter(pl.col("p") < 0.05).height
        _console.say(
            f"Crosstabs against what was planned: {cells.height} chi-square tests, {low} below "
            f"0.05 (by chance alone: about {0.05 * cells.height:.0f})."
        )
    for note in run.notes:
        _console.say(f"note: {note}")
    _console.wrote(run.files)
