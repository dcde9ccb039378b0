"""Heatmaps, the group chart with its bounds, the scaling chart: what they say, files that open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.collections import PathCollection

from opinioncast.errors import InputError
from opinioncast.evaluate.scaling import fit_power_law
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.evaluate.steerability import Steerability
from opinioncast.report.figure_files import save_figure
from opinioncast.report.group_chart import group_chart
from opinioncast.report.heatmap import steerability_figure
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.report.scaling_chart import scaling_figure
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

WOMEN, MEN = Subpopulation((("SEX", "Female"),)), Subpopulation((("SEX", "Male"),))
QUESTIONS = [Question(f"q{i}", f"Question {i}?", ("No", "Yes"), (0, 1)) for i in range(4)]
OBSERVED = OpinionTable.from_rows(
    [opinion_row(q, g, [1, 0], n=100) for q in QUESTIONS for g in (WOMEN, MEN)]
)


def scored(share: float, groups: tuple[Subpopulation, ...] = (WOMEN, MEN)) -> CellScores:
    return score_cells(
        OBSERVED,
        PredictionTable.from_rows(
            [opinion_row(q, g, [1 - share, share]) for q in QUESTIONS for g in groups]
        ),
    )


def marks(figure: object, label: str) -> list[float]:
    (axis,) = figure.axes  # type: ignore[attr-defined]
    found = [c for c in axis.collections if isinstance(c, PathCollection)]
    (wanted,) = [c for c in found if c.get_label() == label]
    return [float(x) for x in np.ma.filled(np.ma.asarray(wanted.get_offsets())[:, 0], np.nan)]


def test_group_chart_with_baseline_and_bands() -> None:
    bounds = pl.DataFrame(
        {
            "attribute": ["SEX", "OVERALL"],
            "group": ["Female", "all groups"],
            "human": [0.05, 0.04],
            "human_low": [0.03, 0.03],
            "human_high": [0.07, 0.05],
        }
    )
    figure = group_chart(
        scored(0.2, (WOMEN,)),
        model="m",
        title="t",
        baseline=("zero-shot", scored(0.4)),
        bounds=bounds,
    )
    (axis,) = figure.axes
    assert [t.get_text() for t in axis.get_yticklabels()] == [
        "SEX · Female  (4)",
        "Male  (0 of 4)",
        "All cells  (4 of 8)",
    ]
    np.testing.assert_allclose(marks(figure, "m"), [0.2, np.nan, 0.2])
    np.testing.assert_allclose(marks(figure, "zero-shot"), [0.4, np.nan, 0.4])
    bands = [(b.get_x(), b.get_width()) for b in axis.patches]  # type: ignore[attr-defined]
    assert bands == [pytest.approx((0.03, 0.04)), pytest.approx((0.03, 0.02))]
    assert MODEL_OUTPUT in figure.get_suptitle()


def test_the_axis_label_is_not_cut_off() -> None:
    figure = group_chart(scored(0.2), model="m", title="t")
    figure.canvas.draw()
    (axis,) = figure.axes
    box = axis.xaxis.label.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


def test_a_long_name_stays_inside_the_group_chart() -> None:
    long = (
        "kernel regression on all-MiniLM-L6-v2 and nearest questions by all-MiniLM-L6-v2 and more"
    )
    figure = group_chart(scored(0.2), model=long, title="t", baseline=(long, scored(0.3)))
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


def matrices(groups: tuple[str, ...] = ("a", "b", "c")) -> Steerability:
    size = len(groups)
    place = np.arange(size) / 10
    distance = np.abs(place[:, None] - place)
    questions = np.full((size, size), 7.0)
    own = np.full((size, size), 0.1)
    seen = (True, False, True)[:size]
    return Steerability("AGE", groups, distance, distance + 0.1, distance, own, questions, seen)


@pytest.mark.slow
def test_heatmaps_say_values_and_mark_training_groups(tmp_path: Path) -> None:
    figure = steerability_figure({"ours": matrices(), "zero-shot": matrices()}, title="Age")
    people, ours, *_ = figure.axes
    assert [t.get_text() for t in people.texts][:3] == [".000", ".100", ".200"]
    assert [t.get_text() for t in ours.texts][:3] == [".100", ".200", ".300"]
    weights = [t.get_fontweight() for t in people.get_yticklabels()]
    assert weights == ["bold", "normal", "bold"]
    spans = [a.images[0].norm.vmax - a.images[0].norm.vmin for a in figure.axes if a.images][:3]
    assert spans == [pytest.approx(0.2)] * 3
    svg, png = save_figure(figure, tmp_path / "age")
    assert "Model output" in svg.read_text("utf-8")
    assert png.read_bytes().startswith(b"\x89PNG")
    before = svg.read_bytes()
    save_figure(
        steerability_figure({"ours": matrices(), "zero-shot": matrices()}, title="Age"),
        tmp_path / "age",
    )
    assert svg.read_bytes() == before


def test_heatmaps_of_different_groups_are_refused() -> None:
    with pytest.raises(InputError, match="side by side"):
        steerability_figure({"ours": matrices(), "zero-shot": matrices(("a", "b"))}, title="Age")


def test_scaling_chart_says_slope_and_data_needed() -> None:
    sizes = [800, 1600, 2400, 2800, 3200]
    values = 0.106 * (np.array(sizes) / 3200) ** -0.1 * [1.01, 0.99, 1, 1.005, 0.995]
    fit = fit_power_law(sizes, values.tolist())
    worse = fit_power_law(sizes[:2], [0.1, 0.2])
    figure = scaling_figure(
        {"m": fit, "worse": worse}, title="t", unit="training questions", target=0.09
    )
    (legend,) = figure.legends
    first, second = (t.get_text() for t in legend.get_texts())
    assert f"slope {fit.slope:.3f} (" in first
    assert "0.09 at" in first
    assert "not reached" in second
    assert figure.axes[0].get_xscale() == "log"
    assert len(figure.axes[0].get_yticks()) >= 2
