"""The rows of a fine-tuning recipe: its tables read, split, narrowed and held apart."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from opinioncast.backends.catalogue import CATALOGUE, EMBEDDED_SENTENCES
from opinioncast.curate.overlap import (
    Encoder,
    QuestionSet,
    find_overlap,
    sameness_of,
    without_questions,
)
from opinioncast.curate.split import split_table
from opinioncast.errors import InputError
from opinioncast.finetune.recipe import FinetuneRecipe, SplitValidation
from opinioncast.finetune.targets import TrainingRow, training_rows
from opinioncast.readers.opinion_files import read_opinion_table
from opinioncast.survey import GroupScheme, OpinionTable, load_groups
from opinioncast.survey.sameness import MINILM_THRESHOLD, Sameness, find_same


@dataclass(frozen=True)
class TrainingData:
    """Tables and rows of a recipe.

    Attributes:
        sameness: validation questions that the training rows ask too, by the one rule of
            :mod:`opinioncast.survey.sameness`; None without validation. Those by key or wording are
            none; those by meaning are counted.
        taken_out: the same of the training questions that ``same_questions: remove`` took out of
            the training; None where nothing was to be taken out.
    """

    groups: GroupScheme
    train: OpinionTable
    valid: OpinionTable | None
    train_rows: Sequence[TrainingRow]
    valid_rows: Sequence[TrainingRow]
    sameness: Sameness | None = None
    taken_out: Sameness | None = None


@cache
def embedded_encoder() -> Encoder | None:
    """The embedded sentence model's, on the CPU; None where it is not installed."""
    if not CATALOGUE[EMBEDDED_SENTENCES].installed:
        return None
    from opinioncast.backends.sentences import SentenceModel  # PyTorch: only where needed

    return SentenceModel.load(device="cpu").encode


def training_data(
    recipe: FinetuneRecipe,
    beside: Path = Path(),
    *,
    open_encoder: Callable[[], Encoder | None] | None = None,
) -> TrainingData:
    """Read the recipe's tables and make its rows.

    Args:
        beside: folder where tables are looked for when they are not found as named.
        open_encoder: gives what tells which questions mean the same (texts to unit vectors), by
            default :func:`embedded_encoder`; where it gives None, only keys and wordings are
            compared.

    Raises:
        InputError: a group without rows, validation rows for none of the groups, a validation
            table that asks what the training table asks too.
        DataError: tables that are absent, break their schema, or share a cell.
    """
    table = _tables(recipe.table, beside)
    valid: OpinionTable | None = None
    taken_out: Sameness | None = None
    encode = None if recipe.validation is None else (open_encoder or embedded_encoder)()
    if isinstance(recipe.validation, SplitValidation):
        table, valid = _held_out(table, recipe.validation, encode)
    elif recipe.validation is not None:
        valid = _tables(recipe.validation, beside)
        if recipe.same_questions == "remove":
            taken_out = sameness_of(table, valid, encode)
            table = without_questions(table, [s.question for s in taken_out.found])
            if not len(table):
                raise InputError(
                    "Nothing is left to train on",
                    where="same_questions: remove",
                    expected="training questions that the validation tables do not ask",
                    found=f"{taken_out.words()}: all are asked there too",
                )
    if recipe.groups is None:
        groups = GroupScheme.of_standard(table.subpopulations(), "the training table")
    else:
        groups = load_groups(*recipe.groups)
    rows = training_rows(table, groups, refusal=recipe.refusal, row_weight=recipe.row_weight)
    if recipe.fraction < 1:
        questions = len({r.question for r in rows})
        rows = _some_questions(rows, max(1, round(recipe.fraction * questions)), recipe.seed)
    valid_rows: list[TrainingRow] = []
    sameness: Sameness | None = None
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
        sameness = _checked_apart(rows, valid_rows, encode)
    return TrainingData(groups, table, valid, rows, valid_rows, sameness, taken_out)


def _held_out(
    table: OpinionTable, held: SplitValidation, encode: Encoder | None
) -> tuple[OpinionTable, OpinionTable]:
    """Training and validation part.

    What is one question by key or wording stays together, and so does what means the same, where
    the table can be divided like that: of questions that are all alike (a battery) no share could
    be held out. Those of one meaning on both sides are then counted.
    """
    fractions = {"train": 1 - held.fraction, "validation": held.fraction}

    def split(linked: Sequence[tuple[str, str]]) -> tuple[OpinionTable, OpinionTable]:
        parts = split_table(table, by=held.by, fractions=fractions, seed=held.seed, linked=linked)
        return parts.parts["train"], parts.parts["validation"]

    if encode is not None and held.by == "question":
        asked = QuestionSet.of_table("the training table", table, encode)
        links = find_overlap(asked, threshold=MINILM_THRESHOLD).links()
        if links:
            try:
                apart = split(links)
            except InputError:
                return split(())
            share = len(apart[1]) / len(table)
            if abs(share - held.fraction) <= held.fraction / 2:
                return apart
    return split(())


def _tables(names: str | tuple[str, ...], beside: Path) -> OpinionTable:
    """One table of all, its rows in the order of their keys: neither the order of a file's rows
    nor that of the files shapes a run."""
    tables = []
    for name in [names] if isinstance(names, str) else names:
        path = Path(name)
        tables.append(read_opinion_table(path if path.exists() else beside / name))
    meta = tables[0].meta if len(tables) == 1 else {"tables": [dict(t.meta) for t in tables]}
    return OpinionTable(pl.concat([t.frame for t in tables]), meta).in_key_order()


def _some_questions(rows: list[TrainingRow], most: int | None, seed: int) -> list[TrainingRow]:
    questions = list(dict.fromkeys(r.question for r in rows))
    if most is None or most >= len(questions):
        return rows
    kept = set(random.Random(seed).sample(questions, most))
    return [r for r in rows if r.question in kept]


def _checked_apart(
    train: Sequence[TrainingRow], valid: Sequence[TrainingRow], encode: Encoder | None
) -> Sameness:
    """The validation questions that are trained on; none by key or wording."""
    held, asked = (list(dict.fromkeys(r.question for r in rows)) for rows in (valid, train))
    found = find_same(held, asked, encode)
    named = found.of(["key", "wording"])
    if named:
        first = min(named, key=lambda s: s.question)
        raise InputError(
            "The validation rows ask what the training rows ask too",
            where=f"{len(named)} questions; {' '.join(filter(None, first.question[:3]))}",
            expected="no question in both, under whatever id, wave, family or spelling",
            found=f"{first.question.text} / {first.other.text} (the same {first.reason}: "
            f"{' '.join(filter(None, first.other[:3]))} in the training table)",
            hint="use validation: {fraction: 0.1}, or same_questions: remove, which takes them out "
            "of the training",
        )
    if alike := found.count("meaning"):
        warnings.warn(
            f"{alike} of {found.questions} validation questions mean what a training question "
            f"means (cosine {found.threshold:g} or more): their scores flatter",
            stacklevel=3,
        )
    return found
