"""Who is told of a training while it runs: TensorBoard, Weights & Biases, MLflow, by accelerate.

Nobody unless the recipe names them, and no account is needed: TensorBoard and MLflow write files
under the run's folder, Weights & Biases is offline, unless its own environment variables
(``WANDB_MODE``, ``MLFLOW_TRACKING_URI``) say otherwise.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from opinioncast.errors import ModelError
from opinioncast.finetune.recipe import FinetuneRecipe

FOLDER = "trackers"
PACKAGES: dict[str, tuple[str, ...]] = {
    "tensorboard": ("tensorboardX", "tensorboard"),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
}
"""Tracker -> packages any of which serves it."""


def check_trackers(recipe: FinetuneRecipe) -> list[str]:
    """The recipe's trackers.

    Raises:
        ModelError: the package of one is not installed.
    """
    for name in recipe.trackers:
        if not any(importlib.util.find_spec(package) for package in PACKAGES[name]):
            raise ModelError(
                "A tracker is not installed",
                where=f"trackers: {name}",
                expected=f"the package {' or '.join(PACKAGES[name])}",
                found="not installed",
                hint=f"pip install {PACKAGES[name][0]}, or leave it out: curve.csv and curve.png "
                "are written anyway",
            )
    return list(recipe.trackers)


@contextmanager
def told(accelerator: Accelerator, recipe: FinetuneRecipe, out: Path) -> Iterator[None]:
    """The recipe's trackers hear of what is logged in this block; their files are in
    ``out/trackers``."""
    if not recipe.trackers:
        yield
        return
    folder = (out / FOLDER).resolve()
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
    accelerator.project_configuration.logging_dir = str(folder)
    local = {"WANDB_MODE": "offline", **_mlflow_in(folder / "mlflow")}
    ours = {name: value for name, value in local.items() if name not in os.environ}
    os.environ.update(ours)
    accelerator.init_trackers(
        "opinioncast",
        config=_flat(recipe.model_dump(mode="json")),
        init_kwargs={
            "wandb": {"name": recipe.name, "dir": str(folder)},
            "mlflow": {"run_name": recipe.name, "logging_dir": (folder / "mlflow").as_uri()},
        },
    )
    try:
        yield
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()
        accelerator.trackers = []
        for name in ours:
            del os.environ[name]


def _mlflow_in(folder: Path) -> dict[str, str]:
    """Where MLflow writes: into a database of one file, which it wants, or into plain files where
    its small package (mlflow-skinny) is installed without a database's."""
    if importlib.util.find_spec("sqlalchemy"):
        folder.mkdir(parents=True, exist_ok=True)
        return {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    return {"MLFLOW_TRACKING_URI": folder.as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}


def _flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Settings by dotted name; what is no number or text as text, which every tracker takes."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = (
                value if isinstance(value, (str, int, float, bool)) else str(value)
            )
    return flat
