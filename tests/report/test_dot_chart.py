"""Dots: every row and value is drawn, the paper's as outlines, labelled as model output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_rgba_array
from matplotlib.patches import Rectangle

from opinioncast.evaluate.scaling import fit_power_law
from opinioncast.report import interactive
from opinioncast.report.curve_chart import curve_figure
from opinioncast.report.dot_chart import DotPanel, DotSeries, dot_figure
from opinioncast.report.figure_files import write_figure

PANELS = [
    DotPanel(
        title,
        ["QA", "BIO"],
        [
            DotSeries("ours", [0.1, None], [0.08, None], [0.12, None]),
            DotSeries("paper", [0.2, 0.3], hollow=True),
        ],
    )
    for title in ("OpinionQA", "SubPOP-Eval")
]
CURVES = {
    name: pl.DataFrame(
        {
            "part": ["train", "train", "validation"],
            "step": [1, 2, 2],
            "kl": [0.5, 0.4, 0.45],
            "wasserstein": [0.2, 0.1, None],
        }
    )
    for name in ("KL", "WD")
}


def test_dots_share_rows_and_legend(tmp_path: Path) -> None:
    figure = dot_figure(PANELS, title="By method", axis="distance", note="12 cells")
    left, right = figure.axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["QA", "BIO"]
    assert [t.get_text() for t in right.get_yticklabels()] == ["", ""]
    ours, paper = left.collections[1:]  # the first are the intervals
    offsets = np.ma.filled(ours.get_offsets(), np.nan)
    assert offsets[0].tolist() == [0.1, 0]
    assert np.isnan(offsets[1, 0])
    assert to_rgba_array(paper.get_facecolor())[0].tolist() == [1, 1, 1, 1]
    svg = write_figure(figure, tmp_path / "dots.svg").read_text("utf-8")
    for text in ("By method", "Model output, not survey data", "12 cells", "SubPOP-Eval"):
        assert text in svg
    assert svg.count(">paper<") == 1


def test_differences_may_be_below_zero_and_dollars_are_no_formula(tmp_path: Path) -> None:
    series = DotSeries("worse by", [-0.1, 0.2], [-0.2, 0.1], [0.0, 0.3])
    figure = dot_figure([DotPanel("", ["$30,000-$50,000", "x"], [series])], title="", axis="")
    assert figure.axes[0].get_xlim()[0] < -0.2
    assert "$30,000-$50,000" in write_figure(figure, tmp_path / "d.svg").read_text("utf-8")
    assert dot_figure(PANELS, title="", axis="").axes[0].get_xlim()[0] == 0


def test_a_band_is_shaded_behind_the_marks_over_the_rows_height() -> None:
    lower = DotSeries("lower bound", [0.02, None], [0.015, None], [0.03, None], band=True)
    panel = DotPanel(
        "", ["a", "b"], [DotSeries("ours", [0.1, 0.2], [0.08, 0.1], [0.12, 0.3]), lower]
    )
    (axis,) = dot_figure([panel], title="", axis="").axes
    first, second = (p for p in axis.patches if isinstance(p, Rectangle))
    assert (first.get_x(), first.get_width()) == pytest.approx((0.015, 0.015))
    assert (first.get_y(), first.get_height()) == pytest.approx((-0.4, 0.8))
    assert np.isnan(second.get_width())
    bars, *marks = axis.collections  # one line of bars, of ours; two sets of marks
    assert len(marks) == 2
    assert first.get_zorder() < min(m.get_zorder() for m in (bars, *marks))
    pytest.importorskip("plotly")
    ours, banded = interactive.dots([panel], axis="distance").data
    assert ours.error_x.thickness is None
    assert banded.error_x.thickness == 10
    assert banded.error_x.color == "rgba(0, 0, 0, 0.3)"


def test_groups_of_the_training_data_are_bold_in_the_browser_too() -> None:
    pytest.importorskip("plotly")
    panels = {"People": np.eye(2), "Model": np.eye(2)}
    figure = interactive.heatmaps(panels, ["18-29", "65+"], (False, True))
    for trace in figure.data:
        assert list(trace.x) == list(trace.y) == ["18-29", "<b>65+</b>"]
    assert "bold: groups of the training data" in figure.layout.xaxis.title.text
    unknown = interactive.heatmaps(panels, ["18-29", "65+"])
    assert list(unknown.data[0].x) == ["18-29", "65+"]
    assert "bold" not in unknown.layout.xaxis.title.text


def test_curves_have_a_line_per_training_and_loss() -> None:
    figure = curve_figure(CURVES, title="Losses")
    assert [len(a.lines) for a in figure.axes] == [2] * 4
    assert figure.axes[3].lines[0].get_xdata().size == 0  # no distance on held-out questions


@pytest.mark.slow
def test_interactive_figures_stand_alone(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    points = pl.DataFrame({"id": ["a", "b"], "set": ["x", "y"], "x": [0.0, 1], "y": [1.0, 0]})
    histogram = pl.DataFrame({"low": [0.1, 0.2], "high": [0.2, 0.3], "pairs": [5, 0]})
    figures = {
        "dots": interactive.dots(PANELS, axis="distance"),
        "heat": interactive.heatmaps({"People": np.eye(2), "Model": np.eye(2)}, ["a", "b"]),
        "scaling": interactive.scaling({"m": fit_power_law([1, 2, 4], [0.3, 0.2, 0.1])}, unit="q"),
        "curves": interactive.curves(CURVES),
        "map": interactive.question_map(points),
        "alike": interactive.similarities(histogram, 0.7),
    }
    assert len(figures["dots"].data) == 4
    assert sum(trace.showlegend for trace in figures["dots"].data) == 2
    assert len(figures["curves"].data) == 8
    for name, figure in figures.items():
        path = tmp_path / f"{name}.html"
        interactive.write_interactive(figure, path, title="T", note="12 cells", model=name != "map")
        page = path.read_text("utf-8")
        assert "<script src=" not in page
        assert "12 cells" in page
        assert ("Model output, not survey data" in page) == (name != "map")
        assert interactive.write_interactive(
            figure, tmp_path / f"{name}.html", title="T", note="12 cells", model=name != "map"
        ).is_file()
