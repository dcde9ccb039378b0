"""How rows are put to a model: as its adapter was trained, else as the setting says."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from opinioncast.jobs.adapters import Prompting, trained_prompting
from opinioncast.reproduce.recipe import MethodRow, TrainingRecipe
from opinioncast.reproduce.setting import Setting


def set_prompting(setting: Setting, row: MethodRow, model: str) -> Prompting:
    """What the setting and the row say."""
    chat = setting.models[model].chat
    return Prompting(setting.prompt.layout, row.format, True, chat, row.answers)


def used_prompting(setting: Setting, row: MethodRow, model: str, adapter: Path | None) -> Prompting:
    """What the adapter was trained with, where its folder says; a format the row names stays.

    Raises:
        DataError: the adapter's recipe names no prompt.
    """
    said = set_prompting(setting, row, model)
    trained = None if adapter is None else trained_prompting(str(adapter))
    if trained is None:
        return said
    return replace(trained, format=row.format) if "format" in row.model_fields_set else trained


def prompted_otherwise(
    setting: Setting, row: MethodRow, model: str, adapter: Path | None
) -> dict[str, str | bool]:
    """All of :func:`used_prompting` where it is not :func:`set_prompting`, else nothing."""
    used = used_prompting(setting, row, model, adapter)
    if used == set_prompting(setting, row, model):
        return {}
    return {k: v if isinstance(v, bool) else str(v) for k, v in asdict(used).items()}


def own_prompting(
    setting: Setting, row: MethodRow, model: str, training: TrainingRecipe
) -> Prompting:
    """How an adapter of the recipe's own training would be asked; a format the row names stays.

    Raises:
        InputError: a training that does not fit.
    """
    tuned = setting.finetune(model, training, {"name": "training", "table": training.table})
    own = Prompting(tuned.layout, tuned.format, tuned.refusal, tuned.chat, tuned.answers)
    return replace(own, format=row.format) if "format" in row.model_fields_set else own


def prompting_words(
    setting: Setting, row: MethodRow, model: str, training: TrainingRecipe, adapter: Path
) -> str:
    """How the adapter's prompts differ from those of the recipe's own training, in words; empty
    where they do not.
    """
    said, used = (
        asdict(p)
        for p in (
            own_prompting(setting, row, model, training),
            used_prompting(setting, row, model, adapter),
        )
    )
    parts = [f"{k} {used[k]} instead of {said[k]}" for k in said if used[k] != said[k]]
    return f"prompted as it was trained ({', '.join(parts)})" if parts else ""
