"""What knowing more is worth, on the demo's questions: nothing, a topline, a pilot of 50.

Nobody's answers ship, only group shares. So the topline is worked out from them, and the pilot is
drawn: people of the population frame, whose answers follow the shipped shares. Both say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.evidence.frame import Frame, read_frame
from opinioncast.evidence.logit import posterior, probabilities
from opinioncast.evidence.observations import Cell, Evidence, Pilot, Published
from opinioncast.evidence.people import Array
from opinioncast.evidence.posterior import Model
from opinioncast.evidence.prior import read_prior
from opinioncast.evidence.reading import published_pieces
from opinioncast.evidence.worth import OVERALL, Worth, measure_worth
from opinioncast.jobs.update import one_thread, read_on
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation

PILOT = 50
TOPLINE_BASE = 1000
_SEED = 20250219  # of the draw; chosen before anything was seen of it


@dataclass(frozen=True)
class Chapter:
    """One state of knowledge.

    Attributes:
        known: what is known, in words.
        table, scores: predictions that start from it, against what people answered.
        worth: over all cells.
    """

    known: str
    table: PredictionTable
    scores: CellScores
    worth: Worth


def tell(predicted: PredictionTable, observed: OpinionTable) -> tuple[Chapter, ...]:
    """The same questions with nothing known, a topline known, and a pilot of 50.

    Args:
        predicted: of a method.
        observed: group shares; a topline and a pilot are made from them.
    """
    frame = read_frame()
    toplines: list[PredictionTable] = []
    pilots: list[PredictionTable] = []
    for wave in predicted.frame["wave"].unique(maintain_order=True):  # one id a reading
        own = PredictionTable(predicted.frame.filter(pl.col("wave") == wave), predicted.meta)
        people = OpinionTable(observed.frame.filter(pl.col("wave") == wave), observed.meta)
        with one_thread():
            topline, pilot = _made_of(people, own.questions(), frame)
        toplines.append(read_on(own, [topline], frame).table)
        pilots.append(read_on(own, [pilot], frame).table)
    told = [
        ("nothing but the wording", [predicted]),
        ("a topline of each question", toplines),
        (f"a pilot of {PILOT}", pilots),
    ]
    chapters = []
    for known, tables in told:
        table = PredictionTable(pl.concat(t.frame for t in tables), predicted.meta)
        scores = score_cells(observed, table)
        chapters.append(Chapter(known, table, scores, measure_worth(scores)[OVERALL]))
    return tuple(chapters)


def _made_of(
    people: OpinionTable, questions: Sequence[Question], frame: Frame
) -> tuple[Evidence, Evidence]:
    """A topline and a pilot whose answers follow the shares of ``people``."""
    model = Model(read_prior().with_frame(frame), frame)
    generator = np.random.default_rng(_SEED)
    drawn = generator.choice(len(frame), size=PILOT, p=frame.weights)
    toplines: list[Cell] = []
    choice: dict[str, np.ndarray] = {}
    for question in questions:
        each = _answers_of_all(model, question, people)
        total = frame.weights @ each
        toplines.append(
            Cell(question.question_id, Subpopulation(), tuple(total.tolist()), TOPLINE_BASE)
        )
        heights = np.cumsum(each[drawn], axis=1)
        marks = generator.random((PILOT, 1)) * heights[:, -1:]
        choice[question.question_id] = (marks > heights).sum(axis=1)
    pilot = Pilot(
        f"{PILOT} answers drawn from the shipped group shares (nobody gave them)",
        frame.groups,
        frame.members[drawn],
        choice,
        {i: np.ones(PILOT) for i in choice},
        "made up",
    )
    return Published("topline worked out from the shipped group shares", tuple(toplines)), pilot


def _answers_of_all(model: Model, question: Question, people: OpinionTable) -> Array:
    """Shares of each row of the frame such that its groups answer as people did, (rows, K)."""
    rows = people.frame.filter(pl.col("question_id") == question.question_id)
    cells = [
        Cell(question.question_id, Subpopulation.from_key(a, g), tuple(shares), n_eff)
        for a, g, shares, n_eff in rows.select(
            "attribute", "group", "distribution", "n_eff"
        ).iter_rows()
    ]
    known = {c.subpopulation: np.array(c.shares) for c in cells}
    expected = model.expected(known, question.ordinal)
    pieces = published_pieces(model, cells)
    fitted = posterior(expected.mean, pieces, precision=expected.precision)
    return probabilities(model.features, fitted.mean)
