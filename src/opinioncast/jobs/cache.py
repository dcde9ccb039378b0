"""What is kept between runs: how much of it, and forgetting it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opinioncast.backends import api_journal, sentences
from opinioncast.errors import InputError
from opinioncast.files import cache_folder, storing
from opinioncast.kept_store import count_entries
from opinioncast.methods import row_cache

_STORE = ("", "-wal", "-shm", ".damaged-*")
"""What belongs to a store's file: SQLite's own, and those that were set aside."""


@dataclass(frozen=True)
class CachePart:
    """One kind of thing that is kept.

    Attributes:
        name: as ``--clear`` takes it.
        what: in words, with what it costs to lose it.
        files: files and folders, those that were set aside as damaged included.
        entries: by table.
        size: bytes.
    """

    name: str
    what: str
    files: tuple[Path, ...]
    entries: Mapping[str, int]
    size: int


def cache_parts(folder: Path | None = None) -> tuple[CachePart, ...]:
    """What the cache holds.

    Args:
        folder: of the cache; None: the user's (``$OPINIONCAST_CACHE``).
    """
    folder = folder or cache_folder()
    vectors = folder / sentences.FOLDER
    parts = [
        ("rows", "finished prompts; asked anew", _store(folder / row_cache.FILE)),
        ("answers", "answers of services; paid for again", _store(folder / api_journal.FILE)),
        ("embeddings", "sentence vectors; made again", _below(vectors)),
        ("models", "embedded models, unpacked; unpacked again", _below(folder / "models")),
    ]
    return tuple(
        CachePart(name, what, files, _entries(files), sum(map(_size, files)))
        for name, what, files in parts
    )


def clear_cache(names: Sequence[str], folder: Path | None = None) -> tuple[CachePart, ...]:
    """Forget parts by name; ``all`` is every part but ``answers``, which were paid for.

    Returns:
        The parts as they were.

    Raises:
        InputError: an unknown name. StorageError: a file cannot be removed.
    """
    parts = {part.name: part for part in cache_parts(folder)}
    unknown = [n for n in names if n not in (*parts, "all")]
    if unknown:
        raise InputError(
            "No part of the cache",
            where="--clear",
            expected=f"{', '.join(parts)}, or all (but answers, which were paid for)",
            found=", ".join(unknown),
        )
    wanted = [
        p for p in parts.values() if p.name in names or ("all" in names and p.name != "answers")
    ]
    for part in wanted:
        for path in part.files:
            with storing(path, hint="see to its permissions"):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
    return tuple(wanted)


def _store(file: Path) -> tuple[Path, ...]:
    found = (p for end in _STORE for p in file.parent.glob(f"{file.name}{end}"))
    return tuple(sorted(found))


def _below(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.iterdir())) if folder.is_dir() else ()


def _entries(files: Sequence[Path]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for file in files:
        if file.suffix == ".sqlite":
            for table, number in count_entries(file).items():
                counts[table] = counts.get(table, 0) + number
    return counts


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file() and not f.is_symlink())
