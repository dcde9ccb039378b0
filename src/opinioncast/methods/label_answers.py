"""From the label scores of one cell, asked in several option orders, to its row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opinioncast.backends.protocol import LabelScores
from opinioncast.methods.prediction import Rows

MIN_LABEL_MASS = 0.01
"""Below this the model would say something else 99 times in 100: its shares are not an answer.
Unless it was trained on shares among the options alone: then the mass is shown, and not judged."""


MAX_REFUSAL = 0.5
"""Above this a model refuses more than it answers, and the shares are what it says in the rest: at
0.99 a hundredth of its answer, blown up to the whole. In none of 6,320 cells of the surveys behind
the training table do more than a tenth refuse."""

MAX_ORDER_SPREAD = 0.6
"""The mean over two orders of a share that moves by ``s`` between them lies in [s/2, 1 - s/2],
whatever the question. From 0.5 on the place of an option has decided more than is left to the
question; a tenth more, because the orders differ by chance too. A row beyond that tells where
options stood, not what a group thinks."""


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

    A refusal above :data:`MAX_REFUSAL` and an order spread above :data:`MAX_ORDER_SPREAD` always
    are.
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
    refused = float(shares[:, options].mean()) if refusal else None
    spread = float(np.ptp(by_order, axis=0).max()) if len(usable) > 1 else None
    rows.put(
        cell,
        (mean / mean.sum()).tolist(),
        refusal_rate=refused,
        label_mass=mass,
        order_spread=spread,
    )
    doubts = []
    if mass < MIN_LABEL_MASS and judge_mass:
        doubts.append(
            f"label mass {mass:.2g} is below {MIN_LABEL_MASS:g}: the model does not answer "
            "with one of the options"
        )
    doubts += share_doubts(refused, spread)
    if doubts:
        rows.doubt(cell, "; ".join(doubts))


def share_doubts(refused: float | None, spread: float | None) -> list[str]:
    """What is wrong with a row's shares by themselves: mostly refused, or decided by position."""
    doubts = []
    if refused is not None and refused > MAX_REFUSAL:
        doubts.append(
            f"the model refuses at {100 * refused:.0f}%, above {100 * MAX_REFUSAL:.0f}%: the "
            "shares are of the little it says besides"
        )
    if spread is not None and spread > MAX_ORDER_SPREAD:
        doubts.append(
            f"a share moves by {100 * spread:.0f} points with the order of the options, above "
            f"{100 * MAX_ORDER_SPREAD:.0f}: the model answers by position"
        )
    return doubts
