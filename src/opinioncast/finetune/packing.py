"""From training rows to micro-batches: prompts, token trees, packs, and the tensors losses need.

The plan of an epoch (which rows make which update, in which option order) depends on the recipe
and the seed alone, not on the number of processes, so a resumed or distributed run makes the same
updates.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from opinioncast.backends.labels import LabelPlan
from opinioncast.backends.prompt_tokens import PromptTokenizer
from opinioncast.backends.trees import Pack, PromptTokens, Tree, lay_out, packs, plant
from opinioncast.errors import ModelError
from opinioncast.finetune.targets import TrainingRow, one_hot, replicas
from opinioncast.prompts import Layout, Prompt, Prompting, build_prompt
from opinioncast.survey import GroupScheme
from opinioncast.survey.question import OFF_SCALE

Order = tuple[int, ...]
OptionOrder = Literal["given", "reversed", "random"]


@dataclass(frozen=True, slots=True)
class Ask:
    """A row as it is put in one update: its option order and its target there."""

    row: TrainingRow
    order: Order
    target: tuple[float, ...]

    @property
    def has_distance(self) -> bool:
        """Whether the target has a place on a scale: a one-hot target on "Refused" has none."""
        question = self.row.question
        return question.has_scale and any(
            share > 0
            for share, position in zip(self.target, question.ordinal, strict=False)
            if position != OFF_SCALE
        )


@dataclass(frozen=True, slots=True)
class LabelReading:
    """Where each label's log-probability is read: L labels, S spellings of up to K tokens.

    Attributes:
        tokens: shape (U,): every token id that is read.
        row, column: shape (R, L, S, K): row of the pack and place in ``tokens``.
        used: shape (R, L, S, K): False in padding.
        among: the shares of each row of the pack are taken among what is read there, so the
            vocabulary's normaliser cancels out: every spelling is one token, or labels are words.
    """

    tokens: torch.Tensor
    row: torch.Tensor
    column: torch.Tensor
    used: torch.Tensor
    among: bool


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """What one forward and backward pass reads. R rows, L options of the longest.

    Attributes:
        pack: the prompts' tokens.
        reading: how labels are read off it.
        target: shape (R, L), 0 in padding.
        weight: shape (R,).
        on_scale, order, steps: of :func:`opinioncast.finetune.losses.wasserstein`; steps are
            divided by the scale's range.
        scaled: shape (R,): 1 for rows whose target has a place on a scale, else 0.
        question: shape (R,): number of the row's question among this micro-batch's. Two waves of
            one wording share a tree and are two questions.
        asks: index of each row among the update's asks.
    """

    pack: Pack
    reading: LabelReading
    target: torch.Tensor
    weight: torch.Tensor
    on_scale: torch.Tensor
    order: torch.Tensor
    steps: torch.Tensor
    scaled: torch.Tensor
    question: torch.Tensor
    asks: tuple[int, ...]

    @property
    def tokens(self) -> int:
        return self.pack.input_ids.shape[1]

    def to(self, device: torch.device) -> MicroBatch:
        moved = {
            f.name: getattr(self, f.name).to(device)
            for f in fields(self)
            if f.name not in ("reading", "asks")
        }
        reading = replace(
            self.reading,
            **{n: getattr(self.reading, n).to(device) for n in ("tokens", "row", "column", "used")},
        )
        return replace(self, reading=reading, **moved)


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
    epoch; the others wait.
    """
    updates = []
    targets = [_targets(r, target, augment, f"{seed}/{epoch}/{i}") for i, r in enumerate(rows)]
    for turn in range(augment or 1):
        draw = random.Random(f"{seed}/{epoch}/{turn}")
        orders = _orders(rows, option_order, draw)
        units = _units(rows, layout)
        if groups_per_question is not None:
            units = [draw.sample(u, min(groups_per_question, len(u))) for u in units]
        draw.shuffle(units)
        count = min(max(1, round(sum(map(len, units)) / batch_rows)), len(units))
        for part in np.array_split(np.arange(len(units)), count):
            updates.append(
                [
                    Ask(rows[i], orders[_question(rows[i])], targets[i][turn])
                    for u in part
                    for i in units[u]
                ]
            )
    return updates


def _question(row: TrainingRow) -> tuple[str, str, str]:
    return row.question.family, row.question.wave, row.question.question_id


def _units(rows: Sequence[TrainingRow], layout: Layout) -> list[list[int]]:
    if layout is Layout.PAPER:
        return [[i] for i in range(len(rows))]
    units: dict[tuple[str, str, str], list[int]] = {}
    for i, row in enumerate(rows):
        units.setdefault(_question(row), []).append(i)
    return list(units.values())


def _orders(
    rows: Sequence[TrainingRow], option_order: OptionOrder, draw: random.Random
) -> dict[tuple[str, str, str], Order]:
    orders: dict[tuple[str, str, str], Order] = {}
    for row in rows:
        key = _question(row)
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


@dataclass(frozen=True)
class Update:
    """One optimizer step's work: its asks, how their labels are read, and their token trees."""

    asks: Sequence[Ask]
    plans: Sequence[LabelPlan]
    trees: Sequence[Tree]
    max_tokens: int

    @property
    def weight(self) -> float:
        """Of all its rows."""
        return sum(a.row.weight for a in self.asks)

    @property
    def scaled_weight(self) -> float:
        """Of its rows whose target has a place on a scale."""
        return sum(a.row.weight for a in self.asks if a.has_distance)

    def micro_batches(self) -> list[list[Tree]]:
        """Trees grouped into packs of at most ``max_tokens`` tokens."""
        return list(packs(self.trees, self.max_tokens))

    def batch(self, trees: Sequence[Tree]) -> MicroBatch:
        """The tensors of some of the trees."""
        pack = lay_out(trees)
        place = {owner: i for i, owner in enumerate(pack.owners)}
        numbers = list(dict.fromkeys(request for request, _ in pack.owners))
        asks = [self.asks[i] for i in numbers]
        questions = {q: n for n, q in enumerate(dict.fromkeys(_question(a.row) for a in asks))}
        width = max(len(a.target) for a in asks)
        on_scale, order, steps = _scales(asks, width)
        target = np.zeros((len(asks), width), dtype=np.float32)
        for i, ask in enumerate(asks):
            target[i, : len(ask.target)] = ask.target
        return MicroBatch(
            pack=pack,
            reading=_reading([self.plans[i] for i in numbers], numbers, place),
            target=torch.from_numpy(target),
            weight=torch.tensor([a.row.weight for a in asks], dtype=torch.float32),
            on_scale=torch.from_numpy(on_scale),
            order=torch.from_numpy(order),
            steps=torch.from_numpy(steps),
            scaled=torch.tensor([float(a.has_distance) for a in asks]),
            question=torch.tensor([questions[_question(a.row)] for a in asks]),
            asks=tuple(numbers),
        )


@dataclass(frozen=True)
class Packer:
    """Writes the prompts of an update and plants their trees.

    Attributes:
        prompting: how rows are put to the model.
        limit: most tokens the model can read, if it says so.
        whole_questions: keep a question's rows in one tree, however long: the contrast loss holds
            them against each other.
    """

    tokenizer: PromptTokenizer
    groups: GroupScheme
    prompting: Prompting
    limit: int | None = None
    whole_questions: bool = False

    def check(self, rows: Sequence[TrainingRow]) -> None:
        """Write and plan the longest prompt of every question and of every group, so that what
        cannot be put to the model is named before anything is trained.

        Raises:
            As :meth:`update`.
        """
        longest: dict[Any, tuple[int, Ask]] = {}
        for row in rows:
            ask = Ask(row, tuple(range(len(row.question.options))), row.target)
            length = len(self._prompt(ask).text)
            for key in (_question(row), row.subpopulation.key):
                if key not in longest or length > longest[key][0]:
                    longest[key] = (length, ask)
        self.update([ask for _, ask in longest.values()], max_tokens=1)

    def _prompt(self, ask: Ask) -> Prompt:
        return build_prompt(
            ask.row.question,
            ask.row.subpopulation,
            self.groups,
            self.prompting,
            order=ask.order,
            chat_template=self.tokenizer.chat_text if self.prompting.chat else None,
        )

    def update(self, asks: Sequence[Ask], max_tokens: int) -> Update:
        """Plant trees of at most ``max_tokens`` tokens (a longer prompt makes one of its own).

        Raises:
            ModelError: a prompt longer than the model can read, a label it cannot write.
            InputError: a question with too many options for its letters.
        """
        families: dict[str, list[PromptTokens]] = {}
        plans = []
        for i, ask in enumerate(asks):
            prompt = self._prompt(ask)
            plan = self.tokenizer.plan(
                prompt.text, prompt.labels[: len(ask.target)], words=prompt.words
            )
            ids = self.tokenizer.ids(prompt.text)
            longest = len(ids) + max(map(len, plan.continuations))
            if self.limit is not None and longest > self.limit:
                raise ModelError(
                    "A training prompt is longer than the model can read",
                    where=f'question "{ask.row.question.question_id}", {ask.row.subpopulation}',
                    expected=f"{self.limit} tokens at most",
                    found=f"{longest} tokens",
                    hint="shorten the question or take a model with a longer context",
                )
            plans.append(plan)
            families.setdefault(prompt.tree, []).extend(
                PromptTokens(ids + continuation, (i, c), prompt.tree)
                for c, continuation in enumerate(plan.continuations)
            )
        # families that begin alike side by side: groups of one attribute, in the paper's layout
        ordered = sorted(families.values(), key=lambda family: family[0].ids)
        most = sys.maxsize if self.whole_questions else max_tokens
        trees = list(plant([p for family in ordered for p in family], most))
        return Update(asks, plans, trees, max_tokens)


def share(update: Update, process: int, processes: int) -> list[tuple[list[Tree], bool]]:
    """The micro-batches of one process, and whether they count.

    Dealt out largest first to the process with the least to do. Every process gets as many, or
    their collective calls would not meet: the missing ones repeat a tree and count for nothing.
    """
    batches = update.micro_batches()
    if processes == 1:
        return [(b, True) for b in batches]
    load = [0] * processes
    dealt: list[list[list[Tree]]] = [[] for _ in range(processes)]
    for batch in sorted(batches, key=lambda b: -sum(t.size for t in b)):
        least = min(range(processes), key=lambda p: (load[p], p))
        dealt[least].append(batch)
        load[least] += sum(t.size for t in batch)
    most = max(map(len, dealt))
    filler = min(batches, key=lambda b: sum(t.size for t in b))
    mine = [(b, True) for b in dealt[process]]
    return mine + [(filler, False)] * (most - len(mine))


def _scales(
    asks: Sequence[Ask], width: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """``on_scale``, ``order`` and ``steps`` of the rows; the refusal is off the scale."""
    position = np.full((len(asks), width), np.inf)
    for i, ask in enumerate(asks):
        for j, value in enumerate(ask.row.question.ordinal):
            if value != OFF_SCALE:
                position[i, j] = value
    order = np.argsort(position, axis=1, kind="stable")
    ordered = np.take_along_axis(position, order, axis=1)
    with np.errstate(invalid="ignore"):
        steps = np.diff(ordered, axis=1)
    steps = np.where(np.isfinite(steps), steps, 0.0)
    length = steps.sum(axis=1, keepdims=True)
    steps = np.divide(steps, length, out=np.zeros_like(steps), where=length > 0)
    return np.isfinite(position), order, steps.astype(np.float32)


def _reading(
    plans: Sequence[LabelPlan], numbers: Sequence[int], place: dict[tuple[int, int], int]
) -> LabelReading:
    tokens = sorted({t for plan in plans for wanted in plan.wanted for t in wanted})
    column = {token: i for i, token in enumerate(tokens)}
    spellings = max(len(s) for plan in plans for s in plan.paths)
    steps = max(len(path) for plan in plans for s in plan.paths for path in s)
    shape = (len(plans), max(len(plan.paths) for plan in plans), spellings, steps)
    rows, columns = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    used = np.zeros(shape, dtype=bool)
    for r, (number, plan) in enumerate(zip(numbers, plans, strict=True)):
        for a, ways in enumerate(plan.paths):
            for s, path in enumerate(ways):
                for k, (continuation, at) in enumerate(path):
                    rows[r, a, s, k] = place[number, continuation]
                    columns[r, a, s, k] = column[plan.wanted[continuation][at]]
                    used[r, a, s, k] = True
    return LabelReading(
        torch.tensor(tokens),
        torch.from_numpy(rows),
        torch.from_numpy(columns),
        torch.from_numpy(used),
        among=steps == 1 or all(plan.forks for plan in plans),
    )
