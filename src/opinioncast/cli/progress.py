"""A progress bar on standard error, for work that takes long enough to be worth one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from opinioncast.cli.screen import Screen
from opinioncast.methods.prediction import Progress as Callback


@contextmanager
def progress_bar(what: str) -> Iterator[Callback]:
    """Yield a callback (done, in all) that moves the bar; nothing is drawn without a terminal."""
    console = Screen(stderr=True)
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
