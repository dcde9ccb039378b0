"""Dollars in labels stay dollars, in every figure that shows people's words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from opinioncast.curate.overlap import QuestionSet, find_overlap
from opinioncast.evaluate.scaling import fit_power_law
from opinioncast.evaluate.scores import score_cells
from opinioncast.evaluate.steerability import steerability
from opinioncast.report.chart import distribution_chart
from opinioncast.report.curve_chart import curve_figure
from opinioncast.report.dot_chart import DotPanel, DotSeries, dot_figure
from opinioncast.report.figure_files import write_figure
from opinioncast.report.group_chart import group_chart
from opinioncast.report.heatmap import steerability_figure
from opinioncast.report.overlap_figures import similarity_figure
from opinioncast.report.scaling_chart import scaling_figure
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

NAMES = ("$30,000-$50,000", "$50,000-$75,000")
GROUPS = [Subpopulation((("INCOME", n),)) for n in NAMES]
QUESTION = Question("q", "Is $5 or $6 fair?", ("$5 or $6", "No"), (0, 1))
OBSERVED = OpinionTable.from_rows([opinion_row(QUESTION, g, [0.3, 0.7], n=90) for g in GROUPS])
PREDICTED = PredictionTable.from_rows([opinion_row(QUESTION, g, [0.4, 0.6]) for g in GROUPS])
SCORES = score_cells(OBSERVED, PREDICTED)


def overlap() -> Figure:
    sets = [QuestionSet(n, ("a",), ("a",), np.eye(2, dtype=np.float32)[:1]) for n in NAMES]
    return similarity_figure(find_overlap(*sets, threshold=0.9))


FIGURES: dict[str, Callable[[], Figure]] = {
    "chart": lambda: distribution_chart(PREDICTED, [QUESTION], observed=OBSERVED),
    "groups": lambda: group_chart(SCORES, model="m", title="$1 to $2"),
    "heatmap": lambda: steerability_figure({"m": steerability(SCORES, "INCOME")}, title="$1, $2"),
    "dots": lambda: dot_figure(
        [DotPanel("$1 to $2", NAMES, [DotSeries("$3 to $4", [0.1, 0.2])])], title="t", axis="a"
    ),
    "curves": lambda: curve_figure(
        {
            "$1 to $2": pl.DataFrame(
                {"part": ["train"], "step": [1], "kl": [1.0], "wasserstein": [1.0]}
            )
        },
        title="$3 to $4",
    ),
    "scaling": lambda: scaling_figure(
        {"$1 to $2": fit_power_law([1, 2, 4], [0.3, 0.2, 0.1])}, title="t", unit="u"
    ),
    "similarities": overlap,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_dollars_are_no_formula(name: str, tmp_path: Path) -> None:
    figure = FIGURES[name]()
    svg = write_figure(figure, tmp_path / "f.svg").read_text("utf-8")
    shown = [t for t in figure.findobj(Text) if t.get_text().count("$") > 1]  # type: ignore[attr-defined]
    assert shown
    for text in shown:
        assert not text.get_parse_math()  # type: ignore[attr-defined]
        for line in text.get_text().splitlines():  # type: ignore[attr-defined]
            assert line in svg  # a formula's characters stand apart, each in an element
