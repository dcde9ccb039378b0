"""Letting files in: size, kind by content, and a name of ours.

What an upload is called says which kind it should be; its first bytes must agree. Nothing of the
name reaches the file system, and a recipe may name no file outside its project.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opinioncast.app.projects import QUESTIONNAIRE, Project
from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.files import atomic_path
from opinioncast.jobs.import_questionnaire import import_questionnaire
from opinioncast.jobs.serve_page import MAX_UPLOAD_MB
from opinioncast.questionnaires.declaration import instrument_formats
from opinioncast.survey import load_groups

Check = Callable[[bytes], bool]


def _text(content: bytes) -> bool:
    return b"\0" not in content[:4096] or content[:2] in (b"\xff\xfe", b"\xfe\xff")


def _begins(*marks: bytes) -> Check:
    return lambda content: content.startswith(marks)


_ZIP = _begins(b"PK\x03\x04")
_BY_CONTENT: Mapping[str, Check] = {
    ".docx": _ZIP,
    ".xlsx": _ZIP,
    ".parquet": _begins(b"PAR1"),
    ".sav": _begins(b"$FL2", b"$FL3"),
    ".zsav": _begins(b"$FL2", b"$FL3"),
    ".dta": _begins(b"<stata_dta>", *(bytes([n]) for n in range(0x68, 0x74))),
}
"""Ending -> whether the first bytes are those of such a file; others are text."""

ENDINGS: Mapping[str, tuple[str, ...]] = {
    "known": (".csv", ".xlsx", ".yaml", ".yml", ".parquet"),
    "pilot": (".sav", ".zsav", ".dta", ".csv", ".parquet", ".xlsx"),
    "recipe": (".yaml", ".yml"),
}
"""What each part of a project may be."""


def instrument_endings() -> tuple[str, ...]:
    """Endings of the instruments that can be read."""
    return tuple(dict.fromkeys(e for kind in instrument_formats() for e in kind.endings))


def checked(name: str, content: bytes, endings: tuple[str, ...]) -> str:
    """The ending of an upload that may come in.

    Raises:
        InputError: too large, of no kind that is read here, or not what its name says.
    """
    ending = Path(name).suffix.casefold()
    if len(content) > MAX_UPLOAD_MB * 2**20:
        raise InputError(
            "The file is too large",
            where=name,
            expected=f"at most {MAX_UPLOAD_MB} MB",
            found=f"{len(content) / 2**20:.0f} MB",
            hint="the command line reads files of any size",
        )
    if ending not in endings:
        raise InputError(
            "A file of a kind that is not read here",
            where=name,
            expected=", ".join(endings),
            found=ending or "no ending",
        )
    if not _BY_CONTENT.get(ending, _text)(content):
        raise InputError(
            "The file is not what its name says",
            where=name,
            expected=f"the content of a {ending} file",
            found="something else",
            hint="save it again from the program it comes from",
        )
    return ending


def take_instrument(project: Project, name: str, content: bytes) -> Project:
    """Read an instrument into the project: YAML that can be edited, and the check list.

    Raises:
        InputError: it may not come in, or holds no question that can be predicted.
    """
    ending = checked(name, content, instrument_endings())
    raw = project.folder / f"instrument{ending}"
    with atomic_path(raw) as temporary:
        temporary.write_bytes(content)
    import_questionnaire(
        raw,
        project.folder / QUESTIONNAIRE,
        overwrite=True,
        groups=load_groups("all", "total"),
    )
    return project.with_choices(instrument=name)


def take(project: Project, part: str, name: str, content: bytes) -> Project:
    """Keep a file of evidence: ``known``, ``pilot`` or ``recipe``.

    Raises:
        InputError: it may not come in; a recipe that names files elsewhere.
    """
    ending = checked(name, content, ENDINGS[part])
    old = project.file_of(part)
    path = project.folder / f"{part}{ending}"
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    if part == "recipe":
        try:
            refuse_paths(read_document(path, "A curation recipe"), name)
        except InputError:
            path.unlink()
            raise
    if old is not None and old != path:
        old.unlink()
    return project.with_choices(**{part: name})


def drop(project: Project, part: str) -> Project:
    """Take a file of evidence out of the project."""
    old = project.file_of(part)
    if old is not None:
        old.unlink()
    return project.with_choices(**{part: ""})


def refuse_paths(held: Any, where: str) -> None:
    """Refuse a document that names a file elsewhere: on this page nothing but uploads is read.

    Raises:
        InputError: a text in it is a path.
    """
    if isinstance(held, Mapping):
        for value in held.values():
            refuse_paths(value, where)
    elif isinstance(held, list):
        for value in held:
            refuse_paths(value, where)
    elif isinstance(held, str):
        parts = Path(held.replace("\\", "/")).parts
        file = Path(held).suffix.casefold() in _FILES
        if held.startswith(("~", "/")) or ".." in parts or (file and len(parts) > 1):
            raise InputError(
                "A recipe names a file elsewhere",
                where=where,
                expected="the pilot's file alone, which is uploaded beside it",
                found=held[:80],
                hint="the command line reads recipes with files of their own",
            )


_FILES = frozenset({".yaml", ".yml", ".json", ".csv", ".txt", ".sav", ".zsav", ".dta", ".parquet"})


def checked_groups(names: list[str]) -> tuple[str, ...]:
    """Groups that a user named: schemes and expressions, no file.

    Raises:
        InputError: none, a file, or what no scheme knows.
    """
    for name in names:
        if Path(name).suffix.casefold() in _FILES:
            raise InputError(
                "Groups are named, not read from a file, on this page",
                expected="a scheme, or an expression such as SEX=Female & RACE=Black",
                found=name,
            )
    if not names:
        raise InputError("No group is chosen", expected="at least one scheme or expression")
    load_groups(*names)
    return tuple(names)
