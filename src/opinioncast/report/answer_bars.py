"""What charts of answers draw, whoever draws them: figures, places of bars, colours, short names.

The charts of files (Matplotlib) and of the page (Altair) take all of it from here, so that a
question looks the same in both.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.report.group_labels import attributes_once
from opinioncast.survey import Question
from opinioncast.survey.question import OFF_SCALE, label

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
"""Told apart by most who do not see all colours."""
MODEL, PEOPLE = "#0072B2", "#D55E00"
"""Of predictions and of what people answered, where both stand beside each other."""
_OFF_SCALE = ("#8C8C8C", "#B3B3B3", "#D0D0D0")
_PUOR = (
    *("#7f3b08", "#b35806", "#e08214", "#fdb863", "#fee0b6", "#f7f7f7"),
    *("#d8daeb", "#b2abd2", "#8073ac", "#542788", "#2d004b"),
)
"""ColorBrewer's diverging palette, which the colour-blind see."""
NUMBERED = 0.06
"""Shares from here on have their number in the bar."""

_LONG = {
    "place": pl.Int64,
    "label": pl.String,
    "option": pl.String,
    "number": pl.Int64,
    "share": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "basis": pl.String,
    "people": pl.Float64,
}

Array = npt.NDArray[np.float64]


def long_rows(rows: pl.DataFrame, observed: pl.DataFrame | None = None) -> pl.DataFrame:
    """A row per group and option of one question's predictions.

    Returns:
        ``place`` (of the group, from the top), ``label`` (each once), ``option``, ``number`` (of
        the option), ``share``, ``low``, ``high`` in percent, ``basis``; with ``observed``,
        ``people``.
    """
    shown = []
    groups = rows["group"].to_list()
    once = attributes_once(rows["attribute"])
    for attribute, own, group in zip(once, rows["attribute"], groups, strict=True):
        named = attribute or (own if groups.count(group) > 1 else "")
        shown.append(f"{named} · {group}" if named else group)
    told: dict[tuple[str, str], list[float]] = {}
    if observed is not None:
        told = {
            (a, g): d for a, g, d in observed.select("attribute", "group", "distribution").rows()
        }
    out = []
    for place, row in enumerate(rows.iter_rows(named=True)):
        people = told.get((row["attribute"], row["group"]))
        for number, option in enumerate(row["options"]):
            bounds = (
                (None, None) if row["low"] is None else (row["low"][number], row["high"][number])
            )
            out.append(
                {
                    "place": place,
                    "label": shown[place],
                    "option": option,
                    "number": number,
                    "share": 100 * row["distribution"][number],
                    "low": None if bounds[0] is None else 100 * bounds[0],
                    "high": None if bounds[1] is None else 100 * bounds[1],
                    "basis": row["basis"] or "",
                    "people": None if people is None else 100 * people[number],
                }
            )
    return pl.DataFrame(out, schema=_LONG)


def bar_starts(question: Question, shares: npt.ArrayLike) -> Array:
    """Where each option's part of a bar begins.

    On a scale the bars stand about its middle: what lies before it is below zero, a middle option
    lies across, and options off the scale follow at the end. Without a scale bars begin at zero.

    Args:
        shares: of the options in any unit, shape (bars, options).

    Returns:
        Beginnings in the order of the options, shape (bars, options).
    """
    given: Array = np.asarray(shares, float).reshape(-1, len(question.options))
    order = drawn_order(question)
    ordered = given[:, order]
    begins = np.cumsum(ordered, axis=1) - ordered
    if question.has_scale:
        on = [v for v in question.ordinal if v != OFF_SCALE]
        middle = (min(on) + max(on)) / 2
        first = next(v for v in question.ordinal if v != OFF_SCALE)
        below = [v != OFF_SCALE and v != middle and (v < middle) == (first < middle)
                 for v in question.ordinal]  # fmt: skip
        part = [1.0 if b else 0.5 if v == middle else 0.0
                for b, v in zip(below, question.ordinal, strict=True)]  # fmt: skip
        begins = begins - (given @ np.array(part))[:, None]
    made = np.empty_like(given)
    made[:, order] = begins
    return made


def drawn_order(question: Question) -> list[int]:
    """Options from left to right: as listed, those off the scale last."""
    on = [i for i, v in enumerate(question.ordinal) if v != OFF_SCALE]
    if not question.has_scale:
        return list(range(len(question.options)))
    return on + [i for i in range(len(question.options)) if i not in on]


def option_colours(question: Question) -> list[str]:
    """One colour per option: along the scale, grey off it, or distinct where there is no scale."""
    if not question.has_scale:
        return [OKABE_ITO[i % len(OKABE_ITO)] for i in range(len(question.options))]
    on = sorted({v for v in question.ordinal if v != OFF_SCALE})
    place = dict(zip(on, _along(len(on)), strict=True))
    grey = iter(_OFF_SCALE * 9)
    return [next(grey) if v == OFF_SCALE else place[v] for v in question.ordinal]


def _along(count: int) -> list[str]:
    """Colours at equal steps through the diverging palette, without its very ends."""
    known = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in _PUOR], float)
    at = np.linspace(0.12, 0.88, count) * (len(_PUOR) - 1)
    mixed = [np.interp(at, np.arange(len(_PUOR)), known[:, k]) for k in range(3)]
    return ["#" + "".join(f"{round(v):02x}" for v in rgb) for rgb in zip(*mixed, strict=True)]


def ink_on(colour: str) -> str:
    """White or black, whichever has the higher contrast on a colour (WCAG's luminance)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if light < 0.179 else "black"  # where both have the same contrast


def option_names(options: Sequence[str], width: int = 60) -> list[str]:
    """Options short enough for a legend and different from one another.

    Where two would read alike, their common beginning is left out; where that does not help, their
    letters stand before them.
    """
    names = [textwrap.shorten(o, width, placeholder="…") or o[:width] for o in options]
    alike = [i for i, name in enumerate(names) if names.count(name) > 1]
    for i in alike:
        others = [options[j] for j in alike if j != i and names[j] == names[i]]
        common = max((_common_words(options[i], o) for o in others), default=0)
        rest = " ".join(options[i].split()[max(0, common - 1) :])
        names[i] = "…" + textwrap.shorten(rest, width - 1, placeholder="…")
    if len(set(names)) < len(names):
        return [f"{label(i)}. {name}" for i, name in enumerate(names)]
    return names


def _common_words(one: str, other: str) -> int:
    """With how many equal words two texts begin."""
    pairs = enumerate(zip(one.split(), other.split(), strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one.split()), len(other.split())))
