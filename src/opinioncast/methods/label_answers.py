"""From the label scores of one cell, asked in several option orders, to its row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opinioncast.backends.protocol import LabelScores
from opinioncast.methods.prediction import Rows

MIN_LABEL_MASS = 0.01
"""Below this the model would say something else 99 times in 100: its shares are not an answer.
Unless it was trained on shares among the options alone: then the mass is shown, and not judged."""


def put_label_row(
    rows: Rows,
    cell: int,
    found: Sequence[LabelScores | None],
    *,
    refusal: bool,
    judge_mass: bool = True,
) -> None:
    """Put the row of one cell, averaged over option orders, and what is wrong with it.

    There is no row where an order has no usable scores, or the refusal took everything.

    Args:
        found: scores of each order, labels in the order of the options as given, then, where
            ``refusal`` is true, the refusal.
        judge_mass: hardly any label mass is a problem.
    """
    usable = [s for s in found if s is not None and np.isfinite(s.log_probs.max())]
    if len(usable) < len(found):
        reasons = [s.why_not for s in found if s is not None and s.why_not]
        rows.lack(
            cell,
            f"the model gave no usable probabilities in {len(found) - len(usable)} of "
            f"{len(found)} option orders" + (f": {reasons[0]}" if reasons else ""),
        )
        return
    shares = np.stack([s.shares for s in usable])  # (orders, options [+ refusal])
    options = shares.shape[1] - refusal
    substantive = shares[:, :options]
    if not (substantive.sum(axis=1) > 0).all():
        rows.lack(cell, "the model put everything on the refusal")
        return
    by_order = substantive / substantive.sum(axis=1, keepdims=True)
    mass = float(np.mean([s.mass for s in usable]))
    mean = substantive.mean(axis=0)
    rows.put(
        cell,
        (mean / mean.sum()).tolist(),
        refusal_rate=float(shares[:, options].mean()) if refusal else None,
        label_mass=mass,
        order_spread=float(np.ptp(by_order, axis=0).max()) if len(usable) > 1 else None,
    )
    if mass < MIN_LABEL_MASS and judge_mass:
        rows.doubt(
            cell,
            f"label mass {mass:.2g} is below {MIN_LABEL_MASS:g}: the model does not answer "
            "with one of the options",
        )
