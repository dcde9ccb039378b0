"""Synthetic files: their crosstabs are the predictions, other programs read them, all say so."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pyreadstat
import pytest
from scipy import stats
from typer.testing import CliRunner

from opinioncast.cli.main import app
from opinioncast.csv_files import read_csv
from opinioncast.errors import InputError
from opinioncast.jobs.synthesize import SynthesisRequest, SynthesisRun, synthesize_to_files
from opinioncast.questionnaires import read_questionnaire
from opinioncast.survey import PredictionTable, Question, Subpopulation, opinion_row

TOTAL = Subpopulation()
GROUPS = {
    TOTAL: 0.5,
    **{Subpopulation((("SEX", g),)): p for g, p in (("Female", 0.6), ("Male", 0.4))},
    **{Subpopulation((("POLPARTY", g),)): p for g, p in (("Democrat", 0.8), ("Republican", 0.2))},
}
RENT = Question("rent", "Limit rents?", ("Favor", "Oppose", "Not sure"), (1, 2, -1))
WHY = Question("why rent", "Why, would you say?", ("Fair " * 40, "=1+1"))


def _table(path: Path, **more) -> Path:
    rows = [
        opinion_row(RENT, s, [0.9 * p, 0.9 * (1 - p), 0.1], model="m", method="x")
        for s, p in GROUPS.items()
    ]
    rows += [
        opinion_row(WHY, s, [p, 1 - p], refusal_rate=0.2, model="m", method="x")
        for s, p in GROUPS.items()
    ]
    return PredictionTable.from_rows(rows, more).write(path / "predictions.parquet")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, SynthesisRun]:
    folder = tmp_path_factory.mktemp("synthetic")
    request = SynthesisRequest(count=6000, seed=5, ask_if=("why rent: rent=Favor|Oppose",))
    return folder, synthesize_to_files(_table(folder), folder / "out", request)


def test_crosstabs_give_the_predictions_back(made) -> None:
    """SciPy's chi-square of the file's own crosstabs, against what the table says."""
    folder, run = made
    data, _ = pyreadstat.read_sav(
        str(folder / "out" / "synthetic_survey_n6000.sav"), output_format="polars"
    )
    assert run.notes == ()  # these predictions agree with each other but for the whole's rounding
    p_values = []
    for (attribute, label), p in ((g.key, p) for g, p in GROUPS.items()):
        rows = data
        if attribute != "TOTAL":
            code = {"Female": 2, "Male": 1, "Democrat": 2, "Republican": 1}[label]
            rows = data.filter(pl.col(attribute) == code)
        seen = [(rows["rent"] == k).sum() for k in (1, 2, 3)]
        planned = run.agreement.filter(question_id="rent", attribute=attribute, group=label)[
            "planned"
        ]
        assert planned.to_list() == pytest.approx([0.9 * p, 0.9 * (1 - p), 0.1], abs=0.02)
        found = stats.chisquare(seen, np.array(planned.to_list()) * sum(seen))
        told = run.agreement.filter(question_id="rent", attribute=attribute, group=label)
        assert told["p"][0] == pytest.approx(found.pvalue, rel=1e-6)
        p_values.append(found.pvalue)
    assert min(p_values) > 0.001


def test_spss_has_labels_missing_codes_and_says_what_it_is(made) -> None:
    folder, _ = made
    file = str(folder / "out" / "synthetic_survey_n6000.sav")
    data, meta = pyreadstat.read_sav(file, output_format="polars", user_missing=True)
    assert meta.file_label == "SYNTHETIC: drawn from model predictions, no respondents"
    assert data.columns[0] == "synthetic"
    assert set(data["synthetic"]) == {1}
    assert meta.variable_value_labels["rent"] == {1: "Favor", 2: "Oppose", 3: "Not sure"}
    assert meta.column_names_to_labels["rent"] == "rent: Limit rents?"
    why = meta.variable_value_labels["why_rent"]
    assert why[1].endswith("...")
    assert (why[98], why[99]) == ("Not asked", "Refused")
    assert [r["lo"] for r in meta.missing_ranges["why_rent"]] == [98, 99]
    # the skip pattern holds in every record, and one in five of those asked refuses
    assert ((data["why_rent"] == 98) == (data["rent"] == 3)).all()
    asked = data.filter(pl.col("why_rent") != 98)["why_rent"]
    assert (asked == 99).mean() == pytest.approx(0.2, abs=0.02)
    assert meta.variable_value_labels["SEX"] == {1: "Male", 2: "Female"}


def test_stata_has_extended_missing_values(made) -> None:
    folder, _ = made
    file = str(folder / "out" / "synthetic_survey_n6000.dta")
    data, meta = pyreadstat.read_dta(file, output_format="polars", user_missing=True)
    assert meta.file_label.startswith("SYNTHETIC")
    assert {v for v in data["why_rent"].to_list() if isinstance(v, str)} == {"n", "r"}
    assert meta.variable_value_labels["why_rent"]["r"] == "Refused"
    assert meta.variable_value_labels["why_rent"][1] == "Fair " * 39 + "Fair"


@pytest.mark.slow
def test_haven_reads_both_and_a_regression_runs(made) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("no R here")
    script = """
      if (!requireNamespace("haven", quietly = TRUE)) { cat("no haven"); quit() }
      folder <- commandArgs(TRUE)[1]
      s <- haven::read_sav(file.path(folder, "synthetic_survey_n6000.sav"))
      d <- haven::read_dta(file.path(folder, "synthetic_survey_n6000.dta"))
      stopifnot(identical(names(attr(s$rent, "labels")), c("Favor", "Oppose", "Not sure")),
                identical(names(attr(d$rent, "labels")), c("Favor", "Oppose", "Not sure")),
                attr(s$rent, "label") == "rent: Limit rents?",
                all(s$synthetic == 1), all(d$synthetic == 1),
                sum(is.na(s$why_rent)) == sum(is.na(d$why_rent)),
                setequal(na.omit(haven::na_tag(d$why_rent)), c("n", "r")))
      fit <- glm(rent == 1 ~ haven::as_factor(SEX), binomial, data = s, subset = rent < 3)
      cat(coef(fit)[2])
    """
    out = subprocess.run(
        ["Rscript", "-e", script, str(made[0] / "out")], capture_output=True, text=True, check=False
    )
    if out.stdout == "no haven":
        pytest.skip("no haven here")
    assert out.returncode == 0, out.stderr
    # log odds of 0.6 against 0.4: 0.811
    assert float(out.stdout) == pytest.approx(0.811, abs=0.2)


def test_the_same_seed_gives_the_same_records(made, tmp_path: Path) -> None:
    folder, run = made
    request = SynthesisRequest(
        count=6000, seed=5, formats=("csv",), ask_if=("why rent: rent=Favor|Oppose",)
    )
    again = synthesize_to_files(folder / "predictions.parquet", tmp_path / "o", request)
    assert again.records.frame.equals(run.records.frame)
    other = synthesize_to_files(
        folder / "predictions.parquet", tmp_path / "o", SynthesisRequest(count=6000, seed=6)
    )
    assert not other.records.frame["rent"].equals(run.records.frame["rent"])
    book = read_csv(tmp_path / "o" / "synthetic_codebook.csv", infer_schema_length=None)
    assert book.filter(variable="why_rent", code=2)["meaning"].item() == "=1+1"
    card = (tmp_path / "o" / "disclosure.md").read_text("utf-8")
    assert "Synthetic records drawn from model predictions" in card
    record = json.loads((tmp_path / "o" / "manifest.json").read_text())
    assert record["synthetic"] is True


def test_the_command_and_what_is_refused(made, tmp_path: Path) -> None:
    folder, _ = made
    arguments = ["synthesize", str(folder), "-n", "50", "-o", str(tmp_path / "o"), "--write", "sav"]
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 0, ran.output
    assert "No record is a person who answered" in " ".join(ran.output.split())
    assert (tmp_path / "o" / "synthetic_survey_n50.sav").is_file()
    for wrong in ({"count": 0}, {"formats": ("xls",)}, {"name": "../x"}, {"seed": -1}):
        with pytest.raises(InputError):
            SynthesisRequest(**wrong)
    elsewhere = _table(tmp_path, population={"people": "adults in Berlin"})
    with pytest.raises(InputError, match="no population frame"):
        synthesize_to_files(elsewhere, tmp_path / "o2", SynthesisRequest(count=10))


FORM = """Q1. Do you own a car?
1. Yes
2. No
98. Don't know

[ASK IF Q1=1]
Q2. Which of these do you use? (MULTICODE)
1. Garage
2. Street

ASK IF Q2=2 AND NOT Q1=2
Q3. Is the street safe?
1. Yes
2. No

[ASK THOSE WHO LIKE CARS]
Q4. Why?
1. Speed
2. Looks
"""


def test_the_questionnaires_routing_holds_in_every_record(tmp_path: Path) -> None:
    form = tmp_path / "cars.txt"
    form.write_text(FORM, "utf-8")
    asked = read_questionnaire(form).questions
    shares = {2: [0.5, 0.5], 3: [0.5, 0.3, 0.2]}
    rows = [opinion_row(q, TOTAL, shares[len(q.options)], model="m", method="x") for q in asked]
    table = PredictionTable.from_rows(rows).write(tmp_path / "predictions.parquet")
    request = SynthesisRequest(count=800, seed=3, formats=("sav",), questionnaire=form)
    run = synthesize_to_files(table, tmp_path / "o", request)
    file = str(tmp_path / "o" / "synthetic_survey_n800.sav")
    data, meta = pyreadstat.read_sav(file, output_format="polars", user_missing=True)
    garage, street, safe = (data[n] for n in ("Q2_1", "Q2_2", "Q3"))
    assert ((garage == 98) == (data["Q1"] != 1)).all()
    assert ((street == 98) == (data["Q1"] != 1)).all()
    assert ((safe != 98) == ((street == 1) & (data["Q1"] != 2))).all()
    assert 0 < (safe != 98).sum() < 400
    assert (data["Q4"] < 98).all()  # what cannot be read is asked of everyone, and told
    assert meta.variable_value_labels["Q3"][98] == "Not asked"
    assert any("THOSE WHO LIKE CARS" in n and "Q4" in n for n in run.notes)
    record = json.loads((tmp_path / "o" / "manifest.json").read_text())
    assert set(record["routing_followed"]) == {"Q2_1", "Q2_2", "Q3"}
    assert set(record["routing_not_followed"]) == {"Q4"}
    form.write_text(FORM.replace("98. Don't know", "3. Maybe"), "utf-8")
    with pytest.raises(InputError, match="not the one that was predicted"):
        synthesize_to_files(table, tmp_path / "o2", request)
