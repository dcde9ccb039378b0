"""Bars and the numbers in them, as one artist each: Matplotlib lays out every text for itself, and
a sheet of charts has hundreds of numbers, of which few differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.text import Text
from numpy.typing import ArrayLike


def stacked_bars(
    lefts: ArrayLike,
    widths: ArrayLike,
    middles: ArrayLike,
    height: float,
    colours: Sequence[str],
) -> PolyCollection:
    """Horizontal bars, thinly framed.

    Args:
        lefts, widths: of each bar's parts, shape (bars, parts).
        middles: of the bars, from bottom to top, shape (bars,).
        colours: of the parts, in their order.
    """
    left, width = np.asarray(lefts, float), np.asarray(widths, float)
    low = np.broadcast_to(np.asarray(middles, float)[:, None] - height / 2, left.shape)
    corners = [
        np.stack([x, y], axis=-1)
        for x, y in (
            (left, low),
            (left, low + height),
            (left + width, low + height),
            (left + width, low),
        )
    ]
    # part by part, so that where two frames meet the later option's lies above
    shapes = np.stack(corners, axis=2).transpose(1, 0, 2, 3).reshape(-1, 4, 2)
    return PolyCollection(
        list(shapes),
        facecolors=list(np.repeat(np.array([to_rgba(c) for c in colours]), len(left), axis=0)),
        edgecolors="#777777",
        linewidths=0.3,
        joinstyle="miter",
    )


@dataclass(frozen=True)
class Number:
    """A short text, and the point of the axes that it is centred on."""

    text: str
    x: float
    y: float
    colour: str


class BarNumbers(Artist):
    """Texts centred on points of the axes that it is added to; each one that differs is measured
    once.

    The layout of a figure takes no account of them: they stand within bars.
    """

    def __init__(self, numbers: Sequence[Number], size: float) -> None:
        """``size``: of the letters, in points."""
        super().__init__()
        self.numbers = tuple(numbers)
        self.size = size
        self.set_zorder(Text.zorder)
        self.set_in_layout(False)

    def draw(self, renderer: RendererBase) -> None:
        if not self.get_visible() or not self.numbers or self.axes is None:
            return
        points = self.axes.transData.transform([(n.x, n.y) for n in self.numbers])
        top = renderer.get_canvas_width_height()[1]
        measured: dict[str, tuple[Text, Any]] = {}
        renderer.open_group("numbers")
        for number, point in zip(self.numbers, points, strict=True):
            if number.text not in measured:
                measured[number.text] = self._measured(number.text, renderer)
            text, middle = measured[number.text]
            x, y = point - middle
            text.set_position((x, y))  # where drawings of words, not of their shapes, look for it
            gc = renderer.new_gc()
            gc.set_foreground(to_rgba(number.colour), isRGBA=True)
            renderer.draw_text(
                gc,
                x,
                top - y if renderer.flipy() else y,
                number.text,
                text.get_fontproperties(),
                0,
                mtext=text,
            )
            gc.restore()
        renderer.close_group("numbers")
        self.stale = False

    def _measured(self, said: str, renderer: RendererBase) -> tuple[Text, Any]:
        """A text and, in pixels from where its baseline begins, its middle."""
        text = Text(0, 0, said, fontsize=self.size, ha="left", va="baseline", parse_math=False)
        figure = self.get_figure(root=True)
        assert figure is not None  # what is drawn is in one
        text.set_figure(figure)
        box = text.get_window_extent(renderer)
        return text, np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
