"""A fine-tuned model as a folder of its own, ready for a model hub: adapter merged into its base.

The folder holds the weights (safetensors), the tokenizer, the card (data, terms, scores, and how
far merged and adapted predictions lie apart), the recipe, by which ``predict`` puts questions as in
training, and the manifest. Pushing it is the user's own command.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opinioncast.backends.catalogue import CATALOGUE, folder_of
from opinioncast.documents import read_document
from opinioncast.errors import InputError, ModelError
from opinioncast.files import atomic_path, made_apart
from opinioncast.finetune.card import LIMITS, front_matter
from opinioncast.finetune.merge import merge_adapter
from opinioncast.jobs.manifest import write_manifest
from opinioncast.output_folder import holds_folder
from opinioncast.predictor import Predictor
from opinioncast.survey import GroupScheme, PredictionTable, Question, Subpopulation, load_groups
from opinioncast.survey.sameness import TRAINING_QUESTIONS

CARD, RECIPE, VALIDATION = "README.md", "recipe.yaml", "validation.parquet"
_QUESTIONS, _GROUPS = 6, 4
_APART = {"float32": 1e-3, "bfloat16": 0.05, "float16": 0.02}
"""Largest difference of a share between merged and adapted model that rounding explains."""

_ASKED = Question(
    "rent", "Do you favor or oppose a limit on yearly rent increases?", ("Favor", "Oppose"), (1, 2)
)


@dataclass(frozen=True)
class Export:
    """What :func:`export_to_folder` made.

    Attributes:
        apart: largest difference of a share between the merged and the adapted model.
        cells: compared.
        files: in ``folder``.
    """

    folder: Path
    apart: float
    cells: int
    files: tuple[Path, ...]


@holds_folder("export")
def export_to_folder(
    adapter: Path, out: Path, *, model: str | None = None, dtype: str | None = None
) -> Export:
    """Merge ``adapter`` into its base, write the folder and compare the two.

    Args:
        model: the base: ``embedded``, a folder or a hub name; None: as the adapter's recipe or
            configuration names it.
        dtype: of the merged weights; None: as the base's files have them.

    Raises:
        InputError: the folder holds a whole model already.
        ModelError: no adapter, one of another base or that cannot be merged; or the merged model
            predicts something else than the adapted one.
        StorageError: the folder cannot be written.
    """
    settings = _settings(adapter)
    base = model or str(settings["base"])
    merged, tokenizer, belongs = merge_adapter(folder_of(base), adapter, dtype)
    used = str(merged.dtype).removeprefix("torch.")
    with made_apart(out) as work:
        merged.save_pretrained(work)
        tokenizer.save_pretrained(work)
        names = sorted(f.relative_to(work) for f in work.rglob("*") if f.is_file())
    files = [out / name for name in names]
    del merged
    for name in (RECIPE, TRAINING_QUESTIONS):
        if (adapter / name).is_file():
            files.append(out / name)
            with atomic_path(files[-1]) as temporary:
                shutil.copyfile(adapter / name, temporary)
    apart, cells = _compared(adapter, base, out, used)
    if not apart <= _APART.get(used, 1e-3):
        raise ModelError(
            "The merged model predicts something else than the adapted one",
            where=str(out),
            expected=f"shares within {_APART.get(used, 1e-3):g} in {used}",
            found=f"{apart:.3g} in {cells} cells",
            hint="give dtype float32, or pass the adapter on as it is",
        )
    files.append(out / CARD)
    with atomic_path(files[-1]) as temporary:
        temporary.write_text(_card(adapter, base, used, apart, cells), "utf-8")
    record = {
        "origin": "model trained on survey data, group level",
        "base": base,
        "base_compared": belongs,
        "adapter": settings["manifest"],
        "dtype": used,
        "largest_difference": apart,
        "cells_compared": cells,
    }
    files.append(write_manifest(out, record, files))
    return Export(out, apart, cells, tuple(files))


def _settings(adapter: Path) -> dict[str, Any]:
    """Base and manifest of an adapter's folder."""
    config = adapter / "adapter_config.json"
    if not config.is_file() and (adapter / "config.json").is_file():
        raise InputError(
            "The folder holds a whole model, not an adapter",
            where=str(adapter),
            expected="the folder of an adapter",
            found="a model that was trained whole",
            hint="it is ready for a hub as it is: hf upload NAME FOLDER",
        )
    found: Mapping[str, Any] = {}
    if config.is_file():
        found = read_document(config, "An adapter's configuration", error=ModelError)
    manifest = adapter / "manifest.json"
    said = read_document(manifest, "A manifest") if manifest.is_file() else {}
    recipe = said.get("recipe") if isinstance(said, Mapping) else None
    named = recipe.get("model") if isinstance(recipe, Mapping) else None
    base = named or found.get("base_model_name_or_path")
    if base is None and config.is_file():
        raise InputError(
            "The adapter names no base model",
            where=str(config),
            expected="base_model_name_or_path",
            hint="give the base with --model",
        )
    wanted = ("recipe", "fingerprint", "data", "scores", "best_step", "steps")
    return {"base": base, "manifest": {k: said[k] for k in wanted if k in said} or None}


def _compared(adapter: Path, base: str, out: Path, dtype: str) -> tuple[float, int]:
    """The largest difference of a share, and over how many cells."""
    questions, groups = _cells(adapter)
    tables = []
    models: list[dict[str, Any]] = [{"model": base, "adapter": str(adapter)}, {"model": str(out)}]
    for where in models:
        with Predictor(
            method="zero-shot", orders="given", dtype=dtype, use_cache=False, **where
        ) as predictor:
            tables.append(predictor.predict(questions, groups).table.frame)
    one, two = (np.concatenate(t["distribution"].to_list()) for t in tables)
    return float(np.abs(one - two).max()), len(tables[0])


def _cells(adapter: Path) -> tuple[list[Question], GroupScheme]:
    """Some of the validation's cells; a made-up question's where there was none."""
    path = adapter / VALIDATION
    if not path.is_file():
        return [_ASKED], load_groups("POLPARTY=Democrat", "POLPARTY=Republican", "TOTAL")
    table = PredictionTable.read(path)
    groups: list[Subpopulation] = table.subpopulations()[:_GROUPS]
    return table.questions()[:_QUESTIONS], GroupScheme.of_standard(groups, str(path))


def _card(adapter: Path, base: str, dtype: str, apart: float, cells: int) -> str:
    """The adapter's card, as that of a model by itself."""
    own = adapter / CARD
    text = own.read_text("utf-8") if own.is_file() else f"# {adapter.name}\n\n## Limits\n\n{LIMITS}"
    body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    body = body.replace(f"--model {base} --adapter FOLDER", "--model FOLDER")
    shipped = CATALOGUE.get(base)
    said = re.search(r"\A---\n.*?^license: (\S+)$", text, flags=re.DOTALL | re.MULTILINE)
    licence = shipped.licence if shipped else said[1] if said else None
    name = base if shipped is None else shipped.label
    return (
        front_matter(name, licence, adapter=False)
        + body.rstrip()
        + "\n\n## Merged\n\n"
        + f"The adapter was added to the weights of {name} in single precision and rounded to "
        + f"{dtype} once. Its shares and those of the base with the adapter differ by {apart:.2g} "
        + f"at most, over {cells} cells.\n"
    )
