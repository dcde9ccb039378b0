"""``opinioncast learn-prior``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opinioncast.cli.progress import progress_bar
from opinioncast.cli.screen import Screen
from opinioncast.jobs.learn_prior import learn_prior_to_file

_console = Screen()


def learn_prior(
    recipes: Annotated[list[str], typer.Argument(help="Curation recipes: names or files.")],
    data: Annotated[
        list[Path] | None, typer.Option("--data", "-d", help="Folder of the recipes' files.")
    ] = None,
    exclude: Annotated[
        list[Path] | None,
        typer.Option(help="Opinion tables whose questions must teach nothing (to evaluate on)."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path(
        "opinioncast-out/prior.npz"
    ),
) -> None:
    """Learn from surveys how groups differ: the prior that `update --prior` reads."""
    with progress_bar("fits") as progress:
        run = learn_prior_to_file(
            recipes, data or [Path()], out, exclude=exclude or (), progress=progress
        )
    card = run.prior.card
    _console.say(
        f"{card['questions']} questions of {', '.join(card['waves'])}; "
        f"{len(run.prior.groups)} groups; {len(run.left_out)} questions kept apart",
    )
    _console.wrote(run.files)
