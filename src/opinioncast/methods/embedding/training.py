"""Training the embedding network on an opinion table.

Each step takes a batch of questions with all their groups at once. The loss of a cell with observed
shares q and predicted shares p is

    KL(q || p) + wasserstein * W(q, p) + contrast * C

W is the distance of :mod:`opinioncast.evaluate.distance` (paper, Appendix B). C is W's sum with
both cumulative distributions taken relative to their mean over the question's groups: it asks for
the differences between groups whatever the level (the idea of arXiv 2510.21977). Cells are averaged
within a question, then over questions of a mean batch: the last, smaller batch of an epoch counts
for as many questions as it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from opinioncast.errors import DataError, ModelError
from opinioncast.methods.embedding.features import (
    QuestionFeatures,
    TextEncoder,
    group_texts,
    question_features,
)
from opinioncast.methods.embedding.measure import (
    ANY,
    SOME,
    Metric,
    check_measurable,
    check_numbers,
)
from opinioncast.methods.embedding.network import (
    EmbeddingNetwork,
    NetworkShape,
    OptionNetwork,
    member_logits,
    one_thread,
    people_features,
    pooled_shares,
    tensors_of,
    turn_scale,
)
from opinioncast.survey import OpinionTable, standard_attributes
from opinioncast.survey.question import OFF_SCALE
from opinioncast.survey.sameness import digests

TEMPERATURES = tuple(round(0.3 + 0.05 * i, 2) for i in range(25))
"""0.3 to 1.5: what the calibration tries."""

EpochProgress = Callable[[int, int, float], None]
"""Called with (epochs done, epochs at most in all, validation score)."""


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How to train.

    Attributes:
        members: networks, trained from ``seed``, ``seed`` + 1, ...
        epochs: at most; a network whose validation score has not fallen for ``patience`` epochs
            keeps its best weights.
        batch: questions per step.
        wasserstein, contrast: weights of the two terms beside the KL divergence.
        turn: turn each question's scale round with probability one half.
        forget: probability with which a condition's offset is left out, so that the embedding
            alone learns to carry the group.
        smooth: share of the uniform distribution mixed into the targets.

    Raises:
        InputError: a number that cannot be.
    """

    shape: NetworkShape = field(default_factory=NetworkShape)
    members: int = 4
    epochs: int = 20
    patience: int = 20
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    wasserstein: float = 1.0
    contrast: float = 0.0
    turn: bool = True
    forget: float = 0.5
    smooth: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        counts = dict.fromkeys(("members", "epochs", "patience", "batch"), (1, ANY))
        weights = dict.fromkeys(("weight_decay", "wasserstein", "contrast"), (0, ANY))
        shares = dict.fromkeys(("forget", "smooth"), (0, 1 - SOME))
        check_numbers(self, {**counts, **weights, **shares, "learning_rate": (SOME, ANY)})


@dataclass(frozen=True)
class TrainingCells:
    """A table as tensors over (questions, groups, options).

    Attributes:
        target: observed shares; 0 where there is no cell.
        there: which cells the table has, shape (questions, groups).
        order: options by place on the scale, those off it last, shape (questions, options).
        steps: distances between neighbours in that order, divided by the scale's range; 0 off the
            scale, shape (questions, options).
        on: 1 for options on the scale, in that order.
    """

    features: QuestionFeatures
    people: tuple[Tensor, Tensor]
    target: Tensor
    there: Tensor
    order: Tensor
    steps: Tensor
    on: Tensor

    @classmethod
    def of_table(
        cls, table: OpinionTable, encoder: TextEncoder, seen: Sequence[str]
    ) -> TrainingCells:
        """Raises: DataError: a group whose attribute is not a standard one."""
        questions, groups = table.questions(), table.subpopulations()
        features = question_features(questions, encoder)
        width = features.real.shape[1]
        column = {g.key: i for i, g in enumerate(groups)}
        row = {(q.family, q.wave, q.question_id): i for i, q in enumerate(questions)}
        target = np.zeros((len(questions), len(groups), width), dtype=np.float32)
        there = np.zeros((len(questions), len(groups)), dtype=bool)
        keys = ("family", "wave", "question_id", "attribute", "group", "distribution")
        for f, w, q, attribute, group, shares in table.frame.select(keys).iter_rows():
            place = row[f, w, q], column[attribute, group]
            target[place][: len(shares)] = shares
            there[place] = True
        order = np.tile(np.arange(width), (len(questions), 1))
        steps, on = np.zeros((2, len(questions), width), dtype=np.float32)
        for i, question in enumerate(questions):
            if not question.has_scale:
                continue
            ordinal = np.array(question.ordinal)
            k = len(ordinal)
            order[i, :k] = np.argsort(
                np.where(ordinal == OFF_SCALE, np.inf, ordinal), kind="stable"
            )
            count = int((ordinal != OFF_SCALE).sum())
            on[i, :count] = 1
            placed = ordinal[order[i, :count]]
            steps[i, : count - 1] = np.diff(placed) / question.scale_range
        return cls(
            features,
            people_features(training_texts(table), seen, encoder),
            *map(torch.from_numpy, (target, there, order, steps, on)),
        )


def training_texts(table: OpinionTable) -> list[list[str]]:
    """Condition texts of the table's groups.

    Raises:
        DataError: an attribute without wording.
    """
    attributes = standard_attributes()
    groups = table.subpopulations()
    strange = sorted({a for g in groups for a, _ in g.conditions} - set(attributes))
    if strange:
        raise DataError(
            "A table has an attribute without wording",
            expected=", ".join(attributes),
            found=", ".join(strange),
            hint="train on the standard attributes",
        )
    return group_texts(groups, attributes)


def cell_losses(
    logits: Tensor, target: Tensor, there: Tensor, order: Tensor, steps: Tensor, on: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """KL divergence, Wasserstein distance and contrast of each cell.

    Args:
        logits, target: shape (questions, groups, options); others as in :class:`TrainingCells`.

    Returns:
        Three tensors of shape (questions, groups), 0 where there is no cell; the last two are also
        0 where the question has no scale or nobody answered on it.
    """
    predicted = torch.log_softmax(logits, dim=-1)
    predicted = predicted.masked_fill(torch.isinf(predicted), 0.0)
    divergence = (torch.xlogy(target, target) - target * predicted).sum(-1) * there
    index = order[:, None].expand_as(target)
    p = predicted.exp().gather(2, index) * on[:, None]
    q = target.gather(2, index) * on[:, None]
    answered = q.sum(-1)
    scaled = there & (answered > 0) & (steps.sum(-1) > 0)[:, None]
    p = (p / p.sum(-1, keepdim=True).clamp_min(1e-9)).cumsum(-1)
    q = (q / answered.clamp_min(1e-9)[..., None]).cumsum(-1)
    gap = (p - q) * scaled[..., None]
    count = scaled.sum(1, keepdim=True).clamp_min(1)
    apart = (gap - gap.sum(1, keepdim=True) / count[..., None]) * scaled[..., None]
    distance = (gap.abs() * steps[:, None]).sum(-1)
    return divergence, distance, (apart.abs() * steps[:, None]).sum(-1)


def mean_distance(shares: Tensor, cells: TrainingCells) -> float:
    """Mean Wasserstein distance over cells with a scale."""
    parts = (cells.target, cells.there, cells.order, cells.steps, cells.on)
    _, distance, _ = cell_losses(shares.float().clamp_min(1e-12).log(), *parts)
    answered = (
        cells.target.gather(2, cells.order[:, None].expand_as(cells.target)) * cells.on[:, None]
    ).sum(-1) > 0
    scaled = cells.there & answered & (cells.steps.sum(-1) > 0)[:, None]
    return float(distance.sum() / scaled.sum())


def mean_divergence(shares: Tensor, cells: TrainingCells) -> float:
    """Mean KL(people || model) over all cells."""
    parts = (cells.target, cells.there, cells.order, cells.steps, cells.on)
    divergence, _, _ = cell_losses(shares.float().clamp_min(1e-12).log(), *parts)
    return float(divergence.sum() / cells.there.sum())


MEASURES: dict[Metric, Callable[[Tensor, TrainingCells], float]] = {
    "wd": mean_distance,
    "kl": mean_divergence,
}


@one_thread()
def train_member(
    train: TrainingCells,
    validation: TrainingCells,
    settings: TrainingSettings,
    progress: Callable[[int, float], None] | None = None,
    *,
    metric: Metric = "wd",
) -> tuple[OptionNetwork, list[dict[str, float]]]:
    """One network and its history: epoch, training loss, validation score.

    Raises:
        ModelError: the loss is not a number (the learning rate is too high), or no epoch's score.
    """
    torch.manual_seed(settings.seed)
    network = OptionNetwork(settings.shape, train.people[1].shape[1])
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    inputs = tensors_of(train.features)
    number = len(train.target)
    per_epoch = -(-number // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.epochs * per_epoch, pct_start=0.1
    )
    options = inputs["real"].sum(1)[:, None, None]
    target = torch.where(
        inputs["real"][:, None],
        (1 - settings.smooth) * train.target + settings.smooth / options,
        0.0,
    )
    draw = torch.Generator().manual_seed(settings.seed)
    best, kept, waited = float("inf"), network.state_dict(), 0
    history = []
    for epoch in range(settings.epochs):
        network.train()
        total = 0.0
        shuffled = torch.randperm(number, generator=draw)
        for pick in torch.tensor_split(shuffled, per_epoch):
            batch = {name: value[pick] for name, value in inputs.items()}
            if settings.turn:
                turned = torch.rand(len(pick), 1, 1, generator=draw) < 0.5
                batch["scale"] = torch.where(turned, turn_scale(batch["scale"]), batch["scale"])
            conditions, offsets = train.people
            keep = (torch.rand(offsets.shape[1], generator=draw) >= settings.forget).float()
            logits = network(batch, conditions, offsets * keep)
            there = train.there[pick]
            parts = cell_losses(
                logits, target[pick], there, train.order[pick], train.steps[pick], train.on[pick]
            )
            cell = parts[0] + settings.wasserstein * parts[1] + settings.contrast * parts[2]
            loss = (cell.sum(1) / there.sum(1)).sum() * per_epoch / number
            if not torch.isfinite(loss):
                raise ModelError(
                    "Training diverged",
                    where=f"epoch {epoch + 1}",
                    expected="a finite loss",
                    found=loss.item(),
                    hint="lower the learning rate",
                )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        shares = pooled_shares(member_logits([network], validation.features, validation.people), 1)
        score = MEASURES[metric](torch.from_numpy(shares), validation)
        history.append(
            {"epoch": epoch + 1, "loss": total / per_epoch, f"validation_{metric}": score}
        )
        if score < best:
            best, waited = score, 0
            kept = {name: value.clone() for name, value in network.state_dict().items()}
        else:
            waited += 1
        if progress:
            progress(epoch + 1, score)
        if waited >= settings.patience:
            break
    if best == float("inf"):  # a score that is no number is never the best
        raise ModelError(
            "No epoch gave a score to choose by",
            where=f"{len(history)} epochs",
            expected="a number",
            found=history[-1][f"validation_{metric}"],
            hint="lower the learning rate, or look at the validation table",
        )
    network.load_state_dict(kept)
    return network.eval(), history


def train_network(
    train: OpinionTable,
    validation: OpinionTable,
    encoder: TextEncoder,
    settings: TrainingSettings,
    *,
    metric: Metric = "wd",
    progress: EpochProgress | None = None,
) -> tuple[EmbeddingNetwork, list[list[dict[str, float]]]]:
    """Train all members, fit the temperature on ``validation``, and say what it came to.

    The same tables and settings give the same weights (on one kind of processor), in whatever order
    the tables' rows stand.

    Args:
        metric: what epochs and temperature are chosen by.

    Returns:
        The network (its record holds settings and validation score) and each member's history.

    Raises:
        InputError: no validation cell has what the metric measures.
        DataError: an attribute without wording. ModelError: training diverged.
    """
    check_measurable(validation, metric)
    train, validation = train.in_key_order(), validation.in_key_order()
    seen = list(dict.fromkeys(t for texts in training_texts(train) for t in texts))
    cells = TrainingCells.of_table(train, encoder, seen)
    held = TrainingCells.of_table(validation, encoder, seen)
    settings = replace(
        settings, shape=replace(settings.shape, inputs=cells.features.question.shape[1])
    )
    members, histories = [], []
    for i in range(settings.members):

        def report(done: int, score: float, before: int = i * settings.epochs) -> None:
            if progress:
                progress(before + done, settings.members * settings.epochs, score)

        member, history = train_member(
            cells, held, replace(settings, seed=settings.seed + i), report, metric=metric
        )
        members.append(member)
        histories.append(history)
    temperature, score = fit_temperature(members, held, metric)
    record: dict[str, Any] = {
        "settings": asdict(settings),
        "train_hash": train.content_hash,
        "validation_hash": validation.content_hash,
        "train_questions": len(cells.target),
        "validation_questions": len(held.target),
        "groups": len(train.subpopulations()),
        "epochs": [len(h) for h in histories],
        "metric": metric,
        f"validation_{metric}": score,
    }
    asked = digests(train.questions())
    return EmbeddingNetwork(members, encoder, seen, temperature, record, asked), histories


def fit_temperature(
    members: Sequence[OptionNetwork], cells: TrainingCells, metric: Metric = "wd"
) -> tuple[float, float]:
    """The factor on the logits with the least mean distance or divergence, and what it came to."""
    logits = member_logits(members, cells.features, cells.people)
    scores = {
        t: MEASURES[metric](torch.from_numpy(pooled_shares(logits, t)), cells) for t in TEMPERATURES
    }
    best = min(scores, key=lambda t: scores[t])
    return best, scores[best]
