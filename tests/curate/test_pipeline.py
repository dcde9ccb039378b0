"""The whole way from a file to a table: nothing asked for disappears, and the shares are right."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyreadstat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made_up_survey import OPTIONS, answers, write_survey

from opinioncast.curate.advice import CHOSEN, MISFIT, NOT_IN_FILE, UNUSABLE
from opinioncast.curate.pipeline import Curation, curate
from opinioncast.curate.recipe import load_curation
from opinioncast.errors import DataError, InputError
from opinioncast.survey.tables import OpinionTable

CODES = [1.0, 2.0, 3.0, -1.0, -8.0, -9.0]


def run(recipe: Path, **options: Any) -> Curation:
    loaded, beside = load_curation(recipe)
    return curate(loaded, [beside], **options)


def row(table: OpinionTable, question: str, group: str) -> dict[str, Any]:
    return table.frame.filter(question_id=question, group=group).row(0, named=True)


@st.composite
def surveys(draw: st.DrawFn) -> dict[str, list[float]]:
    n = draw(st.integers(12, 40))

    def column(values: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(values, min_size=n, max_size=n))

    columns = {"w": column(st.sampled_from([0.0, 0.5, 1.0, 1.7]))}
    columns |= {k: column(st.sampled_from([1.0, 2.0, 3.0])) for k in ("sex", "region")}
    for i in range(draw(st.integers(1, 3))):
        # a question that nobody answered, or all answered alike, is among what may come
        kinds = draw(st.sampled_from([CODES, [-9.0, -1.0], [2.0], CODES[:2]]))
        columns[f"q{i}"] = column(st.sampled_from(kinds))
    columns["w"][:2] = [0.5, 1.0]  # not all zero, not all alike
    columns["q_sure"] = [1.0, 2.0] * (n // 2) + [3.0] * (n % 2)
    columns["sex"][0], columns["sex"][1] = 1.0, 2.0
    return columns


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(columns=surveys(), name=st.sampled_from(["survey.sav", "survey.dta"]), chosen=st.booleans())
def test_no_cell_asked_for_disappears(
    columns: dict[str, list[float]], name: str, chosen: bool
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wave = {}
        if chosen:
            names = [c for c in columns if c.startswith("q")]
            lines = "".join(f"  {c}: Is it so, {c}?\n" for c in [*names, "q_absent"])
            folder.joinpath("questions.yaml").write_text(f'"1":\n{lines}', encoding="utf-8")
            wave = {"questions": "questions.yaml"}
        recipe = write_survey(
            folder,
            columns,
            name=name,
            labels={"sex": {1.0: "Male", 2.0: "Female", 3.0: "Other"}},
            select={"min_n": 1, "min_group_n": 1, "max_association": 1},
            min_n=2,
            wave=wave,
        )
        curation = run(recipe)
    (done,) = curation.waves
    asked = (done.report.height if chosen else len(done.questions)) * 4
    assert len(curation.table) + done.dropped.height == asked
    assert done.dropped["reason"].null_count() == 0
    if chosen:
        assert done.dropped.filter(variable="q_absent").height == 4
    key = ["question_id", "attribute", "group"]
    assert not done.dropped.join(curation.table.frame, on=key, how="semi").height

    data = pl.DataFrame(columns)
    for cell in curation.table.frame.iter_rows(named=True):
        variable = {"SEX": "sex", "CREGION": "region"}[cell["attribute"]]
        code = {"Male": 1.0, "Female": 2.0, "South": 1.0, "West": 2.0}[cell["group"]]
        members = data.filter(pl.col(variable) == code, pl.col("w") > 0)
        by_code = {c: members.filter(pl.col(cell["question_id"]) == c)["w"] for c in OPTIONS}
        total = sum(w.sum() for w in by_code.values())
        assert cell["n"] == sum(len(w) for w in by_code.values()) >= 2
        assert sum(cell["distribution"]) == pytest.approx(1)
        assert cell["distribution"] == pytest.approx([w.sum() / total for w in by_code.values()])
        refused = members.filter(pl.col(cell["question_id"]) == -9.0)["w"].sum()
        assert cell["refusal_rate"] in (None, pytest.approx(refused / (total + refused)))


def test_groups_the_file_cannot_tell_lose_their_cells_by_name(tmp_path: Path) -> None:
    columns = answers()
    columns["sex"][:] = 1.0
    del columns["region"]
    (done,) = run(write_survey(tmp_path, columns)).waves
    reasons = dict(done.dropped.select("group", "reason").unique().iter_rows())
    assert set(reasons) == {"Female", "South", "West"}
    assert reasons["Female"] == "no respondent is in it"
    assert "region is not in the file" in reasons["South"]
    assert done.dropped.height == 3 * len(done.questions)


def test_no_group_at_all_is_refused(tmp_path: Path) -> None:
    columns = answers()
    del columns["region"], columns["sex"]
    with pytest.raises(DataError, match="No group asked for") as caught:
        run(write_survey(tmp_path, columns))
    assert "sex is not in the file" in str(caught.value)


def test_chosen_questions_that_do_not_fit_are_reported_cell_by_cell(tmp_path: Path) -> None:
    text = """
    "1":
      q1: {text: "How much?", options: [Disagree, Neither, Agree], ordinal: [1, 2, 3]}
      q2: {text: "How?", options: [Good, Middling, Bad]}
      gone: Was it asked?
    """
    (tmp_path / "questions.yaml").write_text(text)
    curation = run(write_survey(tmp_path, answers(), wave={"questions": "questions.yaml"}))
    (done,) = curation.waves
    assert dict(done.report.select("variable", "reason").iter_rows()) == {
        "q1": CHOSEN,
        "q2": MISFIT,
        "gone": NOT_IN_FILE,
    }
    assert done.dropped.group_by("question_id").len().sort("question_id").rows() == [
        ("gone", 4),
        ("q2", 4),
    ]
    male = row(curation.table, "q1", "Male")
    data = pl.DataFrame(answers()).filter(sex=1.0, q1=3.0)
    whole = pl.DataFrame(answers()).filter(pl.col("sex") == 1, pl.col("q1") > 0)
    assert male["options"] == ["Disagree", "Neither", "Agree"]
    assert male["distribution"][0] == pytest.approx(data["w"].sum() / whole["w"].sum())


def test_options_that_cannot_be_told_apart_drop_their_question(tmp_path: Path) -> None:
    alike = {"q2": {1.0: "Agree", 2.0: "agree", 3.0: "Disagree"}}
    (done,) = run(write_survey(tmp_path, answers(), labels=alike)).waves
    q2 = done.report.filter(variable="q2").row(0, named=True)
    assert (q2["kept"], q2["reason"]) == (False, UNUSABLE)
    assert "twice" in q2["detail"]
    assert [name for _, name in done.questions] == ["q1"]


def test_a_correction_overrides_codebook_and_file(tmp_path: Path) -> None:
    fixed = {"codes": [1, 2], "options": ["Yes", "No"], "missing_codes": {3: "Don't know"}}
    fixed |= {"question": "Is it so?", "ordinal": [2, 1]}
    curation = run(write_survey(tmp_path, answers(), wave={"correct": {"q2": fixed}}))
    cell = row(curation.table, "q2", "Male")
    assert (cell["options"], cell["ordinal"]) == (["Yes", "No"], [2.0, 1.0])
    assert cell["question"] == "Is it so?"
    wrong = write_survey(tmp_path, answers(), wave={"correct": {"q7": {"question": "Q?"}}})
    with pytest.raises(DataError, match="q7"):
        run(wrong)


def test_where_keeps_one_year_of_a_file_of_several(tmp_path: Path) -> None:
    columns = answers() | {"year": np.repeat([2016.0, 2018.0], 200)}
    curation = run(write_survey(tmp_path, columns, wave={"where": {"year": 2018}}))
    half = pl.DataFrame(columns).filter(year=2018.0)
    assert len(curation.waves[0].wave) == 200
    expected = half.filter(pl.col("sex") == 1, pl.col("q1") > 0).height
    assert row(curation.table, "q1", "Male")["n"] == expected
    with pytest.raises(DataError, match="No respondent fulfils"):
        run(write_survey(tmp_path, columns, wave={"where": {"year": 1999}}))
    with pytest.raises(InputError, match="yeer"):
        run(write_survey(tmp_path, columns, wave={"where": {"yeer": 2018}}))


def atp_file(path: Path, wave: int, n: int = 300) -> None:
    rng = np.random.default_rng(wave)
    texts = {1.0: "Yes", 2.0: "No", 99.0: "Refused"}
    columns = {
        "QKEY": np.arange(n, dtype=float),
        f"MOON_W{wave}": rng.choice([1.0, 2.0, 99.0], n, p=[0.5, 0.4, 0.1]),
        "F_GENDER": rng.choice([1.0, 2.0], n),
        f"WEIGHT_W{wave}": rng.uniform(0.5, 2, n),
    }
    pyreadstat.write_sav(
        pl.DataFrame(columns),
        str(path),
        column_labels={f"MOON_W{wave}": f"MOON_W{wave}. Should people go back to the moon?"},
        variable_value_labels={f"MOON_W{wave}": texts, "F_GENDER": {1.0: "A man", 2.0: "A woman"}},
    )


def test_the_papers_training_set_runs_with_the_waves_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "W69_Jun20").mkdir()
    atp_file(tmp_path / "ATP W68.sav", 68)
    atp_file(tmp_path / "W69_Jun20" / "ATP W69.sav", 69)
    recipe, _ = load_curation("subpop_train")
    with pytest.raises(InputError, match=r"51 file\(s\)"):
        curate(recipe, [tmp_path])
    curation = curate(recipe, [tmp_path], partial=True)
    assert len(curation.absent) == 51
    assert "ATP W131.sav" in curation.absent
    assert curation.table.meta["absent"] == curation.absent
    assert curation.table.meta["redistribution"] == "none"
    texts = {q.text for q in curation.table.questions()}
    assert texts == {"Should people go back to the moon?"}
    assert sorted(curation.table.frame["group"].unique()) == ["Female", "Male"]
    assert [w.dropped.height for w in curation.waves] == [20, 20]


def test_opinionqas_folders_run(tmp_path: Path) -> None:
    folder = tmp_path / "American_Trends_Panel_W26"
    folder.mkdir()
    (folder / "info.csv").write_text(
        ",key,question,references,option_mapping,option_ordinal\n"
        "0,GUN_W26,Own a gun?,[],\"{1.0: 'Yes', 2.0: 'No', 99.0: 'Refused'}\",\"[1, 2]\"\n"
    )
    (folder / "metadata.csv").write_text(",key,options\n0,SEX,\"['Male', 'Female', 'Refused']\"\n")
    rows = "".join(
        f"{i},{('Yes', 'No')[i % 3 == 0]},{('Male', 'Female')[i % 2]},{1 + i // 6 % 2}\n"
        for i in range(240)
    )
    (folder / "responses.csv").write_text("QKEY,GUN_W26,SEX,WEIGHT_W26\n" + rows)
    recipe, _ = load_curation("opinionqa")
    curation = curate(recipe, [tmp_path], partial=True)
    assert len(curation.absent) == 13
    assert row(curation.table, "GUN_W26", "Female")["n"] == 120
    assert row(curation.table, "GUN_W26", "Female")["distribution"][1] == pytest.approx(1 / 3)


def test_the_same_recipe_gives_the_same_table(tmp_path: Path) -> None:
    recipe = write_survey(tmp_path, answers())
    assert run(recipe).table.content_hash == run(recipe).table.content_hash


@pytest.mark.avx2
def test_the_shipped_table_is_what_its_recipe_gives(shared_data: Path) -> None:
    recipe, beside = load_curation("demo")
    made = curate(recipe, [shared_data / "gss", beside]).table
    shipped = OpinionTable.read(beside.parent / "demo.parquet")
    # sums in another order (another processor) differ in the last digits
    floats = ["distribution", "se", "n_eff", "refusal_rate"]
    assert made.frame.drop(floats).equals(shipped.frame.drop(floats))
    for name in floats:
        ours, theirs = (t.frame[name].explode().fill_null(-1) for t in (made, shipped))
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("year", "absent"), [("2018", 2), ("2016", 3)])
def test_the_published_questions_on_earlier_years(
    year: str, absent: int, shared_data: Path
) -> None:
    recipe, beside = load_curation(f"subpop_eval_{year}")
    (done,) = curate(recipe, [shared_data / "gss", beside]).waves
    assert done.report.height == 89
    assert len(done.questions) == 89 - absent
    lost = done.report.filter(~pl.col("kept"))
    assert set(lost["reason"]) == {NOT_IN_FILE}
    assert {"wrkgovt1", "wrkgovt2"} <= set(lost["variable"])
    assert len(done.groups.subpopulations) == 22
    assert len(done.result.table) + done.dropped.height == 89 * 22
    assert set(done.scales["decided_by"]) == {"question file"}


def test_a_shipped_group_recipe_wins_over_a_folder_of_its_name(tmp_path: Path) -> None:
    path = write_survey(tmp_path, answers(), wave={"groups": "gss"})
    (tmp_path / "gss").mkdir()
    with pytest.raises(DataError, match="code that has no value label") as caught:
        run(path)  # the shipped recipe's: its regions are not here
    assert str(caught.value.where).startswith("group recipe gss")
