"""Bars and numbers as one artist draw what Matplotlib's own bars and texts would."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from opinioncast.report.bar_numbers import BarNumbers, Number, stacked_bars
from opinioncast.report.figure_files import svg_text

LEFT = np.array([[-0.31, 0.0], [-0.123, 0.4]])
WIDTH = np.array([[0.31, 0.52], [0.523, 0.11]])
COLOURS = ("#b35806", "#542788")
HEIGHT = 0.76
NUMBERS = (
    Number("31", -0.155, 0, "white"),
    Number("52", 0.26, 0, "black"),
    Number("9", 0.2, 1, "black"),
    Number("52", 0.45, 1, "white"),
)


def pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def drawn(*, plain: bool, dpi: int) -> Figure:
    figure = Figure(figsize=(4, 1.5), dpi=dpi, layout="constrained")
    axis = figure.subplots()
    if plain:
        for k, colour in enumerate(COLOURS):
            axis.barh(
                [0, 1], WIDTH[:, k], left=LEFT[:, k], height=HEIGHT, color=colour,
                edgecolor="#777777", linewidth=0.3,
            )  # fmt: skip
        for n in NUMBERS:
            axis.text(n.x, n.y, n.text, ha="center", va="center", fontsize=6.5, color=n.colour)
    else:
        bars = stacked_bars(LEFT, WIDTH, [0, 1], HEIGHT, COLOURS)
        axis.add_collection(bars, autolim=False)
        axis.add_artist(BarNumbers(NUMBERS, 6.5))
    axis.set_xlim(-0.5, 0.7)
    axis.set_ylim(1.6, -0.6)
    return figure


@pytest.mark.parametrize("dpi", [72, 110])
def test_to_the_pixel_what_bars_and_texts_of_their_own_are(dpi: int) -> None:
    own, theirs = pixels(drawn(plain=False, dpi=dpi)), pixels(drawn(plain=True, dpi=dpi))
    assert np.array_equal(own, theirs)


def test_numbers_are_there_at_all_and_go_with_visibility() -> None:
    figure = drawn(plain=False, dpi=72)
    (numbers,) = (a for a in figure.axes[0].get_children() if isinstance(a, BarNumbers))
    there = pixels(figure)
    numbers.set_visible(False)
    assert not np.array_equal(there, pixels(figure))


def test_a_drawing_of_words_has_each_number() -> None:
    said = svg_text(drawn(plain=False, dpi=72), letters="none")
    assert said.count(">52</text>") == 2
    assert said.count(">31</text>") == said.count(">9</text>") == 1
