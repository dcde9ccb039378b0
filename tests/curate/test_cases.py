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

from opinioncast.curate.pipeline import MISFIT, Curation, curate
from opinioncast.curate.recipe import load_curation
from opinioncast.errors import DataError, InputError


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
    try:
        curation = run(tmp_path / "recipe_age.yaml")
    except DataError as error:  # age3: no label says what 98 and 99 are
        assert "98 (57 respondents), 99 (56 respondents)" in str(error)
        assert "missing_codes" in str(error)
    else:
        assert variable != "age3"
        assert curation.table.frame["distribution"][0][0] == pytest.approx(0.3666, abs=5e-5)


@pytest.mark.parametrize("policy", ["certainty", "fail"])
def test_14_a_filter_is_a_domain(cases: Path, shared_data: Path, policy: str) -> None:
    folder = cases / "14_where_is_not_a_domain"
    rows = [
        run(folder / f"recipe_{kind}_{policy}.yaml", shared_data / "gss").table.frame.row(
            0, named=True
        )
        for kind in ("group", "where")
    ]
    for row in rows:
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
    with pytest.raises(DataError, match="No question is left") as nothing:
        run(folder / "town.yaml")
    assert "gender tells the groups" in str(nothing.value)
    with pytest.raises(InputError, match="not valid YAML") as found:  # "home?," needs quotes
        run(folder / "town2.yaml")
    assert str(folder / "tenure.yaml") in str(found.value)
