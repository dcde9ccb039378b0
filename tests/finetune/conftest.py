"""Tiny models (shared with the backend's tests) and a small opinion table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from tests.backends.conftest import make_folder  # noqa: F401  a fixture
from tests.finetune.small_table import make_table

from opinioncast.survey import OpinionTable


@pytest.fixture(autouse=True)
def no_sentence_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading one takes seconds; what it does to a split is tested beside ``training_data``."""
    monkeypatch.setattr("opinioncast.jobs.training_data.embedded_encoder", lambda: None)


@pytest.fixture
def table() -> OpinionTable:
    return make_table()


@pytest.fixture
def table_file(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str = "table.parquet", **settings: Any) -> Path:
        return make_table(**settings).write(tmp_path / name)

    return write
