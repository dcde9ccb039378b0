"""What is given, matched to a questionnaire: by wording and the text of options, never by order.

Whatever is not used is named with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from opinioncast.errors import InputError
from opinioncast.evidence.observations import Cell, Pilot, Published
from opinioncast.evidence.people import Array
from opinioncast.evidence.sample import Sample
from opinioncast.survey import OpinionTable, Question, Subpopulation

_NO_ANSWER = re.compile(
    r"^(don'?t know|do not know|dk|refused|refuse|ref|no answer|no opinion|not sure|unsure|"
    r"dk/na|dk/ref|dk/refused|don'?t know/refused|don'?t know/no answer|na|no response|skipped|"
    r"prefer not to say)$"
)
_SIGNS = str.maketrans({"’": "'", "‘": "'", "`": "'", "–": "-", "—": "-", "“": '"', "”": '"'})


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

    A row is of the question with its id and wording; else of every one with its wording (a
    questionnaire may ask one twice); else of the one with its id. Those that are not found, or have
    other options, are left out and named.
    """
    by_id = {q.question_id.casefold(): q for q in questions}
    by_text: dict[str, list[Question]] = {}
    for q in questions:
        by_text.setdefault(plain(q.text), []).append(q)
    cells, left_out = [], {}
    for row in table.frame.iter_rows(named=True):
        own = by_id.get(row["question_id"].casefold())
        alike = by_text.get(plain(row["question"]), [])
        found = [own] if own is not None and own in alike else alike or ([own] if own else [])
        if not found:
            left_out[row["question_id"]] = "not in the predictions"
        for question in found:
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
