"""``opinioncast update``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from opinioncast.cli.progress import progress_bar
from opinioncast.errors import InputError
from opinioncast.jobs.update import PilotFile, Sources, update_to_files
from opinioncast.report.report import MODEL_OUTPUT

_console = Console()
_SHOWN = 12


def update(
    predictions: Annotated[
        Path, typer.Argument(help="predictions.parquet of `predict` or of an earlier update.")
    ],
    pilot: Annotated[
        list[Path] | None, typer.Option(help="Microdata of a pilot, read by --recipe.")
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(help="Curation recipe of the pilot, one for each; alone, it names the file."),
    ] = None,
    known: Annotated[
        list[Path] | None,
        typer.Option(help="Published results: .csv, .xlsx, .parquet, or .yaml with `known:`."),
    ] = None,
    past: Annotated[
        list[Path] | None, typer.Option(help="opinions.parquet of earlier waves.")
    ] = None,
    year: Annotated[
        float | None, typer.Option(help="Year predicted, where the wave does not say it.")
    ] = None,
    frame: Annotated[
        Path | None, typer.Option(help="Population: .csv or .parquet; US adults when left out.")
    ] = None,
    groups: Annotated[
        list[str] | None, typer.Option("--groups", "-g", help="Group files of known results.")
    ] = None,
    prior: Annotated[
        Path | None, typer.Option(help="Of `learn-prior`; the shipped one when left out.")
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option("--data", "-d", help="Folder of a recipe's files.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/update"
    ),
) -> None:
    """Start from what is known: read toplines, a pilot's answers or past waves on predictions."""
    pilots, recipes = pilot or [], recipe or []
    if pilots and len(pilots) != len(recipes):
        raise InputError(
            "A pilot has no recipe, or a recipe no pilot",
            expected="one --recipe for each --pilot",
            found=f"{len(pilots)} pilot(s), {len(recipes)} recipe(s)",
            hint="the recipe says what the pilot's codes and groups are: docs/curation.md",
        )
    files = pilots or [None] * len(recipes)
    sources = Sources(
        tuple(PilotFile(r, f) for r, f in zip(recipes, files, strict=True)),
        tuple(known or ()),
        tuple(past or ()),
        year,
        frame,
        tuple(groups or ()),
        prior,
        tuple(data or (Path(),)),
    )
    with progress_bar("questions") as progress:
        run = update_to_files(predictions, sources, out, progress)
    _console.print(f"[bold]{MODEL_OUTPUT}[/bold], read with what is known")
    for basis, rows in run.table.frame["basis"].value_counts(sort=True).iter_rows():
        _console.print(f"{rows} rows: {basis}", highlight=False, markup=False)
    for word, lines in (("not used", run.reading.left_out), ("note", run.reading.notes)):
        for line in lines[:_SHOWN]:
            _console.print(f"{word}: {line}", highlight=False, markup=False, soft_wrap=True)
        if len(lines) > _SHOWN:
            _console.print(f"{word}: {len(lines) - _SHOWN} more, all in manifest.json")
    for file in run.files:
        _console.print(f"wrote {file}", highlight=False, soft_wrap=True)
