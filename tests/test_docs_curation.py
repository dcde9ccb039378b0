"""Every example in docs/curation.md is run: its files written, its commands executed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pyreadstat
import pytest
from typer.testing import CliRunner

from opinioncast.cli.main import app
from opinioncast.curate.question_file import read_questions
from opinioncast.curate.scale_file import read_scales
from opinioncast.curate.select import read_selection
from opinioncast.survey import OpinionTable, load_groups

DOCUMENT = Path(__file__).parents[1] / "docs" / "curation.md"
_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_N = 400


def blocks() -> list[tuple[str, str, str]]:
    return [(m[1], m[2] or "", m[3]) for m in _BLOCK.finditer(DOCUMENT.read_text("utf-8"))]


def commands() -> list[str]:
    return [
        line
        for kind, _, text in blocks()
        if kind == "sh"
        for line in text.splitlines()
        if line.startswith("opinioncast ")
    ]


def people() -> Mapping[str, np.ndarray]:
    draw = np.random.default_rng(25)
    return {
        "gender": draw.choice([1.0, 2.0], _N),
        "age": draw.integers(18, 90, _N).astype(float),
        "tenure": draw.choice([1.0, 2.0], _N),
        "q1": draw.choice([1.0, 2.0, 9.0], _N, p=[0.5, 0.4, 0.1]),
        "q2": draw.choice([1.0, 2.0, 3.0, 4.0], _N, p=[0.4, 0.3, 0.2, 0.1]),
        "w": draw.uniform(0.4, 1.6, _N).round(3),
        "stratum": draw.integers(1, 5, _N).astype(float),
        "precinct": draw.integers(1, 13, _N).astype(float),
    }


SAFE = ("Very safe", "Fairly safe", "A bit unsafe", "Very unsafe")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the document's files and small surveys that fit them."""
    folder = tmp_path_factory.mktemp("town")
    for _, name, text in blocks():
        if name:
            (folder / name).write_text(text, "utf-8")
    columns = people()
    labels = {
        "gender": {1: "Male", 2: "Female"},
        "tenure": {1: "Owns", 2: "Rents"},
        "q1": {1: "Approve", 2: "Disapprove", 9: "DK"},
        "q2": dict(enumerate(SAFE, start=1)),
    }
    frame = pl.DataFrame(columns)
    said = {"q1": "Job of the mayor", "q2": "Safety after dark", "age": "Age of respondent"}
    names = [said.get(c, c) for c in frame.columns]
    pyreadstat.write_sav(
        frame,
        str(folder / "town.sav"),
        column_labels=names,
        variable_value_labels=labels,
        missing_ranges={"q1": [9]},
    )
    pyreadstat.write_dta(
        frame, str(folder / "town.dta"), column_labels=names, variable_value_labels=labels
    )
    pl.DataFrame(
        {
            "sex": np.where(columns["gender"] == 1, "man", "woman"),
            "income": np.array(["under 2000", "2000-3999", "4000 and more"])[
                columns["precinct"].astype(int) % 3
            ],
            "q1": columns["q1"].astype(int),
            "q2": np.array([*SAFE, "No answer"])[columns["q2"].astype(int) - 1],
            "w": columns["w"],
        }
    ).write_csv(folder / "town.csv")
    return folder


def run(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.chdir(folder)
    (folder / "FOLDER").mkdir(exist_ok=True)
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    return result.exit_code, f"{result.output}\n{result.exception}"


@pytest.mark.parametrize("command", commands())
def test_every_command_does_what_the_document_says(
    command: str, town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if command.endswith("first/town_recipe.yaml --out first/table"):
        run("opinioncast init town.sav --out first", town, monkeypatch)
    status, said = run(command, town, monkeypatch)
    if "FOLDER" in command:  # files that cannot be here: they must be asked for by name
        assert status != 0
        assert "file(s) of the recipe" in said
    elif not (command.startswith("opinioncast init") and "there already" in said):
        assert status == 0, said


def shares(table: Path, question: str, attribute: str = "TOTAL", group: str = "All adults") -> dict:
    frame = OpinionTable.read(table / "opinions.parquet").frame
    row = frame.filter(
        pl.col("question_id") == question,
        pl.col("attribute") == attribute,
        pl.col("group") == group,
    ).row(0, named=True)
    return dict(zip(row["options"], row["distribution"], strict=True))


def by_hand(codes: Mapping[float, str], variable: str, members: np.ndarray | None = None) -> dict:
    """Weighted shares of ``codes`` by plain sums."""
    columns = people()
    inside = np.ones(_N, bool) if members is None else members
    sums = {
        text: columns["w"][(columns[variable] == code) & inside].sum()
        for code, text in codes.items()
    }
    return {text: value / sum(sums.values()) for text, value in sums.items()}


@pytest.mark.parametrize("recipe", ["town", "town_stata", "town_csv"])
def test_the_worked_examples_give_the_right_figures(
    recipe: str, town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, said = run(f"opinioncast curate {recipe}.yaml --out t/{recipe}", town, monkeypatch)
    assert status == 0, said
    table = town / "t" / recipe
    expected = by_hand({1.0: "Approve", 2.0: "Disapprove"}, "q1")
    assert shares(table, "q1") == pytest.approx(expected, abs=1e-9)
    women = people()["gender"] == 2
    expected = by_hand({1.0: "Approve", 2.0: "Disapprove"}, "q1", women)
    assert shares(table, "q1", "SEX", "Female") == pytest.approx(expected, abs=1e-9)
    if recipe == "town":
        owners = people()["tenure"] == 1
        expected = by_hand({1.0: "Approve", 2.0: "Disapprove"}, "q1", owners)
        assert shares(table, "q1", "TENURE", "Own") == pytest.approx(expected, abs=1e-9)
        old = people()["age"] >= 65
        expected = by_hand({1.0: "Approve", 2.0: "Disapprove"}, "q1", old)
        assert shares(table, "q1", "AGE", "65+") == pytest.approx(expected, abs=1e-9)
    else:
        expected = by_hand(dict(enumerate(SAFE, start=1)), "q2")
        assert shares(table, "q2") == pytest.approx(expected, abs=1e-9)
    if recipe == "town_csv":
        low = people()["precinct"].astype(int) % 3 == 0
        expected = by_hand({1.0: "Approve", 2.0: "Disapprove"}, "q1", low)
        assert shares(table, "q1", "BANDS", "Low") == pytest.approx(expected, abs=1e-9)


def test_the_files_of_decisions_are_read(town: Path) -> None:
    questions = read_questions(town / "chosen.yaml", "2025")
    assert questions["q2"].codes == (1, 2, 3, 4)
    assert read_selection(town / "my_selection.yaml").keep == {
        "q2": "asked of all who live in town"
    }
    assert read_scales(town / "my_scales.yaml").by_variable == {"q1": (1.0, 2.0)}
    assert [s.group for s in load_groups(town / "tenure.yaml")] == ["Own", "Rent"]


def test_no_example_is_left_out() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert not re.search(r"^ {4}opinioncast", text, re.MULTILINE)
    assert {kind for kind, _, _ in blocks()} <= {"sh", "yaml", "json", "csv"}
    assert all(name for kind, name, _ in blocks() if kind != "sh")
