"""The library of this machine: what ships, and the tables that its user put beside it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from opinioncast.errors import InputError
from opinioncast.files import storing
from opinioncast.library.shelf import FILES, TABLE, Encode, Library, Shelf, write_shelf
from opinioncast.models import SHIPPED_LIBRARY
from opinioncast.output_records import is_unfinished
from opinioncast.survey import OpinionTable

SHIPPED_NAME = "reference"
"""Of the table that ships."""


def data_folder() -> Path:
    """``$OPINIONCAST_DATA``, else ``opinioncast`` in ``$XDG_DATA_HOME`` or ~/.local/share."""
    chosen = os.environ.get("OPINIONCAST_DATA")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "opinioncast"


def own_shelves() -> list[Shelf]:
    """The user's tables by name, without one whose ``library add`` was killed."""
    folder = data_folder() / "library"
    if not folder.is_dir():
        return []
    whole = (f for f in folder.iterdir() if (f / TABLE).is_file() and not is_unfinished(f))
    return [Shelf(f.name, f) for f in sorted(whole)]


def open_library() -> Library:
    """The user's own tables and the one that ships; nothing of them is read yet."""
    return Library((*own_shelves(), Shelf(SHIPPED_NAME, SHIPPED_LIBRARY)))


def table_folder(name: str) -> Path:
    """Where a table of the user's is kept.

    Raises:
        InputError: a name that cannot be a folder's, or the shipped table's.
    """
    if name == SHIPPED_NAME or not re.fullmatch(r"\w[\w .-]*", name):
        raise InputError(
            "A table cannot be kept under this name",
            where="--name",
            expected=f"letters, digits, spaces, points and dashes; not {SHIPPED_NAME}",
            found=name,
        )
    return data_folder() / "library" / name


def add_table(
    name: str, table: OpinionTable, encode: Encode | None = None, fingerprint: str = ""
) -> Shelf:
    """Keep a table in the user's library; one of the same name is replaced.

    Raises:
        InputError: :func:`table_folder`.
        DataError: a question with other options in another wave.
        StorageError: it cannot be written.
    """
    folder = table_folder(name)
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_shelf(table, folder, encode, fingerprint)
    return Shelf(name, folder)


def remove_table(name: str) -> Path:
    """Take a table out of the user's library; what else is in its folder stays there.

    Raises:
        InputError: none has this name; the shipped one stays.
        StorageError: its files cannot be removed.
    """
    own = {s.name: s for s in own_shelves()}
    if name not in own:
        raise InputError(
            "The library has no table of yours of this name",
            expected=", ".join(own) or "a table that `opinioncast library add` kept; there is none",
            found=name,
            hint="the table that ships stays; `predict --no-library` does without"
            if name == SHIPPED_NAME
            else None,
        )
    folder = own[name].folder
    with storing(folder):
        for file in (*FILES, "manifest.json"):
            (folder / file).unlink(missing_ok=True)
    with suppress(OSError):  # a person's files are in it
        folder.rmdir()
    return folder
