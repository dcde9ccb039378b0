"""Where the files of a recipe are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from opinioncast.errors import InputError


def find_file(names: str | Sequence[str], folders: Sequence[Path]) -> Path | None:
    """The first of ``names`` that is in one of ``folders``, or in a folder right below it.

    Institutions ship an archive per wave: unpacked side by side, each file is in a folder of its
    own.

    Raises:
        InputError: several folders below one of ``folders`` hold such a file.
    """
    for name in [names] if isinstance(names, str) else names:
        for folder in folders:
            if (folder / name).exists():
                return folder / name
        for folder in folders:
            below = sorted(folder.glob(f"*/{_escaped(name)}"))
            if len(below) > 1:
                raise InputError(
                    "A file of the recipe is there more than once",
                    where=str(folder),
                    expected=f"one {name}",
                    found=", ".join(str(p.relative_to(folder)) for p in below),
                    hint="name the folder of the right one with --data",
                )
            if below:
                return below[0]
    return None


def described(names: Sequence[str]) -> str:
    """The names of one file for a message: ``GSS2022.dta (or gss2022.dta)``."""
    first, *others = names
    return f"{first} (or {', '.join(others)})" if others else first


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
