"""The population frame: who the population is, as rows of group memberships with weights.

Every share this room predicts is a mean over rows of the frame, so totals and groups add up by
construction, and intersections or groups no survey reported come free. US adults ship with the
package (:mod:`opinioncast.evidence.frame_learning` made them); any other population is a file: one
row per kind of person, a column per attribute with the group's name (several, where a survey cannot
tell two groups apart, with ``|`` between; empty where it is not told), and ``weight``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from opinioncast.csv_files import read_text_table
from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.evidence.people import Array, Bools, Column, Groups, merged, sources_of
from opinioncast.files import atomic_path
from opinioncast.parquet_files import read_parquet
from opinioncast.survey import Subpopulation
from opinioncast.survey.groups import standard_attributes

WEIGHT = "weight"
_BETWEEN = "|"
SHIPPED_FRAME = "us_adults.parquet"


Told = tuple[Array, list[int], dict[Subpopulation, str]]
"""Weights of the frame's rows in each cell told, the cells' places, why others are not told."""


@dataclass(frozen=True)
class Frame:
    """A population.

    Attributes:
        groups: columns of ``members``.
        members: shape (rows, groups).
        weights: sum to one, shape (rows,).
        card: what it is: population, year, making, terms.
    """

    groups: Groups
    members: Bools
    weights: Array
    card: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=float)
        if not len(weights) or not np.isfinite(weights).all() or (weights < 0).any():
            raise InputError(
                "A population frame has a weight that cannot be used",
                expected="one number of 0 or more per row, at least one above 0",
                found=f"{len(weights)} rows, smallest {weights.min() if len(weights) else None}",
            )
        if weights.sum() <= 0:
            raise InputError(
                "A population frame weighs nothing", expected="a weight above 0", found=0
            )
        object.__setattr__(self, "weights", weights / weights.sum())

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def content_hash(self) -> str:
        digest = hashlib.sha256(json.dumps(self.groups.columns).encode())
        order = np.lexsort((self.weights, *self.members.T))
        digest.update(np.packbits(self.members[order], axis=1).tobytes())
        digest.update(np.round(self.weights[order], 12).tobytes())
        return digest.hexdigest()

    def share(self, subpopulation: Subpopulation) -> float | None:
        """A subpopulation's share of the population; None where the frame cannot tell it."""
        mask = self.groups.mask(self.members, subpopulation)
        return None if mask is None else float(self.weights[mask].sum())

    def cells(self, subpopulations: Sequence[Subpopulation]) -> Told:
        """Weights of the frame's rows in each subpopulation.

        Returns:
            Rows that each sum to one, shape (cells told, rows); the places of these cells in
            ``subpopulations``; and why the others have none.
        """
        key = tuple(subpopulations)
        if key not in self._told:
            self._told[key] = self._cells(key)
        return self._told[key]

    @cached_property
    def _told(self) -> dict[tuple[Subpopulation, ...], Told]:
        """Cells asked for before: every question of a questionnaire asks for the same."""
        return {}

    def _cells(self, subpopulations: tuple[Subpopulation, ...]) -> Told:
        rows, places, why = [], [], {}
        for i, subpopulation in enumerate(subpopulations):
            mask = self.groups.mask(self.members, subpopulation)
            if mask is None:
                lacking = [
                    f"{a}={g}"
                    for a, g in subpopulation.conditions
                    if (a, g) not in self.groups.place
                ]
                why[subpopulation] = f"the population frame does not tell {', '.join(lacking)}"
                continue
            total = float(self.weights[mask].sum())
            if total <= 0:
                why[subpopulation] = "nobody of the population frame is in it"
                continue
            rows.append(np.where(mask, self.weights / total, 0.0))
            places.append(i)
        cells = np.stack(rows) if rows else np.zeros((0, len(self)))
        return cells, places, why

    def proportions(self, groups: Groups) -> Array:
        """Share of each column of ``groups`` among those whose attribute is told, 0 if unknown."""
        out = np.zeros(len(groups))
        told = self.groups.told(self.members)
        for i, column in enumerate(groups.columns):
            if column in self.groups.place:
                at = self.groups.place[column]
                known = self.weights[told[:, at]].sum()
                out[i] = self.weights[self.members[:, at]].sum() / known if known > 0 else 0.0
        return out

    @classmethod
    def of_people(cls, groups: Groups, members: Bools, weights: Array, card: Any = None) -> Self:
        """A frame of people, those alike in one row."""
        rows, counts = merged(members[weights > 0], weights[weights > 0, None])
        return cls(groups, rows, counts[:, 0], card or {})

    def write(self, path: Path) -> Path:
        """Write the frame (parquet) and its card (``path`` + ``.json``)."""
        columns: dict[str, Any] = {}
        for name, places in self.groups.attributes.items():
            names = [self.groups.columns[i][1] for i in places]
            columns[name] = [
                _BETWEEN.join(n for n, inside in zip(names, row, strict=True) if inside) or None
                for row in self.members[:, places]
            ]
        frame = pl.DataFrame(columns, schema_overrides=dict.fromkeys(columns, pl.Categorical))
        frame = frame.with_columns(pl.Series(WEIGHT, self.weights))
        with atomic_path(path) as temporary:
            frame.write_parquet(temporary, compression="zstd")
        with atomic_path(path.with_name(path.name + ".json")) as temporary:
            temporary.write_text(json.dumps(dict(self.card), indent=2) + "\n", "utf-8")
        return path


def read_frame(path: str | Path | None = None) -> Frame:
    """Read a population frame: parquet or CSV; the package's US adults when left out.

    Raises:
        InputError: unreadable, without attributes, a weight that is no number, a group that the
            standard attributes do not have.
    """
    if path is None:
        file = resources.files("opinioncast.models") / "evidence" / SHIPPED_FRAME
        path = Path(str(file))
    path = Path(path)
    try:
        if path.suffix.casefold() == ".csv":
            table = read_text_table(path, "A population frame", InputError)
        else:
            table = read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            "A population frame cannot be read",
            where=str(path),
            expected="a .csv or .parquet file with a column per attribute, and weight",
            found=error,
        ) from error
    beside = path.with_name(path.name + ".json")
    card: dict[str, Any] = {"source": path.name}
    if beside.is_file():
        told = read_document(beside, "The card of a population frame")
        if not isinstance(told, dict):
            raise InputError(
                "The card of a population frame cannot be read",
                where=str(beside),
                expected="a JSON object",
                found=told,
            )
        card |= told
    return frame_of_table(table, str(path), card)


def frame_of_table(table: pl.DataFrame, where: str, card: Mapping[str, Any]) -> Frame:
    """A frame of one column per attribute and ``weight`` (1 each where left out)."""
    names = [c for c in table.columns if c != WEIGHT]
    if not names or not table.height:
        raise InputError(
            "A population frame has no attributes or no rows",
            where=where,
            expected="a column per attribute (SEX, AGE, ...), and weight",
            found=", ".join(table.columns) or "no columns",
        )
    weights = np.ones(table.height)
    if WEIGHT in table.columns:
        given = table[WEIGHT].cast(pl.Float64, strict=False)
        if given.null_count():
            row = int(given.is_null().arg_max() or 0)
            raise InputError(
                "A weight of a population frame is not a number",
                where=f"{where}, row {row + 1}",
                expected="a number of 0 or more",
                found=table[WEIGHT][row],
            )
        weights = given.to_numpy()
    columns: list[Column] = []
    masks: list[Bools] = []
    standard = standard_attributes()
    for name in names:
        values = table[name].cast(pl.String).fill_null("").str.split(_BETWEEN)
        found = [g for g in values.explode().str.strip_chars().unique().sort() if g]
        known = standard[name].groups if name in standard else tuple(found)
        strange = [g for g in found if g not in known]
        if strange:
            raise InputError(
                f"A population frame has a group that {name} does not have",
                where=where,
                expected="; ".join(known),
                found="; ".join(strange),
                hint="names are case sensitive; leave the cell empty where the group is not told",
            )
        stripped = values.list.eval(pl.element().str.strip_chars())
        for group in (g for g in known if g in set(found)):
            columns.append((name, group))
            masks.append(stripped.list.contains(group).to_numpy())
    if not columns:
        raise InputError(
            "A population frame tells no group", where=where, expected="names of groups in its rows"
        )
    groups = Groups(tuple(columns))
    frame = Frame.of_people(groups, np.stack(masks, axis=1), weights, dict(card))
    return (
        frame
        if "attributes" in frame.card
        else Frame(
            groups,
            frame.members,
            frame.weights,
            {**card, "attributes": sources_of(columns), "rows": len(frame)},
        )
    )
