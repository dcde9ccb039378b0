"""What ``predict`` and ``update`` share: options that name evidence, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from opinioncast.cli.screen import Screen
from opinioncast.errors import InputError
from opinioncast.evidence.reading import Reading
from opinioncast.jobs.update import PilotFile, Sources
from opinioncast.methods.definition import BY_DEFINITION
from opinioncast.survey import PredictionTable
from opinioncast.survey.tables import NO_BASIS

if TYPE_CHECKING:
    from opinioncast.jobs.asked_before import Relatives

Pilots = Annotated[list[Path] | None, typer.Option(help="Microdata of a pilot, read by --recipe.")]
Recipes = Annotated[
    list[str] | None,
    typer.Option(help="Curation recipe of the pilot, one for each; alone, it names the file."),
]
Results = Annotated[
    list[Path] | None,
    typer.Option(help="Published results: .csv, .xlsx, .parquet, or .yaml with `known:`."),
]
Past = Annotated[list[Path] | None, typer.Option(help="opinions.parquet of earlier waves.")]
Year = Annotated[float | None, typer.Option(help="Year predicted, where the wave does not say it.")]
FrameFile = Annotated[
    Path | None, typer.Option(help="Population: .csv or .parquet; US adults when left out.")
]
PriorFile = Annotated[
    Path | None, typer.Option(help="Of `learn-prior`; the shipped one when left out.")
]
Data = Annotated[
    list[Path] | None, typer.Option("--data", "-d", help="Folder of a recipe's files.")
]
NoLibrary = Annotated[
    bool,
    typer.Option(
        "--no-library",
        help="Leave the library alone: the very question asked before is no evidence, and its "
        "relatives are not named.",
    ),
]

_SHOWN = 12


def pilot_files(
    pilots: Sequence[Path] | None, recipes: Sequence[str] | None
) -> tuple[PilotFile, ...]:
    """Each pilot with its recipe.

    Raises:
        InputError: one without the other.
    """
    files, names = list(pilots or ()), list(recipes or ())
    if files and len(files) != len(names):
        raise InputError(
            "A pilot has no recipe, or a recipe no pilot",
            expected="one --recipe for each --pilot",
            found=f"{len(files)} pilot(s), {len(names)} recipe(s)",
            hint="the recipe says what the pilot's codes and groups are: `opinioncast init` writes "
            "one; docs/curation.md",
        )
    if not files:
        return tuple(PilotFile(name) for name in names)
    return tuple(PilotFile(name, file) for name, file in zip(names, files, strict=True))


def sources_of(
    pilot: Sequence[Path] | None,
    recipe: Sequence[str] | None,
    known: Sequence[Path] | None,
    past: Sequence[Path] | None,
    year: float | None,
    frame: Path | None,
    prior: Path | None,
    data: Sequence[Path] | None,
    groups: Sequence[str] | None = None,
    library: bool = False,
) -> Sources:
    """The options as a job takes them."""
    return Sources(
        pilot_files(pilot, recipe),
        tuple(known or ()),
        tuple(past or ()),
        year,
        frame,
        tuple(groups or ()),
        prior,
        tuple(data or (Path(),)),
        library,
    )


def say_library(screen: Screen, found: Relatives) -> None:
    """Questions asked before: the very ones first, then the nearest relative of each other one."""
    from opinioncast.jobs.library import topline

    for line in found.notes[:_SHOWN]:
        screen.line(line)
    others = [
        (question_id, near[0])
        for question_id, near in found.near.items()
        if question_id not in found.used
    ]
    for question_id, near in others[:_SHOWN]:
        screen.line(
            f"{question_id}: nearest of the library is {near.asked.name}, {near.asked.asked}, "
            f"nearness {near.cosine:.2f}: {topline(near)}"
        )
    more = max(len(found.notes) - _SHOWN, 0) + max(len(others) - _SHOWN, 0)
    if more:
        screen.line(f"asked before: {more} more, all in asked_before.csv")


def say_basis(screen: Screen, table: PredictionTable) -> None:
    """Questions whose rows rest on nothing, or on their group's definition, and why."""
    other = table.frame.filter(
        pl.col("basis").str.contains(NO_BASIS, literal=True) | (pl.col("basis") == BY_DEFINITION)
    )
    told = other.group_by("question_id", "basis", maintain_order=True).len()
    for question_id, basis, rows in told.head(_SHOWN).iter_rows():
        screen.line(f"{question_id}: {rows} row{'s' if rows > 1 else ''}: {basis}")
    if told.height > _SHOWN:
        screen.line(f"{told.height - _SHOWN} more questions rest on nothing; see `basis`")


def say_reading(console: Screen, reading: Reading) -> None:
    """What the rows rest on, and what was not used."""
    for basis, rows in reading.frame["basis"].value_counts(sort=True).iter_rows():
        console.say(f"{rows} rows: {basis}")
    for word, lines in (("not used", reading.left_out), ("note", reading.notes)):
        for line in lines[:_SHOWN]:
            console.line(f"{word}: {line}")
        if len(lines) > _SHOWN:
            console.say(f"{word}: {len(lines) - _SHOWN} more, all in manifest.json")
