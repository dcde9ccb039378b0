"""Groups of a user's own: any names, any bands, and what happens to those nobody asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made_up_survey import answers, write_survey

from opinioncast.curate.asked_groups import asked_groups
from opinioncast.curate.group_recipe import AttributeRecipe, GroupRecipe
from opinioncast.curate.pipeline import Curation, curate
from opinioncast.curate.recipe import load_curation
from opinioncast.errors import DataError, InputError
from opinioncast.jobs.curate import TABLE, curate_to_files

OWN: dict[str, Any] = {
    "attributes": {
        "SEX": {"variable": "sex", "groups": {"Men": [1], "Women": [2]}},
        "Household income": {
            "variable": "income",
            "groups": {"Under £20k": {"max": 19999}, "£20k or more": {"min": 20000}},
        },
    }
}


def survey(folder: Path, groups: list[str], **recipe: Any) -> Path:
    columns: dict[str, Any] = dict(answers())
    columns["income"] = np.random.default_rng(1).integers(0, 50_000, 400).astype(float)
    path = write_survey(folder, columns, **recipe)
    (folder / "groups.yaml").write_text(
        yaml.safe_dump(OWN, allow_unicode=True, sort_keys=False), "utf-8"
    )
    raw = yaml.safe_load(path.read_text("utf-8"))
    raw["groups"] = groups
    raw["waves"][0]["groups"] = "groups.yaml"
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), "utf-8")
    return path


def run(recipe: Path) -> Curation:
    loaded, beside = load_curation(recipe)
    return curate(loaded, [beside])


def test_own_is_all_that_the_group_recipe_tells(tmp_path: Path) -> None:
    curation = run(survey(tmp_path, ["own"]))
    cells = curation.table.frame.filter(question_id="q2")
    assert cells.select("attribute", "group").rows() == [
        ("SEX", "Men"),
        ("SEX", "Women"),
        ("Household income", "Under £20k"),
        ("Household income", "£20k or more"),
    ]
    income = np.random.default_rng(1).integers(0, 50_000, 400)
    assert cells["n"].to_list()[2:] == [(income < 20000).sum(), (income >= 20000).sum()]
    assert not any("asks for none" in note for note in curation.waves[0].notes)


def test_expressions_name_own_groups_and_the_rest_is_said(tmp_path: Path) -> None:
    path = survey(tmp_path, ["total", "household income=under £20k & SEX=women"])
    curation = run(path)
    groups = curation.table.frame["group"].unique(maintain_order=True).to_list()
    assert groups == ["All adults", "Under £20k & Women"]
    assert not any("asks for none" in note for note in curation.waves[0].notes)
    (note,) = [n for n in run(survey(tmp_path, ["SEX=Men"])).waves[0].notes if "asks for none" in n]
    assert note.startswith("Household income is told by")
    assert '"Household income=Under £20k"' in note


def test_a_group_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Unknown group of SEX") as caught:
        run(survey(tmp_path, ["SEX=Boys"]))
    assert "Men; Women; Male; Female" in str(caught.value)


def test_a_group_file_is_found_beside_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = survey(tmp_path / "data", ["mine.yaml"])
    mine = {
        "attributes": {"Household income": {"question": "Income?", "groups": ["Under £20k"]}},
        "groups": {"Household income": "all"},
    }
    (path.parent / "mine.yaml").write_text(yaml.safe_dump(mine, allow_unicode=True), "utf-8")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run(path).table.frame["group"].unique().to_list() == ["Under £20k"]


NAME = st.text(
    st.characters(codec="utf-8", exclude_characters="&=\n\r", categories=["L", "N", "P"])
)


@settings(max_examples=100)
@given(
    st.dictionaries(
        NAME.filter(lambda n: n.strip() == n and n),
        st.lists(NAME.filter(lambda n: n.strip() == n and n), min_size=1, max_size=4, unique=True),
        min_size=1,
        max_size=4,
    )
)
def test_any_names(attributes: dict[str, list[str]]) -> None:
    class Told(AttributeRecipe):
        @property
        def groups(self) -> tuple[str, ...]:
            return tuple(attributes[self.name])

    told = GroupRecipe("mine", {name: Told(name, ()) for name in attributes}, "mine.yaml")
    chosen, notes = asked_groups(["own"], told, [told], [])
    assert [s.key for s in chosen] == [(a, g) for a, groups in attributes.items() for g in groups]
    assert not notes


@pytest.mark.parametrize(("name", "group"), [("A", "Black & Hispanic"), ("A=B", "x")])
def test_names_that_expressions_need_are_refused(name: str, group: str) -> None:
    class Told(AttributeRecipe):
        @property
        def groups(self) -> tuple[str, ...]:
            return (group,)

    told = GroupRecipe("mine", {name: Told(name, ())}, "mine.yaml")
    with pytest.raises(InputError, match="cannot be used"):
        asked_groups(["own"], told, [told], [])


# --- nothing left ---------------------------------------------------------------------------------


def nothing(folder: Path, change: str) -> Path:
    path = survey(folder, ["own"])
    raw = yaml.safe_load(path.read_text("utf-8"))
    if change == "no wording":
        del raw["waves"][0]["wording"]
    elif change == "few answers":
        raw["select"] = {"min_n": 1000}
    elif change == "misfit":
        raw["waves"][0]["questions"] = "q.yaml"
        (folder / "q.yaml").write_text("'1': {q2: {text: How, options: [x, y, z]}, gone: Is it}")
    else:
        raw["min_n"] = 100_000
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), "utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ("no wording", "`wording: FILE.json`"),
        ("few answers", "lower `select: {min_n"),
        ("misfit", "give `codes` or `labels`"),
        ("no cell", "fewer than 100000 respondents answered"),
    ],
)
def test_the_report_is_written_where_nothing_is_left(
    tmp_path: Path, change: str, advice: str
) -> None:
    out = tmp_path / "out"
    earlier, beside = load_curation(survey(tmp_path, ["own"]))
    curate_to_files(earlier, [beside], out)
    assert (out / TABLE).exists()
    recipe, beside = load_curation(nothing(tmp_path, change))
    with pytest.raises(DataError, match="No question is left") as caught:
        curate_to_files(recipe, [beside], out)
    assert advice in str(caught.value)
    assert str(out / "curation_report.csv") in str(caught.value)
    report = pl.read_csv(out / "curation_report.csv")
    assert report.height >= 2
    assert not (out / TABLE).exists()
    assert (out / "notes.txt").read_text("utf-8").strip()
    dropped = pl.read_csv(out / "dropped_cells.csv")
    assert dropped.height == (8 if change in ("misfit", "no cell") else 0)


def test_a_wave_without_a_question_does_not_take_the_others_along(tmp_path: Path) -> None:
    path = survey(tmp_path, ["own"])
    raw = yaml.safe_load(path.read_text("utf-8"))
    other = {**raw["waves"][0], "wave": "2"}
    del other["wording"]
    raw["waves"].append(other)
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), "utf-8")
    recipe, beside = load_curation(path)
    run = curate_to_files(recipe, [beside], tmp_path / "out")
    assert set(run.table.frame["wave"]) == {"1"}
    notes = (tmp_path / "out" / "notes.txt").read_text("utf-8")
    assert "MADE 2: no question is left" in notes
    assert "no wording: give the question as asked" in notes
