"""`opinioncast update` from files to files, and once more on what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.made_up_survey import answers, write_survey

from opinioncast.errors import DataError, InputError
from opinioncast.jobs.update import PilotFile, Sources, update_to_files
from opinioncast.survey import OpinionTable, PredictionTable

OPTIONS = ["Agree", "Neither", "Disagree"]
CELLS = [("TOTAL", "All adults"), ("SEX", "Male"), ("SEX", "Female"), ("CREGION", "South")]


@pytest.fixture
def predicted(tmp_path: Path) -> Path:
    rows = [
        {
            "family": "MADE",
            "wave": "2024",
            "question_id": name,
            "question": f"Do you agree with statement {name}?",
            "options": OPTIONS,
            "ordinal": [1, 2, 3],
            "attribute": attribute,
            "group": group,
            "distribution": [0.5, 0.3, 0.2],
            "model": "made up",
            "method": "test",
        }
        for name in ("q1", "q2", "q3")
        for attribute, group in CELLS
    ]
    path = tmp_path / "predicted" / "predictions.parquet"
    path.parent.mkdir()
    return PredictionTable.from_rows(rows, {"model": "made up"}).write(path)


@pytest.fixture
def pilot(tmp_path: Path) -> PilotFile:
    recipe = write_survey(tmp_path / "pilot", answers(120))
    return PilotFile(str(recipe))


@pytest.fixture
def known(tmp_path: Path) -> Path:
    path = tmp_path / "known.csv"
    lines = ["question_id,group,option,percent,n"]
    lines += [
        f"q3,TOTAL,{o},{p},900" for o, p in (("Disagree", 50), ("Agree", 30), ("Neither", 21))
    ]
    lines += [f"q3,SEX=Male,{o},{p},450" for o, p in zip(OPTIONS, (40, 20, 40), strict=True)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture
def past(tmp_path: Path) -> Path:
    rows = [
        {
            "family": "MADE",
            "wave": "2020",
            "question_id": "q3",
            "question": "Do you agree with statement q3?",
            "options": OPTIONS,
            "ordinal": [1, 2, 3],
            "attribute": "TOTAL",
            "group": "All adults",
            "distribution": [0.2, 0.2, 0.6],
            "n": 1000,
            "n_eff": 800.0,
        }
    ]
    return OpinionTable.from_rows(rows, {"terms": "made up"}).write(tmp_path / "past.parquet")


def frame(path: Path) -> pl.DataFrame:
    return PredictionTable.read(path / "predictions.parquet").frame


@pytest.mark.slow
def test_all_at_once_is_one_after_the_other(
    predicted: Path, pilot: PilotFile, known: Path, past: Path, tmp_path: Path
) -> None:
    whole = Sources(pilots=(pilot,), known=(known,), past=(past,))
    update_to_files(predicted, whole, tmp_path / "whole")
    update_to_files(predicted, Sources(known=(known,)), tmp_path / "one")
    update_to_files(tmp_path / "one", Sources(past=(past,)), tmp_path / "two")
    update_to_files(tmp_path / "two", Sources(pilots=(pilot,)), tmp_path / "three")
    assert frame(tmp_path / "three").equals(frame(tmp_path / "whole"))
    again = update_to_files(tmp_path / "three", Sources(known=(known,)), tmp_path / "four")
    assert frame(tmp_path / "four").equals(frame(tmp_path / "whole"))
    assert again.table.frame["distribution"].to_list() != [[0.5, 0.3, 0.2]] * 12

    manifest = json.loads((tmp_path / "three" / "manifest.json").read_text("utf-8"))
    kinds = {p["name"]: p["kind"] for p in manifest["evidence"]}
    assert kinds["known.csv"] == "published shares"
    assert kinds["made_up"] == "answers of people"
    assert kinds["past.parquet MADE 2020"] == "published shares of another year"
    assert all(p["terms"] for p in manifest["evidence"])
    assert any("101" in note for note in manifest["notes"])
    basis = dict(frame(tmp_path / "three").select("question_id", "basis").unique().rows())
    assert basis["q3"] == "model, published results and answers of another year"
    assert "respondents" in basis["q1"]
    text = (tmp_path / "three" / "predictions.csv").read_text("utf-8")
    assert "model prediction, not survey data" in text


@pytest.mark.slow
def test_what_is_lost_or_changed_is_refused(predicted: Path, known: Path, tmp_path: Path) -> None:
    update_to_files(predicted, Sources(known=(known,)), tmp_path / "one")
    (piece,) = (tmp_path / "one" / "evidence").glob("piece_*.json")
    piece.write_text(piece.read_text("utf-8").replace("0.4", "0.5"), "utf-8")
    with pytest.raises(DataError, match="changed after"):
        update_to_files(tmp_path / "one", Sources(known=(known,)), tmp_path / "two")
    for file in (tmp_path / "one" / "evidence").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="lost"):
        update_to_files(tmp_path / "one", Sources(known=(known,)), tmp_path / "two")
    assert not (tmp_path / "two").exists()


@pytest.mark.slow
def test_answers_of_people_are_in_no_file(
    predicted: Path, pilot: PilotFile, known: Path, tmp_path: Path
) -> None:
    update_to_files(predicted, Sources(pilots=(pilot,)), tmp_path / "one")
    kept = tmp_path / "one" / "evidence"
    assert {f.suffix for f in kept.iterdir()} == {".json", ".parquet"}
    (piece,) = kept.glob("piece_*.json")
    assert json.loads(piece.read_text("utf-8")).keys() == {
        "pilot",
        "key",
        "terms",
        "source",
        "seal",
    }
    update_to_files(tmp_path / "one", Sources(known=(known,)), tmp_path / "two")

    moved = (tmp_path / "pilot").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="not at hand") as caught:
        update_to_files(tmp_path / "one", Sources(known=(known,)), tmp_path / "three")
    assert "--pilot FILE" in str(caught.value)
    again = PilotFile(str(moved / Path(pilot.recipe).name))
    both = Sources(pilots=(again,), known=(known,))
    update_to_files(tmp_path / "one", both, tmp_path / "three")
    assert frame(tmp_path / "three").equals(frame(tmp_path / "two"))

    write_survey(tmp_path / "pilot", answers(121))
    with pytest.raises(DataError, match="not at hand") as caught:
        update_to_files(tmp_path / "one", Sources(known=(known,)), tmp_path / "four")
    assert caught.value.found == "other answers than before"


def test_nothing_to_update_with(predicted: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to update"):
        update_to_files(predicted, Sources(), tmp_path / "out")


def test_a_past_without_a_year(predicted: Path, past: Path, tmp_path: Path) -> None:
    table = OpinionTable.read(past)
    rows = table.frame.with_columns(wave=pl.lit("spring"))
    other = OpinionTable(rows, table.meta).write(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="years"):
        update_to_files(predicted, Sources(past=(other,)), tmp_path / "out")


def test_a_population_of_ones_own(predicted: Path, known: Path, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("SEX,CREGION,weight\nMale,South,3\nFemale,South,1\nFemale,West,1\n", "utf-8")
    run = update_to_files(predicted, Sources(known=(known,), frame=path), tmp_path / "own")
    shares = {
        g: np.array(d)
        for g, d in run.table.frame.filter(pl.col("question_id") == "q3")
        .select("group", "distribution")
        .rows()
    }
    total = 0.6 * shares["Male"] + 0.4 * shares["Female"]
    assert shares["All adults"] == pytest.approx(total, abs=1e-9)
    path.write_text("SEX,weight\nMale,3\nWoman,1\n", "utf-8")
    with pytest.raises(InputError, match="SEX"):
        update_to_files(predicted, Sources(known=(known,), frame=path), tmp_path / "bad")
