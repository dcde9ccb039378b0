"""`opinioncast estimate`: from a pilot's file to design-based estimates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.made_up_survey import OPTIONS, answers, write_survey

from opinioncast.cli.main import main
from opinioncast.curate.design import kish
from opinioncast.errors import DataError
from opinioncast.evidence.frame import read_frame
from opinioncast.jobs.estimate import estimate_to_files
from opinioncast.jobs.update import PilotFile
from opinioncast.survey import PredictionTable, Question, Subpopulation, opinion_row

GROUPS = [("SEX", "Male"), ("SEX", "Female"), ("CREGION", "South"), ("CREGION", "West")]


@pytest.fixture
def pilot(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """Men agree with q2 at 80%, women at 20%; 70% of the sample are men, half of the population."""
    columns = answers(600, 3)
    rng = np.random.default_rng(9)
    columns["sex"] = np.where(rng.random(600) < 0.7, 1.0, 2.0)
    agree = rng.random(600) < np.where(columns["sex"] == 1, 0.8, 0.2)
    columns["q2"] = np.where(agree, 1.0, 3.0)
    recipe = write_survey(tmp_path / "pilot", columns)
    (tmp_path / "frame.csv").write_text(
        "SEX,CREGION,weight\nMale,South,1\nMale,West,1\nFemale,South,1\nFemale,West,1\n"
    )
    return recipe, columns


def predictions(good: bool = True, **more: object) -> PredictionTable:
    question = Question(
        "q2", "Do you agree?", tuple(reversed(OPTIONS.values())), (3, 2, 1), "MADE", "1"
    )
    rows = []
    for key in GROUPS:
        p = {"Male": 0.7, "Female": 0.3}.get(key[1], 0.5) if good else 0.5
        rows.append(opinion_row(question, Subpopulation((key,)), [0.9 - p, 0.1, p], **more))
    return PredictionTable.from_rows(rows)


def cell(table: pl.DataFrame, group: str, option: str = "Agree") -> dict[str, float]:
    return table.filter(pl.col("group") == group, pl.col("option") == option).row(0, named=True)


def test_predictions_put_right_what_the_sample_has_too_many_of(
    pilot: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    recipe, columns = pilot
    frame = read_frame(tmp_path / "frame.csv")
    places = (tmp_path / "pilot",)
    run = estimate_to_files(
        predictions(), PilotFile(str(recipe)), frame, tmp_path / "out", folders=places
    )
    found = cell(run.table, "All adults")
    w = columns["w"]
    plain = (w * (columns["q2"] == 1)).sum() / w.sum()
    assert found["plain_share"] == pytest.approx(plain)
    assert found["plain_se"] == pytest.approx(np.sqrt(plain * (1 - plain) / kish(w)), rel=0.05)
    # half men, half women: 50%, where the sample has 62%
    assert found["share"] == pytest.approx(0.5, abs=0.05)
    assert found["se"] < 0.85 * found["plain_se"]
    assert found["gain"] > 0.4
    assert found["low"] < found["share"] < found["high"]
    total = run.table.filter(pl.col("group") == "All adults")["share"].sum()
    assert total == pytest.approx(1)
    # in a group of the only attribute that tells anything, nothing is gained, nor lost
    men = cell(run.table, "Male")
    assert men["share"] == pytest.approx(men["plain_share"], abs=0.01)
    text = (tmp_path / "out" / "estimates.csv").read_text("utf-8-sig")
    assert "respondents of the pilot" in text


def test_useless_predictions_leave_the_pilot_as_it_is(
    pilot: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    run = estimate_to_files(
        predictions(good=False),
        PilotFile(str(pilot[0])),
        read_frame(tmp_path / "frame.csv"),
        tmp_path / "out",
        folders=(tmp_path / "pilot",),
    )
    assert (run.table["share"] - run.table["plain_share"]).abs().max() < 1e-9  # type: ignore[operator]
    assert run.table["lambda"].unique().to_list() == [0]


def test_what_would_not_be_unbiased_or_has_nothing_in_common(
    pilot: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    frame = read_frame(tmp_path / "frame.csv")
    sources = (PilotFile(str(pilot[0])), frame, tmp_path / "out")
    places = (tmp_path / "pilot",)
    updated = predictions(basis="model and 100 respondents")
    with pytest.raises(DataError, match="rest on people's answers"):
        estimate_to_files(updated, *sources, folders=places)
    other = predictions().frame.with_columns(question_id=pl.lit("other"))
    with pytest.raises(DataError, match="none of the predicted questions"):
        estimate_to_files(PredictionTable(other), *sources, folders=places)
    few = predictions().filter(pl.col("group") == "Male")
    with pytest.raises(DataError, match="more precise"):
        estimate_to_files(few, *sources, folders=places)


def test_the_command(
    pilot: tuple[Path, dict[str, np.ndarray]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = predictions(basis="model, never measured").write(tmp_path / "p.parquet")
    with pytest.raises(SystemExit) as stop:
        main(
            [
                *("estimate", str(path), "--recipe", str(pilot[0])),
                *("--data", str(tmp_path / "pilot"), "--frame", str(tmp_path / "frame.csv")),
                *("--out", str(tmp_path / "out")),
            ]
        )
    assert stop.value.code in (0, None)
    assert "Design-based estimates" in capsys.readouterr().out
    assert {f.name for f in (tmp_path / "out").iterdir()} == {"estimates.csv", "manifest.json"}
