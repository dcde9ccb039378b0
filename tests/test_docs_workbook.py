"""docs/workbook.md keeps its word: its commands run, in order, on files of the kinds it names."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from opinioncast.cli.main import app
from opinioncast.survey import OpinionTable, Question, Subpopulation, load_groups, opinion_row

PAGE = Path(__file__).parents[1] / "docs" / "workbook.md"
COMMANDS = re.findall(r"^    opinioncast (.+)$", PAGE.read_text("utf-8"), re.MULTILINE)
QUESTIONNAIRE = """
questions:
  - {id: rent, question: Limit rents?, options: [Favor, Oppose, Not sure], scale: [1, 2, -1]}
  - {id: why, question: Why?, options: [Fair, Cheap]}
"""
PILOT = """
name: pilot
citation: made up
terms: none
redistribution: group-level
groups: [total, "SEX=Female", "SEX=Male"]
waves:
  - {family: P, wave: "1", file: pilot.csv, codebook: codebook.json, groups: groups.yaml}
"""
GROUPS = """
name: pilot
attributes:
  SEX: {variable: sex, groups: {Male: [1], Female: [2]}}
"""
CODEBOOK = """[{"variable": "rent", "question": "Limit rents?", "options": ["Favor", "Oppose"],
 "codes": [1, 2], "ordinal": [1, 2], "missing_codes": []}]"""


@pytest.mark.slow
def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("questionnaire.yaml").write_text(QUESTIONNAIRE)
    Path("pilot.yaml").write_text(PILOT)
    Path("groups.yaml").write_text(GROUPS)
    Path("codebook.json").write_text(CODEBOOK)
    rows = [f"{1 + (i % 3 == 0)},{1 + i % 2}" for i in range(400)]
    Path("pilot.csv").write_text("\n".join(["rent,sex", *rows]) + "\n")
    rent = Question("rent", "Limit rents?", ("Favor", "Oppose", "Not sure"), (1, 2, -1))
    groups: list[Subpopulation] = list(load_groups("total", "paper22"))
    OpinionTable.from_rows(
        opinion_row(rent, g, [0.5, 0.4, 0.1], n=200, n_eff=150.0) for g in groups
    ).write("opinions.parquet")
    assert len(COMMANDS) == 8
    for command in COMMANDS:
        arguments = shlex.split(command)
        if arguments[0] == "predict":
            arguments += ["--method", "uniform"]  # the page is not about the method
        ran = CliRunner().invoke(app, arguments)
        assert ran.exit_code == 0, f"{command}\n{ran.output}\n{ran.exception}"
    assert Path("out/predictions.xlsx").is_file()
    assert Path("pilot/banner.xlsx").is_file()
    assert Path("synthetic/synthetic_rents_n2000.sav").is_file()
    if shutil.which("Rscript") is None:
        pytest.skip("the commands ran; no R here for the lines of the pages")
    again = "predict questionnaire.yaml -g total -g paper22 --method uniform -o out --write csv"
    assert CliRunner().invoke(app, again.split()).exit_code == 0
    pages = (PAGE, PAGE.with_name("reading_outputs.md"))
    lines = [t for p in pages for t in re.findall(r"```r\n(.*?)```", p.read_text("utf-8"), re.S)]
    assert len(lines) == 2
    asked = "if (!requireNamespace('haven', quietly = TRUE)) quit(status = 77)"
    Path("lines.R").write_text("\n".join([asked, *lines, "stopifnot(nrow(women) == 5)"]), "utf-8")
    r = subprocess.run(["Rscript", "lines.R"], capture_output=True, text=True, check=False)
    if r.returncode == 77:
        pytest.skip("the commands ran; no haven here for the lines of the pages")
    assert r.returncode == 0, r.stderr
