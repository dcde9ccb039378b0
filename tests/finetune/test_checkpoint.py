"""Which run a checkpoint belongs to; whole runs that are stopped and go on: test_finetune.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.finetune.small_table import make_table

from opinioncast.errors import InputError
from opinioncast.finetune.checkpoint import Checkpoints, RunState
from opinioncast.survey.identity import hash_by_first_rule
from opinioncast.survey.tables import KEY


def test_a_run_stopped_under_an_older_version_goes_on(tmp_path: Path) -> None:
    """Its checkpoint names the table by the hash of that time."""
    table = make_table()
    checkpoints = Checkpoints(tmp_path)
    state = RunState({"recipe": "r", "table": hash_by_first_rule(table.frame, KEY)}, 512, step=3)
    checkpoints.save(state, {"w": torch.ones(2)}, {})
    now, same = {"recipe": "r", "table": table.content_hash}, {"table": table.has_content}
    assert checkpoints.newest(now, same) == state
    with pytest.raises(InputError, match="another run") as error:
        checkpoints.newest({**now, "recipe": "s"}, same)
    assert error.value.found == "another recipe"
    other = table.filter(table.frame["group"] == table.frame["group"][0])
    with pytest.raises(InputError, match="another run") as error:
        checkpoints.newest(now, {"table": other.has_content})
    assert error.value.found == "another table"
