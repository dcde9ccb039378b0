"""A small made-up survey on disk, and a recipe that curates it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyreadstat
import yaml

OPTIONS = {1.0: "Agree", 2.0: "Neither", 3.0: "Disagree"}
MISSING = {-1.0: "not asked", -8.0: "Don't know", -9.0: "Refused"}
GROUPS = {
    "name": "made_up",
    "attributes": {
        "SEX": {"variable": "sex", "groups": {"Male": [1], "Female": [2]}},
        "CREGION": {"variable": "region", "groups": {"South": [1], "West": [2]}},
    },
}


def answers(n: int = 400, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "w": rng.uniform(0.5, 2.0, n),
        "sex": rng.integers(1, 3, n).astype(float),
        "region": rng.integers(1, 3, n).astype(float),
        "q1": rng.choice([1.0, 2.0, 3.0, -1.0, -8.0, -9.0], n, p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05]),
        "q2": rng.choice([1.0, 2.0, 3.0], n),
    }


def write_survey(
    folder: Path,
    columns: Mapping[str, Any],
    *,
    name: str = "survey.sav",
    labels: Mapping[str, Mapping[float, str]] | None = None,
    **recipe: Any,
) -> Path:
    """Write the file, a group recipe, wordings and ``recipe.yaml``; return the recipe's path."""
    folder.mkdir(parents=True, exist_ok=True)
    questions = [c for c in columns if c.startswith("q")]
    frame = pl.DataFrame(dict(columns))
    value_labels: dict[str, Any] = dict.fromkeys(questions, OPTIONS | MISSING)
    value_labels |= {"sex": {1.0: "Male", 2.0: "Female"}, "region": {1.0: "South", 2.0: "West"}}
    value_labels |= labels or {}
    value_labels = {k: v for k, v in value_labels.items() if k in columns}
    if name.endswith(".dta"):
        whole = {k: {int(c): t for c, t in v.items()} for k, v in value_labels.items()}
        pyreadstat.write_dta(frame, str(folder / name), variable_value_labels=whole)
    else:
        pyreadstat.write_sav(
            frame,
            str(folder / name),
            variable_value_labels=value_labels,
            missing_ranges={q: [{"lo": -9, "hi": -1}] for q in questions},
        )
    (folder / "groups.yaml").write_text(yaml.safe_dump(GROUPS), encoding="utf-8")
    wording = {q: f"Do you agree with statement {q}?" for q in questions}
    (folder / "wording.json").write_text(json.dumps(wording), encoding="utf-8")
    wave = {
        "family": "MADE",
        "wave": "1",
        "file": name,
        "conventions": "anes",
        "wording": "wording.json",
        "groups": "groups.yaml",
        "weight": "w",
    } | recipe.pop("wave", {})
    content = {
        "name": "made_up",
        "citation": "Nobody (2025). A made-up survey.",
        "terms": "Made up.",
        "redistribution": "group-level",
        "groups": ["SEX=Male", "SEX=Female", "CREGION=South", "CREGION=West"],
        "select": {"min_n": 20},
        "waves": [wave],
    } | recipe
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path
