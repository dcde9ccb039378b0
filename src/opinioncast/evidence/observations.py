"""What the user knows, as pieces of evidence: published shares, a pilot's answers, past tables.

Every piece has an origin and a hash. What is given is matched to the questionnaire by wording and
by the text of its options, never by order, and whatever is not used is named with a reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from opinioncast.errors import InputError
from opinioncast.evidence.people import Array, Bools, Groups
from opinioncast.evidence.sample import Sample
from opinioncast.survey import OpinionTable, Question, Subpopulation

_NO_ANSWER = re.compile(
    r"^(don'?t know|do not know|dk|refused|refuse|ref|no answer|no opinion|not sure|unsure|"
    r"dk/na|dk/ref|dk/refused|don'?t know/refused|don'?t know/no answer|na|no response|skipped|"
    r"prefer not to say)$"
)
_SIGNS = str.maketrans({"’": "'", "‘": "'", "`": "'", "–": "-", "—": "-", "“": '"', "”": '"'})
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


def plain(text: str) -> str:
    """Text as it is compared: case, kinds of quote and dash, spaces and a last stop aside."""
    return " ".join(text.translate(_SIGNS).casefold().split()).strip(" .:;")


def match_shares(
    question: Question, given: Mapping[str, float], *, where: str
) -> tuple[tuple[float, ...], float, tuple[str, ...]]:
    """Published shares in the order of the question's options, found by their text.

    Answers that are none ("Don't know", "Refused") are left out where the question does not offer
    them; the rest is scaled to one. Percentages and sums off by rounding are accepted.

    Returns:
        shares; the unit they were rounded to, as a share; and what was done to them.

    Raises:
        InputError: an option that is not the question's or lacks a share, a share that is negative
            or no number, or a sum that rounding does not explain.
    """
    wanted = {plain(o): i for i, o in enumerate(question.options)}
    found: dict[int, float] = {}
    aside: dict[str, float] = {}
    strange = []
    for label, value in given.items():
        place = wanted.get(plain(label))
        if place is not None:
            if place in found:
                raise InputError(
                    "An option has two shares", where=where, expected="one", found=label
                )
            found[place] = value
        elif _NO_ANSWER.match(plain(label)):
            aside[label] = value
        else:
            strange.append(label)
    lacking = [o for i, o in enumerate(question.options) if i not in found]
    if strange or lacking:
        raise InputError(
            "The options of known results are not the question's",
            where=where,
            expected="; ".join(question.options),
            found="; ".join(given)
            + (f" (not the question's: {'; '.join(strange)})" if strange else "")
            + (f" (without a share: {'; '.join(lacking)})" if lacking else ""),
            hint="options are matched by their text, in any order: write them as in the "
            "questionnaire, and give 0 to an option nobody chose",
        )
    values = [found[i] for i in range(len(question.options))]
    shares, rounding, notes = _to_one([*values, *aside.values()], where)
    kept = shares[: len(values)]
    if sum(kept) <= 0:
        raise InputError(
            "Known results have no answer to any option", where=where, expected="a share above 0"
        )
    if aside:
        left = ", ".join(f"{k} {v:g}" for k, v in aside.items())
        notes.append(f"{where}: left out as no answer: {left}; the rest scaled to one")
        rounding /= sum(kept)
    return tuple(v / sum(kept) for v in kept), rounding, tuple(notes)


def _to_one(values: Sequence[float], where: str) -> tuple[list[float], float, list[str]]:
    wrong = [v for v in values if not np.isfinite(v) or v < 0]
    if wrong:
        raise InputError(
            "A known share is negative or not a number",
            where=where,
            expected="shares or percentages of 0 or more",
            found=list(values),
        )
    total = sum(values)
    percent = total > 2
    unit = 100.0 if percent else 1.0
    step = next((s for s in (1.0, 0.1) if _are_multiples(values, s * unit / 100)), 0.0)
    rounding = step / 100
    # each of K shares is off by half a unit at most; published tables reach 99 or 101 with two
    allowed = max(rounding * max(len(values) / 2, 1), 0.0005)
    off = total / unit - 1
    if abs(off) > allowed + 1e-9:
        raise InputError(
            "Known shares do not sum to one",
            where=where,
            expected="shares that sum to 1, or percentages to 100, as far as rounding allows "
            f"(here {100 * allowed:g} points)",
            found=f"sum {total:g} of {list(values)}",
            hint='list "Don\'t know" and "Refused" too where the published shares include them',
        )
    notes = []
    if abs(off) > 1e-9:
        notes.append(f"{where}: shares sum to {total:g}, taken as rounding and scaled to {unit:g}")
    return [v / total for v in values], rounding, notes


def _are_multiples(values: Sequence[float], step: float) -> bool:
    return all(abs(v / step - round(v / step)) < 1e-6 for v in values)


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


def read_pilot(sample: Sample, questions: Sequence[Question], name: str, terms: str) -> Pilot:
    """A pilot's answers to the questions of a questionnaire, matched by id or wording.

    Raises:
        InputError: no question of the pilot is in the questionnaire; options that differ.
    """
    by_id = {q.question_id.casefold(): q for q in questions}
    by_text = {plain(q.text): q for q in questions}
    choice: dict[str, np.ndarray] = {}
    weights: dict[str, Array] = {}
    left_out = []
    for answers in sample.answers:
        asked = answers.question
        question = by_id.get(asked.question_id.casefold()) or by_text.get(plain(asked.text))
        if question is None:
            left_out.append(f"{asked.question_id}: not in the predictions")
            continue
        order = option_places(question, asked.options)
        if order is None:
            raise InputError(
                "A pilot's question has other options than the questionnaire's",
                where=f"{name}, question {question.question_id}",
                expected="; ".join(question.options),
                found="; ".join(asked.options),
                hint="options are matched by their text: correct the codebook or the recipe",
            )
        if answers.n == 0:
            left_out.append(f"{asked.question_id}: nobody with a weight answered")
            continue
        places = np.array([*order, -1])
        choice[question.question_id] = places[answers.choice]
        weights[question.question_id] = answers.weights
    if not choice:
        raise InputError(
            "No question of the pilot is among the predictions",
            where=name,
            expected=", ".join(q.question_id for q in questions[:10]),
            found=", ".join(a.question.question_id for a in sample.answers[:10]) or "no question",
            hint="questions are matched by id, else by wording",
        )
    notes = list(sample.notes)
    for attribute, places in sample.groups.attributes.items():
        untold = int((~sample.members[:, places].any(axis=1)).sum())
        if untold:
            notes.append(
                f"{attribute}: {untold} of {len(sample)} people in none of its groups; averaged "
                "over the population frame"
            )
    for i, (attribute, group) in enumerate(sample.groups.columns):
        count = int(sample.members[:, i].sum())
        if count <= 1:
            notes.append(f"{attribute}={group}: {count} of the pilot's people")
    return Pilot(
        name, sample.groups, sample.members, choice, weights, terms, tuple(notes), tuple(left_out)
    )


def option_places(question: Question, options: Sequence[str]) -> list[int] | None:
    """Where each of ``options`` stands in the question; None unless both lists are the same."""
    wanted = {plain(o): i for i, o in enumerate(question.options)}
    places = [wanted.get(plain(o)) for o in options]
    if None in places or len(set(places)) != len(wanted):
        return None
    return [p for p in places if p is not None]


def published_of_table(
    table: OpinionTable, questions: Sequence[Question], name: str, terms: str
) -> Published:
    """The results of an opinion table for the questions of a questionnaire.

    Questions are matched by id where the options are the same, else by wording; those that are not
    found are left out and named.
    """
    by_id = {q.question_id.casefold(): q for q in questions}
    by_text = {plain(q.text): q for q in questions}
    cells, left_out = [], {}
    for row in table.frame.iter_rows(named=True):
        question = by_text.get(plain(row["question"])) or by_id.get(row["question_id"].casefold())
        if question is None:
            left_out[row["question_id"]] = "not in the predictions"
            continue
        order = option_places(question, row["options"])
        if order is None:
            left_out[row["question_id"]] = "other options than the question predicted"
            continue
        shares = np.zeros(len(order))
        shares[order] = row["distribution"]
        n_eff = row["n_eff"] if row["n_eff"] is not None else row["n"]
        cells.append(
            Cell(
                question.question_id,
                Subpopulation.from_key(row["attribute"], row["group"]),
                tuple(shares / shares.sum()),
                n_eff,
                0.0,
                row["n"],
            )
        )
    return Published(
        name, tuple(cells), terms, left_out=tuple(f"{q}: {why}" for q, why in left_out.items())
    )


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
