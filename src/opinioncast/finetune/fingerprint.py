"""The fingerprint of a training run: all that shapes its weights, and nothing else.

A checkpoint goes on only where each part is what it was. What is put to the model is hashed as it
is put: prompts, options, targets and weights of every row. So whatever shapes them (the wording of
groups, chat, layout, which rows a table, a split or a selection gives) is in the fingerprint, and
where a file lies, how it is called and in which order its rows stand are not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from opinioncast.backends.torch_model import hash_tokenizer
from opinioncast.finetune.base import TrainingBase
from opinioncast.finetune.epoch import question_key
from opinioncast.finetune.packing import Packer
from opinioncast.finetune.recipe import FinetuneRecipe
from opinioncast.finetune.targets import TrainingRow
from opinioncast.survey.identity import to_identity_digits

UPDATES = 2
"""Raise it when the same rows and recipe make other updates than they did."""

_PACKAGES = ("torch", "transformers", "peft", "accelerate")
"""Their versions shape the last digits at least, and a run that goes on is the same to the bit."""


def run_fingerprint(
    recipe: FinetuneRecipe,
    rows: Sequence[TrainingRow],
    valid_rows: Sequence[TrainingRow],
    packer: Packer,
    base: TrainingBase,
) -> dict[str, str]:
    """The fingerprint, by what a person would call its parts."""
    return {
        "recipe": recipe.settings_hash,
        "training rows": _rows(rows, packer),
        "validation rows": _rows(valid_rows, packer) if valid_rows else "",
        "base model": base.fingerprint,
        "tokenizer": hash_tokenizer(base.tokenizer),
        "software": f"{software()}, updates {UPDATES}",
    }


def software() -> str:
    """The packages whose versions shape a training."""
    return ", ".join(f"{name} {version(name)}" for name in _PACKAGES)


def _rows(rows: Sequence[TrainingRow], packer: Packer) -> str:
    digest = hashlib.sha256()
    for row in rows:
        prompt = packer.prompt(row)
        said = [prompt.text, prompt.labels, row.question.ordinal, question_key(row)]
        digest.update(json.dumps(said).encode())
        digest.update(to_identity_digits(np.array([*row.target, row.weight])).tobytes())
    return digest.hexdigest()
