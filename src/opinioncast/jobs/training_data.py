"""The rows of a fine-tuning recipe: its tables read, split, narrowed and held apart."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from opinioncast.curate.split import split_table
from opinioncast.errors import InputError
from opinioncast.finetune.recipe import FinetuneRecipe, SplitValidation
from opinioncast.finetune.targets import TrainingRow, training_rows
from opinioncast.survey import GroupScheme, OpinionTable, load_groups


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
        InputError: a group without rows, validation rows for none of the groups.
        DataError: tables that are absent, break their schema, or share a cell.
    """
    table = _tables(recipe.table, beside)
    valid: OpinionTable | None = None
    if isinstance(recipe.validation, SplitValidation):
        held = recipe.validation
        split = split_table(
            table,
            by=held.by,
            fractions={"train": 1 - held.fraction, "validation": held.fraction},
            seed=held.seed,
        )
        table, valid = split.parts["train"], split.parts["validation"]
    elif recipe.validation is not None:
        valid = _tables(recipe.validation, beside)
    if recipe.groups is None:
        groups = GroupScheme.of_standard(table.subpopulations(), "the training table")
    else:
        groups = load_groups(*recipe.groups)
    rows = training_rows(table, groups, refusal=recipe.refusal, row_weight=recipe.row_weight)
    if recipe.fraction < 1:
        questions = len({r.question for r in rows})
        rows = _some_questions(rows, max(1, round(recipe.fraction * questions)), recipe.seed)
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
        _check_apart(rows, valid_rows)
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


def _check_apart(train: Sequence[TrainingRow], valid: Sequence[TrainingRow]) -> None:
    both = {r.question for r in train} & {r.question for r in valid}
    if both:
        first = min(both, key=lambda q: q.question_id)
        raise InputError(
            "The validation rows ask what the training rows ask too",
            where=f"{len(both)} questions; {first.family} {first.wave} {first.question_id}",
            expected="no question in both",
            found=first.text,
            hint="use validation: {fraction: 0.1}, or split the table when it is curated",
        )
