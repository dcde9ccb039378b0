"""Options that name evidence, of ``predict``, ``merge`` and ``update``, and what is said of it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

from opinioncast.cli.options import Bundle, option_parameter
from opinioncast.cli.screen import Screen
from opinioncast.errors import InputError
from opinioncast.evidence.reading import Reading
from opinioncast.jobs.update import PilotFile, Sources
from opinioncast.methods.definition import BY_DEFINITION
from opinioncast.survey import PredictionTable
from opinioncast.survey.tables import NO_BASIS

if TYPE_CHECKING:
    from opinioncast.jobs.asked_before import Relatives

_OPTIONS: dict[str, Any] = {
    "pilot": Annotated[
        list[Path] | None, typer.Option(help="Microdata of a pilot, read by --recipe.")
    ],
    "recipe": Annotated[
        list[str] | None,
        typer.Option(help="Curation recipe of the pilot, one for each; alone, it names the file."),
    ],
    "known": Annotated[
        list[Path] | None,
        typer.Option(help="Published results: .csv, .xlsx, .parquet, or .yaml with `known:`."),
    ],
    "past": Annotated[list[Path] | None, typer.Option(help="opinions.parquet of earlier waves.")],
    "year": Annotated[
        float | None, typer.Option(help="Year predicted, where the wave does not say it.")
    ],
    "frame": Annotated[
        Path | None, typer.Option(help="Population: .csv or .parquet; US adults when left out.")
    ],
    "groups": Annotated[
        list[str] | None, typer.Option("--groups", "-g", help="Group files of known results.")
    ],
    "prior": Annotated[
        Path | None, typer.Option(help="Of `learn-prior`; the shipped one when left out.")
    ],
    "data": Annotated[
        list[Path] | None, typer.Option("--data", "-d", help="Folder of a recipe's files.")
    ],
    "no_library": Annotated[
        bool,
        typer.Option(
            "--no-library",
            help="Leave the library alone: the very question asked before is no evidence, and its "
            "relatives are not named.",
        ),
    ],
}

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


def evidence_options(*, but: tuple[str, ...]) -> Bundle:
    """Options that name evidence; the parameter ``sources`` gets :class:`Sources`.

    Args:
        but: options that the command does not take; without ``no_library`` the library is left
            alone.
    """
    named = {name: hint for name, hint in _OPTIONS.items() if name not in but}

    def parameters() -> list[inspect.Parameter]:
        return [
            option_parameter(name, hint, default=False if name == "no_library" else None)
            for name, hint in named.items()
        ]

    def value(typed: dict[str, Any]) -> Sources:
        return Sources(
            pilots=pilot_files(typed["pilot"], typed["recipe"]),
            known=tuple(typed["known"] or ()),
            past=tuple(typed["past"] or ()),
            year=typed["year"],
            frame=typed["frame"],
            groups=tuple(typed.get("groups") or ()),
            prior=typed["prior"],
            folders=tuple(typed["data"] or (Path(),)),
            library=not typed.get("no_library", True),
        )

    return Bundle("sources", parameters, value)


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
