"""How the learning rate rises and falls over a run."""

from __future__ import annotations

import math

from opinioncast.finetune.recipe import OptimizerRecipe


def schedule(step: int, steps: int, optimizer: OptimizerRecipe) -> float:
    """Share of the learning rate at ``step`` of ``steps``."""
    rising = optimizer.warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    if optimizer.schedule == "constant":
        return 1.0
    left = (steps - step) / max(steps - rising, 1)
    return left if optimizer.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left))
