"""Charts: files that open, colours that say what a scale is, sheets that do not linger."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from opinioncast.output_folder import output_folder
from opinioncast.report.chart import distribution_chart, draw_charts
from opinioncast.report.figure_words import BOX, drawable, unreadable, unreadable_note
from opinioncast.report.formats import chart, charts
from opinioncast.report.report import MODEL_OUTPUT, Report, chosen_formats
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


@pytest.mark.slow
def test_sheets_of_six_and_none_left_over(tmp_path: Path) -> None:
    (tmp_path / "chart-budget.png").write_text("the user's")
    with output_folder(tmp_path, "predict") as owner:
        assert [p.name for p in draw_charts(table(8), tmp_path)] == ["chart.png", "chart-2.png"]
        owner.finish({"versions": {}})
    with output_folder(tmp_path, "predict") as owner:
        assert [p.name for p in draw_charts(table(2), tmp_path)] == ["chart.png"]
        owner.finish({"versions": {}})
    there = sorted(p.name for p in tmp_path.iterdir())
    assert there == ["chart-budget.png", "chart.png", "manifest.json"]


def test_as_many_sheets_as_one_looks_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def draw(figure: Figure, path: Path, **_: object) -> Path:
        drawn.append(figure.get_suptitle())
        return path

    monkeypatch.setattr("opinioncast.report.chart.write_figure", draw)
    monkeypatch.setattr("opinioncast.report.chart._PER_SHEET", 1)
    steps: list[tuple[int, int]] = []
    assert len(draw_charts(table(5), tmp_path, progress=lambda *s: steps.append(s))) == 3
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert "2 more questions" in drawn[-1]
    assert not any("more questions" in title for title in drawn[:-1])
    assert len(draw_charts(table(5), tmp_path, most=None)) == 5
    assert "more questions" not in drawn[-1]


def test_every_question_is_drawn_for_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opinioncast.report.chart.write_figure", lambda figure, path, **_: path)
    monkeypatch.setattr("opinioncast.report.chart._PER_SHEET", 1)
    usual = [kind.name for kind in chosen_formats(None)]
    assert "chart" in usual
    assert "charts" not in usual
    assert len(charts.FORMAT.write(Report(table(4)), tmp_path)) == 4
    assert len(chart.FORMAT.write(Report(table(4)), tmp_path)) == 3


def test_it_says_model_output_and_the_error_and_the_base() -> None:
    predictions = table(1)
    (question,) = predictions.questions()
    observed = OpinionTable.from_rows([opinion_row(question, WOMEN, [0.5, 0.5, 0], n=321)])
    figure = distribution_chart(predictions, [question], observed=observed)
    assert MODEL_OUTPUT in figure.get_suptitle()
    (axis,) = figure.axes
    assert "±15 points on average" in axis.get_xlabel()
    texts = [t.get_text() for t in axis.get_children() if isinstance(t, Text)]
    assert [t for t in texts if t in ("SEX · Female  (n=321)", "Male")] == [
        "SEX · Female  (n=321)",
        "Male",
    ]
    bars = [b.get_extents() for c in axis.collections for b in c.get_paths()]
    of_women = [b for b in bars if (b.y0 + b.y1) / 2 == pytest.approx(-0.12)]
    assert [b.width for b in of_women] == pytest.approx([0.2, 0.7, 0.1])
    assert [b.x0 for b in of_women] == pytest.approx([-0.2, 0.0, 0.7])
    people = [b for b in bars if (b.y0 + b.y1) / 2 == pytest.approx(0.29)]
    assert [b.width for b in people] == pytest.approx([0.5, 0.5, 0.0])


@pytest.mark.slow
def test_nothing_is_cut_at_the_edge_and_nothing_overlaps() -> None:
    """Seven long options: every word of title and legend is inside the figure, title above."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.offsetbox import AnchoredOffsetbox

    options = tuple(f"Option number {i} with quite a lot of words in it" for i in range(7))
    question = Question("q", "A question of many words that goes on and on, is it? " * 4, options)
    shares = [1 / 7] * 7
    both = [opinion_row(question, g, shares, model="m", method="x") for g in (WOMEN, MEN)]
    second = Question("r", "Another?", ("Yes", "No"))
    more = [opinion_row(second, g, [0.5, 0.5], model="m", method="x") for g in (WOMEN, MEN)]
    predictions = PredictionTable.from_rows(both + more)
    figure = distribution_chart(predictions, predictions.questions())
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    for axis in figure.axes:
        (legend,) = (a for a in axis.get_children() if isinstance(a, AnchoredOffsetbox))
        box, title = legend.get_window_extent(renderer), axis.title
        left = axis.get_title("left")
        texts = [t for t in axis.get_children() if isinstance(t, Text)]
        heading = next(t for t in texts if t.get_text() == left).get_window_extent(renderer)
        assert title is not None
        for part in (box, heading):
            assert part.x0 >= 0
            assert part.x1 <= figure.bbox.width
            assert part.y1 <= figure.bbox.height
        assert heading.y0 >= box.y1 - 1
        assert box.y0 >= axis.bbox.y1 - 1


def test_a_script_without_a_font_is_said_once_and_warns_nobody(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    emoji = "\U0001faf7"  # no font of Matplotlib's has it
    nobody = "\u0378"  # not assigned
    rows = [
        opinion_row(
            Question("q", f"Really? {emoji}", (f"{emoji} Good", "坏", "ሰላም")),
            WOMEN,
            [0.2, 0.7, 0.1],
            model="m",
            method="x",
        )
    ]
    draw_charts(PredictionTable.from_rows(rows), tmp_path)
    assert not [w for w in recwarn if "Glyph" in str(w.message)]
    assert drawable("Good") == "Good"
    assert drawable(f"{nobody} Good") == "Good"
    assert unreadable_note(["Good", "Très bien", "да"]) is None
    for text in ("坏", "ሰላም"):
        if unreadable([text]):  # as the fonts of this machine are
            assert drawable(text) == BOX * len(text)
            assert "boxes" in str(unreadable_note([text]))
        else:
            assert drawable(text) == text


def test_errors_never_measured_are_not_drawn_as_if_they_were() -> None:
    frame = table(1).frame.with_columns(
        low=pl.lit([0.0] * 3), high=pl.lit([1.0] * 3), basis=pl.lit("model, never measured")
    )
    predictions = PredictionTable(frame)
    (axis,) = distribution_chart(predictions, predictions.questions()).axes
    assert axis.get_xlabel() == "model: error never measured, any share is possible"
