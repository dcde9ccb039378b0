"""The command reproduce: plan, run, document, errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("plotly")

from tests.backends.conftest import make_folder  # noqa: F401  a fixture
from tests.reproduce.conftest import request_for  # noqa: F401  a fixture

from opinioncast.cli.main import main
from opinioncast.reproduce.run import Request


def run(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code in (None, 0)


@pytest.mark.slow
def test_the_plan_is_printed_and_nothing_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run(["reproduce", "table5", "--data", str(tmp_path), "-o", str(out), "--dry-run"])
    text = capsys.readouterr().out
    assert "main-augment_100" in text
    assert "8,964" in text  # 747 questions, 6 groups, 2%, 100 passes
    assert "missing file: gss_2018.zsav" in text
    assert not out.exists()


@pytest.mark.slow
def test_what_is_missing_ends_with_a_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["reproduce", "all", "--setting", "paper", "--data", str(tmp_path)])
    assert stop.value.code == 2
    assert "ATP W68.sav: pewresearch.org" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_writes_files_and_document(
    request_for: Callable[..., Request],  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    request = request_for("by_wave")
    command = ["reproduce", *request.names, "--setting", str(request.setting)]
    command += ["--data", str(request.data[0]), "-o", str(request.out), "--questions", "2"]
    run([*command, "--docs", str(tmp_path / "docs" / "mine.md")])
    shown = capsys.readouterr()
    assert f"wrote {request.out / 'by_wave'}" in shown.out.replace("\n", "")
    assert "train m-fine_tuned" in shown.err
    text = (tmp_path / "docs" / "mine.md").read_text("utf-8")
    assert "What by_wave shows" in text
    stored = tmp_path / "docs" / "mine" / "results.json"
    stored.write_text(stored.read_text("utf-8").replace('"tiny"', '"other"'), "utf-8")
    with pytest.raises(SystemExit) as stop:
        main([*command, "--docs", str(tmp_path / "docs" / "mine.md")])
    assert stop.value.code == 2
    shown = capsys.readouterr()
    assert "another setting" in shown.err
    assert "there already" not in shown.err  # told before anything is run
