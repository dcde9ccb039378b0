"""Processes of one torchrun: one leads, the others join each training until they are let go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.errors import InputError
from opinioncast.finetune.recipe import FinetuneRecipe
from opinioncast.reproduce import crew as module
from opinioncast.reproduce.crew import Crew, crew_of_torchrun
from opinioncast.reproduce.run import Request


class Board:
    """What a store does, in one process."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    def set(self, key: str, value: str) -> None:
        self.said[key] = value

    def get(self, key: str) -> bytes:
        return self.said[key].encode()

    def check(self, keys: list[str]) -> bool:
        return all(k in self.said for k in keys)


def test_the_others_join_every_training_also_one_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[tuple[str, Path]] = []

    def train(recipe: FinetuneRecipe, out: Path, **how: Any) -> None:
        joined.append((recipe.name, out))
        if recipe.name == "bad":
            raise InputError("It does not fit", expected="something else")

    monkeypatch.setattr(module, "finetune_to_folder", train)
    monkeypatch.setattr(module, "_PAUSE", 0.001)
    board = Board()
    other = Crew(1, 2, board)
    thread = Thread(target=other.follow)
    thread.start()
    lead = Crew(0, 2, board)
    assert lead.leads
    assert not other.leads
    first = FinetuneRecipe(name="good", table="train.parquet", seed=3)
    lead.train(first, tmp_path / "a", None)
    with pytest.raises(InputError):
        lead.train(first.model_copy(update={"name": "bad"}), tmp_path / "b", None)
    lead.train(first, tmp_path / "c", None)
    lead.end()
    thread.join(5)
    assert not thread.is_alive()
    folders = [tmp_path.resolve() / n for n in "abc"]
    assert sorted(p.name for _, p in joined) == ["a", "a", "b", "b", "c", "c"]
    assert [json.loads(v).get("folder") for v in board.said.values()] == [*map(str, folders), None]
    told = json.loads(board.said["opinioncast/reproduce/0"])["train"]
    assert FinetuneRecipe.model_validate(told) == first


def test_one_process_is_no_crew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert crew_of_torchrun() is None
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert crew_of_torchrun() is None


@pytest.mark.slow
def test_two_processes_make_one_reproduction(
    request_for: Callable[..., Request], tmp_path: Path
) -> None:
    """The second is not refused by the folder's lock: it joins the training, and writes nothing."""
    request_for("by_wave")  # writes recipe, setting and data
    setting = tmp_path / "tiny.yaml"
    text = setting.read_text("utf-8").replace("validation: held", "validation: null")
    setting.write_text(text, "utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    places = ["--data", str(tmp_path / "data"), "-o", str(tmp_path / "out")]
    command = ["-m", "opinioncast", "reproduce", str(tmp_path / "by_wave.yaml")]
    done = subprocess.run(
        [*launcher, "--nproc-per-node", "2", *command, "--setting", str(setting), *places],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "out" / "by_wave" / "by_wave.csv").is_file()
    (adapter,) = (tmp_path / "out" / "work" / "train").glob("*/adapter/manifest.json")
    assert json.loads(adapter.read_text("utf-8"))["processes"] == 2
