"""A small opinion table: scales with and without gaps, an unknown refusal rate, an intersection."""

from __future__ import annotations

import numpy as np

from opinioncast.survey import (
    OpinionTable,
    Question,
    Subpopulation,
    load_groups,
    opinion_row,
)

GROUPS = ("CREGION=South", "RELIG=Nothing in particular", "SEX=Female & RACE=Black", "TOTAL")
QUESTIONS = (
    Question("afterlife", "Is there a life after death?", ("Yes", "No"), (1, 2), "T", "1"),
    Question(
        "trust",
        "Can people be trusted?",
        ("Always", "Mostly", "Not sure", "Sometimes", "Never"),
        (4, 3, -1, 2, 1),
        "T",
        "1",
    ),
    Question("colour", "Which colour is best?", ("Red", "Green", "Blue"), (), "T", "1"),
    Question("vote", "Did you vote?", ("Yes", "No", "Too young"), (1, 2, -1), "T", "2"),
)


def subpopulations() -> list[Subpopulation]:
    return list(load_groups(*GROUPS))


def make_table(
    questions: tuple[Question, ...] = QUESTIONS, *, seed: int = 0, sharpness: float = 1.0
) -> OpinionTable:
    """Random shares; the refusal rate of the last question is unknown."""
    draw = np.random.default_rng(seed)
    rows = []
    for question in questions:
        for g, group in enumerate(subpopulations()):
            shares = draw.dirichlet(np.full(len(question.options), sharpness))
            rate = None if question.question_id == "vote" else float(draw.uniform(0, 0.1))
            rows.append(
                opinion_row(
                    question, group, shares.tolist(), refusal_rate=rate, n=50 + g, n_eff=40.0 + g
                )
            )
    return OpinionTable.from_rows(rows, {"citation": "made up", "terms": "none"})
