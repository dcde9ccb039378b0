"""Predictions of a questionnaire that start from what is known."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from opinioncast.errors import InputError
from opinioncast.jobs.predict import predict_questionnaire
from opinioncast.jobs.update import Sources, update_to_files
from opinioncast.predictor import PredictSettings
from opinioncast.questionnaires import Questionnaire, read_questionnaire
from opinioncast.survey import PredictionTable, load_groups
from opinioncast.survey.groups import TOTAL_GROUP

GROUPS = load_groups("POLPARTY=Democrat", "POLPARTY=Republican", "total")
UNIFORM = PredictSettings(method="uniform")
TEXT = """
questions:
  - id: rent
    question: Do you favor or oppose a limit on yearly rent increases?
    options: [Favor, Oppose]
    {known}
  - id: parks
    question: Should the city spend more on parks?
    options: [Yes, No]
"""
KNOWN = "known: {TOTAL: {shares: {Oppose: 20, Favor: 80}, n: 2000}}"


def asked(folder: Path, known: str = KNOWN) -> Questionnaire:
    path = folder / "survey.yaml"
    path.write_text(TEXT.replace("{known}", known))
    return read_questionnaire(path, GROUPS)


def favor(table: PredictionTable) -> dict[str, float]:
    rows = table.frame.filter(pl.col("question_id") == "rent")
    return {r["group"]: r["distribution"][0] for r in rows.iter_rows(named=True)}


@pytest.mark.slow
def test_known_results_are_where_predictions_start(tmp_path: Path) -> None:
    run = predict_questionnaire(asked(tmp_path), GROUPS, UNIFORM, tmp_path / "out")
    shares = favor(run.prediction.table)
    assert shares[TOTAL_GROUP] == pytest.approx(0.8, abs=0.01)
    assert shares["Democrat"] > 0.6  # a topline says something of every group
    rows = {
        (r["question_id"], r["group"]): r for r in run.prediction.table.frame.iter_rows(named=True)
    }
    assert "topline" in rows["rent", "Democrat"]["basis"]
    assert "topline" not in rows["parks", "Democrat"]["basis"]
    assert rows["parks", "Democrat"]["distribution"] == [0.5, 0.5]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    (piece,) = manifest["evidence"]
    assert piece["name"] == "survey, known results"
    assert piece["effective_base"] == {"rent": 2000.0}
    assert PredictionTable.read(tmp_path / "out" / "predictions.parquet").meta["evidence"]


@pytest.mark.slow
def test_one_run_with_evidence_is_a_run_and_an_update(tmp_path: Path) -> None:
    whole = predict_questionnaire(asked(tmp_path), GROUPS, UNIFORM, tmp_path / "whole")
    file = tmp_path / "known.csv"
    file.write_text(
        "question_id,group,option,share,n\nrent,TOTAL,Favor,80,2000\nrent,TOTAL,Oppose,20,2000\n"
    )
    plain = tmp_path / "plain"
    predict_questionnaire(asked(tmp_path, "scale: []"), GROUPS, UNIFORM, plain)
    later = update_to_files(plain / "predictions.parquet", Sources(known=(file,)), tmp_path / "b")
    assert favor(later.table) == favor(whole.prediction.table)
    # the same people told again change nothing
    again = update_to_files(
        tmp_path / "whole" / "predictions.parquet", Sources(known=(file,)), tmp_path / "c"
    )
    assert favor(again.table) == favor(whole.prediction.table)


def test_evidence_that_cannot_be_used_stops_the_run_before_it_begins(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="options of known results are not the question's"):
        predict_questionnaire(
            asked(tmp_path, "known: {TOTAL: {Favor: 80, Against: 20}}"), GROUPS, UNIFORM, out
        )
    with pytest.raises(InputError, match="no population frame for the people asked"):
        predict_questionnaire(asked(tmp_path).put_to("adults in Berlin"), GROUPS, UNIFORM, out)
    with pytest.raises(InputError, match="frame alone changes nothing"):
        predict_questionnaire(
            asked(tmp_path, "scale: []"),
            GROUPS,
            UNIFORM,
            out,
            sources=Sources(frame=tmp_path / "frame.csv"),
        )
    assert not out.exists()


@pytest.mark.slow
def test_a_run_without_evidence_keeps_none_of_an_earlier_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_questionnaire(asked(tmp_path), GROUPS, UNIFORM, out)
    assert (out / "evidence").is_dir()
    predict_questionnaire(asked(tmp_path, "scale: []"), GROUPS, UNIFORM, out)
    assert not (out / "evidence").exists()
    assert "based_on" not in PredictionTable.read(out / "predictions.parquet").meta
