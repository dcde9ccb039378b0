"""Curate a recipe: from microdata to an opinion table, with a report of every decision."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import polars as pl

from opinioncast.csv_files import write_csv
from opinioncast.curate.bootstrap import WaveQuestions, resample_psus, resample_respondents
from opinioncast.curate.design import read_weights
from opinioncast.curate.disclosure import counted, is_held_back, without_counts
from opinioncast.curate.overlap import (
    Encoder,
    QuestionSet,
    find_overlap,
    remove_overlap,
)
from opinioncast.curate.pipeline import CuratedWave, Curation, curate, nothing_left
from opinioncast.curate.recipe import CurationRecipe
from opinioncast.curate.refine import Generate
from opinioncast.curate.review import write_review
from opinioncast.curate.sources import find_file
from opinioncast.curate.split import split_table
from opinioncast.errors import DataError, InputError
from opinioncast.evaluate.bounds import Bounds, bounds
from opinioncast.files import atomic_path, discard, safe_name
from opinioncast.jobs.evaluation_inputs import read_opinions
from opinioncast.jobs.manifest import write_manifest
from opinioncast.jobs.terms import write_terms
from opinioncast.output_folder import holds_folder
from opinioncast.readers.missing_answers import SCHEMA, summaries
from opinioncast.survey import OpinionTable
from opinioncast.survey.sameness import MINILM_THRESHOLD
from opinioncast.survey.tables import KEY

TABLE = "opinions.parquet"


@dataclass(frozen=True)
class CurationRun:
    """What :func:`curate_to_files` made.

    Attributes:
        curation: waves and table before overlap is removed.
        table: the table as written.
        removed: questions taken out because the evaluation asks the same; null columns if none.
    """

    curation: Curation
    table: OpinionTable
    removed: pl.DataFrame | None
    files: tuple[Path, ...]


@holds_folder("curate", plan=(TABLE, "curation_report.csv", "notes.txt"))
def curate_to_files(
    recipe: CurationRecipe,
    folders: Sequence[Path],
    out: Path,
    *,
    partial: bool = False,
    generate: Generate | None = None,
    progress: Callable[[int, int], None] | None = None,
    encode: Encoder | None = None,
) -> CurationRun:
    """Run a recipe and write everything a person needs to trust or mend it.

    ``terms.txt``: citation and what may be done with the results; ``opinions.parquet`` (+ sidecar);
    ``curation_report.csv``: every variable of every wave, kept or
    dropped, with the reason and what labels alone decided about missing answers;
    ``missing_answers.csv``: each of these decisions with its share of answers;
    ``wording_*.csv``: original and refined wording, to edit and give back
    as ``review``; ``scales.csv``; ``bases.csv``: counts per cell by kind of missing answer;
    ``dropped_cells.csv``: each question x group asked for that is not in the table, and why;
    ``notes.txt``; where the recipe says so ``overlap.csv`` and one table per
    part of the split; ``manifest.json``, written last.

    Args:
        encode: sentence encoder for the recipe's ``overlap``; None: the model the recipe names.

    Raises:
        DataError: no question is left; report, dropped cells and notes are written all the same.
    """
    started = time.monotonic()
    _check_parts(recipe)
    curation = curate(
        recipe, folders, partial=partial, generate=generate, progress=progress, empty=True
    )
    if not len(curation.table):
        _write_nothing_left(out, curation)
    table, removed, links = _without_overlap(recipe, curation.table, folders, encode)
    files = [write_terms(out, curation.table.meta), table.write(out / TABLE)]
    files.append(_csv(out / "curation_report.csv", curation.waves, _report))
    files.append(_csv(out / "missing_answers.csv", curation.waves, _missing_answers))
    files.append(
        _csv(
            out / "scales.csv",
            curation.waves,
            lambda w: w.scales.with_columns(
                pl.col("options").list.join(" | "),
                pl.col("ordinal").cast(pl.List(pl.String)).list.join(" | "),
            ),
        )
    )
    files.append(
        _csv(
            out / "bases.csv",
            curation.waves,
            lambda w: without_counts(w.result.bases, w.result.dropped),
        )
    )
    files.append(_dropped_cells(out / "dropped_cells.csv", curation, table))
    for wave in curation.waves:
        if wave.refinement is not None:
            path = out / f"wording_{safe_name(f'{wave.wave.family}_{wave.wave.wave}')}.csv"
            write_review(path, wave.refinement.review_rows(wave.items))
            files.append(path)
    if removed is not None:
        files.append(write_csv(removed, out / "overlap.csv", for_excel=False))
    notes = out / "notes.txt"
    with atomic_path(notes) as temporary:
        temporary.write_text(_notes(curation), "utf-8")
    files.append(notes)
    if recipe.split is not None:
        split = split_table(
            table,
            by=recipe.split.by,
            fractions=recipe.split.fractions,
            seed=recipe.split.seed,
            linked=links,
        )
        files += [part.write(out / f"{name}.parquet") for name, part in split.parts.items()]
        files.append(write_csv(split.report, out / "split.csv", for_excel=False))
    record = {
        "recipe": recipe.model_dump(mode="json"),
        "rows": len(table),
        "questions": table.frame.select("family", "wave", "question_id").n_unique(),
        "content_hash": table.content_hash,
        "absent_files": list(curation.absent),
        "questions_removed_as_overlap": 0 if removed is None else removed.height,
        "seconds": round(time.monotonic() - started, 2),
    }
    files.append(write_manifest(out, record, files))
    return CurationRun(curation, table, removed, tuple(files))


def _check_parts(recipe: CurationRecipe) -> None:
    """Parts of a split are files named after them: refused before any work where that cannot be."""
    taken = {Path(TABLE).stem}
    for name in () if recipe.split is None else recipe.split.fractions:
        if safe_name(name) != name or name.casefold() in taken:
            raise InputError(
                "A part of a split cannot be a file of that name",
                where=f"{recipe.name}, split.fractions",
                expected=f"letters, digits, - and _, each name once whatever its case, not {TABLE}",
                found=name,
            )
        taken.add(name.casefold())


def _write_nothing_left(out: Path, curation: Curation) -> NoReturn:
    """Write the report and the notes of a curation without a question, and say so."""
    for stale in (TABLE, f"{TABLE}.json"):
        discard(out / stale)  # of an earlier run: it is not this recipe's table
    report = _csv(out / "curation_report.csv", curation.waves, lambda w: w.report)
    dropped = _dropped_cells(out / "dropped_cells.csv", curation, curation.table)
    notes = out / "notes.txt"
    with atomic_path(notes) as temporary:
        temporary.write_text(_notes(curation), "utf-8")
    error = nothing_left(curation)
    written = f"written: {report}, {dropped}, {notes}"
    raise DataError(
        error.title,
        where=error.where,
        expected=error.expected,
        found=error.found,
        hint=f"{error.hint}; {written}" if error.hint else written,
    )


def bounds_of(
    recipe: CurationRecipe,
    folders: Sequence[Path],
    *,
    partial: bool = False,
    questions: Sequence[tuple[str, ...]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Bounds:
    """Uniform upper and human lower bound per group, overall and by cell (paper, Appendix D).

    Args:
        questions: only these, by family, wave and question_id; None: all of the recipe's.

    Raises:
        InputError: a group that some waves of the recipe have and others do not: it cannot be
            resampled over all of them.
    """
    curation = curate(recipe, folders, partial=partial, progress=progress)
    shared = set.intersection(*(set(w.groups.subpopulations) for w in curation.waves))
    subpopulations = [s for s in curation.waves[0].groups.subpopulations if s in shared]
    asked = [
        WaveQuestions(
            w.sample,
            w.questions,
            w.sample_masks[:, [w.groups.subpopulations.index(s) for s in subpopulations]],
        )
        for w in curation.waves
    ]
    settings = recipe.bounds
    if settings.resample == "psus":
        if recipe.lonely_psu not in ("fail", "certainty"):
            raise InputError(
                "This policy for lonely PSUs has no bootstrap",
                where=recipe.name,
                expected="lonely_psu: fail or certainty",
                found=recipe.lonely_psu,
            )
        drawn = resample_psus(
            asked,
            subpopulations,
            replicates=settings.replicates,
            seed=settings.seed,
            lonely_psu=recipe.lonely_psu,
        )
    else:
        drawn = resample_respondents(
            asked, subpopulations, replicates=settings.replicates, seed=settings.seed
        )
    keys = pl.DataFrame(
        [s.key for s in subpopulations], schema=["attribute", "group"], orient="row"
    )
    frame = curation.table.frame.join(keys, on=["attribute", "group"], how="semi")
    if questions is not None:
        names = ["family", "wave", "question_id"]
        wanted = pl.DataFrame(list(questions), schema=dict.fromkeys(names, pl.String), orient="row")
        frame = frame.join(wanted, on=names, how="semi")
    return bounds(OpinionTable(frame, curation.table.meta), drawn)


def people_of(recipe: CurationRecipe, folders: Sequence[Path]) -> pl.DataFrame:
    """How many respondents each group has, and its share of them (paper, Table 3).

    Returns:
        ``family, wave, attribute, group, n, respondents, share, weighted``: ``share`` of all
        respondents of the wave, ``weighted`` of the sum of their weights.

    Raises:
        InputError, DataError: as in curation.
    """
    rows = []
    for w in curate(recipe, folders).waves:
        name = w.wave.design.weight
        # people without a second interview, say, have no weight: drawn, and weighing nothing
        weighed = np.ones(len(w.wave), dtype=bool)
        if name is not None and name in w.wave.respondents.columns:
            weighed = w.wave.respondents[name].is_not_null().to_numpy()
        weights = np.where(weighed, read_weights(w.wave, name, weighed).values, 0.0)
        total = float(weights.sum())
        for place, group in enumerate(w.groups.subpopulations):
            members = w.groups.masks[:, place]
            rows.append(
                {
                    "family": w.wave.family,
                    "wave": w.wave.wave,
                    "attribute": group.attribute,
                    "group": group.group,
                    "n": int(members.sum()),
                    "respondents": len(w.wave),
                    "share": float(members.mean()),
                    "weighted": float(weights[members].sum()) / total,
                }
            )
    return pl.DataFrame(rows)


def _without_overlap(
    recipe: CurationRecipe,
    table: OpinionTable,
    folders: Sequence[Path],
    encode: Encoder | None,
) -> tuple[OpinionTable, pl.DataFrame | None, list[tuple[str, str]]]:
    """The table without the evaluation's questions, a record of them, and pairs within it."""
    settings = recipe.overlap
    if settings is None:
        return table, None, []
    if encode is None:
        from opinioncast.backends.sentences import SentenceModel  # PyTorch: only where needed

        encode = SentenceModel.load(settings.model).encode
    threshold = settings.threshold or MINILM_THRESHOLD
    removed = []
    for name in settings.against:
        path = find_file(name, folders)
        if path is None:
            raise InputError(
                "A table to keep apart from is not here",
                where="; ".join(map(str, folders)),
                expected="an opinion table (.parquet) or a SubPOP file (.jsonl, .csv)",
                found=name,
            )
        other = read_opinions(path)
        overlap = find_overlap(
            QuestionSet.of_table(recipe.name, table, encode),
            QuestionSet.of_table(path.stem, other, encode),
            threshold=threshold,
        )
        table, record = remove_overlap(table, other, overlap)
        removed.append(record.with_columns(against=pl.lit(name)))
    inside = find_overlap(QuestionSet.of_table(recipe.name, table, encode), threshold=threshold)
    return table, pl.concat(removed) if removed else None, inside.links()


def _missing_answers(wave: CuratedWave) -> pl.DataFrame:
    """One row per code whose label reads like a missing answer that nobody declared."""
    return pl.DataFrame(wave.wave.meta.get("missing_decisions") or [], schema=dict(SCHEMA))


def _report(wave: CuratedWave) -> pl.DataFrame:
    """The report with a column of what labels alone decided about missing answers."""
    told = _missing_answers(wave).select(
        "variable",
        missing_answers=pl.format(
            '{} "{}" -> {} ({}%)',
            pl.col("code").cast(pl.Int64, strict=False),
            "label",
            "taken_as",
            (100 * pl.col("share")).round(1),
        ),
    )
    told = told.group_by("variable", maintain_order=True).agg(
        pl.col("missing_answers").str.join("; ")
    )
    return wave.report.join(told, on="variable", how="left", maintain_order="left")


def decisions(curation: Curation) -> list[str]:
    """For a terminal: what labels alone decided about missing answers, one line per label."""
    return [
        f"{w.wave.family} {w.wave.wave}: {line}"
        for w in curation.waves
        for line in summaries(w.wave.meta.get("missing_decisions") or [])
    ]


def _csv(
    path: Path, waves: Sequence[CuratedWave], frame: Callable[[CuratedWave], pl.DataFrame]
) -> Path:
    """One CSV of a frame per wave, with the wave in front."""
    whole = pl.concat(
        [
            frame(w).select(
                pl.lit(w.wave.family).alias("family"), pl.lit(w.wave.wave).alias("wave"), pl.all()
            )
            for w in waves
        ]
    )
    return write_csv(whole, path)


def _dropped_cells(path: Path, curation: Curation, table: OpinionTable) -> Path:
    """``dropped_cells.csv`` of all waves, with the cells that overlap took out."""
    parts = [
        w.dropped.select(
            pl.lit(w.wave.family).alias("family"), pl.lit(w.wave.wave).alias("wave"), pl.all()
        ).with_columns(
            pl.when(is_held_back(pl.col("reason"))).then(None).otherwise(pl.col(c)).alias(c)
            for c in ("n_group", "n")
        )
        for w in curation.waves
    ]
    removed = curation.table.frame.join(table.frame.select(KEY), on=KEY, how="anti")
    parts.append(
        removed.select(
            *("family", "wave", "question_id"),
            pl.col("question_id").alias("variable"),
            *("attribute", "group"),
            pl.lit(None, pl.Int64).alias("n_group"),
            "n",
            pl.lit("the evaluation asks the same (overlap.csv)").alias("reason"),
        )
    )
    return write_csv(pl.concat(parts), path)


def _notes(curation: Curation) -> str:
    lines = [f"{f}: absent, its wave is not in the table" for f in curation.absent]
    for wave in curation.waves:
        lines += [f"{wave.wave.family} {wave.wave.wave}: {note}" for note in wave.notes]
    return "\n".join(lines) + "\n"


def summary(curation: Curation) -> list[Mapping[str, object]]:
    """One row per wave for a terminal: respondents, variables, questions, cells, cells dropped and
    of these held back (:mod:`opinioncast.curate.disclosure`)."""
    return [
        {
            "wave": f"{w.wave.family} {w.wave.wave}",
            "respondents": len(w.wave),
            "variables": w.report.height,
            "questions": len(w.questions),
            "groups": len(w.groups.subpopulations),
            "groups missing": len(w.groups.missing),
            "cells": len(w.result.table),
            "cells dropped": w.dropped.height,
            "of these held back": sum(counted(w.dropped).values()),
        }
        for w in curation.waves
    ]
