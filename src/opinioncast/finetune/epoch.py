"""The plan of an epoch: which rows make which update, in which option order, with what weight.

It depends on the rows, the recipe and the seed alone, not on the number of processes, so a resumed
or distributed run makes the same updates.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from opinioncast.finetune.targets import TrainingRow, one_hot, replicas
from opinioncast.prompts import Layout
from opinioncast.survey.question import OFF_SCALE

Order = tuple[int, ...]
OptionOrder = Literal["given", "reversed", "random"]


@dataclass(frozen=True, slots=True)
class Ask:
    """A row as it is put in one update: its option order and its target there.

    Attributes:
        stands_for: how many rows of its question it stands for, itself included, where only some
            of them were drawn: in expectation every row keeps its weight.
    """

    row: TrainingRow
    order: Order
    target: tuple[float, ...]
    stands_for: float = 1.0

    @property
    def weight(self) -> float:
        return self.row.weight * self.stands_for

    @property
    def has_distance(self) -> bool:
        """Whether the target has a place on a scale: a one-hot target on "Refused" has none."""
        question = self.row.question
        return question.has_scale and any(
            share > 0
            for share, position in zip(self.target, question.ordinal, strict=False)
            if position != OFF_SCALE
        )


def epoch_plan(
    rows: Sequence[TrainingRow],
    *,
    layout: Layout,
    batch_rows: int,
    option_order: OptionOrder,
    target: Literal["explicit", "one-hot", "augment"],
    augment: int | None,
    epoch: int,
    seed: int,
    groups_per_question: int | None = None,
) -> list[list[Ask]]:
    """The updates of one epoch, each a list of asks; as many in every epoch.

    Question first, an update holds whole questions, because they are what prompts share; in the
    paper's layout it holds rows drawn at random, which share their group. ``augment`` makes
    ``augment`` passes over the rows, in each of which a row shows one of its replicas, so that all
    are seen once per epoch. ``groups_per_question`` rows of each question are drawn anew for every
    epoch; the others wait, and the drawn ones stand for them.
    """
    updates = []
    targets = [_targets(r, target, augment, f"{seed}/{epoch}/{i}") for i, r in enumerate(rows)]
    for turn in range(augment or 1):
        draw = random.Random(f"{seed}/{epoch}/{turn}")
        orders = _orders(rows, option_order, draw)
        units = [(u, 1.0) for u in _units(rows, layout)]
        if groups_per_question is not None:
            units = [_some(u, groups_per_question, draw) for u, _ in units]
        draw.shuffle(units)
        count = min(max(1, round(sum(len(u) for u, _ in units) / batch_rows)), len(units))
        for part in np.array_split(np.arange(len(units)), count):
            updates.append(
                [
                    Ask(rows[i], orders[question_key(rows[i])], targets[i][turn], units[u][1])
                    for u in part
                    for i in units[u][0]
                ]
            )
    return updates


def _some(unit: list[int], most: int, draw: random.Random) -> tuple[list[int], float]:
    """At most so many of a question's rows, and how many rows each of them stands for."""
    some = draw.sample(unit, min(most, len(unit)))
    return some, len(unit) / len(some)


class UpdateWeight(NamedTuple):
    """What an update's rows weigh on average over an epoch; their losses are divided by it.

    With a divisor of each update's own, a row's say would hang on which rows it meets: alone in an
    update it would count in full, whatever its weight. So divided, the updates of an epoch add up
    to the weighted mean over its rows, whatever the size of each.

    Attributes:
        rows: of all rows.
        scaled: of those whose target has a place on a scale; 0 where there are none.
    """

    rows: float
    scaled: float


def update_weight(
    rows: Sequence[TrainingRow],
    *,
    target: Literal["explicit", "one-hot", "augment"],
    augment: int | None,
    updates: int,
) -> UpdateWeight:
    """The mean weight of an update, of ``updates`` an epoch; the same in every epoch."""
    turns = augment or 1
    scaled = 0.0
    for row in rows:
        order = tuple(range(len(row.question.options)))
        shown = (Ask(row, order, t) for t in _targets(row, target, augment, ""))
        scaled += row.weight * sum(ask.has_distance for ask in shown)
    return UpdateWeight(sum(r.weight for r in rows) * turns / updates, scaled / updates)


def question_key(row: TrainingRow) -> tuple[str, str, str]:
    """Of the row's question as one wave asked it."""
    return row.question.family, row.question.wave, row.question.question_id


def _units(rows: Sequence[TrainingRow], layout: Layout) -> list[list[int]]:
    if layout is Layout.PAPER:
        return [[i] for i in range(len(rows))]
    units: dict[tuple[str, str, str], list[int]] = {}
    for i, row in enumerate(rows):
        units.setdefault(question_key(row), []).append(i)
    return list(units.values())


def _orders(
    rows: Sequence[TrainingRow], option_order: OptionOrder, draw: random.Random
) -> dict[tuple[str, str, str], Order]:
    orders: dict[tuple[str, str, str], Order] = {}
    for row in rows:
        key = question_key(row)
        if key in orders:
            continue
        order = list(range(len(row.question.options)))
        if option_order == "random":
            draw.shuffle(order)
        elif option_order == "reversed" and draw.random() < 0.5:
            order.reverse()
        orders[key] = tuple(order)
    return orders


def _targets(
    row: TrainingRow, kind: str, augment: int | None, seed: str
) -> list[tuple[float, ...]]:
    """What the row shows in each pass of an epoch."""
    if kind == "one-hot":
        return [one_hot(row.target)]
    if augment is None:
        return [row.target]
    shown = replicas(row.target, augment)
    random.Random(seed).shuffle(shown)
    return shown
