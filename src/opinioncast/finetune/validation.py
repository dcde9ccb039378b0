"""Validation during training: how far the model's shares are from observed ones, on held-out rows.

Read with the training model as it stands, on the same labels and in the same layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from opinioncast.evaluate.distance import pad, wasserstein
from opinioncast.finetune.packing import Ask, Packer, share
from opinioncast.finetune.targets import TrainingRow
from opinioncast.prompts import orders as option_orders

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
) -> list[np.ndarray[Any, Any]]:
    """The model's shares over each row's labels, averaged over option orders; on every process."""
    asks = [
        (i, Ask(row, order, row.target))
        for i, row in enumerate(rows)
        for order in option_orders(len(row.question.options), orders, seed=seed)
    ]
    # questions in the question-first layout stand together already; groups have to be gathered
    model.eval()
    found: list[tuple[int, list[float]]] = []
    with torch.no_grad():
        for start in range(0, len(asks), _ROWS):
            part = asks[start : start + _ROWS]
            update = packer.update([ask for _, ask in part], pack_tokens)
            for trees, counts in share(
                update, accelerator.process_index, accelerator.num_processes
            ):
                batch = update.batch(trees).to(accelerator.device)
                shares = model(batch.pack, batch.reading).exp().double().cpu().numpy()
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


def validate(
    model: Any,
    rows: Sequence[TrainingRow],
    packer: Packer,
    *,
    orders: str,
    seed: int,
    pack_tokens: int,
    accelerator: Accelerator,
) -> dict[str, float]:
    """``valid_kl`` over all rows, ``valid_wd`` over those with a scale (NaN if there are none)."""
    predicted = predict_rows(
        model,
        rows,
        packer,
        orders=orders,
        seed=seed,
        pack_tokens=pack_tokens,
        accelerator=accelerator,
    )
    kl = []
    for row, shares in zip(rows, predicted, strict=True):
        target = np.array(row.target)
        some = target > 0
        with np.errstate(divide="ignore"):
            kl.append(float((target[some] * np.log(target[some] / shares[some])).sum()))
    return {"valid_kl": float(np.mean(kl)), "valid_wd": mean_distance(rows, predicted)}


def mean_distance(rows: Sequence[TrainingRow], predicted: Sequence[np.ndarray[Any, Any]]) -> float:
    """Mean Wasserstein distance over the rows with a scale, both sides without the refusal."""
    scaled = [i for i, row in enumerate(rows) if row.question.has_scale]
    if not scaled:
        return float("nan")
    ordinal = pad([rows[i].question.ordinal for i in scaled], np.nan)
    width = ordinal.shape[1]
    p = pad([rows[i].target[: len(rows[i].question.options)] for i in scaled], 0.0)
    q = pad([predicted[i][: len(rows[i].question.options)].tolist() for i in scaled], 0.0)
    return float(np.nanmean(wasserstein(p[:, :width], q[:, :width], ordinal)))
