"""Records: people of a frame with an answer to each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.banners.distributions import chi_square_tail
from opinioncast.evidence.people import Array
from opinioncast.survey import Question
from opinioncast.synthesis.people import People
from opinioncast.synthesis.plan import Plan
from opinioncast.synthesis.routing import AskIf, order_of
from opinioncast.synthesis.variables import (
    NOT_ASKED,
    RECORD,
    REFUSED,
    SYNTHETIC,
    WEIGHT,
    Variable,
    question_variable,
    variable_names,
)

Codes = npt.NDArray[np.int16]
_LEAST_EXPECTED = 5.0
"""Answers that fewer records than this are expected to give are put together in a test."""


@dataclass(frozen=True)
class Records:
    """A synthetic file, before it is written.

    Attributes:
        frame: a row a record: ``synthetic`` (1), ``record``, ``weight``, a variable per attribute
            and per question; Int16 codes, null where an attribute is not told.
        variables: of the columns, in order.
    """

    frame: pl.DataFrame
    variables: tuple[Variable, ...]


def draw_answers(shares: Array, rows: npt.NDArray[np.intp], rng: np.random.Generator) -> Codes:
    """One option for each person, 1 for the first.

    Args:
        shares: of each row of the frame, shape (rows, options).
        rows: of each person.
    """
    ends = np.cumsum(shares, axis=1)
    ends[:, -1] = 1.0
    marks = rng.random(len(rows))
    return np.asarray(1 + (marks[:, None] >= ends[rows]).sum(axis=1), dtype=np.int16)


def make_records(
    people: People,
    questions: Sequence[Question],
    plans: Mapping[str, Plan],
    refusals: Mapping[str, Plan],
    routes: Sequence[AskIf],
    rng: np.random.Generator,
) -> Records:
    """Draw every answer.

    Args:
        plans: of each question, by id.
        refusals: of questions where predictions have a share that refuses: of two options, the
            first to refuse.
    """
    groups = people.frame.groups
    head: dict[str, np.ndarray] = {
        SYNTHETIC: np.ones(len(people), np.int16),
        RECORD: np.arange(1, len(people) + 1),
        WEIGHT: np.ones(len(people)),
    }
    variables = [
        Variable(
            SYNTHETIC, "Synthetic record drawn from model predictions, not a respondent",
            {1: "synthetic, not a respondent"}, {},
        ),
        Variable(RECORD, "Number of the synthetic record", {}, {}),
        Variable(WEIGHT, "Weight (1: the records are a simple random draw)", {}, {}),
    ]  # fmt: skip
    columns: dict[str, pl.Series] = {n: pl.Series(n, v) for n, v in head.items()}
    attributes = list(groups.attributes)
    ids = [q.question_id for q in questions]
    names = variable_names([*attributes, *ids], head)
    members = people.members
    for attribute, name in zip(attributes, names, strict=False):
        places = groups.attributes[attribute]
        code = np.where(members[:, places].any(axis=1), members[:, places].argmax(axis=1) + 1, 0)
        labels = {i + 1: groups.columns[p][1] for i, p in enumerate(places)}
        variables.append(Variable(name, f"{attribute}: group of the population frame", labels, {}))
        columns[name] = pl.Series(name, code, dtype=pl.Int16).replace(0, None)
    named = dict(zip(ids, names[len(attributes) :], strict=True))
    by_id = {q.question_id: q for q in questions}
    answers: dict[str, Codes] = {}
    for question_id in order_of(ids, routes):
        codes = draw_answers(plans[question_id].shares, people.rows, rng)
        if question_id in refusals:
            refuses = draw_answers(refusals[question_id].shares, people.rows, rng) == 1
            codes[refuses] = REFUSED
        for route in routes:
            if route.question_id == question_id:
                codes[~route.condition.holds(answers, len(people))] = NOT_ASKED
        answers[question_id] = codes
    routed = {r.question_id for r in routes}
    for question_id in ids:
        name = named[question_id]
        variables.append(
            question_variable(
                by_id[question_id],
                name,
                refusals=question_id in refusals,
                routed=question_id in routed,
            )
        )
        columns[name] = pl.Series(name, answers[question_id], dtype=pl.Int16)
    return Records(pl.DataFrame(list(columns.values())), tuple(variables))


AGREEMENT: dict[str, Any] = {
    "question_id": pl.String,
    "attribute": pl.String,
    "group": pl.String,
    "option": pl.String,
    "predicted": pl.Float64,
    "planned": pl.Float64,
    "records": pl.Float64,
    "n": pl.Int64,
    "chi_square": pl.Float64,
    "df": pl.Int64,
    "p": pl.Float64,
}


def agreement(
    records: Records, people: People, questions: Sequence[Question], plans: Mapping[str, Plan]
) -> pl.DataFrame:
    """Crosstabs of the records beside what was predicted: a row per cell and option.

    ``planned``: what the frame's people give in the long run, or, of a question that a skip pattern
    leads to, those who were led there; ``records``: share in the file of those who answered;
    ``chi_square``, ``df``, ``p``: of a cell's answers against what was planned (answers of which
    fewer than five are expected are put together; null where that leaves one).
    """
    variable = {v.question_id: v for v in records.variables if v.question_id}
    rows = []
    for question in questions:
        plan = plans[question.question_id]
        codes = records.frame[variable[question.question_id].name].to_numpy()
        size = len(question.options)
        for i, cell in enumerate(plan.cells):
            mask = people.frame.groups.mask(people.members, cell)
            assert mask is not None  # the plan's cells are those the frame tells
            own = codes[mask & (codes <= size)]
            counts = np.bincount(own, minlength=size + 1)[1:].astype(float)
            n = int(counts.sum())
            planned = plan.planned[i]
            if NOT_ASKED in variable[question.question_id].missing and n:
                planned = plan.shares[people.rows[mask & (codes <= size)]].mean(axis=0)
            statistic, df = _chi_square(counts, n * planned)
            for k, option in enumerate(question.options):
                rows.append(
                    {
                        "question_id": question.question_id,
                        "attribute": cell.attribute,
                        "group": cell.group,
                        "option": option,
                        "predicted": float(plan.predicted[i, k]),
                        "planned": float(planned[k]),
                        "records": float(counts[k] / n) if n else None,
                        "n": n,
                        "chi_square": statistic if df else None,
                        "df": df,
                        "p": chi_square_tail(statistic, df) if df else None,
                    }
                )
    return pl.DataFrame(rows, schema=AGREEMENT)


def _chi_square(counts: Array, expected: Array) -> tuple[float, int]:
    order = np.argsort(expected)
    groups: list[list[int]] = [[]]
    for place in order:
        if groups[-1] and expected[groups[-1]].sum() >= _LEAST_EXPECTED:
            groups.append([])
        groups[-1].append(int(place))
    if len(groups) > 1 and expected[groups[-1]].sum() < _LEAST_EXPECTED:
        last = groups.pop()
        groups[-1] += last
    seen = np.array([counts[g].sum() for g in groups])
    hoped = np.array([expected[g].sum() for g in groups])
    if len(groups) < 2 or hoped.min() <= 0:
        return 0.0, 0
    return float(((seen - hoped) ** 2 / hoped).sum()), len(groups) - 1
