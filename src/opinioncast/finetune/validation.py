"""Validation during training: how far the model's shares are from observed ones, on held-out rows.

Read with the training model as it stands, on the same labels and in the same layout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from opinioncast.errors import InputError
from opinioncast.evaluate.distance import pad, wasserstein
from opinioncast.finetune.epoch import Ask
from opinioncast.finetune.packing import Packer, share
from opinioncast.finetune.recipe import FinetuneRecipe
from opinioncast.finetune.targets import TrainingRow
from opinioncast.prompts import orders as option_orders
from opinioncast.survey.question import OFF_SCALE

Array = npt.NDArray[np.float64]

_ROWS = 512  # asks whose prompts are written at a time


def predict_rows(
    model: Any,
    rows: Sequence[TrainingRow],
    packer: Packer,
    *,
    orders: str,
    seed: int,
    pack_tokens: int,
    accelerator: Accelerator,
) -> list[Array]:
    """The model's shares over each row's labels, averaged over option orders; on every process."""
    asks = [
        (i, Ask(row, order, row.target))
        for i, row in enumerate(rows)
        for order in option_orders(len(row.question.options), orders, seed=seed)
    ]
    model.eval()
    found: list[tuple[int, list[float]]] = []
    with torch.no_grad():
        for start in range(0, len(asks), _ROWS):
            part = asks[start : start + _ROWS]
            update = packer.update([ask for _, ask in part], pack_tokens)
            for _, trees, counts in share(
                update, accelerator.process_index, accelerator.num_processes
            ):
                batch = update.batch(trees).to(accelerator.device)
                # to double first: a share of 1e-50 is none in single precision, and KL infinite
                shares = model(batch.pack, batch.reading).cpu().double().exp().numpy()
                if counts:
                    for number, row in zip(batch.asks, shares, strict=True):
                        i, ask = part[number]
                        found.append((i, row[: len(ask.target)].tolist()))
    model.train()
    if accelerator.num_processes > 1:
        found = gather_object(found)
    totals: list[Any] = [0.0] * len(rows)
    for i, values in sorted(found):
        totals[i] = totals[i] + np.array(values)
    return [t / t.sum() for t in totals]


def mean_kl(rows: Sequence[TrainingRow], predicted: Sequence[Array]) -> float | None:
    """Mean KL(people || model) over the labels of each row's target; None where it is no number: a
    share that is none, or 0 for an option that people chose."""
    total = 0.0
    for row, shares in zip(rows, predicted, strict=True):
        target = np.array(row.target)
        some = target > 0
        with np.errstate(divide="ignore"):
            total += float((target[some] * np.log(target[some] / shares[some])).sum())
    return total / len(rows) if math.isfinite(total) else None


def with_distance(rows: Sequence[TrainingRow]) -> list[int]:
    """Which rows have a distance: a scale, and people on it."""
    return [
        i
        for i, row in enumerate(rows)
        if row.question.has_scale
        and any(
            share > 0 and place != OFF_SCALE
            for share, place in zip(row.target, row.question.ordinal, strict=False)
        )
    ]


def mean_distance(rows: Sequence[TrainingRow], predicted: Sequence[Array]) -> float | None:
    """Mean Wasserstein distance over the rows :func:`with_distance` names, both sides without the
    refusal; None where there are none, or where the model's shares of one are no numbers."""
    scaled = with_distance(rows)
    if not scaled:
        return None
    options = [len(rows[i].question.options) for i in scaled]
    ordinal = pad([rows[i].question.ordinal for i in scaled], np.nan)
    p = pad([rows[i].target[:k] for i, k in zip(scaled, options, strict=True)], 0.0)
    q = pad([predicted[i][:k].tolist() for i, k in zip(scaled, options, strict=True)], 0.0)
    mean = float(np.mean(wasserstein(p, q, ordinal)))
    return mean if math.isfinite(mean) else None


def choose_metric(recipe: FinetuneRecipe, valid: Sequence[TrainingRow]) -> Literal["wd", "kl"]:
    """What the best checkpoint is best in: the recipe's choice, else the distance where a
    validation row has people on a scale, else the KL divergence.

    Raises:
        InputError: the recipe asks for a distance and no validation row has one.
    """
    scaled = bool(with_distance(valid))
    if recipe.checks.metric == "wd" and valid and not scaled:
        raise InputError(
            "No validation row has people on a scale, so there is no distance to stop by",
            expected="questions with different scale positions, and answers on them",
            hint="set checks.metric: kl, or leave it out",
        )
    return recipe.checks.metric or ("kl" if valid and not scaled else "wd")
