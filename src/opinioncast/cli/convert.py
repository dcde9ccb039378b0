"""``opinioncast convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opinioncast.cli.screen import Screen
from opinioncast.jobs.convert import convert as convert_table
from opinioncast.jobs.convert import counted

_console = Screen()


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="Opinion table: parquet, SubPOP's JSON lines or CSV, or a Hugging Face dataset "
            "folder."
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(help="NAME.parquet, NAME.jsonl, NAME.csv, or a folder for a dataset."),
    ],
    published: Annotated[
        bool,
        typer.Option("--published", help="SubPOP's own columns only, and no sidecar."),
    ] = False,
    family: Annotated[
        str, typer.Option(help="Who fielded the questions, where the source does not say.")
    ] = "ATP",
) -> None:
    """Write an opinion table in another layout: parquet, SubPOP's, a Hugging Face dataset."""
    done = convert_table(source, target, published=published, family=family)
    _console.say(counted(done.table))
    if done.lost:
        _console.say(f"left out: {', '.join(done.lost)}")
    _console.wrote(done.files)
