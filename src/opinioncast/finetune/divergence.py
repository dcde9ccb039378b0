"""When a training has gone astray: a suspicion that costs nothing, then a look that noise cannot
fool.

An update's loss hangs on which questions it holds, so a rise of it alone says little: of runs
without any trend, the mean of ten updates of one question each is twice the mean of three in more
than half. What settles it is the loss on the *same* rows, before the first update and now. A model
that learns, or stands still, does not make it twice as high as it was and higher than a uniform
guess's; one whose learning rate is too high does within a few updates, and stays there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from opinioncast.finetune.epoch import Ask

WINDOW = 10
"""Updates whose mean loss raises a suspicion, and updates until the next look after one."""

TIMES = 2.0
_ROWS, _QUESTIONS = 64, 12


@dataclass(frozen=True, slots=True)
class Start:
    """The recipe's loss on the watched rows before the first update.

    Attributes:
        model: of the model to be trained.
        uniform: of a uniform guess.
    """

    model: float
    uniform: float

    @property
    def most(self) -> float:
        """The loss above which a model has diverged."""
        return max(TIMES * self.model, self.uniform)


def watched(plan: Sequence[Sequence[Ask]]) -> list[Ask]:
    """The rows to look at: whole updates of an epoch, until there are some dozens of rows of a
    dozen questions, or all there are."""
    asks: list[Ask] = []
    for update in plan:
        asks += update
        if len(asks) >= _ROWS and len({a.row.question for a in asks}) >= _QUESTIONS:
            break
    return asks


def is_suspicious(losses: Sequence[float], start: Start) -> bool:
    """Whether the mean of the last updates' losses is above what a model may have."""
    return len(losses) >= WINDOW and sum(losses[-WINDOW:]) / WINDOW > start.most


def has_diverged(now: float, start: Start) -> bool:
    """Whether the loss on the watched rows is no number, or twice what it was before the first
    update and above a uniform guess's.

    >>> start = Start(model=0.3, uniform=0.4)
    >>> [has_diverged(loss, start) for loss in (0.3, 0.5, 0.7, float("nan"))]
    [False, False, True, True]
    """
    return not math.isfinite(now) or now > start.most
