"""A made-up survey, a tiny model and a setting of them: whole reproductions in seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("plotly")

import yaml
from tests.backends.conftest import make_folder  # noqa: F401  a fixture
from tests.made_up_survey import answers, write_survey

from opinioncast.reproduce import figure_outputs
from opinioncast.reproduce.run import Request

OURS = {"name": "Ours", "method": "zero-shot", "training": "fine_tuned"}
ZERO_SHOT = {"name": "Zero-shot", "method": "zero-shot"}
COMPARED: dict[str, Any] = {"tables": ["held"], "zero_shot": ZERO_SHOT, "ours": OURS}
RECIPES: dict[str, dict[str, Any]] = {
    "by_method": {
        "kind": "methods",
        "tables": ["held", "pew"],
        "methods": [
            {"name": "Upper", "bound": "upper"},
            {"name": "Lower", "bound": "lower"},
            ZERO_SHOT,
            {"name": "Uniform", "method": "uniform", "tables": ["held"]},
            OURS,
        ],
        "paper": {
            "where": "Table 0",
            "key": ["table", "method"],
            "columns": ["table", "method", "Big"],
            "rows": [["held", "Ours", 0.1], ["pew", "Ours", 0.2]],
        },
    },
    "by_group": {
        "kind": "groups",
        **COMPARED,
        "groups": ["SEX=Male", "SEX=Female", "RELIG=Hindu"],
        "paper": {
            "where": "Table 00",
            "key": ["attribute", "group"],
            "columns": ["attribute", "group", "ours"],
            "rows": [["SEX", "Male", 0.3]],
            "statements": [
                {"what": "mean gain", "measure": "relative_mean", "value": 0.4, "where": "1"}
            ],
        },
    },
    "by_wave": {"kind": "waves", **COMPARED},
    "heat": {"kind": "heatmaps", **COMPARED, "attributes": ["SEX"]},
    "size": {
        "kind": "scaling",
        "tables": ["held"],
        "zero_shot": ZERO_SHOT,
        "fractions": [0.5, 1.0],
        "target": 0.1,
        "trainings": {"subset_50": {"table": "train", "subset": 0.5}},
    },
    "loss": {
        "kind": "curves",
        "tables": ["train"],
        "curves": {"KL": "fine_tuned", "WD": "wd"},
        "trainings": {
            "wd": {
                "table": "train",
                "validation": "held",
                "changes": {"loss": {"kl": 0, "wasserstein": 1}},
            }
        },
    },
    "use": {"kind": "input_use", "tables": ["held"], "methods": [ZERO_SHOT]},
    "where": {"kind": "map", "tables": ["train", "held"], "models": []},
    "alike": {"kind": "similarities", "tables": ["train", "held"], "models": []},
}


def encode(texts: Sequence[str]) -> np.ndarray[Any, Any]:
    """Random unit vectors: the sentence model has tests of its own."""
    raw = np.random.default_rng(len(texts)).normal(size=(len(texts), 8))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


def pew_row(number: int, group: str, shares: list[float]) -> dict[str, Any]:
    return {
        "qkey": f"Q{number}_W34",
        "attribute": "SEX",
        "group": group,
        "responses": shares,
        "refusal_rate": 0.01,
        "ordinal": [1.0, 2.0],
        "question": f"Is number {number} good?",
        "options": ["Yes", "No", "Refused"],
        "n": None if number == 0 else 100,
        "wave": 34,
        "visible": number < 3,
    }


@pytest.fixture
def request_for(
    tmp_path: Path,
    make_folder: Callable[..., Path],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Request]:
    """A request for some of RECIPES on the made-up survey."""
    monkeypatch.setattr(figure_outputs, "sentence_encoder", lambda: encode)
    monkeypatch.setattr("opinioncast.jobs.training_data.embedded_encoder", lambda: None)
    monkeypatch.setenv("OPINIONCAST_CACHE", str(tmp_path / "cache"))
    columns = {k: answers()[k] for k in ("w", "sex", "region")}
    columns |= {f"q{i}": answers(seed=i + 1)["q1"] for i in range(8)}
    split = {"fractions": {"train": 0.5, "held": 0.5}}
    curation = write_survey(tmp_path / "data", columns, split=split)
    draw = np.random.default_rng(3)
    rows = [
        pew_row(i, g, [float(s), 1 - float(s)])
        for i, s in enumerate(draw.uniform(0.2, 0.8, 4))
        for g in ("Male", "Female")
    ]
    lines = "\n".join(json.dumps(r) for r in rows)
    (tmp_path / "data" / "pew.jsonl").write_text(lines, "utf-8")
    table = {"title": "Made up", "curated": ["all"], "questions": 4, "cells": 16}
    setting = {
        "name": "tiny",
        "title": "a tiny model on a made-up survey",
        "prompt": {"layout": "question-first", "orders": "given"},
        "seen": ["SEX=Male"],
        "models": {
            "m": {
                "label": "Tiny",
                "model": str(make_folder("llama")),
                "finetune": {
                    "groups": ["SEX=Male", "SEX=Female", "CREGION=South"],
                    "lora": {"rank": 2, "alpha": 4, "dropout": 0.0, "targets": ["q_proj"]},
                    "optimizer": {"learning_rate": 0.01, "batch_rows": 6},
                    "checks": {"every": 1},
                    "pack_tokens": 600,
                    "dtype": "float32",
                    "device": "cpu",
                },
            }
        },
        "curations": {"all": {"recipe": str(curation)}},
        "tables": {
            "train": table | {"part": "train"},
            "held": table | {"part": "held", "bounds": True},
            "pew": {
                "title": "Pew",
                "file": ["pew.jsonl"],
                "where": {"visible": True},
                "questions": 3,
                "cells": 6,
            },
        },
        "trainings": {"fine_tuned": {"table": "train", "validation": "held"}},
        "get": {"pew": "ask Pew", "survey.sav": "ask around"},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(setting), "utf-8")
    for order, (name, recipe) in enumerate(RECIPES.items()):
        whole = {"paper": {"where": f"Figure 0{order}"}, "models": ["m"]} | recipe
        whole |= {"name": name, "order": order, "title": f"What {name} shows"}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(whole), "utf-8")

    def make(*names: str, **changed: Any) -> Request:
        settings: dict[str, Any] = {
            "setting": tmp_path / "tiny.yaml",
            "data": [tmp_path / "data"],
            "out": tmp_path / "out",
        }
        return Request([str(tmp_path / f"{n}.yaml") for n in names], **(settings | changed))

    return make
