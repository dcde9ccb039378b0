"""Files as people have them, each with the figure that is right: shares by hand or by SPSS.

The files stand in ``../shared/cases/curate``; their kinds are made anew in the other tests here, so
that those run without them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyreadstat
import pytest

from opinioncast.curate.pipeline import curate
from opinioncast.curate.recipe import load_curation, parse_curation
from opinioncast.errors import DataError


@pytest.fixture(scope="module")
def cases(shared_data: Path) -> Path:
    folder = shared_data.parent / "cases" / "curate"
    if not folder.is_dir():
        pytest.skip("the curation cases are not here")
    return folder


def shares(cases: Path, folder: str, recipe: str = "recipe.yaml") -> dict[str, dict[str, float]]:
    """Question -> option -> share of all adults."""
    place = next(cases.glob(f"{folder}_*"))
    loaded, _ = load_curation(place / recipe)
    frame = curate(loaded, [place]).table.frame
    first = frame.filter(pl.col("attribute") == frame["attribute"][0])
    return {
        row["question_id"]: dict(zip(row["options"], row["distribution"], strict=True))
        | {"refusal_rate": row["refusal_rate"], "n": row["n"]}
        for row in first.iter_rows(named=True)
    }


def test_negative_labelled_codes_of_the_world_values_survey(cases):
    found = shares(cases, "01")
    expected = {"Have done": 0.2785, "Might do": 0.3316, "Would never do": 0.3898}
    assert {k: found["Q211"][k] for k in expected} == pytest.approx(expected, abs=5e-5)
    assert found["Q211"]["n"] == 812
    assert found == shares(cases, "01", "recipe_anes.yaml")


def test_text_answers_between_numbers_keep_their_own_code(cases):
    found = shares(cases, "02")
    table = pl.read_csv(next(cases.glob("02_*")) / "export.csv", infer_schema=False)
    weight = table["w"].cast(pl.Float64)
    for name in ("nps", "kids", "agree5"):
        for option, share in found[name].items():
            if option not in ("refusal_rate", "n"):
                expected = weight.filter(table[name] == option).sum() / weight.sum()
                assert share == pytest.approx(expected, abs=1e-9), (name, option)
    assert found["kids"]["None"] == pytest.approx(0.4068, abs=5e-5)
    assert found["kids"]["1"] == pytest.approx(0.2799, abs=5e-5)


def test_undeclared_missing_answers_are_no_options(cases):
    found = shares(cases, "03")
    data, _ = pyreadstat.read_sav(str(next(cases.glob("03_*")) / "f.sav"), output_format="dict")
    answers = {"cchs": (1, 4), "afro": (0, 3), "yougov": (1, 3), "de": (1, 2)}
    for name, (low, high) in answers.items():
        inside = [v for v in data[name] if low <= v <= high]
        got = [v for k, v in found[name].items() if k not in ("refusal_rate", "n")]
        expected = [inside.count(c) / len(inside) for c in range(low, high + 1)]
        assert got == pytest.approx(expected), name
    assert found["afro"]["refusal_rate"] == pytest.approx(134 / (134 + 564))


def test_answers_that_read_like_missing_ones_stay(cases):
    found = shares(cases, "04")
    expected = {
        "abortion": ("Restricted", 0.338),
        "vaccine": ("Refused", 0.340),
        "service": ("Not available", 0.333),
        "class": ("Skipped", 0.322),
        "mpreply": ("No response", 0.308),
        "job": ("Not applicable", 0.355),
        "map": ("Missing", 0.341),
    }
    for name, (option, share) in expected.items():
        assert found[name][option] == pytest.approx(share), name
        assert found[name]["n"] == 1000


@pytest.mark.parametrize("recipe", ["recipe.yaml", "recipe_cb.yaml"])
def test_value_labels_of_string_variables(cases, recipe):
    found = shares(cases, "06", recipe)
    data, _ = pyreadstat.read_sav(
        str(next(cases.glob("06_*")) / "f.sav"), output_format="dict", user_missing=True
    )
    assert found["q1"]["Agree"] == pytest.approx(data["q1"].count("A1") / 400)
    assert found["q1"]["Other"] == pytest.approx(data["q1"].count("-oth-") / 400)
    assert found["q2"]["Yes"] == pytest.approx(data["q2"].count("01") / (400 - 138))
    assert found["q2"]["refusal_rate"] == pytest.approx(138 / 400)


def test_one_survey_in_three_spss_formats(cases):
    por, sav, zsav = (shares(cases, "08", f"recipe_f.{e}.yaml") for e in ("por", "sav", "zsav"))
    assert sav == zsav == {k.lower(): v for k, v in por.items()}
    assert por["Q1"]["refusal_rate"] == pytest.approx(0.25)
    assert "Don't know" not in por["Q1"]


def test_weight_by_of_the_file(cases):
    found = shares(cases, "10")
    assert found["q1"]["Approve"] == pytest.approx(0.857, abs=5e-4)  # SPSS: FREQUENCIES q1


@pytest.mark.parametrize("file", ["q.tsv", "q1.csv", "q1.tsv", "q3.csv"])
def test_qualtrics_exports_hold_300_people(cases, file):
    plain = shares(cases, "11", f"recipe_{file}_0.yaml")
    weighted = shares(cases, "11", f"recipe_{file}_1.yaml")
    table = pl.read_csv(next(cases.glob("11_*")) / "q1.csv")
    q1 = table.filter(pl.col("Q1") > 0)
    assert plain["Q3"]["n"] == 300
    assert plain["Q1"]["Approve"] == pytest.approx((q1["Q1"] == 1).mean())
    expected = q1.filter(pl.col("Q1") == 1)["weight"].sum() / q1["weight"].sum()
    assert weighted["Q1"]["Approve"] == pytest.approx(expected)


@pytest.mark.parametrize("book", ["cb0", "cb1", "cb2", "cb3"])
def test_codebooks_with_letters_or_texts_on_a_column_of_numbers(cases, book):
    found = shares(cases, "23", f"recipe_{book}.yaml")
    assert found["q"]["Yes"] == pytest.approx(171 / 327)
    if book != "cb2":
        assert found["q"]["refusal_rate"] == pytest.approx(33 / 360)


def test_a_respondent_id_that_is_there_twice_is_refused(cases):
    with pytest.raises(DataError, match=r"rows 1, 400") as error:
        shares(cases, "23", "recipe_dup.yaml")
    assert "respondent_id" in error.value.hint


@pytest.mark.parametrize(
    "file",
    ["floats", "header_newline", "old_mac", "semicolon_comma", "semicolon_point", "sep_line",
     "spss_null", "trailing_total", "mixed_float_text"],
)  # fmt: skip
def test_csv_dialects_give_one_answer(cases, file):
    found = shares(cases, "27", f"recipe_{file}.csv.yaml")
    table = pl.read_csv(next(cases.glob("27_*")) / "floats.csv")
    if file == "mixed_float_text":
        table = pl.read_csv(next(cases.glob("27_*")) / "mixed_float_text.csv", infer_schema=False)
        table = table.filter(pl.col("q") != "dk").with_columns(pl.all().cast(pl.Float64))
    expected = table.filter(pl.col("q") == 1)["w"].sum() / table["w"].sum()
    assert found["q"]["Yes"] == pytest.approx(expected)
    assert found["q"]["n"] == table.height


def test_a_variable_whose_labels_would_take_out_most_answers_is_refused(tmp_path):
    """Without a person's word; with it, in the recipe or the codebook, the figure is right."""
    frame = pl.DataFrame(
        {
            "sex": [1.0, 2.0] * 100,
            "q": [1.0] * 30 + [2.0] * 40 + [9.0] * 130,
            "r": [1.0] * 90 + [2.0] * 110,
        }
    )
    pyreadstat.write_sav(
        frame,
        str(tmp_path / "f.sav"),
        variable_value_labels={
            "q": {1.0: "Yes", 2.0: "No", 9.0: "Don't know"},
            "r": {1.0: "Yes", 2.0: "No"},
            "sex": {1.0: "Male", 2.0: "Female"},
        },
    )
    (tmp_path / "groups.yaml").write_text(
        "attributes: {SEX: {variable: sex, groups: {Male: [1], Female: [2]}}}"
    )
    (tmp_path / "wording.json").write_text(json.dumps({"q": "Is it so?", "r": "Is it, too?"}))
    wave = {
        "family": "T",
        "wave": "1",
        "file": "f.sav",
        "groups": "groups.yaml",
        "wording": "wording.json",
    }

    def run(**more):
        recipe = {
            "name": "t",
            "citation": "x",
            "terms": "x",
            "redistribution": "group-level",
            "groups": ["total"],
            "select": {"min_n": 10},
            "waves": [wave | more],
        }
        return curate(parse_curation(recipe, "t"), [tmp_path])

    refused = run()
    assert refused.table.frame["question_id"].to_list() == ["r"]
    report = refused.waves[0].report.filter(pl.col("variable") == "q").row(0, named=True)
    assert report["reason"] == "missing answers not decided"
    assert "65.0%" in report["detail"]
    assert "missing_codes" in report["detail"]
    gone: tuple[dict[str, Any], ...] = (
        {"missing": {"limit": 0.7}},
        {"missing": {"labels": {"DON´T KNOW": "don't know"}}},
        {"correct": {"q": {"missing_codes": {9: "don't know"}}}},
    )
    for more in gone:
        row = run(**more).table.frame.filter(pl.col("question_id") == "q").row(0, named=True)
        assert row["distribution"] == pytest.approx([30 / 70, 40 / 70])
    answers: tuple[dict[str, Any], ...] = (
        {"missing": {"labels": {"Don't know": "answer"}}},
        {"correct": {"q": {"answers": [9]}}},
    )
    for more in answers:
        row = run(**more).table.frame.filter(pl.col("question_id") == "q").row(0, named=True)
        assert row["distribution"] == pytest.approx([0.15, 0.2, 0.65])
    with pytest.raises(DataError, match="unknown reason"):
        run(missing={"labels": {"x": "lazy"}})
