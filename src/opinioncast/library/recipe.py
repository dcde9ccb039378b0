"""What the reference library is made of: tables, what is left out, spellings of one name."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError

from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.recipe_files import Strict, misfits

Names = Annotated[
    tuple[str, ...], BeforeValidator(lambda v: tuple(v.split()) if isinstance(v, str) else v)
]
"""A list, or one text with spaces between the names."""


class LibraryRecipe(Strict):
    """A library.

    Attributes:
        parts: curation recipes, or opinion tables (.parquet), that it is made of.
        apart: evaluation sets: what they ask is not in the library, in any year or spelling. File
            (opinion table, SubPOP file, or a file of questions by variable) -> family of its
            questions where it names none.
        cut: sentences that are no part of a wording.
        endings: of a variable's name, which make another spelling of one question.
        renamed: families whose variables have another name in every study: there a wording that no
            study uses twice, with the same options, is one question whatever the names.
        not_opinions: family -> names of variables that are none; ``*`` stands for any text.
    """

    name: str
    title: str = ""
    parts: tuple[str, ...] = Field(min_length=1)
    apart: Mapping[str, str] = Field(default_factory=dict)
    cut: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()
    not_opinions: Mapping[str, Names] = Field(default_factory=dict)

    def is_opinion(self, family: str, name: str) -> bool:
        """Whether a family's variable is none of those judged not to be one."""
        small = name.casefold()
        return not any(fnmatchcase(small, p) for p in self.not_opinions.get(family, ()))

    def stems(self, name: str) -> list[str]:
        """The names that a variable's may be a spelling of, the longest first."""
        small = name.casefold()
        found = [small.removesuffix(e) for e in self.endings if small.endswith(e)]
        return sorted((s for s in found if s), key=len, reverse=True)


def read_library_recipe(path: Path | None = None) -> LibraryRecipe:
    """Read a recipe; the package's own when left out.

    Raises:
        InputError: it cannot be read, or a field does not fit.
    """
    own = Path(str(resources.files("opinioncast.recipes") / "library.yaml"))
    raw = read_document(path or own, "A recipe of a library")
    try:
        return LibraryRecipe.model_validate(raw)
    except ValidationError as error:
        raise InputError(
            "A recipe of a library has fields that do not fit",
            where=str(path or own),
            expected=", ".join(LibraryRecipe.model_fields),
            found="; ".join(misfits(error)),
        ) from None
