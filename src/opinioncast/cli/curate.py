"""``opinioncast curate`` and ``bounds``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from opinioncast.backends.protocol import continuations, writer
from opinioncast.cli.progress import progress_bar
from opinioncast.cli.screen import Screen
from opinioncast.curate.recipe import load_curation
from opinioncast.curate.refine import Generate
from opinioncast.jobs.curate import bounds_of, curate_to_files, decisions, summary
from opinioncast.jobs.evaluation_inputs import write_bounds
from opinioncast.predictor import Predictor

_console = Screen()
_SHOWN, _WIDTH = 15, 240


_Data = Annotated[
    list[Path], typer.Option("--data", "-d", help="Folder with the files. Repeat for several.")
]
_Partial = Annotated[bool, typer.Option("--partial", help="Go on without waves that are absent.")]


def _folders(data: list[Path], beside: Path) -> list[Path]:
    """Where a recipe's files are looked for. Only a folder that was named goes before the recipe's
    own: what happens to lie where the command is run must not stand in for the recipe's codebook.
    """
    return [*data, beside] if data else [beside, Path()]


def curate(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a YAML file.")],
    data: _Data = [],  # noqa: B006  typer reads the default once
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/curate"
    ),
    partial: _Partial = False,
    refine_with: Annotated[
        str | None,
        typer.Option(help="Refine wordings with this model (folder or hub name), not by rules."),
    ] = None,
) -> None:
    """Turn survey microdata into an opinion table, with a report of every decision."""
    wanted, beside = load_curation(recipe)
    generate: Generate | None = None
    if refine_with is not None:
        model = writer(Predictor(model=refine_with).language_model)

        def say(prompts: list[str]) -> list[str]:
            return continuations(model, prompts)

        generate = say
    with progress_bar("waves") as progress:
        run = curate_to_files(
            wanted,
            _folders(data, beside),
            out,
            partial=partial,
            generate=generate,
            progress=progress,
        )
    rows = summary(run.curation)
    grid = Table(box=None, pad_edge=False)
    for column in rows[0]:
        grid.add_column(column, justify="left" if column == "wave" else "right")
    for row in rows:
        grid.add_row(*map(str, row.values()))
    _console.print(grid)
    if any(row["of these held back"] for row in rows):
        _console.say(
            f"held back: fewer than {wanted.min_n} respondents, or what would give such a group "
            "away (min_n in the recipe; dropped_cells.csv)"
        )
    if run.removed is not None:
        _console.say(f"{run.removed.height} questions removed: the evaluation asks the same")
    told = decisions(run.curation)
    _say(told, "labels that read like missing answers (missing_answers.csv)")
    notes = [
        f"{w.wave.family} {w.wave.wave}: {n}"
        for w in run.curation.waves
        for n in w.wave.meta.get("notes", ())
        if not any(d.endswith(n) for d in told)
    ]
    _say(notes, "what had to be decided to read the files (notes.txt)")
    for name in run.curation.absent:
        _console.line(f"absent: {name}")
    _console.line(f"terms: {wanted.terms}")
    _console.wrote(run.files)


def _say(lines: list[str], title: str) -> None:
    """Lines under a title, the first ``_SHOWN``, each cut to a terminal's three lines."""
    if not lines:
        return
    _console.line(f"{title}:")
    for line in lines[:_SHOWN]:
        shown = line if len(line) <= _WIDTH else f"{line[: _WIDTH - 4]} ..."
        _console.line(f"  {shown}")
    if len(lines) > _SHOWN:
        _console.say(f"  and {len(lines) - _SHOWN} more")


def bounds(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a YAML file.")],
    data: _Data = [],  # noqa: B006
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV file.")] = Path(
        "opinioncast-out/bounds.csv"
    ),
    partial: _Partial = False,
    replicates: Annotated[int | None, typer.Option(help="Bootstrap replicates.", min=1)] = None,
    resample: Annotated[
        str | None, typer.Option(help="respondents (the paper's way) or psus (design-based).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the bootstrap.")] = None,
) -> None:
    """Uniform upper bound and human lower bound of a recipe's table, per group and overall."""
    wanted, beside = load_curation(recipe)
    given = {"replicates": replicates, "resample": resample, "seed": seed}
    wanted = wanted.with_bounds({k: v for k, v in given.items() if v is not None})
    with progress_bar("waves") as progress:
        found = bounds_of(wanted, _folders(data, beside), partial=partial, progress=progress)
    table = found.groups
    grid = Table(box=None, pad_edge=False)
    for column in table.columns:
        grid.add_column(column, justify="left" if column in ("attribute", "group") else "right")
    for row in table.iter_rows():
        grid.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row))
    _console.print(grid)
    for file in write_bounds(found, out):
        _console.line(f"wrote {file}")
