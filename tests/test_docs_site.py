"""The site of the docs: it builds whole, and the tutorials' commands run in their order."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from opinioncast.cli.main import COMMANDS, app

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["tutorial_workbook", "tutorial_pilot"])
def test_the_commands_of_a_tutorial_run(page: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{1 + (i % 3 == 0)},{1 + i % 2}" for i in range(100)]
    Path("pilot.csv").write_text("\n".join(["rent,sex", *rows]) + "\n")
    ran = 0
    for kind, name, text in _BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text("utf-8")):
        if name:
            Path(name).write_text(text, "utf-8")
        for command in text.splitlines() if kind == "sh" else ():
            arguments = shlex.split(command)[1:]
            if arguments[0] == "predict":
                arguments += ["--method", "uniform"]  # the tutorials are not about the method
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception}"
            ran += 1
    assert ran >= 3
    assert Path("tables/banner.xlsx").is_file()


@pytest.mark.slow
def test_the_site_builds_strictly_with_every_command_and_name(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    made = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    commands = (tmp_path / "commands.html").read_text("utf-8")
    assert [c for c in COMMANDS if f"opinioncast {c}" not in commands] == []
    assert "Predictor.predict" in (tmp_path / "python.html").read_text("utf-8")
