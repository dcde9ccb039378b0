"""Questions a person chose, with their wording: the file behind a wave's ``questions``.

Two layouts: ours, YAML with ``wave -> variable -> text`` or a mapping of ``text``, ``options`` and
``ordinal``; and the published SubPOP question file, JSON with ``variable -> refined_qbody,
option_list (ending in "Refused"), ordinal``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from opinioncast.errors import InputError

REFUSED = "Refused"


@dataclass(frozen=True, slots=True)
class ChosenQuestion:
    """Wording of one variable; options and scale as in the survey's file where they are None."""

    text: str
    options: tuple[str, ...] | None = None
    ordinal: tuple[float, ...] | None = None


def read_questions(path: Path, wave: str) -> Mapping[str, ChosenQuestion]:
    """The questions ``path`` chooses for ``wave``, by variable.

    Raises:
        InputError: a file that cannot be read or has another layout; no question for the wave.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML too
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            "A question file cannot be read",
            where=str(path),
            expected="a UTF-8 YAML or JSON file",
            found=error,
        ) from error
    if not isinstance(raw, dict) or not raw:
        raise InputError(
            "A question file has an unknown layout",
            where=str(path),
            expected="wave -> variable -> text, or SubPOP's variable -> refined_qbody",
            found=type(raw).__name__,
        )
    published = all(isinstance(v, dict) and "refined_qbody" in v for v in raw.values())
    entries = raw if published else raw.get(wave) or {}
    if not isinstance(entries, dict) or not entries:
        raise InputError(
            "A question file has no question for this wave",
            where=str(path),
            expected=f'`"{wave}":` with variables below it',
            found=", ".join(map(str, raw)),
        )
    read = _published if published else _own
    return {str(v): read(entry, f"{path}, {wave}, {v}") for v, entry in entries.items()}


def _published(entry: Mapping[str, Any], where: str) -> ChosenQuestion:
    options = [str(o) for o in entry["option_list"]]
    if options and options[-1] == REFUSED:
        options.pop()
    return _fitting(str(entry["refined_qbody"]), options, entry.get("ordinal"), where)


def _own(entry: Any, where: str) -> ChosenQuestion:
    if isinstance(entry, str) and entry.strip():
        return ChosenQuestion(entry.strip())
    if (
        not isinstance(entry, dict)
        or not entry.get("text")
        or set(entry) - {"text", "options", "ordinal"}
    ):
        raise InputError(
            "A question cannot be read",
            where=where,
            expected="its wording, or `text` with `options` and `ordinal`",
            found=entry,
        )
    return _fitting(str(entry["text"]), entry.get("options"), entry.get("ordinal"), where)


def _fitting(text: str, options: Any, ordinal: Any, where: str) -> ChosenQuestion:
    shown = None if options is None else tuple(str(o) for o in options)
    positions = None if ordinal is None else tuple(float(v) for v in ordinal)
    if shown is not None and positions is not None and len(shown) != len(positions):
        raise InputError(
            "A question has not one scale position per option",
            where=where,
            expected=f"{len(shown)} positions",
            found=list(positions),
        )
    return ChosenQuestion(text.strip(), shown, positions)
