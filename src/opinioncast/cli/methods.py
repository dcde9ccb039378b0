"""``opinioncast methods``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from opinioncast.cli.screen import Screen
from opinioncast.jobs import listing

_console = Screen()


def methods(
    markdown: Annotated[bool, typer.Option(help="As a page of documentation.")] = False,
) -> None:
    """List methods, backends, models that ship, and formats, with the options each takes."""
    if markdown:
        print(listing.markdown())
        return
    for listed in listing.listings():
        grid = Table(box=None, pad_edge=False, title=listed.title, title_justify="left")
        for column in listed.columns:
            grid.add_column(column, overflow="fold")
        for row in listed.rows:
            grid.add_row(*row)
        _console.print(grid)
        _console.print()
