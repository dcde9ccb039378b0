"""Charts: files that open, colours that say what a scale is, sheets that do not linger."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from opinioncast.report.chart import MODEL_OUTPUT, distribution_chart, draw_charts, option_colours
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

WOMEN, MEN = Subpopulation((("SEX", "Female"),)), Subpopulation((("SEX", "Male"),))


def table(n: int) -> PredictionTable:
    return PredictionTable.from_rows(
        [
            opinion_row(
                Question(f"q{i}", f"Question {i}?", ("Low", "High", "Unsure"), (1, 2, -1)),
                group,
                [0.2, 0.7, 0.1],
                label_mass=1.0,
                low=[0.1, 0.5, 0.0],
                high=[0.4, 0.8, 0.3],
                model="m",
                method="x",
            )
            for i in range(n)
            for group in (WOMEN, MEN)
        ]
    )


def test_sheets_of_six_and_none_left_over(tmp_path: Path) -> None:
    assert [p.name for p in draw_charts(table(8), tmp_path)] == ["chart-1.png", "chart-2.png"]
    assert [p.name for p in draw_charts(table(2), tmp_path)] == ["chart.png"]
    assert [p.name for p in tmp_path.iterdir()] == ["chart.png"]


def test_it_says_model_output_and_the_error_and_the_base() -> None:
    predictions = table(1)
    (question,) = predictions.questions()
    observed = OpinionTable.from_rows([opinion_row(question, WOMEN, [0.5, 0.5, 0], n=321)])
    figure = distribution_chart(predictions, [question], observed=observed)
    assert MODEL_OUTPUT in figure.get_suptitle()
    (axis,) = figure.axes
    assert "±15 points on average" in axis.get_xlabel()
    labels = [t.get_text() for t in axis.get_yticklabels()]
    assert labels == ["SEX · Female  (n=321)", "Male"]
    widths = [bar.get_width() for bar in axis.patches[:3]]
    assert widths == pytest.approx([0.2, 0.7, 0.1])


def test_colours_follow_the_scale_not_the_listing() -> None:
    up = option_colours(Question("q", "Q?", ("a", "b", "c", "?"), (1, 2, 3, -1)))
    down = option_colours(Question("q", "Q?", ("a", "b", "c", "?"), (3, 2, 1, -1)))
    assert up[:3] == down[2::-1]
    assert up[3] == down[3]
    assert len(set(option_colours(Question("q", "Q?", ("a", "b", "c"))))) == 3


def test_errors_never_measured_are_not_drawn_as_if_they_were() -> None:
    frame = table(1).frame.with_columns(
        low=pl.lit([0.0] * 3), high=pl.lit([1.0] * 3), basis=pl.lit("model, never measured")
    )
    predictions = PredictionTable(frame)
    (axis,) = distribution_chart(predictions, predictions.questions()).axes
    assert axis.get_xlabel() == "model: error never measured, any share is possible"
