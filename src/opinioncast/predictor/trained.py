"""How an adapter, or a model trained whole, was prompted: read from the recipe in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from opinioncast.documents import read_document
from opinioncast.errors import DataError
from opinioncast.prompts import Prompting


@dataclass(frozen=True, slots=True)
class Training:
    """What a folder of ``opinioncast finetune`` says.

    Attributes:
        prompting: the prompts of training; None where the folder does not say (another trainer's).
        model: what the recipe calls its base model; None where it does not say.
    """

    prompting: Prompting | None = None
    model: str | None = None

    @classmethod
    def read(cls, folder: str | Path | None) -> Training:
        """Of an adapter's folder, or a model's.

        Raises:
            DataError: the folder's ``recipe.yaml`` names no prompt.
        """
        path = None if folder is None else Path(folder) / "recipe.yaml"
        if path is None or not path.is_file():
            return cls()
        recipe = read_document(path, "An adapter's recipe")
        if not isinstance(recipe, Mapping):
            raise DataError(
                "An adapter's recipe does not say how it was prompted",
                where=str(path),
                expected="layout, format, refusal and chat, as opinioncast finetune writes them",
                found=recipe,
            )
        said = recipe.get("model")
        return cls(Prompting.trained(recipe, str(path)), None if said is None else str(said))
