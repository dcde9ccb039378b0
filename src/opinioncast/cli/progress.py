"""A progress bar on standard error, for work that takes long enough to be worth one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from opinioncast.cli.screen import Screen
from opinioncast.methods.prediction import Progress as Callback


@contextmanager
def progress_bar(what: str) -> Iterator[Callback]:
    """Yield a callback (done, in all) that moves the bar; nothing is drawn without a terminal."""
    with progress_bars(what) as (bar,):
        yield bar


@contextmanager
def progress_bars(*what: str) -> Iterator[tuple[Callback, ...]]:
    """A callback for each kind of work; the bar of one not begun is not drawn, but the first's."""
    console = Screen(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        first = what[:1]
        tasks = [bar.add_task(w, total=None, visible=w in first, start=w in first) for w in what]

        def moves(task: TaskID) -> Callback:
            def move(done: int, total: int) -> None:
                if not bar.tasks[bar.task_ids.index(task)].started:
                    bar.start_task(task)
                bar.update(task, completed=done, total=total, visible=True)

            return move

        yield tuple(map(moves, tasks))
