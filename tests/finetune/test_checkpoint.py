"""Which run a checkpoint belongs to; whole runs that are stopped and go on: test_finetune.py."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from opinioncast.errors import InputError
from opinioncast.finetune.checkpoint import STATE, Checkpoints, RunState

NOW = {"recipe": "r", "training rows": "t"}


def saved(folder: Path, state: RunState) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    checkpoints.save(state, {"w": torch.ones(2)}, {})
    return checkpoints


def test_what_is_another_is_named(tmp_path: Path) -> None:
    state = RunState(dict(NOW), 512, step=3)
    checkpoints = saved(tmp_path, state)
    assert checkpoints.newest(NOW) == state
    for part in NOW:
        with pytest.raises(InputError, match="another run") as error:
            checkpoints.newest(NOW | {part: "other"})
        assert error.value.found == f"another {part}"


def test_a_checkpoint_that_hashed_less_is_refused(tmp_path: Path) -> None:
    """What an older version left out of the fingerprint may be another now: nobody knows."""
    checkpoints = saved(tmp_path, RunState({"recipe": "r", "table": "v2:1"}, 512, step=3))
    with pytest.raises(InputError, match="another run") as error:
        checkpoints.newest(NOW)
    assert error.value.found == "a checkpoint of another version of opinioncast"


def test_a_state_holds_no_nan(tmp_path: Path) -> None:
    state = RunState(dict(NOW), 512, curve=[{"step": 0, "valid_kl": None, "valid_wd": 0.25}])
    saved(tmp_path, state)
    text = next(tmp_path.glob(f"*/{STATE}")).read_text("utf-8")
    assert json.loads(text, parse_constant=pytest.fail)["curve"][0]["valid_kl"] is None
    with pytest.raises(ValueError, match="not JSON compliant"):
        saved(tmp_path, RunState(dict(NOW), 512, start_loss=math.nan))
