"""An opinion table from one layout into another, and back without loss.

What published layouts have no place for goes along: three columns more (``family``, ``n_eff``,
``se``) and a sidecar with the table's provenance and content hash. ``published`` leaves both out,
as the files of SubPOP have it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.errors import InputError
from opinioncast.files import atomic_path
from opinioncast.jobs.manifest import write_manifest
from opinioncast.output_folder import output_folder
from opinioncast.readers.opinion_files import SIDECAR, read_opinion_table, sidecar_of
from opinioncast.readers.subpop import subpop_rows, write_subpop
from opinioncast.survey import OpinionTable

CARD = "README.md"
DATA = "data/train-00000-of-00001.parquet"
"""Where ``datasets.load_dataset(FOLDER)`` looks for the split ``train``."""

TEXT = (".jsonl", ".csv")


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert` made.

    Attributes:
        table: what was read.
        lost: columns with values that the target has no place for, in words.
        files: written.
    """

    table: OpinionTable
    lost: tuple[str, ...]
    files: tuple[Path, ...]


def convert(
    source: Path, target: Path, *, published: bool = False, family: str = "ATP"
) -> Conversion:
    """Write the table in ``source`` as ``target``, whose ending says how: ``.parquet`` (and its
    sidecar), ``.jsonl`` or ``.csv`` (SubPOP's columns), none (a Hugging Face dataset folder).

    Args:
        published: SubPOP's columns only, and no sidecar.
        family: who fielded the questions, where the source does not say.

    Raises:
        InputError: an ending that names no layout, a target that is the source, ``published`` for
            an opinion table of our own.
        DataError: the source cannot be read. StorageError: the target cannot be written.
    """
    suffix = target.suffix.casefold()
    if suffix not in ("", ".parquet", *TEXT) or (suffix == ".parquet" and published):
        raise InputError(
            "A table cannot be written in this layout",
            where=str(target),
            expected="NAME.parquet, NAME.jsonl, NAME.csv, or a folder for a dataset; --published "
            "with the last three",
            found=(suffix or "a folder") + (", --published" if published else ""),
        )
    if source.resolve() == target.resolve():
        raise InputError(
            "The table would be written over what it is read from",
            where=str(target),
            expected="another file or folder",
            found=str(source),
        )
    table = read_opinion_table(source, family=family)
    if suffix == ".parquet":
        files = [table.write(target), sidecar_of(target)]
    elif suffix:
        files = [write_subpop(table, target, whole=not published)]
        if not published:
            files.append(_write_sidecar(table, sidecar_of(target)))
    else:
        files = _write_dataset(table, target, published=published)
    return Conversion(table, _lost(table) if published else (), tuple(files))


def counted(table: OpinionTable) -> str:
    """Rows, questions and groups, in words; of questions that could not be asked too."""
    questions = table.frame.select("family", "wave", "question_id").n_unique()
    groups = table.frame.select("attribute", "group").n_unique()
    return f"{len(table)} rows, {questions} questions, {groups} groups"


def _lost(table: OpinionTable) -> tuple[str, ...]:
    """What the published columns leave out of this table."""
    frame = table.frame
    lost = [name for name in ("n_eff", "se") if frame[name].null_count() < frame.height]
    lost += ["family"] if (frame["family"] != "").any() else []
    known = set(table.meta) - {"kind", "rows", "content_hash"}
    return (*lost, *(["citation, terms and what else its sidecar says"] if known else []))


def _write_sidecar(table: OpinionTable, path: Path) -> Path:
    sidecar = {"kind": table.kind, "rows": len(table), "content_hash": table.content_hash}
    sidecar |= {k: v for k, v in table.meta.items() if k not in sidecar}
    with atomic_path(path) as temporary:
        text = json.dumps(sidecar, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", "utf-8")
    return path


def _write_dataset(table: OpinionTable, folder: Path, *, published: bool) -> list[Path]:
    with output_folder(folder, "convert") as owner:
        folder = owner.folder
        files = [folder / DATA]
        rows = pl.DataFrame(subpop_rows(table, whole=not published), infer_schema_length=None)
        with atomic_path(files[0]) as temporary:
            rows.write_parquet(temporary)
        if not published:
            files.append(_write_sidecar(table, folder / SIDECAR))
        files.append(folder / CARD)
        with atomic_path(files[-1]) as temporary:
            temporary.write_text(_card(table), "utf-8")
        record: Mapping[str, Any] = {
            "origin": "what people answered, group level",
            "content_hash": table.content_hash,
            "published": published,
        }
        files.append(write_manifest(folder, record, files))
    return files


def _card(table: OpinionTable) -> str:
    """A dataset card: where the rows are, and what may be done with them."""
    meta = table.meta
    surveys = table.frame.select("family", "wave").unique(maintain_order=True).rows()
    listed = ", ".join(" ".join(filter(None, row)) for row in surveys)
    return "\n".join(
        [
            "---",
            "configs:",
            "- config_name: default",
            "  data_files:",
            "  - split: train",
            "    path: data/train-*",
            "tags: [survey, opinioncast]",
            "---",
            "",
            f"# {meta.get('title') or meta.get('recipe') or 'Opinion table'}",
            "",
            f"Weighted shares of the answers to survey questions ({listed}): {counted(table)}. "
            "Columns as in SubPOP: `responses` are the shares of `options` but for the last, "
            "Refused.",
            "",
            f"* Source: {meta.get('citation', 'not stated')}",
            f"* Terms: {meta.get('terms', 'not stated')}",
            f"* Redistribution: {meta.get('redistribution', 'not said')}",
            "",
        ]
    )
