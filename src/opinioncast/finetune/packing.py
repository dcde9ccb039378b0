"""From asks to micro-batches: prompts, token trees, packs, and the tensors losses need."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from opinioncast.backends.labels import LabelPlan
from opinioncast.backends.prompt_tokens import PromptTokenizer
from opinioncast.backends.trees import Pack, PromptTokens, Tree, lay_out, packs, plant
from opinioncast.errors import ModelError
from opinioncast.finetune.epoch import Ask, Order, question_key
from opinioncast.finetune.targets import TrainingRow
from opinioncast.prompts import Prompt, Prompting, build_prompt
from opinioncast.survey import GroupScheme
from opinioncast.survey.question import OFF_SCALE


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
        return sum(a.weight for a in self.asks)

    @property
    def scaled_weight(self) -> float:
        """Of its rows whose target has a place on a scale."""
        return sum(a.weight for a in self.asks if a.has_distance)

    def micro_batches(self) -> list[list[Tree]]:
        """Trees grouped into packs of at most ``max_tokens`` tokens."""
        return list(packs(self.trees, self.max_tokens))

    def batch(self, trees: Sequence[Tree]) -> MicroBatch:
        """The tensors of some of the trees."""
        pack = lay_out(trees)
        place = {owner: i for i, owner in enumerate(pack.owners)}
        numbers = list(dict.fromkeys(request for request, _ in pack.owners))
        asks = [self.asks[i] for i in numbers]
        questions = {q: n for n, q in enumerate(dict.fromkeys(question_key(a.row) for a in asks))}
        width = max(len(a.target) for a in asks)
        on_scale, order, steps = _scales(asks, width)
        target = np.zeros((len(asks), width), dtype=np.float32)
        for i, ask in enumerate(asks):
            target[i, : len(ask.target)] = ask.target
        return MicroBatch(
            pack=pack,
            reading=_reading([self.plans[i] for i in numbers], numbers, place),
            target=torch.from_numpy(target),
            weight=torch.tensor([a.weight for a in asks], dtype=torch.float32),
            on_scale=torch.from_numpy(on_scale),
            order=torch.from_numpy(order),
            steps=torch.from_numpy(steps),
            scaled=torch.tensor([float(a.has_distance) for a in asks]),
            question=torch.tensor([questions[question_key(a.row)] for a in asks]),
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
            length = len(self.prompt(row).text)
            for key in (question_key(row), row.subpopulation.key):
                if key not in longest or length > longest[key][0]:
                    longest[key] = (length, ask)
        self.update([ask for _, ask in longest.values()], max_tokens=1)

    def prompt(self, row: TrainingRow, order: Order | None = None) -> Prompt:
        """How a row is put to the model; its options as given where no order is."""
        return build_prompt(
            row.question,
            row.subpopulation,
            self.groups,
            self.prompting,
            order=order,
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
            prompt = self.prompt(ask.row, ask.order)
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


class Dealt(NamedTuple):
    """A micro-batch as it is dealt to a process.

    Attributes:
        number: its place in the update, whichever process has it: what is random in it is drawn
            by that, so that the number of processes does not matter.
        counts: False where it only keeps the processes in step.
    """

    number: int
    trees: list[Tree]
    counts: bool


def share(update: Update, process: int, processes: int) -> list[Dealt]:
    """The micro-batches of one process.

    Dealt out largest first to the process with the least to do. Every process gets as many, or
    their collective calls would not meet: the missing ones repeat a tree and count for nothing.
    """
    batches = [Dealt(i, trees, True) for i, trees in enumerate(update.micro_batches())]
    if processes == 1:
        return batches
    load = [0] * processes
    dealt: list[list[Dealt]] = [[] for _ in range(processes)]
    for batch in sorted(batches, key=lambda b: -_tokens(b)):
        least = min(range(processes), key=lambda p: (load[p], p))
        dealt[least].append(batch)
        load[least] += _tokens(batch)
    most = max(map(len, dealt))
    filler = min(batches, key=_tokens)._replace(counts=False)
    return dealt[process] + [filler] * (most - len(dealt[process]))


def _tokens(batch: Dealt) -> int:
    return sum(tree.size for tree in batch.trees)


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
