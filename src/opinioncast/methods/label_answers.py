"""From the label scores of one cell, asked in several option orders, to its row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from opinioncast.backends.protocol import LabelScores
from opinioncast.methods.prediction import Problem
from opinioncast.survey import Question, Subpopulation, opinion_row

MIN_LABEL_MASS = 0.01
"""Below this the model would say something else 99 times in 100: its shares are not an answer.
Unless it was trained on shares among the options alone: then the mass is shown, and not judged."""


def label_row(
    question: Question,
    group: Subpopulation,
    found: Sequence[LabelScores | None],
    *,
    refusal: bool,
    model: str,
    method: str,
    judge_mass: bool = True,
) -> tuple[dict[str, Any] | None, list[Problem]]:
    """The row of one cell, averaged over option orders, and what is wrong with it.

    Args:
        found: scores of each order, labels in the order of the options as given, then, where
            ``refusal`` is true, the refusal.
        judge_mass: hardly any label mass is a problem.

    Returns:
        No row where an order has no usable scores, or the refusal took everything.
    """

    def problem(what: str, *, missing: bool) -> Problem:
        return Problem(question.question_id, group.attribute, group.group, what, missing)

    usable = [s for s in found if s is not None and np.isfinite(s.log_probs.max())]
    if len(usable) < len(found):
        reasons = [s.why_not for s in found if s is not None and s.why_not]
        return None, [
            problem(
                f"the model gave no usable probabilities in {len(found) - len(usable)} of "
                f"{len(found)} option orders" + (f": {reasons[0]}" if reasons else ""),
                missing=True,
            )
        ]
    shares = np.stack([s.shares for s in usable])  # (orders, options [+ refusal])
    options = len(question.options)
    substantive = shares[:, :options]
    if not (substantive.sum(axis=1) > 0).all():
        return None, [problem("the model put everything on the refusal", missing=True)]
    by_order = substantive / substantive.sum(axis=1, keepdims=True)
    mass = float(np.mean([s.mass for s in usable]))
    mean = substantive.mean(axis=0)
    row = opinion_row(
        question,
        group,
        (mean / mean.sum()).tolist(),
        refusal_rate=float(shares[:, options].mean()) if refusal else None,
        label_mass=mass,
        order_spread=float(np.ptp(by_order, axis=0).max()) if len(usable) > 1 else None,
        model=model,
        method=method,
    )
    if mass >= MIN_LABEL_MASS or not judge_mass:
        return row, []
    return row, [
        problem(
            f"label mass {mass:.2g} is below {MIN_LABEL_MASS:g}: the model does not answer "
            "with one of the options",
            missing=False,
        )
    ]
