"""Evidence on disk, beside the predictions it went into, so that more can be added later.

An update starts from the method's own predictions and all evidence there ever was: that is why
evidence adds up in any order to the same result.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from opinioncast.errors import DataError
from opinioncast.evidence.observations import Cell, Evidence, Pilot, Published
from opinioncast.evidence.people import Groups
from opinioncast.files import atomic_path, discard
from opinioncast.survey import Subpopulation

FOLDER = "evidence"
PREDICTIONS = "model_predictions.parquet"
FRAME = "population_frame.parquet"


def write_evidence(folder: Path, evidence: Sequence[Evidence]) -> list[Path]:
    """One file per piece, named by its hash; pieces that are there no longer are removed."""
    files = []
    for piece in evidence:
        stem = folder / f"piece_{piece.key[:16]}"
        if isinstance(piece, Pilot):
            ids = sorted(piece.choice)
            about = {
                "name": piece.name,
                "columns": piece.groups.columns,
                "questions": ids,
                "terms": piece.terms,
                "notes": piece.notes,
                "left_out": piece.left_out,
                "key": piece.key,
            }
            path = stem.with_suffix(".npz")
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez_compressed(
                    file,
                    about=np.array(json.dumps(about)),
                    members=piece.members,
                    choice=np.array([piece.choice[i] for i in ids]),
                    weights=np.array([piece.weights[i] for i in ids]),
                )
        else:
            path = stem.with_suffix(".json")
            content = asdict(piece) | {"key": piece.key}
            for cell, own in zip(content["cells"], piece.cells, strict=True):
                cell["subpopulation"] = own.subpopulation.key
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        files.append(path)
    for old in folder.glob("piece_*"):
        if old not in files:
            discard(old)
    return files


def forget(out: Path) -> None:
    """Remove the evidence of an earlier run, so that a new one is not taken to rest on it."""
    folder = out / FOLDER
    for file in (folder / PREDICTIONS, folder / FRAME, *folder.glob("piece_*")):
        for written in (file, file.with_name(f"{file.name}.json")):
            discard(written)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def read_evidence_folder(folder: Path) -> list[Evidence]:
    """Every piece of a folder.

    Raises:
        DataError: a file that cannot be read, or was changed after it was written.
    """
    pieces: list[Evidence] = []
    for path in sorted(folder.glob("piece_*")):
        try:
            piece, key = _read_pilot(path) if path.suffix == ".npz" else _read_published(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                "A piece of evidence cannot be read",
                where=str(path),
                expected="a file written by `opinioncast update`",
                found=error,
                hint="update the method's own predictions again, with all evidence",
            ) from error
        if piece.key != key:
            raise DataError(
                "A piece of evidence was changed after it was written",
                where=str(path),
                expected=key,
                found=piece.key,
                hint="update the method's own predictions again, with all evidence",
            )
        pieces.append(piece)
    return pieces


def _read_pilot(path: Path) -> tuple[Pilot, str]:
    with np.load(path, allow_pickle=False) as held:
        about: dict[str, Any] = json.loads(str(held["about"]))
        ids = about["questions"]
        choice = dict(zip(ids, held["choice"], strict=True))
        weights = dict(zip(ids, held["weights"], strict=True))
        members = held["members"]
    groups = Groups(tuple((a, g) for a, g in about["columns"]))
    return (
        Pilot(
            about["name"],
            groups,
            members,
            choice,
            weights,
            about["terms"],
            tuple(about["notes"]),
            tuple(about["left_out"]),
        ),
        about["key"],
    )


def _read_published(path: Path) -> tuple[Published, str]:
    raw = json.loads(path.read_text("utf-8"))
    key = raw.pop("key")
    cells = tuple(
        Cell(
            c["question_id"],
            Subpopulation.from_key(*c["subpopulation"]),
            tuple(c["shares"]),
            c["n_eff"],
            c["rounding"],
            c["n"],
        )
        for c in raw.pop("cells")
    )
    return (
        Published(
            raw["name"],
            cells,
            raw["terms"],
            raw["years"],
            tuple(raw["notes"]),
            tuple(raw["left_out"]),
        ),
        key,
    )
