"""From a table or a recipe to files, through the job and the command."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from opinioncast.banners.settings import BannerSettings
from opinioncast.cli.main import app
from opinioncast.csv_files import read_csv
from opinioncast.errors import InputError
from opinioncast.jobs.banner import BannerRequest, banner_to_files
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

TOTAL = Subpopulation()
WOMEN, MEN = (Subpopulation((("SEX", g),)) for g in ("Female", "Male"))
RENT = Question("rent", "Limit <b>rents</b>?", ("Favor", "Oppose"), (1, 2))
HEAT = Question("heat", "@Too hot?", ("Yes", "No"))


@pytest.fixture
def opinions(tmp_path: Path) -> Path:
    rows = [
        opinion_row(q, s, p, n=n, n_eff=0.8 * n)
        for q in (RENT, HEAT)
        for s, p, n in ((TOTAL, [0.5, 0.5], 300), (WOMEN, [0.7, 0.3], 150), (MEN, [0.3, 0.7], 150))
    ]
    return OpinionTable.from_rows(rows, {"source": "made up"}).write(tmp_path / "opinions.parquet")


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    rows = [
        opinion_row(q, s, p, low=[0.1, 0.2], high=[0.8, 0.9], model="m", method="x")
        for q in (RENT, HEAT)
        for s, p in ((TOTAL, [0.4, 0.6]), (WOMEN, [0.45, 0.55]))
    ]
    return PredictionTable.from_rows(rows).write(tmp_path / "predictions.parquet")


def test_files_hold_the_same_figures(opinions: Path, tmp_path: Path) -> None:
    run = banner_to_files(opinions, BannerSettings(), tmp_path / "out")
    assert {f.name for f in run.files} == {
        *("banner.xlsx", "banner.html", "banner.csv", "banner.parquet", "disclosure.md"),
        "manifest.json",
    }
    frame = pl.read_parquet(tmp_path / "out" / "banner.parquet")
    again = read_csv(tmp_path / "out" / "banner.csv", infer_schema_length=None)
    assert again["label"].to_list() == frame["label"].to_list()
    assert again["value"].to_list() == pytest.approx(frame["value"].to_list())
    women = frame.filter(group="Female", question_id="rent", label="Favor").row(0, named=True)
    assert (women["marks"], women["shown"], women["n"]) == ("B", 70.0, 150)
    page = (tmp_path / "out" / "banner.html").read_text("utf-8")
    assert "Limit &lt;b&gt;rents&lt;/b&gt;?" in page
    assert "<script" not in page
    record = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert record["settings"]["correction"] == "none"
    assert "banner.xlsx" in record["files"]


def test_groups_and_questions_are_chosen_in_the_order_asked(opinions: Path, tmp_path: Path) -> None:
    columns = ("SEX=Male", "SEX=Female")
    request = BannerRequest(groups=columns, questions=("heat",), formats=("csv",))
    run = banner_to_files(opinions, BannerSettings(), tmp_path / "out", request)
    assert [c.name for c in run.banner.columns] == ["Male", "Female"]
    assert [t.question.question_id for t in run.banner.tables] == ["heat"]
    assert not (tmp_path / "out" / "banner.xlsx").exists()
    for wrong in (BannerRequest(groups=("RACE=Black",)), BannerRequest(questions=("no",))):
        with pytest.raises(InputError, match="does not have"):
            banner_to_files(opinions, BannerSettings(), tmp_path / "o2", wrong)
    with pytest.raises(InputError, match="Unknown format"):
        BannerRequest(formats=("docx",))


def test_bases_beside_a_table_are_used_if_they_are_its_own(opinions: Path, tmp_path: Path) -> None:
    table = OpinionTable.read(opinions).frame
    bases = table.select("family", "wave", "question_id", "attribute", "group", "n").with_columns(
        weighted_n=pl.col("n") * 1.5
    )
    bases.write_csv(tmp_path / "bases.csv", include_bom=True)
    run = banner_to_files(opinions, BannerSettings(), tmp_path / "out")
    assert run.banner.tables[0].bases.weighted.tolist() == [450, 225, 225]
    bases.with_columns(n=pl.col("n") + 1).write_csv(tmp_path / "bases.csv")
    stale = banner_to_files(opinions, BannerSettings(), tmp_path / "out")
    assert stale.notes == ("bases.csv beside the table is of another one: no weighted bases",)


def test_the_command_puts_observed_beside_predicted(
    predictions: Path, opinions: Path, tmp_path: Path
) -> None:
    arguments = ["banner", str(predictions), "--observed", str(opinions), "-o", str(tmp_path / "o")]
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 0, ran.output
    assert "Model output, not survey data: 2 tables of 2 columns" in ran.output
    frame = pl.read_parquet(tmp_path / "o" / "banner.parquet")
    row = frame.filter(group="Female", question_id="rent", label="Oppose").row(0, named=True)
    assert row["difference"] == pytest.approx(0.55 - 0.3)
    assert set(frame["source"]) == {"model prediction, not survey data"}
    request = BannerRequest(observed=opinions)
    with pytest.raises(InputError, match="beside predictions"):
        banner_to_files(opinions, BannerSettings(), tmp_path / "o", request)
    request = BannerRequest(observed=predictions)
    with pytest.raises(InputError, match="no observed answers"):
        banner_to_files(predictions, BannerSettings(), tmp_path / "o", request)
    with pytest.raises(InputError, match="does not hold one table"):
        banner_to_files(tmp_path, BannerSettings(), tmp_path / "o")
