"""Evidence on disk, beside the predictions it went into, so that more can be added later.

An update starts from the method's own predictions and all evidence there ever was: that is why
evidence adds up in any order to the same result. What a pilot's people answered is not copied: of a
pilot it is written where its own file is, and by a hash what was read there.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opinioncast.documents import read_document
from opinioncast.errors import DataError, InputError
from opinioncast.evidence.observations import Cell, Evidence, Pilot, PilotSource, Published
from opinioncast.files import atomic_path, discard
from opinioncast.survey import Subpopulation

FOLDER = "evidence"
PREDICTIONS = "model_predictions.parquet"
FRAME = "population_frame.parquet"
_EXACT = "exact"
"""In place of an infinite effective base, which JSON has no number for."""
_ANEW = "update the method's own predictions again, with all evidence"


@dataclass(frozen=True)
class KeptPilot:
    """A pilot that predictions rest on, to be read again.

    Attributes:
        key: of the :class:`Pilot`; what is read again must have it.
        source: None: made in memory, so it has to be given again.
    """

    name: str
    key: str
    source: PilotSource | None


def write_evidence(folder: Path, evidence: Sequence[Evidence]) -> list[Path]:
    """One file per piece, named by its hash; pieces that are there no longer are removed."""
    files = []
    for piece in evidence:
        stem = folder / f"piece_{piece.key[:16]}"
        content: dict[str, Any]
        if isinstance(piece, Pilot):
            content = {"pilot": piece.name, "key": piece.key, "terms": piece.terms}
            content["source"] = _written_source(piece.source, folder)
        else:
            content = asdict(piece) | {"key": piece.key}
            for cell, own in zip(content["cells"], piece.cells, strict=True):
                cell["subpopulation"] = own.subpopulation.key
                if own.n_eff == math.inf:
                    cell["n_eff"] = _EXACT
        path = stem.with_suffix(".json")
        content["seal"] = _seal(content)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")
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


def read_evidence_folder(folder: Path) -> list[Published | KeptPilot]:
    """Every piece of a folder.

    Raises:
        DataError: a file that cannot be read, or was changed after it was written.
    """
    pieces: list[Published | KeptPilot] = []
    for path in sorted(folder.glob("piece_*")):
        try:
            raw = dict(read_document(path, "A piece of evidence"))
            if raw.pop("seal") != _seal(raw):
                raise ValueError("changed after it was written")
            if "pilot" in raw:
                pieces.append(_read_kept(raw, folder))
                continue
            piece, key = _read_published(raw)
            found = piece.key
        except (InputError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise DataError(
                "A piece of evidence cannot be read",
                where=str(path),
                expected="a file written by `opinioncast update` of this version",
                found=error,
                hint=_ANEW,
            ) from error
        if found != key:
            raise DataError(
                "A piece of evidence was changed after it was written",
                where=str(path),
                expected=key,
                found=found,
                hint=_ANEW,
            )
        pieces.append(piece)
    return pieces


def _seal(content: Mapping[str, Any]) -> str:
    """Checksum of a piece's whole file; its key is of what it says about questions only."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _written_source(source: PilotSource | None, folder: Path) -> dict[str, Any] | None:
    """Paths from ``folder`` on: who moves both keeps them together."""
    if source is None:
        return None

    def path(place: str | Path) -> str:
        try:
            return os.path.relpath(place, folder)
        except ValueError:  # another drive
            return str(Path(place).absolute())

    return {
        "recipe": path(source.recipe) if Path(source.recipe).exists() else source.recipe,
        "recipe_is_file": Path(source.recipe).exists(),
        "data": None if source.data is None else path(source.data),
        "folders": [path(place) for place in source.folders],
    }


def _read_kept(raw: dict[str, Any], folder: Path) -> KeptPilot:
    told = raw["source"]
    source = None
    if told is not None:
        recipe = str(told["recipe"])
        source = PilotSource(
            str(folder / recipe) if told["recipe_is_file"] else recipe,
            None if told["data"] is None else folder / told["data"],
            tuple(folder / place for place in told["folders"]),
        )
    return KeptPilot(str(raw["pilot"]), str(raw["key"]), source)


def _read_published(raw: dict[str, Any]) -> tuple[Published, str]:
    key = raw.pop("key")
    cells = tuple(
        Cell(
            c["question_id"],
            Subpopulation.from_key(*c["subpopulation"]),
            tuple(c["shares"]),
            math.inf if c["n_eff"] == _EXACT else c["n_eff"],
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
