"""The library's jobs: make the one that ships, keep a user's table, search, show a history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from opinioncast.backends.sentences import SentenceModel
from opinioncast.csv_files import write_csv
from opinioncast.curate.pipeline import curate
from opinioncast.curate.question_file import read_questions
from opinioncast.curate.recipe import load_curation
from opinioncast.curate.sources import find_file
from opinioncast.errors import InputError
from opinioncast.jobs.evaluation_inputs import read_opinions
from opinioncast.jobs.manifest import write_manifest
from opinioncast.library.history import History, history
from opinioncast.library.making import MadeLibrary, make_library
from opinioncast.library.own import add_table, open_library, table_folder
from opinioncast.library.recipe import LibraryRecipe, read_library_recipe
from opinioncast.library.shelf import Near, Shelf, write_shelf
from opinioncast.output_folder import holds_folder, output_folder
from opinioncast.report.figure_files import write_figure
from opinioncast.report.history_chart import history_chart
from opinioncast.survey import GroupScheme, OpinionTable
from opinioncast.survey.sameness import Asked


@dataclass(frozen=True)
class LibraryRun:
    """What :func:`make_library_to_files` made."""

    made: MadeLibrary
    files: tuple[Path, ...]


@holds_folder("library make")
def make_library_to_files(
    out: Path,
    folders: Sequence[Path],
    *,
    recipe: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LibraryRun:
    """Make a library anew from the surveys' files.

    ``opinions.parquet`` (+ sidecar), ``questions.parquet``, ``meanings.npz``: what the package has
    in ``models/library``; ``left_out.csv``: each variable that is not in it, and why.

    Args:
        folders: where the recipes' files and the evaluation sets are.
        recipe: None: the package's.

    Raises:
        InputError: a file of the recipe is absent.
    """
    started = time.monotonic()
    settings = read_library_recipe(recipe)
    places = [*folders, *([recipe.parent] if recipe else [])]
    apart = list(_apart(settings, places))
    tables = []
    for i, part in enumerate(settings.parts):
        if progress:
            progress(i, len(settings.parts))
        tables.append(_part(part, places))
    made = make_library(settings, tables, apart)
    sentences = SentenceModel.load()
    files = write_shelf(made.table, out, sentences.encode, sentences.fingerprint)
    files.append(write_csv(made.left_out, out / "left_out.csv"))
    record = {
        "command": "library make",
        "recipe": settings.name,
        "parts": list(settings.parts),
        "rows": len(made.table),
        "questions": made.table.frame.select("family", "question_id").unique().height,
        "left_out": dict(made.left_out["reason"].value_counts().iter_rows()),
        "spellings_merged": dict(made.merged),
        "seconds": round(time.monotonic() - started, 2),
    }
    files.append(write_manifest(out, record, files))
    if progress:
        progress(len(settings.parts), len(settings.parts))
    return LibraryRun(made, tuple(files))


def _part(part: str, folders: Sequence[Path]) -> OpinionTable:
    if part.endswith(".parquet"):
        return OpinionTable.read(_there(part, folders))
    recipe, beside = load_curation(part)
    return curate(recipe, [*folders, beside]).table


def _apart(recipe: LibraryRecipe, folders: Sequence[Path]) -> Iterator[Asked]:
    """Questions of the evaluation sets."""
    beside = Path(__file__).parents[1] / "recipes"
    for name, family in recipe.apart.items():
        path = _there(name, [*folders, beside])
        if path.suffix in (".json", ".yaml", ".yml"):
            chosen = read_questions(path, "")
            yield from (Asked(family, "", i, q.text) for i, q in chosen.items())
            continue
        columns = ("family", "wave", "question_id", "question")
        for f, w, i, text in read_opinions(path).frame.select(columns).unique().iter_rows():
            yield Asked(f or family, w, i, text)


def _there(name: str, folders: Sequence[Path]) -> Path:
    path = find_file(name, folders)
    if path is None:
        raise InputError(
            "A file of the library's recipe is not here",
            where="; ".join(map(str, folders)),
            expected=name,
            hint="name its folder with --data",
        )
    return path


def add_to_library(path: Path, name: str | None = None) -> Shelf:
    """Keep an opinion table among the user's own.

    Its questions' meanings are encoded now where a sentence model is installed, so that searches
    need not.

    Raises:
        InputError, DataError: no opinion table, or a name that cannot be.
        StorageError: it cannot be kept.
    """
    table = read_opinions(path)
    chosen = name or (path.parent.name if path.stem == "opinions" else path.stem)
    try:
        sentences: SentenceModel | None = SentenceModel.load()
    except Exception:  # without PyTorch: the table is found by wording, and by meaning later
        sentences = None
    folder = table_folder(chosen)
    with output_folder(folder, "library add"):
        if sentences is None:
            shelf = add_table(chosen, table)
        else:
            shelf = add_table(chosen, table, sentences.encode, sentences.fingerprint)
        write_manifest(folder, {"questions": len(shelf.questions), "rows": len(table)}, [])
    return shelf


def search_library(words: str, k: int = 10) -> list[Near]:
    """The questions that mean most like ``words``, the nearest first.

    Raises:
        InputError: no words. ModelError: no sentence model is installed.
    """
    if not words.strip():
        raise InputError("There is nothing to search for", expected="words, such as a question")
    sentences = SentenceModel.load()
    return open_library().nearest([words], sentences.encode, sentences.fingerprint, k)[0]


def library_tables() -> list[Mapping[str, object]]:
    """One row per table for a terminal: name, questions, families, years, redistribution, terms."""
    rows: list[Mapping[str, object]] = []
    for shelf in open_library().shelves:
        years = sorted({w for a in shelf.questions for w in a.waves})
        rows.append(
            {
                "table": shelf.name,
                "questions": len(shelf.questions),
                "families": ", ".join(sorted({a.question.family for a in shelf.questions})),
                "waves": f"{len(years)}: {years[0]} to {years[-1]}" if years else "none",
                "terms": shelf.terms,
            }
        )
    return rows


@holds_folder("library show")
def show_history(name: str, groups: GroupScheme | None, out: Path) -> tuple[History, list[Path]]:
    """A question's history as ``history.png`` and ``history.csv`` in ``out``.

    Args:
        groups: those shown; None: the total and the groups that lie farthest apart.

    Raises:
        InputError: no such question, or none of the groups.
    """
    found = history(open_library(), name, None if groups is None else list(groups))
    out.mkdir(parents=True, exist_ok=True)
    stem = found.asked.name.replace("/", "_")
    files = [
        write_figure(history_chart(found), out / f"{stem}.png"),
        write_csv(found.frame, out / f"{stem}.csv"),
    ]
    files.append(write_manifest(out, {"question": found.asked.name}, files))
    return found, files


def topline(near: Near) -> str:
    """The latest result of everyone in words: "Favor 71%, Oppose 29% (2018, 1523 people)"."""
    shelf = open_library().shelf(near.asked)
    return topline_of(shelf.rows(near.asked, near.asked.waves[-1:]))


def topline_of(rows: pl.DataFrame) -> str:
    """Of the rows of one wave of a question; empty where it has no total."""
    total = rows.filter(pl.col("attribute") == "TOTAL")
    if not total.height:
        return ""
    row = total.row(0, named=True)
    shares = ", ".join(
        f"{option} {100 * share:.0f}%"
        for option, share in zip(row["options"], row["distribution"], strict=True)
    )
    base = "" if row["n"] is None else f", {row['n']} people"
    return f"{shares} ({row['wave']}{base})"
