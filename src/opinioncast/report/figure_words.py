"""Words in figures, as they are written."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.text import Text


def plain_words(figure: Figure) -> Figure:
    """The finished figure, every ``$`` in it a sign: ``$30,000-$50,000`` is no formula."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    return figure
