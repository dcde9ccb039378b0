"""``opinioncast inspect`` and ``init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opinioncast.cli.screen import Screen
from opinioncast.jobs.inspect import init_to_files, inspect_to_files
from opinioncast.report.inspection import inspection_tables

_console = Screen()

_File = Annotated[Path, typer.Argument(help="Microdata: SPSS, Stata, SAS, CSV or parquet.")]
_Codebook = Annotated[
    Path | None, typer.Option(help="A codebook that already says something about the file.")
]
_Wording = Annotated[Path | None, typer.Option(help="A file with the questions as asked.")]
_Encoding = Annotated[str | None, typer.Option(help="Of the file's text, if it is read wrongly.")]


def inspect(
    file: _File,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the page.")] = None,
    codebook: _Codebook = None,
    wording: _Wording = None,
    encoding: _Encoding = None,
    every: Annotated[bool, typer.Option("--all", help="Print every variable.")] = False,
) -> None:
    """Show what is understood of a survey file before any recipe: odd things first."""
    out = out or Path("opinioncast-out/inspect") / file.stem
    found, files = inspect_to_files(
        file, out, codebook=codebook, wording=wording, encoding=encoding
    )
    _console.print(inspection_tables(found, every=every))
    _console.wrote(files)


def init(
    file: _File,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the files.")] = None,
    codebook: _Codebook = None,
    wording: _Wording = None,
    encoding: _Encoding = None,
) -> None:
    """Write a first codebook, group and curation recipe of a survey file, guesses marked."""
    out = out or Path("opinioncast-out/init") / file.stem
    run = init_to_files(file, out, codebook=codebook, wording=wording, encoding=encoding)
    groups = ", ".join(run.starter.attributes) or "none"
    _console.line(f"{run.starter.questions} questions; groups by {groups}")
    for line in run.found.odd[:8]:
        _console.line(f"look: {line}")
    _console.wrote(run.files)
    _console.say("next: check what is marked GUESS, then")
    _console.line(f"  opinioncast curate {run.recipe}")
