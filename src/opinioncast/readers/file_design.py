"""What a file says about its own design: its weight, its respondents' ids, strata and PSUs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from opinioncast.errors import DataError
from opinioncast.readers import portable, system_file
from opinioncast.survey.wave import Design, Variable

UNWEIGHTED = "none"
"""The weight of a design that is to have none though the file is weighted."""

_KINDS = {
    "weight": re.compile(
        r"(?:.*_)?w(?:eight|gt|t)(?:[_\d].*|all|fin\w*|vec|p|ing)?|.*weight\d*|gewicht\w*|pond\w*"
        r"|peso\w*|pspwght|dweight|anweight",
        re.IGNORECASE,
    ),
    "strata": re.compile(
        r"v?strat(?:a|um|id)?\d*|stratum_?id|.*_strat(?:a|um)|sdmvstra|ststr|.*vstrat\w*", re.I
    ),
    "psu": re.compile(
        r"v?psu(?:id)?\d*|.*_psu|sdmvpsu|v?cluster(?:_?id)?|primary_?sampling_?unit|.*vpsu\w*", re.I
    ),
}
_LABELS = {
    "weight": re.compile(
        r"\b(?:(?:survey|final|sampl\w+|design|post-?strat\w+|analysis|population|person|case)"
        r" weights?|weight(?:ing)? (?:variable|factor)|gewicht(?:ung)?s?faktor)\b",
        re.IGNORECASE,
    ),
    "strata": re.compile(r"\b(?:sampl\w+|variance|design|pseudo)[ -]*strat(?:a|um)\b", re.I),
    "psu": re.compile(r"\b(?:primary sampling unit|sampling cluster|variance psu)\b", re.I),
}


_ID = re.compile(
    r"(?:resp(?:ondent)?|response|case|record|person|participant|panel(?:ist)?|interview|unique)?_?"
    r"(?:id|key|no|nr|number|serial)|qkey|uuid|guid|token|serial",
    re.IGNORECASE,
)
_MOST = 0.8
"""A share of different values above which a column is an id though some repeat."""


@dataclass(frozen=True)
class SeenDesign:
    """Columns that look like a design: kind -> names; and notes on those nobody named."""

    columns: Mapping[str, list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def file_weight(path: Path, design: Design) -> tuple[Design, list[str]]:
    """The design with the weight of the file itself where it names none, and a note about it.

    SPSS weights every result of a file saved under WEIGHT BY.
    """
    suffix = path.suffix.casefold()
    own: str | None = None
    if suffix in (".sav", ".zsav"):
        own = system_file.read_header(path).weight
    elif suffix == ".por":
        own = portable.read_portable(path).weight
    if design.weight is not None and design.weight.casefold() == UNWEIGHTED:
        return replace(design, weight=None), []
    if own is None or design.weight == own:
        return design, []
    if design.weight is not None:
        return design, []
    return replace(design, weight=own), [
        f"weighted by {own}, as the file itself is (WEIGHT BY); the recipe names no weight "
        f"(weight: {own} to confirm, weight: {UNWEIGHTED} to count everybody once); whoever has no "
        "weight counts nothing, as in SPSS"
    ]


def unnamed_design(
    frame: pl.DataFrame,
    variables: Mapping[str, Variable],
    labels: Mapping[str, str],
    design: Design,
) -> SeenDesign:
    """Columns that by name or label look like weights, strata or PSUs.

    A note is made of each kind that the design lacks.
    """
    found: dict[str, list[str]] = {}
    for kind, pattern in _KINDS.items():
        names = [
            name
            for name in frame.columns
            if (pattern.fullmatch(name) or _LABELS[kind].search(labels.get(name, "")))
            and not (name in variables and variables[name].codes)
            and frame[name].null_count() < frame.height
            and (kind != "weight" or (frame[name].dtype.is_numeric()))
        ]
        if names:
            found[kind] = names
    named = {"weight": design.weight, "strata": design.strata, "psu": design.psu}
    own = {v.weight for v in variables.values() if v.weight}
    notes = []
    for kind, names in found.items():
        if named[kind] is None and not (kind == "weight" and own):
            effect = (
                "every respondent counts one"
                if kind == "weight"
                else "standard errors do not know of them"
            )
            notes.append(
                f"the file seems to have {kind} ({', '.join(names[:5])}) and the recipe names "
                f"none: {effect}"
            )
    return SeenDesign(found, (*notes, *_repeated_ids(frame)))


def _repeated_ids(frame: pl.DataFrame) -> list[str]:
    """Columns that look like a respondent's id and say some twice."""
    notes = []
    for name in frame.columns:
        if _ID.fullmatch(name) is None:
            continue
        values = frame[name].drop_nulls()
        unique = values.n_unique()
        if len(values) > unique > _MOST * len(values):
            notes.append(
                f"{name} looks like a respondent's id, and {len(values) - unique} row(s) repeat "
                f"one: delete the copies (`respondent_id: {name}` in the recipe refuses them)"
            )
    return notes


def check_ids(frame: pl.DataFrame, name: str, within: Sequence[str] = ()) -> None:
    """Refuse a respondent id that is there twice.

    Raises:
        DataError: which ids, and in which rows.
    """
    if name not in frame.columns:
        return  # the wave says so
    keys = [name, *(w for w in within if w in frame.columns)]
    rows = frame.select(keys).with_row_index("row", offset=1).drop_nulls(name)
    twice = rows.filter(pl.struct(keys).is_duplicated())
    if twice.is_empty():
        return
    first = twice.filter(pl.struct(keys) == pl.struct(keys).first())
    raise DataError(
        f"{twice[name].n_unique()} respondent id(s) are there more than once",
        where=f"variable {name}, rows {', '.join(map(str, first['row'].head(5)))}",
        expected="one row per respondent",
        found=f"{twice.height} rows share {twice[name].n_unique()} id(s): "
        + ", ".join(str(v) for v in twice[name].unique(maintain_order=True).head(5)),
        hint="delete the copies from the file; if rows are not respondents, leave `respondent_id` "
        "out of the recipe",
    )
