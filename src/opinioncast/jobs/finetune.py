"""Fine-tune: from a recipe and opinion tables to an adapter folder."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from accelerate import Accelerator

from opinioncast.backends import embedded
from opinioncast.backends.prompt_tokens import PromptTokenizer
from opinioncast.backends.torch_model import LoadedModel, load_model
from opinioncast.curate.split import split_table
from opinioncast.errors import InputError
from opinioncast.finetune.model import DistributionModel, add_adapter
from opinioncast.finetune.packing import Packer
from opinioncast.finetune.recipe import FinetuneRecipe, SplitValidation
from opinioncast.finetune.targets import TrainingRow, training_rows
from opinioncast.finetune.trainer import Moment, Trainer, TrainingRun
from opinioncast.jobs.predict import EMBEDDED
from opinioncast.survey import GroupScheme, OpinionTable, load_groups, standard_attributes


@dataclass(frozen=True)
class TrainingData:
    """Tables and rows of a recipe."""

    groups: GroupScheme
    train: OpinionTable
    valid: OpinionTable | None
    train_rows: Sequence[TrainingRow]
    valid_rows: Sequence[TrainingRow]


def training_data(recipe: FinetuneRecipe, beside: Path = Path()) -> TrainingData:
    """Read the recipe's tables and make its rows.

    Args:
        beside: folder where tables are looked for when they are not found as named.

    Raises:
        InputError: a group without rows, a table that is not there.
        DataError: tables that break their schema, or share a cell.
    """
    table = _tables(recipe.table, beside)
    valid: OpinionTable | None = None
    if isinstance(recipe.validation, SplitValidation):
        held = recipe.validation
        split = split_table(
            table,
            by=held.by,
            fractions={"train": 1 - held.fraction, "valid": held.fraction},
            seed=held.seed,
        )
        table, valid = split.parts["train"], split.parts["valid"]
    elif recipe.validation is not None:
        valid = _tables(recipe.validation, beside)
    if recipe.groups is None:
        known = GroupScheme("table", standard_attributes(), (), "the training table")
        groups = known.with_subpopulations(table.subpopulations())
    else:
        groups = load_groups(*recipe.groups)
    rows = training_rows(table, groups, refusal=recipe.refusal, row_weight=recipe.row_weight)
    valid_rows: list[TrainingRow] = []
    if valid is not None:
        present = set(valid.subpopulations())
        shared = [g for g in groups if g in present]
        if not shared:
            raise InputError(
                "The validation table has no rows for any trained group",
                expected="; ".join(map(str, groups)),
                found="; ".join(map(str, present)) or "an empty table",
            )
        valid_rows = training_rows(
            valid, groups.with_subpopulations(shared), refusal=recipe.refusal
        )
        valid_rows = _some_questions(valid_rows, recipe.checks.questions, recipe.seed)
    return TrainingData(groups, table, valid, rows, valid_rows)


def _tables(names: str | tuple[str, ...], beside: Path) -> OpinionTable:
    tables = []
    for name in [names] if isinstance(names, str) else names:
        path = Path(name)
        tables.append(OpinionTable.read(path if path.is_file() else beside / name))
    if len(tables) == 1:
        return tables[0]
    meta = {"tables": [dict(t.meta) for t in tables]}
    return OpinionTable(pl.concat([t.frame for t in tables]), meta)


def _some_questions(rows: list[TrainingRow], most: int | None, seed: int) -> list[TrainingRow]:
    questions = list(dict.fromkeys(r.question for r in rows))
    if most is None or most >= len(questions):
        return rows
    kept = set(random.Random(seed).sample(questions, most))
    return [r for r in rows if r.question in kept]


def open_model(recipe: FinetuneRecipe) -> LoadedModel:
    """Load the base model of ``recipe``."""
    default = recipe.model == EMBEDDED
    loaded = load_model(
        embedded.embedded_model() if default else recipe.model,
        device=recipe.device,
        dtype=recipe.dtype or ("float32" if recipe.lora is None else None),
        name=embedded.NAME if default else None,
    )
    if loaded.device.type == "cpu":
        # explicit matrix products: on a CPU they beat the fused kernel under a tree's mask
        loaded.causal.config._attn_implementation = "eager"
    return loaded


def train(
    recipe: FinetuneRecipe,
    data: TrainingData,
    folder: Path,
    *,
    accelerator: Accelerator,
    progress: Callable[[Moment], None] | None = None,
) -> tuple[TrainingRun, DistributionModel]:
    """Train ``recipe`` on ``data``, keeping checkpoints in ``folder``."""
    loaded = open_model(recipe)
    causal = loaded.causal
    inner = causal if recipe.lora is None else add_adapter(causal, recipe.lora, seed=recipe.seed)
    if recipe.compile:
        for layer in getattr(causal, causal.base_model_prefix).layers:
            layer.compile(dynamic=True)
    model = DistributionModel(inner)
    packer = Packer(
        PromptTokenizer(loaded.tokenizer),
        data.groups,
        recipe.style,
        chat=recipe.chat,
        limit=getattr(causal.config.get_text_config(), "max_position_embeddings", None),
    )
    fingerprint = {
        "recipe": recipe.hash,
        "table": data.train.content_hash,
        "validation": data.valid.content_hash if data.valid is not None else "",
        "base model": loaded.weights_hash,
    }
    trainer = Trainer(
        recipe,
        model,
        packer,
        data.train_rows,
        data.valid_rows,
        fingerprint=fingerprint,
        folder=folder,
        accelerator=accelerator,
        progress=progress,
    )
    return trainer.run(), model


def finetune_to_folder(
    recipe: FinetuneRecipe,
    out: Path,
    *,
    beside: Path = Path(),
    progress: Callable[[Moment], None] | None = None,
) -> TrainingRun:
    """Train and write ``out/adapter`` (PEFT) beside ``out/checkpoints``."""
    accelerator = Accelerator(cpu=recipe.device == "cpu" or not torch.cuda.is_available())
    data = training_data(recipe, beside)
    run, model = train(
        recipe, data, out / "checkpoints", accelerator=accelerator, progress=progress
    )
    if accelerator.is_main_process:
        save_adapter(model, run, out / "adapter", base=recipe.model)
    return run


def save_adapter(model: DistributionModel, run: TrainingRun, folder: Path, *, base: str) -> None:
    inner = model.inner
    inner.peft_config["default"].base_model_name_or_path = base
    weights = {k.removeprefix("inner."): v for k, v in run.weights.items()}
    inner.save_pretrained(
        folder, state_dict=weights, safe_serialization=True, save_embedding_layers=False
    )
