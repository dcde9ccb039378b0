"""What a step will need of a machine: memory and hours, estimated before anything is downloaded.

Weights are in 16 bits (2 bytes a parameter). Work is 2 operations a parameter and token to predict;
twice that to train an adapter (no gradient of the base model's weights is computed), three times to
train the whole model. How many operations a second the machine does is the setting's word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from opinioncast.finetune.recipe import FinetuneRecipe
from opinioncast.methods.declaration import method_kind
from opinioncast.prompts import Layout
from opinioncast.reproduce.recipe import MethodRow
from opinioncast.reproduce.setting import Setting

TOKENS = {Layout.PAPER: 71.0, Layout.QUESTION_FIRST: 9.6}
"""A row's tokens once what rows share is read once (docs/finetuning.md, How fast)."""

WRITTEN_TOKENS = 900.0
"""Of a row that a model writes: a few-shot prompt with its answer, or the comments of pluralism."""

_GB = 1e9
_ACTIVATIONS = {True: 12.0, False: 3.0}
"""GB beside the weights: of training with micro-batches of 4,096 tokens, of predicting."""

_WHOLE_MODEL = 16  # bytes a parameter: weights, gradients, AdamW's moments


@dataclass(frozen=True)
class Needs:
    """What a step needs; None where it is not known, or nothing to speak of.

    Attributes:
        memory: GB, over all of the setting's processors.
        processors: of the setting's machine, that memory makes necessary.
        hours: on so many.
    """

    memory: float | None = None
    processors: int | None = None
    hours: float | None = None

    def words(self) -> str:
        """The memory in a table's cell."""
        if self.memory is None:
            return ""
        return f"{self.memory:.0f}" + (
            f" ({self.processors} x)" if (self.processors or 1) > 1 else ""
        )


NOTHING = Needs()


def training_needs(setting: Setting, model: str, recipe: FinetuneRecipe, rows: float) -> Needs:
    """Of a training of ``rows`` rows, passes included."""
    whole = recipe.lora is None
    tokens = rows * TOKENS[recipe.layout]
    return _needs(setting, model, tokens, 6 if whole else 4, training=True, whole=whole)


def prediction_needs(setting: Setting, model: str, row: MethodRow, rows: float) -> Needs:
    """Of the predictions of ``rows`` cells."""
    written = "layout" not in method_kind(str(row.method)).options
    tokens = rows * (WRITTEN_TOKENS if written else TOKENS[setting.prompt.layout])
    return _needs(setting, model, tokens, 2, training=False, whole=False)


def _needs(
    setting: Setting, model: str, tokens: float, work: float, *, training: bool, whole: bool
) -> Needs:
    billions, machine = setting.models[model].billions, setting.machine
    if billions is None or machine is None:
        return NOTHING
    parameters = billions * 1e9
    bytes_each = _WHOLE_MODEL if whole else 2
    extra = _ACTIVATIONS[training] if machine.accelerator else 1.0
    memory = bytes_each * parameters / _GB + extra
    processors = max(1, math.ceil(memory / (0.9 * machine.memory_gb)))
    seconds = work * parameters * tokens / (machine.teraflops * 1e12 * processors)
    return Needs(memory, processors, seconds / 3600)
