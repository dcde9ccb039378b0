"""Inspect a microdata file and write a first codebook, group recipe and curation recipe for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from opinioncast.csv_files import write_csv
from opinioncast.curate.inspect import inspect
from opinioncast.curate.inspection import Inspection
from opinioncast.curate.starter import StarterFiles, starter_files
from opinioncast.errors import InputError
from opinioncast.files import atomic_path
from opinioncast.jobs.manifest import write_manifest
from opinioncast.output_folder import held, holds_folder
from opinioncast.report.inspection import write_inspection

PAGE = "inspection.html"
TABLE = "variables.csv"


@dataclass(frozen=True)
class StarterRun:
    """What :func:`init_to_files` made.

    Attributes:
        recipe: the curation recipe, which ``opinioncast curate`` takes.
    """

    found: Inspection
    starter: StarterFiles
    recipe: Path
    files: tuple[Path, ...]


@holds_folder("inspect", plan=(PAGE, TABLE))
def inspect_to_files(
    path: Path,
    out: Path,
    *,
    codebook: Path | None = None,
    wording: Path | None = None,
    encoding: str | None = None,
) -> tuple[Inspection, tuple[Path, ...]]:
    """Write ``inspection.html``, a page on everything found, and ``variables.csv``.

    Neither holds an answer of one person: counts per answer, and of open texts the number only.
    """
    found = inspect(path, codebook=codebook, wording=wording, encoding=encoding)
    page, table = out / PAGE, out / TABLE
    write_inspection(page, found)
    write_csv(_variables(found), table)
    record = {"file": path.name, "variables": len(found.columns)}
    return found, (page, table, write_manifest(out, record, [page, table]))


@holds_folder("init", manifest=None)
def init_to_files(
    path: Path,
    out: Path,
    *,
    codebook: Path | None = None,
    wording: Path | None = None,
    encoding: str | None = None,
) -> StarterRun:
    """Write the first codebook, group recipe, group scheme and curation recipe into ``out``.

    Raises:
        InputError: one of the files is there already: it may have been edited.
    """
    found = inspect(path, codebook=codebook, wording=wording, encoding=encoding)
    starter = starter_files(found, out)
    owner = held(out)
    assert owner is not None
    there = [name for name in starter.texts if not owner.may_make(out / name)]
    if there:
        raise InputError(
            "A file that would be written is there already",
            where=str(out),
            expected="a folder without it: an edited file is never overwritten",
            found=", ".join(there),
            hint="give another folder with --out, or move the files away",
        )
    files = []
    for name, text in starter.texts.items():
        files.append(out / name)
        with atomic_path(files[-1]) as temporary:
            temporary.write_text(text, "utf-8")
    return StarterRun(found, starter, out / starter.recipe, tuple(files))


def _variables(found: Inspection) -> pl.DataFrame:
    """One row per variable: what it is and its answers with counts."""
    traits = {t.variable: a for a, candidates in found.traits.items() for t in candidates}
    return pl.DataFrame(
        [
            {
                "variable": c.name,
                "label": c.label,
                "kind": c.kind.value,
                "looks_like": traits.get(c.name, ""),
                "n": c.n,
                "empty": c.empty,
                "answers": " | ".join(f"{a.text} ({a.n})" for a in c.options),
                "missing": " | ".join(f"{a.text} ({a.n}): {a.missing}" for a in c.missing),
                "guessed": c.guessed,
                "look": "; ".join(c.odd),
            }
            for c in found.columns.values()
        ],
        schema={
            "variable": pl.String,
            "label": pl.String,
            "kind": pl.String,
            "looks_like": pl.String,
            "n": pl.Int64,
            "empty": pl.Int64,
            "answers": pl.String,
            "missing": pl.String,
            "guessed": pl.Boolean,
            "look": pl.String,
        },
    )
