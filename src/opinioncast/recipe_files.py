"""Recipes on disk: the package's by name, a user's own by path, and what is wrong in them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from opinioncast.errors import InputError


class Strict(BaseModel):
    """Part of a recipe: unknown fields are refused, and what was read does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def builtin_names(kind: str, *, but: Sequence[str] = ()) -> list[str]:
    """Recipes of one kind (a folder of ``opinioncast.recipes``) that come with the package.

    Args:
        but: endings of files that are no recipes but belong to one.
    """
    names = (Path(f.name) for f in (resources.files("opinioncast.recipes") / kind).iterdir())
    return sorted(n.stem for n in names if n.suffix == ".yaml" and not n.stem.endswith(tuple(but)))


def locate_recipe(name_or_path: str | Path, kind: str, names: Sequence[str], what: str) -> Path:
    """The file of a recipe.

    Args:
        names: of the package's recipes of this kind.
        what: the kind in words ("curation recipe").

    Raises:
        InputError: neither such a name nor the path of a YAML file.
    """
    name = str(name_or_path)
    if name in names:
        return Path(str(resources.files("opinioncast.recipes") / kind / f"{name}.yaml"))
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        raise InputError(
            f"Unknown {what}",
            expected=f"one of {', '.join(names)}, or the path of a .yaml file",
            found=name,
        )
    return path


def misfits(error: ValidationError) -> list[str]:
    """Every field that does not fit, where it is and what stands there."""
    return [
        f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}"
        + (f" (found {e['input']!r:.60})" if e["loc"] else "")
        for e in error.errors()
    ]
