"""Adapters as prediction meets them: the shipped one by name, and the prompts of training."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from opinioncast.documents import read_document
from opinioncast.errors import DataError
from opinioncast.prompts import Answers, Format, Layout

SHIPPED = "shipped"
SHIPPED_ADAPTER = Path(str(resources.files("opinioncast") / "models" / "adapter"))
"""Of the embedded model, trained on the recipe ``training``; see its card."""


@dataclass(frozen=True, slots=True)
class Prompting:
    """How rows are put to a model; the defaults are those of a model without an adapter."""

    layout: Layout = Layout.QUESTION_FIRST
    format: Format = Format.QA
    refusal: bool = True
    chat: bool = False
    answers: Answers = Answers.LETTERS


def adapter_folder(adapter: str | None) -> str | None:
    """The folder of ``adapter``: ``shipped``, or a folder already."""
    return str(SHIPPED_ADAPTER) if adapter == SHIPPED else adapter


def trained_prompting(folder: str | None) -> Prompting | None:
    """The prompts an adapter of ``opinioncast finetune`` was trained on; None where its folder does
    not say (another trainer's).

    Raises:
        DataError: the folder's ``recipe.yaml`` names no prompt.
    """
    path, recipe = _recipe(folder)
    if recipe is None:
        return None
    try:
        return Prompting(
            Layout(recipe["layout"]),
            Format(recipe["format"]),
            bool(recipe["refusal"]),
            bool(recipe["chat"]),
            Answers(recipe.get("answers", Answers.LETTERS)),  # there were only letters once
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            "An adapter's recipe does not say how it was prompted",
            where=str(path),
            expected="layout, format, refusal and chat, as opinioncast finetune writes them",
            found=error,
        ) from error


def trained_model(folder: str | None) -> str | None:
    """What the recipe of an adapter calls its base model; None where it does not say."""
    _, recipe = _recipe(folder)
    said = recipe.get("model") if isinstance(recipe, dict) else None
    return None if said is None else str(said)


def _recipe(folder: str | None) -> tuple[Path | None, Any]:
    """Where the recipe of an adapter is, and what it says; None where there is none."""
    path = None if folder is None else Path(folder) / "recipe.yaml"
    if path is None or not path.is_file():
        return path, None
    return path, read_document(path, "An adapter's recipe")
