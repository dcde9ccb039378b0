"""Tables for a terminal."""

from __future__ import annotations

from rich.console import Console

from opinioncast.evaluate.scores import score_cells
from opinioncast.report.terminal import score_table
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

QUESTION = Question("q", "Q?", ("Low", "High"), (1, 2))


def test_groups_of_one_name_and_two_attributes_are_not_averaged() -> None:
    race, religion = (Subpopulation(((a, "Other"),)) for a in ("RACE", "RELIG"))
    observed = OpinionTable.from_rows(
        [opinion_row(QUESTION, race, [1, 0]), opinion_row(QUESTION, religion, [0, 1])]
    )
    predicted = PredictionTable.from_rows(
        [opinion_row(QUESTION, g, [1, 0], model="m", method="x") for g in (race, religion)]
    )
    console = Console(width=100)
    with console.capture() as capture:
        console.print(score_table(score_cells(observed, predicted)))
    lines = [line.split() for line in capture.get().splitlines()]
    assert ["RACE", "Other", "0.000", "0.500", "-", "1"] in lines
    assert ["RELIG", "Other", "1.000", "0.500", "-", "1"] in lines
