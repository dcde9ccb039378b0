"""What is kept is shown and forgotten, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opinioncast.backends.api_journal import Journal
from opinioncast.backends.protocol import LabelRequest, LabelScores
from opinioncast.cli.main import main
from opinioncast.errors import InputError
from opinioncast.jobs.cache import cache_parts, clear_cache
from opinioncast.methods.row_cache import RowCache


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPINIONCAST_CACHE", str(tmp_path))
    with RowCache() as cache:
        keys = cache.keys([LabelRequest(f"p{i}", ("A", "B")) for i in range(3)], {})
        cache.put((k, LabelScores(np.zeros(2))) for k in keys)
    journal = Journal()
    journal.keep(Journal.key(1), {"text": "paid"})
    journal.close()
    (tmp_path / "rows.sqlite.damaged-1").write_bytes(b"x" * 100)
    (tmp_path / "models" / "gemma").mkdir(parents=True)
    (tmp_path / "models" / "gemma" / "weights").write_bytes(bytes(2000))
    (tmp_path / "notes.md").write_text("mine")
    return tmp_path


def test_parts_are_counted(filled: Path) -> None:
    parts = {p.name: p for p in cache_parts()}
    assert list(parts) == ["rows", "answers", "embeddings", "models"]
    assert parts["rows"].entries == {"rows": 3, "texts": 0}
    assert parts["answers"].entries["answers"] == 1
    assert parts["models"].size == 2000
    assert parts["embeddings"].files == ()
    assert [f.name for f in parts["rows"].files] == ["rows.sqlite", "rows.sqlite.damaged-1"]


def test_all_is_not_what_was_paid_for(filled: Path) -> None:
    cleared = clear_cache(["all"])
    assert [p.name for p in cleared] == ["rows", "embeddings", "models"]
    assert sorted(f.name for f in filled.iterdir()) == ["answers.sqlite", "models", "notes.md"]
    clear_cache(["answers"])
    assert sorted(f.name for f in filled.iterdir()) == ["models", "notes.md"]
    with pytest.raises(InputError, match="No part of the cache"):
        clear_cache(["notes.md"])


def test_the_command(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["cache"], ["cache", "--clear", "rows"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert not stop.value.code
    shown = capsys.readouterr().out
    assert "rows" in shown
    assert "paid for again" in shown
    assert f"in {filled}" in shown
    assert "forgot rows" in shown
    assert not (filled / "rows.sqlite").exists()
