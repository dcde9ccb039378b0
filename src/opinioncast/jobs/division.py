"""Divide an opinion table, or take out of it what another asks too: ``split`` and ``overlap``.

The same as the ``split`` and ``overlap`` of a curation recipe, for a table that is there already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from opinioncast.csv_files import write_csv
from opinioncast.curate.overlap import (
    Encoder,
    QuestionSet,
    find_overlap,
    remove_overlap,
)
from opinioncast.curate.split import By, split_table
from opinioncast.errors import InputError
from opinioncast.jobs.manifest import write_manifest
from opinioncast.output_folder import holds_folder
from opinioncast.readers.opinion_files import read_opinion_table
from opinioncast.survey import OpinionTable
from opinioncast.survey.sameness import MINILM_THRESHOLD


@dataclass(frozen=True)
class Division:
    """What came of a table.

    Attributes:
        parts: the tables written, by name.
        removed: questions taken out (columns of :func:`curate.overlap.remove_overlap`); None where
            the table was only divided.
        files: written.
    """

    parts: Mapping[str, OpinionTable]
    removed: pl.DataFrame | None
    files: tuple[Path, ...]


@holds_folder("split")
def split_to_folder(
    source: Path,
    out: Path,
    fractions: Mapping[str, float],
    *,
    by: By = "question",
    seed: int = 0,
    encode: Encoder | None = None,
    threshold: float = MINILM_THRESHOLD,
) -> Division:
    """Write ``NAME.parquet`` for each part, ``split.csv`` (rows of each part and group) and the
    manifest.

    Args:
        encode: texts to unit vectors: questions that mean the same stay together; None: those that
            are one by key or wording do.

    Raises:
        InputError: fractions that do not sum to one, a part that would stay empty.
        DataError: the table cannot be read. StorageError: the folder cannot be written.
    """
    table = read_opinion_table(source)
    links: list[tuple[str, str]] = []
    if encode is not None:
        asked = QuestionSet.of_table(source.stem, table, encode)
        links = find_overlap(asked, threshold=threshold).links()
    split = split_table(table, by=by, fractions=fractions, seed=seed, linked=links)
    files = []
    for name, part in split.parts.items():
        files += _written(part, out / f"{name}.parquet")
    files.append(write_csv(split.report, out / "split.csv", for_excel=False))
    record = {
        "origin": "what people answered, group level",
        "source": table.content_hash,
        "fractions": dict(fractions),
        "by": by,
        "seed": seed,
        "linked_by_meaning": len(links),
        "threshold": threshold if encode is not None else None,
    }
    files.append(write_manifest(out, record, files))
    return Division(dict(split.parts), None, tuple(files))


@holds_folder("overlap")
def overlap_to_folder(
    source: Path,
    against: Sequence[Path],
    out: Path,
    encode: Encoder,
    *,
    threshold: float = MINILM_THRESHOLD,
) -> Division:
    """Write ``table.parquet``, without the questions that any table of ``against`` asks too,
    ``overlap.csv`` (each of those, and what it is like) and the manifest.

    Raises:
        InputError: nothing is left. DataError: a table cannot be read.
        StorageError: the folder cannot be written.
    """
    table = read_opinion_table(source)
    asked = table.frame.select("family", "wave", "question_id").n_unique()
    removed = []
    for path in against:
        other = read_opinion_table(path)
        overlap = find_overlap(
            QuestionSet.of_table(source.stem, table, encode),
            QuestionSet.of_table(path.stem, other, encode),
            threshold=threshold,
        )
        table, record = remove_overlap(table, other, overlap)
        removed.append(record.with_columns(against=pl.lit(path.name)))
        if not len(table):
            raise InputError(
                "Nothing is left of the table",
                where=str(path),
                expected="questions that the other table does not ask",
                found=f"all {asked} questions are asked there too",
            )
    listed = pl.concat(removed)
    files = _written(table, out / "table.parquet")
    files.append(write_csv(listed, out / "overlap.csv", for_excel=False))
    said = {
        "origin": "what people answered, group level",
        "against": [path.name for path in against],
        "questions": asked,
        "removed": listed.height,
        "threshold": threshold,
    }
    files.append(write_manifest(out, said, files))
    return Division({"table": table}, listed, tuple(files))


def _written(table: OpinionTable, path: Path) -> list[Path]:
    table.write(path)
    return [path, path.with_name(path.name + ".json")]
