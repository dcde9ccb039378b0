"""How an adapter, or a model trained whole, was prompted: read from the recipe in its folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from opinioncast.documents import read_document
from opinioncast.errors import DataError
from opinioncast.prompts import Prompting
from opinioncast.survey.sameness import TRAINING_QUESTIONS

_DIGEST = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Training:
    """What a folder of ``opinioncast finetune`` says.

    Attributes:
        prompting: the prompts of training; None where the folder does not say (another trainer's).
        model: what the recipe calls its base model; None where it does not say.
        asked: :func:`opinioncast.survey.sameness.digests` of the training questions; empty where
            they were not kept.
    """

    prompting: Prompting | None = None
    model: str | None = None
    asked: str = ""

    @classmethod
    def read(cls, folder: str | Path | None) -> Training:
        """Of an adapter's folder, or a model's.

        Raises:
            DataError: the folder's ``recipe.yaml`` names no prompt, or its list of training
                questions is damaged.
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
        return cls(
            Prompting.trained(recipe, str(path)),
            None if said is None else str(said),
            _asked(path.with_name(TRAINING_QUESTIONS)),
        )


def _asked(path: Path) -> str:
    """The digests of the training questions; empty where there is no such file.

    Raises:
        DataError: the file holds something else.
    """
    if not path.is_file():
        return ""
    found = path.read_bytes().decode("ascii", "replace").split()
    wrong = [word for word in found if not _DIGEST.fullmatch(word)]
    if wrong or not found:
        raise DataError(
            "The list of training questions cannot be read",
            where=str(path),
            expected="hashes of sixteen digits, as opinioncast finetune writes them",
            found=wrong[0][:40] if wrong else "nothing",
            hint="copy the model's folder again, or remove the file: then nothing is counted",
        )
    return " ".join(found)
