"""Which of the communities' comments a chooser picks: read from scores, or from what it writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opinioncast.backends.protocol import GeneratedText, LabelScores


@dataclass(frozen=True, slots=True)
class CommentChoice:
    """What the chooser was shown and picked.

    Attributes:
        comments: of each module, cleaned; empty where it wrote nothing.
        picked: number of the module; None where there is nothing to answer with.
        wrong: why there is none.
        shares, mass: probabilities of the comments shown, where they were scored.
    """

    comments: tuple[str, ...]
    picked: int | None
    wrong: str = ""
    shares: tuple[float, ...] = ()
    mass: float | None = None


def clean_comment(text: str) -> str:
    """A module's text in one line, without a question or prompt it goes on to invent."""
    body = re.split(r"\n\s*(?:Question|Comment|Passage|Answer)\b[^\n]{0,3}:", f"\n{text.strip()}")
    first = next((part for part in body if part.strip()), "")
    return " ".join(first.split())


_NUMBERED = re.compile(r"(?<![\d.])(\d+)(?![\d.]*\d)(?!\s+comments)", re.IGNORECASE)
_NAMED = re.compile(r"\bcomment\s*(?:number|no\.?|#)?\s*[:#*]*\s*(\d+)(?![\d.]*\d)", re.IGNORECASE)


def comment_numbers(count: int) -> tuple[str, ...]:
    """Labels of the comments that a chooser is shown: "1", "2", ..."""
    return tuple(str(i + 1) for i in range(count))


def scored_choice(
    comments: tuple[str, ...], there: Sequence[int], scores: LabelScores | None
) -> CommentChoice:
    """The comment whose number has the highest probability; none where there are no usable ones.

    Args:
        there: modules whose comments were shown, in the order of their numbers.
    """
    if scores is None or not np.isfinite(scores.log_probs.max()):
        why = f": {scores.why_not}" if scores is not None and scores.why_not else ""
        return CommentChoice(comments, None, f"the chooser gave no usable probabilities{why}")
    shares = tuple(float(s) for s in scores.shares)
    return CommentChoice(comments, there[int(np.argmax(shares))], "", shares, scores.mass)


def written_choice(
    comments: tuple[str, ...], there: Sequence[int], said: GeneratedText | None
) -> CommentChoice:
    """The comment that the chooser's text names: the one number after the word "comment", or else
    the one number that is a comment's. A text that names several names none.
    """
    text = "" if said is None else said.text
    for pattern in (_NAMED, _NUMBERED):
        named = {n for n in map(int, pattern.findall(text)) if 1 <= n <= len(there)}
        if len(named) == 1:
            return CommentChoice(comments, there[named.pop() - 1])
        if named:
            break
    return CommentChoice(
        comments, None, f'the chooser\'s answer names no one comment: "{text.strip()[:40]}"'
    )
