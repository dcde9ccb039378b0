"""What the user knows, as pieces of evidence: published shares, a pilot's answers, past tables.

Every piece has an origin and a hash; the same people's answers count once, and whatever is not used
is named with a reason. :mod:`opinioncast.evidence.matching` makes the pieces.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from opinioncast.errors import InputError
from opinioncast.evidence.people import Array, Bools, Groups
from opinioncast.survey import Subpopulation

SAME_PEOPLE = "same people as"


@dataclass(frozen=True)
class Cell:
    """The published shares of one question in one subpopulation.

    Attributes:
        shares: in the order of the question's options; sum to one.
        n_eff: effective base; None: not told. Infinite: taken as exact.
        rounding: unit the shares were rounded to (0.01: whole percent), 0 where they were not.
        n: unweighted base, if told.
    """

    question_id: str
    subpopulation: Subpopulation
    shares: tuple[float, ...]
    n_eff: float | None = None
    rounding: float = 0.0
    n: int | None = None


@dataclass(frozen=True)
class Published:
    """Published results: toplines, group results, another survey's table.

    Attributes:
        name: of the source, for labels and the manifest.
        cells: by question and subpopulation, each once.
        years: from this source to the time predicted (negative: it is later); None: its own time,
            an observation without drift.
        terms: what may be done with it.
        notes: what was done to it (rounding, answers left out).
        left_out: what is not used, with the reason.
    """

    name: str
    cells: tuple[Cell, ...]
    terms: str = "not told"
    years: float | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Hash of what it says; two sources that say the same are one."""
        rows = sorted(
            (
                c.question_id,
                str(c.subpopulation),
                [round(s, 9) for s in c.shares],
                repr(c.n_eff),
                c.rounding,
            )
            for c in self.cells
        )
        text = json.dumps([rows, self.years])
        return hashlib.sha256(text.encode()).hexdigest()

    def of(self, question_id: str) -> list[Cell]:
        own = [c for c in self.cells if c.question_id == question_id]
        return sorted(own, key=lambda c: c.subpopulation)


@dataclass(frozen=True)
class PilotSource:
    """Where a pilot's answers are: they are read again from there, and copied into no file.

    Attributes:
        recipe: of curation, a name or a file.
        data: the microdata; None where the recipe names it.
        folders: where the recipe's files are.
    """

    recipe: str
    data: Path | None = None
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Pilot:
    """Answers of people, from microdata.

    Attributes:
        source: where they were read; None: made in memory.
        groups, members: who is in which group, (people, groups).
        choice: option of each person by question (in the questionnaire's order), -1: no answer.
        weights: by question, each of shape (people,).
    """

    name: str
    groups: Groups
    members: Bools
    choice: Mapping[str, np.ndarray]
    weights: Mapping[str, Array]
    terms: str = "not told"
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    source: PilotSource | None = None

    @property
    def key(self) -> str:
        digest = hashlib.sha256(json.dumps([list(c) for c in self.groups.columns]).encode())
        ids = sorted(self.choice)
        digest.update(json.dumps(ids).encode())
        columns = [self.choice[i].astype(np.float64) for i in ids]
        columns += [np.round(self.weights[i], 9) for i in ids]
        rows = np.column_stack([self.members.astype(np.float64), *columns])
        digest.update(np.ascontiguousarray(rows[np.lexsort(rows.T)]).tobytes())
        return digest.hexdigest()

    def counts(self, question_id: str, options: int) -> Array:
        """Answers scaled to their effective size, (people, K): :meth:`Answers.counts`."""
        choice, weights = self.choice[question_id], self.weights[question_id]
        used = np.where(choice >= 0, weights, 0.0)
        out = np.zeros((len(choice), options))
        if used.sum() > 0:
            answered = used > 0
            scale = used.sum() / (used**2).sum()
            out[answered, choice[answered]] = used[answered] * scale
        return out

    def n(self, question_id: str) -> int:
        return int(((self.choice[question_id] >= 0) & (self.weights[question_id] > 0)).sum())

    def shares(self, question_id: str, options: int, inside: Bools) -> list[Array]:
        """Weighted and unweighted shares of some of the people."""
        choice = self.choice[question_id]
        out = []
        for weights in (self.weights[question_id], (self.weights[question_id] > 0) * 1.0):
            used = np.where((choice >= 0) & inside, weights, 0.0)
            if used.sum() > 0:
                out.append(np.bincount(np.maximum(choice, 0), used, options) / used.sum())
        return out


Evidence = Published | Pilot


def check_cells(cells: Sequence[Cell], name: str, weight_of: Any) -> list[str]:
    """Whether a source's total lies where its groups are.

    Args:
        weight_of: a subpopulation's share of the population, None where it is not known.

    Returns:
        Notes on totals that differ from their groups by more than rounding and sampling explain.

    Raises:
        InputError: a cell twice; a total outside the range of groups that are all people.
    """
    seen: dict[tuple[str, Subpopulation], Cell] = {}
    for cell in cells:
        key = (cell.question_id, cell.subpopulation)
        if key in seen:
            raise InputError(
                "Known results give a cell twice",
                where=f"{name}, question {cell.question_id}, {cell.subpopulation}",
                expected="one row of shares per question and group",
                found=f"{seen[key].shares} and {cell.shares}",
            )
        seen[key] = cell
    notes = []
    for (question_id, subpopulation), total in seen.items():
        if subpopulation.conditions:
            continue
        by_attribute: dict[str, list[Cell]] = {}
        for (other, group), cell in seen.items():
            if other == question_id and len(group.conditions) == 1:
                by_attribute.setdefault(group.attribute, []).append(cell)
        for attribute, parts in by_attribute.items():
            sizes = [weight_of(c.subpopulation) for c in parts]
            if any(s is None for s in sizes) or sum(sizes) < 0.97 or len(parts) < 2:
                continue
            shares = np.array([c.shares for c in parts])
            room = 0.005 + total.rounding + max(c.rounding for c in parts)
            off = np.maximum(np.array(total.shares) - shares.max(0), shares.min(0) - total.shares)
            where = f"{name}, question {question_id}, {attribute}"
            if off.max() > room:
                raise InputError(
                    "A topline contradicts its groups",
                    where=where,
                    expected="a total between its groups' shares",
                    found=f"total {np.round(total.shares, 3).tolist()}; groups "
                    + "; ".join(
                        f"{c.subpopulation.group} {np.round(c.shares, 3).tolist()}" for c in parts
                    ),
                    hint="one of the two is of other people or another question: leave it out",
                )
            mean = np.array(sizes) @ shares / sum(sizes)
            gap = float(np.abs(mean - total.shares).max())
            if gap > 0.03:
                notes.append(
                    f"{where}: the groups' mean is {100 * gap:.0f} points off the total; both used"
                )
    return notes


def without_same_people(
    pieces: Iterable[Evidence], options: Mapping[str, int]
) -> tuple[list[Evidence], list[str]]:
    """Evidence in a fixed order, each person's answers once, and what was left out for that.

    A source given twice is used once. A published cell with the base and the shares of a pilot's
    own people (a topline made from the pilot), or of another source's cell, is left out.
    """
    kept: dict[str, Evidence] = {}
    left_out = []
    for piece in pieces:
        if piece.key in kept:
            left_out.append(f"{piece.name}: {SAME_PEOPLE} {kept[piece.key].name}, used once")
            continue
        kept[piece.key] = piece
    ordered = [kept[k] for k in sorted(kept)]
    pilots = [p for p in ordered if isinstance(p, Pilot)]
    out: list[Evidence] = list(pilots)
    seen: dict[tuple[Any, ...], str] = {}
    for piece in ordered:
        if not isinstance(piece, Published):
            continue
        cells = []
        for cell in piece.cells:
            twin = next((p.name for p in pilots if _made_from(cell, p, options)), None)
            shares = tuple(np.round(cell.shares, 6))
            key = (cell.question_id, cell.subpopulation, shares, cell.n, cell.n_eff)
            if twin is None and cell.n is not None and seen.get(key, piece.name) != piece.name:
                twin = seen[key]
            if twin is not None:
                left_out.append(
                    f"{piece.name}, question {cell.question_id}, {cell.subpopulation}: "
                    f"{SAME_PEOPLE} {twin}, used once"
                )
                continue
            seen.setdefault(key, piece.name)
            cells.append(cell)
        if cells:
            out.append(replace(piece, cells=tuple(cells)))
    return out, left_out


def _made_from(cell: Cell, pilot: Pilot, options: Mapping[str, int]) -> bool:
    """Whether a published cell has the base and the shares of a pilot's own people."""
    if cell.question_id not in pilot.choice:
        return False
    inside = pilot.groups.mask(pilot.members, cell.subpopulation)
    if inside is None:
        return False
    choice, weights = pilot.choice[cell.question_id], pilot.weights[cell.question_id]
    base = int((inside & (choice >= 0) & (weights > 0)).sum())
    told = cell.n if cell.n is not None else cell.n_eff
    if told is not None and np.isfinite(told) and round(told) not in (base, len(choice)):
        return False
    room = cell.rounding / 2 + 1e-6
    room += 0.0 if told is not None else 1e-4
    return any(
        np.abs(np.array(cell.shares) - s).max() <= room
        for s in pilot.shares(cell.question_id, options[cell.question_id], inside)
    )
