"""When a run is suspected and when it is stopped."""

from __future__ import annotations

import math

import numpy as np
import pytest

from opinioncast.finetune.divergence import (
    WINDOW,
    Start,
    has_diverged,
    is_suspicious,
    watched,
)
from opinioncast.finetune.epoch import Ask
from opinioncast.finetune.targets import TrainingRow
from opinioncast.survey import Question, Subpopulation


def test_a_suspicion_needs_ten_updates() -> None:
    start = Start(model=0.5, uniform=0.4)
    assert not is_suspicious([9.0] * (WINDOW - 1), start)
    assert is_suspicious([0.1] * 5 + [1.01] * WINDOW, start)
    assert not is_suspicious([9.0] * 5 + [0.99] * WINDOW, start)


@pytest.mark.parametrize(
    ("now", "model", "uniform", "expected"),
    [
        (0.99, 0.5, 0.4, False),  # not twice what it was
        (1.01, 0.5, 0.4, True),
        (0.30, 0.1, 0.4, False),  # three times what it was, but better than a guess
        (0.41, 0.1, 0.4, True),
        (math.nan, 0.5, 0.4, True),
        (math.inf, 0.5, 0.4, True),
    ],
)
def test_what_stops_a_run(now: float, model: float, uniform: float, expected: bool) -> None:
    assert has_diverged(now, Start(model, uniform)) is expected


def asks(questions: int, groups: int) -> list[list[Ask]]:
    """An update a question."""
    target = (0.5, 0.5)
    return [
        [
            Ask(
                TrainingRow(
                    Question(f"q{q}", f"Is it {q}?", ("Yes", "No")), Subpopulation(), target
                ),
                (0, 1),
                target,
            )
            for _ in range(groups)
        ]
        for q in range(questions)
    ]


def test_whole_updates_are_watched_until_there_are_enough() -> None:
    assert len(watched(asks(100, 2))) == 64  # rows are what is short
    assert len(watched(asks(100, 20))) == 240  # a dozen questions are
    assert len(watched(asks(3, 2))) == 6  # all there are


@pytest.mark.slow
def test_healthy_runs_are_suspected_and_not_stopped() -> None:
    """Losses without trend, one question an update: what stopped 58% of them before.

    The model stands still, so its loss on the watched rows is what it was, to the bit.
    """
    draw = np.random.default_rng(0)
    suspected = stopped = 0
    for _ in range(500):
        questions = draw.lognormal(0, 1.0, 300)
        start = Start(float(questions[:12].mean()), float(questions[:12].mean()) * 0.9)
        hits = [is_suspicious(questions[:i].tolist(), start) for i in range(1, 301)]
        suspected += any(hits)
        stopped += any(hits) and has_diverged(start.model, start)
    assert suspected > 100
    assert stopped == 0
