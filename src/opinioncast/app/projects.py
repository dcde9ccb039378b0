"""Projects: a folder each, known by a token that nobody guesses; the page's address holds it.

Who has the address has the project, and no list of projects is shown: two people's work on one
machine stays apart. Files have names of ours; what an upload was called is only shown.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.files import atomic_path
from opinioncast.json_text import json_text
from opinioncast.predictor import DEFAULT_METHOD

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,43}")
STATE = "project.json"
QUESTIONNAIRE, CHECK_LIST = "questionnaire.yaml", "questionnaire.check.md"


@dataclass(frozen=True)
class Choices:
    """What a user has chosen; kept so that a page that is opened again is as it was.

    Attributes:
        instrument: what the file that was uploaded is called, "" before.
        groups: schemes and expressions, as :func:`opinioncast.load_groups` takes them.
        method: name of a method.
        population: whom it is put to; "" as the instrument says, else US adults.
        known, pilot, recipe: what the user's evidence files are called, "" where there is none.
    """

    instrument: str = ""
    groups: tuple[str, ...] = ("paper22", "total")
    method: str = DEFAULT_METHOD
    population: str = ""
    known: str = ""
    pilot: str = ""
    recipe: str = ""


@dataclass(frozen=True)
class Project:
    """One project.

    Attributes:
        folder: where its files are.
        choices: see there.
    """

    folder: Path
    choices: Choices = field(default_factory=Choices)

    @classmethod
    def new(cls, root: Path) -> Self:
        """An empty project below ``root``.

        Raises:
            StorageError: the folder cannot be made.
        """
        project = cls(root / secrets.token_urlsafe(24))
        project.folder.mkdir(parents=True, mode=0o700)
        return project.with_choices()

    @classmethod
    def open(cls, root: Path, token: str) -> Self:
        """The project with that token.

        Raises:
            InputError: there is none.
        """
        folder = root / token
        # the token comes from the address bar: it must not lead anywhere else
        if not _TOKEN.fullmatch(token) or not (folder / STATE).is_file():
            raise InputError(
                "There is no such project",
                expected="the address that the page showed when the project was begun",
                found=token[:60],
                hint="begin a new one",
            )
        held = read_document(folder / STATE, "A project")
        known = {k: v for k, v in held.items() if k in Choices.__dataclass_fields__}
        if "groups" in known:
            known["groups"] = tuple(known["groups"])
        return cls(folder, Choices(**known))

    @property
    def token(self) -> str:
        return self.folder.name

    def with_choices(self, **changes: Any) -> Self:
        """The project with other choices, which are kept on disk.

        Raises:
            StorageError: they cannot be written.
        """
        choices = replace(self.choices, **changes)
        with atomic_path(self.folder / STATE) as temporary:
            temporary.write_text(json_text(asdict(choices)), "utf-8")
        return replace(self, choices=choices)

    @property
    def questionnaire(self) -> Path | None:
        """The instrument as it was understood and edited; None before there is one."""
        path = self.folder / QUESTIONNAIRE
        return path if path.is_file() else None

    @property
    def check_list(self) -> str:
        """What was left out of an imported instrument and why, as Markdown without its heading."""
        path = self.folder / CHECK_LIST
        text = path.read_text("utf-8") if path.is_file() else ""
        return text.partition("\n")[2].strip()

    def file_of(self, part: str) -> Path | None:
        """A kept upload: ``known``, ``pilot`` or ``recipe``."""
        name: str = getattr(self.choices, part)
        path = self.folder / f"{part}{Path(name).suffix.casefold()}"
        return path if name and path.is_file() else None
