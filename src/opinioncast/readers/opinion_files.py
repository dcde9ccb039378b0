"""Opinion tables in every layout they are published in: one door for whoever needs one.

* parquet with its sidecar, as ``opinioncast curate`` writes it;
* SubPOP's columns (:mod:`opinioncast.readers.subpop`) as JSON lines, CSV, parquet or Arrow;
* a Hugging Face dataset folder with these columns: of ``save_to_disk``, or of the hub with its
  data files beside the card or in ``data``.

Beside a file, or in a folder as ``opinion_table.json``, there may be the sidecar that
``opinioncast convert`` writes: what published layouts have no place for (citation, terms, what a
recipe said). Its hash is checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.documents import read_document
from opinioncast.errors import DataError
from opinioncast.files import checksum
from opinioncast.parquet_files import parquet_columns, read_parquet
from opinioncast.readers.subpop import COLUMNS, frame_rows, read_rows, to_table
from opinioncast.survey.tables import OpinionTable

SIDECAR = "opinion_table.json"
"""Of a dataset folder."""

_TEXT = (".jsonl", ".csv", ".json", ".ndjson")
_BINARY = (".parquet", ".arrow")
_STATE, _SPLITS = "state.json", "dataset_dict.json"
_SHARD = re.compile(r"-\d{5}-of-\d{5}(-[0-9a-f]+)?$")


def read_opinion_table(path: str | Path, *, family: str = "ATP") -> OpinionTable:
    """An opinion table from a file or folder of any of the layouts.

    Args:
        family: who fielded the questions, where the layout does not say.

    Raises:
        DataError: not there, unreadable, another layout, several splits to choose from, or rows
            that are not those its sidecar was written for.
        InputError: shares that do not sum to one.
    """
    path = Path(path)
    if path.is_dir():
        rows, meta = _folder_rows(path), _sidecar(path / SIDECAR)
        source: dict[str, Any] = {"file": path.name}
    elif path.suffix == ".parquet" and (
        sidecar_of(path).is_file() or not path.is_file() or not _has_layout(path)
    ):
        return OpinionTable.read(path)
    else:
        rows = read_rows(path) if path.suffix.casefold() not in _BINARY else _frame([path])
        meta, source = _sidecar(sidecar_of(path)), {"file": path.name, "sha256": checksum(path)}
    table = to_table(rows, family=family)
    if meta is None:
        return OpinionTable(table.frame, dict(table.meta) | source)
    restored = OpinionTable(table.frame, meta)
    if restored.content_hash != meta.get("content_hash"):
        raise DataError(
            "A table does not match its sidecar",
            where=str(path),
            expected=f"content hash {meta.get('content_hash')}",
            found=restored.content_hash,
            hint="the file was changed after it was written: make it again, or take the sidecar "
            "away to read it as it is",
        )
    return restored


def sidecar_of(path: Path) -> Path:
    """Where a file's sidecar is."""
    return path.with_name(path.name + ".json")


def _sidecar(path: Path) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    meta = read_document(path, "A sidecar", error=DataError)
    if not isinstance(meta, Mapping) or "content_hash" not in meta:
        raise DataError(
            "A sidecar cannot be read",
            where=str(path),
            expected="the JSON that opinioncast convert wrote",
            found=type(meta).__name__,
        )
    return meta


def _has_layout(path: Path) -> bool:
    try:
        return "qkey" in parquet_columns(path)
    except (pl.exceptions.PolarsError, OSError):
        return False  # OpinionTable.read says what is wrong with it


def _folder_rows(folder: Path) -> pl.DataFrame:
    if (folder / _SPLITS).is_file():
        names = read_document(folder / _SPLITS, "A dataset's list of splits", error=DataError)
        splits = list(names.get("splits", ())) if isinstance(names, Mapping) else []
        if len(splits) != 1:
            raise _several(folder, [str(folder / name) for name in splits])
        folder = folder / splits[0]
    if (folder / _STATE).is_file():
        state = read_document(folder / _STATE, "A dataset's state", error=DataError)
        try:
            files = [folder / entry["filename"] for entry in state["_data_files"]]
        except (KeyError, TypeError) as error:
            raise DataError(
                "A dataset's state cannot be read",
                where=str(folder / _STATE),
                expected="the _data_files that save_to_disk lists",
                found=error,
            ) from error
        return _frame(files)
    return _hub_rows(folder)


def _hub_rows(folder: Path) -> pl.DataFrame:
    """Of a folder as the hub holds it: the shards of its one split, parquet before text."""
    for endings in (_BINARY, _TEXT):
        found = sorted(
            f
            for place in (folder, folder / "data")
            for f in place.glob("*")
            if f.suffix in endings and f.is_file() and f.name not in (SIDECAR, "dataset_infos.json")
        )
        found = [f for f in found if not (f.suffix == ".json" and f.with_suffix("") in found)]
        if not found:
            continue
        splits = {_SHARD.sub("", f.stem) for f in found}
        if len(splits) > 1:
            raise _several(folder, [str(f) for f in found])
        if endings is _BINARY:
            return _frame(found)
        return pl.concat([read_rows(f) for f in found], how="diagonal_relaxed")
    raise DataError(
        "A folder holds no opinion table",
        where=str(folder),
        expected="a Hugging Face dataset with the columns " + ", ".join(COLUMNS),
        found=sorted(f.name for f in folder.iterdir())[:8] or "an empty folder",
        hint="give the table's file (.parquet, .jsonl, .csv), or the folder of save_to_disk",
    )


def _several(folder: Path, places: Sequence[str]) -> DataError:
    return DataError(
        "A dataset has several splits",
        where=str(folder),
        expected="one",
        found=", ".join(places) or "none",
        hint="give the path of the one that is wanted",
    )


def _frame(files: Sequence[Path]) -> pl.DataFrame:
    """Rows of parquet and Arrow files, one after the other."""
    parts = []
    for file in files:
        try:
            parts.append(read_parquet(file) if file.suffix == ".parquet" else _arrow(file))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(
                "A table cannot be read",
                where=str(file),
                expected="a parquet or Arrow file",
                found=error,
                hint="the file may be cut short, or a pointer to one that was not downloaded",
            ) from error
    return frame_rows(pl.concat(parts, how="diagonal_relaxed"), where=files[0].name)


def _arrow(file: Path) -> pl.DataFrame:
    """``save_to_disk`` writes streams; other programs write files."""
    with file.open("rb") as opened:
        is_file = opened.read(6) == b"ARROW1"
    return pl.read_ipc(file) if is_file else pl.read_ipc_stream(file)
