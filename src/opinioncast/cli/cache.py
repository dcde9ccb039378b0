"""``opinioncast cache``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from opinioncast.cli.screen import Screen

_console = Screen()


def cache(
    clear: Annotated[
        list[str] | None,
        typer.Option(
            "--clear",
            help="What to forget: rows, answers, embeddings, models, or all (but answers, which "
            "were paid for). Repeat.",
        ),
    ] = None,
) -> None:
    """Show what is kept between runs, or forget it: finished prompts, answers, vectors, models."""
    from opinioncast.files import cache_folder
    from opinioncast.jobs.cache import cache_parts, clear_cache
    from opinioncast.kept_store import LIMIT, size_limit

    if clear:
        for part in clear_cache(clear):
            _console.line(f"forgot {part.name}: {part.size / 1e6:,.1f} MB")
        return
    grid = Table(box=None, pad_edge=False)
    for column, justify in (("part", "left"), ("entries", "right"), ("MB", "right")):
        grid.add_column(column, justify="right" if justify == "right" else "left")
    grid.add_column("what it is; what losing it costs", overflow="fold")
    for part in cache_parts():
        entries = f"{sum(part.entries.values()):,}" if part.entries else str(len(part.files))
        grid.add_row(part.name, entries, f"{part.size / 1e6:,.1f}", part.what)
    _console.print(grid)
    _console.line(f"\nin {cache_folder()}")
    _console.say(f"each file at most {size_limit() / 1e9:g} GB ({LIMIT}), answers without limit")
