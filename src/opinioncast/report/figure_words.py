"""Words in figures, as they are written: signs, not formulas; in a font that has their characters.

Matplotlib's own font has Latin, Greek and Cyrillic letters. What it lacks is looked for in the
fonts of this machine; a character that none of them has is left out where it is a picture (an
emoji) and shown as an empty box where it is a letter, without a warning for each.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from opinioncast.texts import visible

BOX = "▯"
"""In place of a letter that no font has."""

_LAST_RESORT = "last"  # a font of boxes with the name of a script in each
_JOINERS = frozenset((0x200D, 0x20E3, *range(0xFE00, 0xFE10), *range(0x1F3FB, 0x1F400)))


def plain_words(figure: Figure) -> Figure:
    """The finished figure, every ``$`` in it a sign (``$30,000-$50,000`` is no formula), and every
    character in it one that can be drawn: control and direction marks as signs."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            ticks = [tick.get_text() for tick in axis.get_ticklabels()]
            shown = [visible(said, lines=True) for said in ticks]
            if shown != ticks:  # a tick takes its words from its axis whenever it is drawn
                axis.set_ticklabels(shown)
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        said = visible(text.get_text(), lines=True)
        if said != text.get_text():
            text.set_text(said)
        if said.isascii() or not lacking(said):
            continue
        fonts = fallback_fonts(lacking(said))
        if fonts:
            text.set_fontfamily([_own_family(), *fonts])
        text.set_text(drawable(said))
    return figure


def drawable(text: str) -> str:
    """``text`` with nothing in it that no font of this machine has."""
    absent = unreadable((text,))
    if not absent:
        return text
    shown = []
    for character in text:
        if character not in absent:
            shown.append(character)
        elif unicodedata.category(character)[0] == "L":
            shown.append(BOX)
    return "".join(shown).strip() or BOX


def unreadable(texts: Iterable[str]) -> frozenset[str]:
    """Characters of ``texts`` that no font of this machine has, joiners of emoji included."""
    wanted = frozenset().union(*(lacking(t) for t in texts if not t.isascii()))
    there: set[int] = set()
    for path in _fonts_for(wanted):
        there |= _charmap(path)[1].keys()
    return frozenset(c for c in wanted if ord(c) not in there or ord(c) in _JOINERS)


def unreadable_note(texts: Iterable[str]) -> str | None:
    """One sentence about what charts cannot show, or None."""
    letters = sorted(c for c in unreadable(texts) if unicodedata.category(c)[0] == "L")
    if not letters:
        return None
    shown = "".join(letters[:8]) + ("…" if len(letters) > 8 else "")
    return (
        f"Charts show {len(letters)} characters as boxes ({shown}): no font of this machine has "
        "them. Install one that does, such as Noto Sans CJK; the tables hold every text as it is."
    )


def lacking(text: str) -> frozenset[str]:
    """Characters of ``text`` that Matplotlib's own font lacks."""
    known = _charmap(_own_font())[1]
    return frozenset(c for c in text if ord(c) not in known and not c.isspace())


def fallback_fonts(characters: frozenset[str]) -> list[str]:
    """Families of this machine that have some of ``characters``, as few as will do."""
    return [_charmap(path)[0] for path in _fonts_for(characters)]


@cache
def _fonts_for(characters: frozenset[str]) -> tuple[str, ...]:
    left = {ord(c) for c in characters} - _JOINERS
    chosen: list[str] = []
    while left:
        best = max(
            _installed(), key=lambda path: (len(left & _charmap(path)[1].keys()), path), default=""
        )
        found = left & _charmap(best)[1].keys() if best else set()
        if not found:
            break
        font_manager.fontManager.addfont(best)
        chosen.append(best)
        left -= found
    return tuple(chosen)


@cache
def _installed() -> tuple[str, ...]:
    """Font files of this machine, but those that have a box for everything."""
    own = [font.fname for font in font_manager.fontManager.ttflist]
    found = sorted({*own, *font_manager.findSystemFonts()})
    return tuple(p for p in found if not Path(p).name.casefold().startswith(_LAST_RESORT))


@cache
def _charmap(path: str) -> tuple[str, dict[int, int]]:
    """A font's family and its characters; nothing of a font that cannot be drawn with."""
    try:
        font = FT2Font(path)
        return str(font.family_name), dict(font.get_charmap())
    except (RuntimeError, OSError, ValueError):  # a bitmap font, or none
        return "", {}


def _own_family() -> str:
    return str(matplotlib.rcParams["font.sans-serif"][0])


@cache
def _own_font() -> str:
    return str(font_manager.findfont(_own_family()))
