"""JSON exports: read with the limits of every document, and what their values may look like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opinioncast.documents import parse_json
from opinioncast.errors import InputError
from opinioncast.questionnaires.decoding import decoded


def json_object(path: Path, content: bytes, what: str, needed: str) -> Mapping[str, Any]:
    """The object that a JSON file is.

    Args:
        what: the file in words, for errors.
        needed: a key that it must have.

    Raises:
        InputError: no JSON, or an object without that key.
    """
    value = parse_json(decoded(path, content), where=str(path), what=what)
    if not isinstance(value, Mapping) or needed not in value:
        raise InputError(
            f"{what} cannot be read",
            where=str(path),
            expected=f"an object with `{needed}`",
            found=list(value)[:10] if isinstance(value, Mapping) else type(value).__name__,
        )
    return value


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping as it is, a list as positions -> values, an empty one for anything else."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list):
        return {str(i): v for i, v in enumerate(value)}
    return {}


def sequence(value: Any) -> list[Any]:
    """A list as it is, a mapping's values, an empty one for anything else."""
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, Mapping) else []


def has_keys(content: bytes, *keys: str) -> bool:
    """Whether a JSON file names all these keys somewhere; a look, not a reading."""
    text = content.decode(
        "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "ignore"
    )
    return text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") and all(f'"{k}"' in text for k in keys)
