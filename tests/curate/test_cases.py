"""Small files that once gave wrong figures without a word; each gives the right one or a refusal.

The files stand in ``../shared/cases/curate`` (or where OPINIONCAST_CASES says) with a note on what
is right; tests skip where they are absent.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml

from opinioncast.curate.advice import MISFIT
from opinioncast.curate.pipeline import Curation, curate
from opinioncast.curate.recipe import load_curation
from opinioncast.errors import DataError


@pytest.fixture
def cases() -> Path:
    folder = Path(
        os.environ.get("OPINIONCAST_CASES")
        or Path(__file__).parents[3] / "shared" / "cases" / "curate"
    )
    if not folder.is_dir():
        pytest.skip(f"the cases are not here (looked in {folder}; set OPINIONCAST_CASES)")
    return folder


def run(recipe: Path, *folders: Path) -> Curation:
    loaded, beside = load_curation(recipe)
    return curate(loaded, [*folders, beside])


@pytest.mark.parametrize("variable", ["age", "age2", "age3"])
def test_13_missing_codes_of_an_age_are_no_ages(cases: Path, tmp_path: Path, variable: str) -> None:
    folder = cases / "13_age_missing_codes_in_groups"
    for name in ("f.sav", "wording.json", "recipe_age.yaml"):
        shutil.copy(folder / name, tmp_path / name)
    groups = yaml.safe_load((folder / "groups.yaml").read_text("utf-8"))
    groups["attributes"]["AGE"]["variable"] = variable
    (tmp_path / "groups.yaml").write_text(yaml.safe_dump(groups), "utf-8")
    refused, share = "", None
    try:
        share = run(tmp_path / "recipe_age.yaml").table.frame["distribution"][0][0]
    except DataError as error:  # no label says what the codes are, or no reader goes by it
        refused = str(error)
    if refused or variable == "age3":
        assert "98 (57 respondents)" in refused
        assert "missing_codes" in refused
    else:
        assert share == pytest.approx(0.3666, abs=5e-5)


def test_14_a_filter_is_a_domain(cases: Path, shared_data: Path, tmp_path: Path) -> None:
    folder = cases / "14_where_is_not_a_domain"
    shutil.copy(folder / "groups.yaml", tmp_path / "groups.yaml")
    question = {"1": {"grass": "Should the use of marijuana be made legal or not?"}}
    (tmp_path / "questions.yaml").write_text(yaml.safe_dump(question), "utf-8")
    for kind in ("group", "where"):
        raw = yaml.safe_load((folder / f"recipe_{kind}_certainty.yaml").read_text("utf-8"))
        raw["waves"][0] |= {"questions": "questions.yaml"}  # only the columns needed are read
        del raw["waves"][0]["codebook"]
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(raw), "utf-8")
        table = run(tmp_path / "recipe.yaml", shared_data / "gss").table
        row = table.frame.row(0, named=True)
        assert row["n"] == 23
        assert row["distribution"][0] == pytest.approx(0.6729, abs=5e-5)
        assert row["se"][0] == pytest.approx(0.1142, abs=5e-5)


def test_16_options_go_by_what_they_say(cases: Path) -> None:
    curation = run(cases / "16_question_file_reversed_by_middle" / "recipe.yaml")
    shares = dict(curation.table.frame.select("question_id", "distribution").iter_rows())
    assert shares["spend"] == pytest.approx([0.109, 0.309, 0.582])
    assert shares["econ"] == pytest.approx([0.098, 0.211, 0.691])
    report = {r["variable"]: r for r in curation.waves[0].report.iter_rows(named=True)}
    for name in ("likert", "trust"):
        assert report[name]["reason"] == MISFIT
        assert "give `codes` (or `labels`)" in report[name]["detail"]


def test_22_a_band_is_in_a_group_only_wholly(cases: Path, shared_data: Path) -> None:
    curation = run(cases / "22_text_band_interval" / "c.yaml", shared_data / "fivethirtyeight")
    n = dict(curation.table.frame.select("group", "n").iter_rows())
    assert n == {"18-29": 221, "30-49": 254}
    notes = "\n".join(curation.waves[0].notes)
    assert '"45-60" (290), "> 60" (272)' in notes
    assert "AGE=65+ is not in the table" in notes


def test_26_what_is_told_and_not_asked_for_is_said(cases: Path) -> None:
    folder = cases / "26_docs_example_town"
    for name in ("town.yaml", "town2.yaml"):  # of tenure.yaml, "home?," is text as it stands
        with pytest.raises(DataError, match="No question is left") as nothing:
            run(folder / name)
        assert "gender tells the groups" in str(nothing.value)
