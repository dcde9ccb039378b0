"""The recipe's losses of a micro-batch, and their sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch

from opinioncast.finetune import losses
from opinioncast.finetune.epoch import UpdateWeight, question_key
from opinioncast.finetune.packing import MicroBatch
from opinioncast.finetune.recipe import LossMix
from opinioncast.finetune.targets import TrainingRow

PARTS = ("kl", "wasserstein", "contrast")


def mixed(parts: Mapping[str, torch.Tensor], mix: LossMix) -> torch.Tensor:
    """The losses of :func:`batch_losses`, each times its weight, as one number."""
    return torch.stack([getattr(mix, name) * parts[name] for name in PARTS]).sum()


def batch_losses(
    log_shares: torch.Tensor, batch: MicroBatch, weight: float, scaled_weight: float
) -> dict[str, torch.Tensor]:
    """This micro-batch's part of each mean loss.

    Args:
        weight, scaled_weight: what the sums over all rows, and over those with a scale, are divided
            by: the update's own weights for its mean, those of the mean update for its gradient
            (:class:`opinioncast.finetune.epoch.UpdateWeight`).
    """
    rows = batch.weight / weight
    scaled = batch.weight * batch.scaled / max(scaled_weight, 1e-9)
    distance = losses.wasserstein(
        log_shares, batch.target, batch.on_scale, batch.order, batch.steps
    )
    difference = losses.contrast(log_shares, batch.target, batch.question, batch.weight)
    return {
        "kl": (rows * losses.forward_kl(log_shares, batch.target)).sum(),
        "wasserstein": (scaled * distance).sum(),
        "contrast": (rows * difference).sum(),
    }


def has_loss(mix: LossMix, rows: Sequence[TrainingRow], weight: UpdateWeight) -> bool:
    """Whether any part of a recipe's loss can be other than 0 on these rows."""
    groups = Counter(question_key(r) for r in rows)
    return (
        mix.kl > 0
        or (mix.wasserstein > 0 and weight.scaled > 0)
        or (mix.contrast > 0 and max(groups.values(), default=0) > 1)
    )
