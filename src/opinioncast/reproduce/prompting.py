"""How rows are put to a model: as its adapter was trained, else as the setting says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from opinioncast.predictor.trained import Training
from opinioncast.prompts import Prompting
from opinioncast.reproduce.recipe import MethodRow, TrainingRecipe
from opinioncast.reproduce.setting import Setting


def set_prompting(setting: Setting, row: MethodRow, model: str) -> Prompting:
    """What the setting and the row say."""
    return Prompting(
        layout=setting.prompt.layout,
        format=row.format,
        answers=row.answers,
        chat=setting.models[model].chat,
        orders=setting.prompt.orders,
    )


def used_prompting(setting: Setting, row: MethodRow, model: str, adapter: Path | None) -> Prompting:
    """What the adapter was trained with, where its folder says; a format the row names stays.

    Raises:
        DataError: the adapter's recipe names no prompt.
    """
    said = set_prompting(setting, row, model)
    trained = Training.read(adapter).prompting
    if trained is None:
        return said
    return _of_row(replace(trained, orders=said.orders), row)


def own_prompting(
    setting: Setting, row: MethodRow, model: str, training: TrainingRecipe
) -> Prompting:
    """How an adapter of the recipe's own training would be asked; a format the row names stays.

    Raises:
        InputError: a training that does not fit.
    """
    tuned = setting.finetune(model, training, {"name": "training", "table": training.table})
    return _of_row(replace(tuned.prompting, orders=setting.prompt.orders, seed=0), row)


def prompting_words(
    setting: Setting, row: MethodRow, model: str, training: TrainingRecipe, adapter: Path
) -> str:
    """How the adapter's prompts differ from those of the recipe's own training, in words; empty
    where they do not.
    """
    used = used_prompting(setting, row, model, adapter)
    differing = used.differences(own_prompting(setting, row, model, training))
    parts = [f"{name} {here} instead of {there}" for name, (here, there) in differing.items()]
    return f"prompted as it was trained ({', '.join(parts)})" if parts else ""


def _of_row(prompting: Prompting, row: MethodRow) -> Prompting:
    return replace(prompting, format=row.format) if "format" in row.model_fields_set else prompting
