"""``opinioncast library``: list, search, show, add, remove, make."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from opinioncast.cli.progress import progress_bar
from opinioncast.cli.screen import Screen

_console = Screen()

library = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Questions that surveys asked before: list, search by meaning, show, add your own.",
)


@library.command("list")
def list_tables(
    table: Annotated[
        str | None, typer.Argument(help="List this table's questions; all tables when left out.")
    ] = None,
) -> None:
    """The tables of the library, or one table's questions."""
    from opinioncast.jobs.library import library_tables
    from opinioncast.library.own import open_library
    from opinioncast.report.terminal import plain_table

    if table is None:
        _console.print(plain_table(pl.DataFrame(library_tables())))
        return
    shelves = {s.name: s for s in open_library().shelves}
    if table not in shelves:
        from opinioncast.errors import InputError

        raise InputError(
            "The library has no table of this name", expected=", ".join(shelves), found=table
        )
    for asked in shelves[table].questions:
        _console.line(f"{asked.name}  {asked.waves[0]}-{asked.waves[-1]}  {asked.question.text}")


@library.command()
def search(
    words: Annotated[str, typer.Argument(help="A question, or what it is about.")],
    number: Annotated[int, typer.Option("--number", "-k", min=1, help="Questions shown.")] = 10,
) -> None:
    """Find questions by what they mean, the nearest first."""
    from opinioncast.jobs.library import search_library, topline

    for near in search_library(words, number):
        how = "the very question" if near.very else f"nearness {near.cosine:.2f}"
        _console.heading(near.asked.name, f": {near.asked.asked}; {how}")
        _console.say(near.asked.question.text)
        _console.say(topline(near))


@library.command()
def show(
    question: Annotated[str, typer.Argument(help="FAMILY/id, as search lists it.")],
    groups: Annotated[
        list[str] | None,
        typer.Option(
            "--groups", "-g", help="As in predict; when left out, those farthest from everyone."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/library"
    ),
) -> None:
    """Draw what groups answered to a question over the years."""
    from opinioncast.jobs.library import show_history
    from opinioncast.report.terminal import plain_table
    from opinioncast.survey import load_groups

    found, files = show_history(question, load_groups(*groups) if groups else None, out)
    _console.heading(found.asked.name, f": {found.asked.asked}")
    _console.say(found.asked.question.text)
    latest = found.frame.filter(pl.col("wave") == found.asked.waves[-1])
    shown = latest.filter(pl.col("attribute").is_in(["TOTAL"])) if not groups else latest
    _console.print(
        plain_table(
            shown.select(
                "year",
                "group",
                "option",
                percent=(100 * pl.col("share")).round(1),
                people="n",
            )
        )
    )
    _console.say(f"terms: {found.terms}")
    _console.wrote(files)


@library.command()
def add(
    table: Annotated[
        Path, typer.Argument(help="An opinion table: what `curate` wrote, or SubPOP.")
    ],
    name: Annotated[
        str | None, typer.Option(help="What it is called; its file's or folder's name otherwise.")
    ] = None,
) -> None:
    """Keep a table of your own in the library: it is searched, shown and used like the shipped."""
    from opinioncast.jobs.library import add_to_library

    shelf = add_to_library(table, name)
    _console.say(f"{len(shelf.questions)} questions are in the library as {shelf.name}")
    _console.line(f"kept in {shelf.folder}")


@library.command()
def remove(name: Annotated[str, typer.Argument(help="A table that you added.")]) -> None:
    """Take a table of your own out of the library."""
    from opinioncast.library.own import remove_table

    _console.line(f"removed {remove_table(name)}")


@library.command()
def make(
    data: Annotated[
        list[Path], typer.Option("--data", "-d", help="Folder of the surveys' files. Repeat.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/library"
    ),
    recipe: Annotated[
        Path | None, typer.Option(help="Recipe of the library; the package's when left out.")
    ] = None,
) -> None:
    """Make the reference library anew from the surveys' files; minutes."""
    from opinioncast.jobs.library import make_library_to_files

    with progress_bar("surveys") as progress:
        run = make_library_to_files(out, data, recipe=recipe, progress=progress)
    counts = dict(run.made.left_out["reason"].value_counts().iter_rows())
    _console.say(
        f"{run.made.table.frame.select('family', 'question_id').unique().height} questions, "
        f"{len(run.made.table)} cells; left out: "
        + ", ".join(f"{n} ({why})" for why, n in counts.items())
    )
    _console.wrote(run.files)
