"""Scales of imported questions: what the file says, else what curation's rules find in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from opinioncast.questionnaires.found import Choice
from opinioncast.survey.question import MAX_OPTIONS, OFF_SCALE
from opinioncast.survey.question_kind import is_no_answer

BANDS = 5
"""Of a thermometer or slider with more points than options can be told apart."""
LISTED = "listed order"
"""The rule of a scale that only the order of the list speaks for."""


def scale_of(
    choices: Sequence[Choice], texts: Sequence[str], question: str
) -> tuple[tuple[float, ...], str]:
    """Positions of options and the rule that gave them; no positions where there is no scale.

    Ways of giving no answer are off it, whatever their code.

    Args:
        texts: the options as they are asked.
    """
    scores = [c.score for c in choices]
    off = [c.off_scale or is_no_answer(t) for c, t in zip(choices, texts, strict=True)]
    on = [i for i, o in enumerate(off) if not o]
    if len(on) < 2:
        return (), ""
    scored = [s for i in on if (s := scores[i]) is not None]
    if len(scored) >= 2 and len(set(scored)) > 1:
        low = min(scored)
        said = [s is None or o for s, o in zip(scores, off, strict=True)]
        return tuple(
            OFF_SCALE if out or s is None else float(s - low)
            for out, s in zip(said, scores, strict=True)
        ), "scores"
    codes = [c.code for c in choices]
    numbers = [float(codes[i]) for i in on] if all(_whole(codes[i]) for i in on) else None
    from opinioncast.curate.ordinality import detect_scale  # half a second: numpy, the lexicon

    found = detect_scale([texts[i] for i in on], question, numbers)
    if not found.has_scale:
        return (), ""
    positions = [OFF_SCALE] * len(texts)
    for i, position in zip(on, found.ordinal, strict=True):
        positions[i] = position
    return tuple(positions), found.rule


def numeric_options(low: int, high: int, labels: tuple[str, str]) -> tuple[Choice, ...]:
    """Options of a slider or numeric scale: each point, or five bands where there are too many.

    Args:
        labels: words of the two ends, "" where there are none.
    """
    if high - low < MAX_OPTIONS - 5:
        points = [(n, n) for n in range(low, high + 1)]
    else:
        edges = [low + round((high - low) * i / BANDS) for i in range(BANDS + 1)]
        points = [(a + (i > 0), b) for i, (a, b) in enumerate(pairwise(edges))]
    made = []
    for place, (a, b) in enumerate(points):
        end = labels[0] if place == 0 else labels[1] if place == len(points) - 1 else ""
        text = (str(a) if a == b else f"{a} to {b}") + (f" ({end})" if end else "")
        made.append(Choice(text, str(a) if a == b else "", score=float(place)))
    return tuple(made)


def _whole(code: str) -> bool:
    return code.lstrip("-").isdecimal()
