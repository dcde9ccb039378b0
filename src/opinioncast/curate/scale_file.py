"""Scales a person decided, before the codebook's, before the rules'."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opinioncast.curate.ordinality import Positions, Scale, detect_scale, normal_option
from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.survey.question import OFF_SCALE
from opinioncast.survey.wave import Variable


@dataclass(frozen=True)
class ScaleFile:
    """Scales decided by a person: by variable name, or by exact option list (case ignored)."""

    by_variable: dict[str, Positions]
    by_options: dict[tuple[str, ...], Positions]
    source: str

    def lookup(self, variable: str, options: Sequence[str]) -> Scale | None:
        """The scale given for this variable or option list.

        Raises:
            InputError: the file has another number of positions than the variable has options.
        """
        positions = self.by_variable.get(variable)
        if positions is None:
            positions = self.by_options.get(tuple(normal_option(o) for o in options))
        if positions is None:
            return None
        if len(positions) != len(options):
            raise InputError(
                "A scale file does not fit a variable",
                where=f"{self.source}, variable {variable}",
                expected=f"{len(options)} positions, one per option {list(options)}",
                found=list(positions),
            )
        return Scale(positions, "given", "", "scale file")


def scale_of(variable: Variable, overrides: ScaleFile | None = None) -> Scale:
    """The scale of a variable: scale file, then the codebook's own, then rules."""
    if overrides is not None:
        found = overrides.lookup(variable.name, variable.options)
        if found is not None:
            return found
    if variable.ordinal is not None:
        return Scale(variable.ordinal, "given", "", "codebook")
    return detect_scale(variable.options, variable.wording, variable.codes)


def read_scales(path: str | Path) -> ScaleFile:
    """Read a YAML scale file: ``variables: {NAME: [1, 2, 3]}`` and
    ``lists: [{options: [...], ordinal: [...]}]``.

    Raises:
        InputError: a file that cannot be read, or a position that is not -1 or 0 and more.
    """
    source = str(path)
    raw = read_document(path, "A scale file")
    if not isinstance(raw, dict) or set(raw) - {"variables", "lists"}:
        raise InputError(
            "A scale file has an unknown layout",
            where=source,
            expected="`variables:` (name: positions) and `lists:` (options, ordinal)",
            found=list(raw) if isinstance(raw, dict) else type(raw).__name__,
        )
    by_variable = {
        str(name): _positions(values, f"{source}, variable {name}")
        for name, values in (raw.get("variables") or {}).items()
    }
    by_options: dict[tuple[str, ...], Positions] = {}
    for i, entry in enumerate(raw.get("lists") or [], start=1):
        where = f"{source}, list {i}"
        if not isinstance(entry, dict) or set(entry) != {"options", "ordinal"}:
            raise InputError(
                "An entry of a scale file cannot be read",
                where=where,
                expected="`options` and `ordinal`",
                found=entry,
            )
        positions = _positions(entry["ordinal"], where)
        options = tuple(normal_option(str(o)) for o in entry["options"])
        if len(options) != len(positions):
            raise InputError(
                "A scale does not have one position per option",
                where=where,
                expected=f"{len(options)} positions",
                found=list(positions),
            )
        by_options[options] = positions
    return ScaleFile(by_variable, by_options, source)


def _positions(values: Any, where: str) -> Positions:
    try:
        positions = tuple(float(v) for v in values)
    except (TypeError, ValueError) as error:
        raise InputError(
            "A scale position is not a number", where=where, expected="numbers", found=values
        ) from error
    if not all(math.isfinite(v) and (v >= 0 or v == OFF_SCALE) for v in positions):
        raise InputError(
            "A scale position is not usable",
            where=where,
            expected="numbers of 0 or more, or -1 for an option off the scale",
            found=list(positions),
        )
    return positions
