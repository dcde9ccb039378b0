"""Group masks against hand-made waves and against the checked counts of real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyreadstat
import pytest

from opinioncast.curate.group_recipe import load_group_recipe
from opinioncast.curate.groups import group_masks
from opinioncast.errors import DataError
from opinioncast.readers import anes, gss
from opinioncast.readers.microdata import column_names, read_wave
from opinioncast.survey.groups import Subpopulation, load_groups
from opinioncast.survey.wave import Missing, Variable, Wave


def variable(name: str, labels: dict[float, str], missing: tuple[float, ...] = ()) -> Variable:
    answers = {c: t for c, t in labels.items() if c not in missing}
    return Variable(
        name,
        codes=tuple(answers),
        options=tuple(answers.values()),
        missing=dict.fromkeys(missing, Missing.REFUSED),
    )


def wave(columns: dict[str, list[Any]], *variables: Variable) -> Wave:
    return Wave("TEST", "1", pl.DataFrame(columns), {v.name: v for v in variables})


def recipe(folder: Path, text: str) -> Any:
    path = folder / "mine.yaml"
    path.write_text(text, "utf-8")
    return load_group_recipe(path)


def one(attribute: str, group: str) -> Subpopulation:
    return Subpopulation(((attribute, group),))


SEX = variable("sex", {1.0: "1. Male", 2.0: "2. Female", 99.0: "Refused"}, (99.0,))


def test_masks_by_hand(tmp_path: Path) -> None:
    data = wave(
        {"sex": [1.0, 2.0, 2.0, None, 99.0], "age": [70.0, 20.0, 99.0, 66.0, 65.0]},
        SEX,
        Variable("age", missing={99.0: Missing.REFUSED}),
    )
    mine = recipe(
        tmp_path,
        """
        attributes:
          SEX: {variable: sex, groups: {Male: [1], Female: [female]}}
          AGE: {variable: age, groups: {65+: {min: 65}, young: {none: [{min: 65}]}}}
        """,
    )
    old_woman = Subpopulation((("SEX", "Female"), ("AGE", "65+")))
    young_woman = Subpopulation((("SEX", "Female"), ("AGE", "young")))
    wanted = [
        Subpopulation(),
        one("SEX", "Male"),
        one("SEX", "Female"),
        one("AGE", "65+"),
        young_woman,
        old_woman,
    ]
    found = group_masks(data, mine, wanted)
    assert found.subpopulations == tuple(wanted[:5])
    assert found.missing == ((old_woman, "no respondent is in it"),)
    assert found.masks.T.tolist() == [
        [True] * 5,
        [True, False, False, False, False],
        [False, True, True, False, False],
        [True, False, False, True, True],  # 99 is a refusal, not an age
        [False, True, False, False, False],  # nor is who refused it young
    ]
    assert any("SEX: from sex; 2 of 5 in none" in n for n in found.notes)


def test_a_missing_attribute_loses_its_own_groups_only(tmp_path: Path) -> None:
    mine = recipe(
        tmp_path,
        """
        attributes:
          SEX: {variable: sex, groups: {Male: [1], Female: [2]}}
          RELIG: {variable: religion, groups: {Hindu: [7]}, absent: {Mormon: not asked}}
        """,
    )
    wanted = [
        one("SEX", "Male"),
        one("RELIG", "Hindu"),
        one("RELIG", "Mormon"),
        one("RELIG", "Jedi"),
        one("RACE", "White"),
        Subpopulation((("SEX", "Male"), ("RELIG", "Hindu"))),
    ]
    found = group_masks(wave({"sex": [1.0, 2.0], "relig": [7.0, 7.0]}, SEX), mine, wanted)
    assert found.subpopulations == (wanted[0],)
    reasons = {str(s): why for s, why in found.missing}
    assert "religion is not in the file" in reasons["RELIG=Hindu"]
    assert "relig" in reasons["RELIG=Hindu"].split("like it:")[1]
    assert reasons["RELIG=Mormon"] == "not asked"
    assert "has no group Jedi" in reasons["RELIG=Jedi"]
    assert "has no attribute RACE" in reasons["RACE=White"]
    assert "religion is not in the file" in reasons["SEX=Male & RELIG=Hindu"]


def test_a_code_without_a_value_label_is_refused(tmp_path: Path) -> None:
    mine = recipe(tmp_path, "attributes: {SEX: {variable: sex, groups: {Male: [0], Female: [1]}}}")
    with pytest.raises(DataError, match="no value label") as error:
        group_masks(wave({"sex": [1.0, 2.0]}, SEX), mine, [one("SEX", "Male")])
    assert "mine.yaml, SEX, variable sex" in str(error.value)
    assert "1 1. Male" in str(error.value)


def test_overlapping_groups_are_refused_unless_declared(tmp_path: Path) -> None:
    data = wave({"race": [1.0, 1.0, 2.0], "hisp": [1.0, 2.0, 2.0]})
    text = """
        attributes:
          RACE:
            groups:
              White: {variable: race, codes: [1]}
              Hispanic: {variable: hisp, codes: [1]}
        """
    both = [one("RACE", "White"), one("RACE", "Hispanic")]
    with pytest.raises(DataError, match="1 respondents are in two groups") as error:
        group_masks(data, recipe(tmp_path, text), both)
    assert "White and Hispanic" in str(error.value)
    declared = text.replace("groups:\n", "overlapping: [White, Hispanic]\n            groups:\n")
    masks = group_masks(data, recipe(tmp_path, declared), both).masks
    assert masks.sum(axis=0).tolist() == [2, 1]


def test_text_variables(tmp_path: Path) -> None:
    data = wave({"age": ["18", "80+", None, "n/a"], "sex": ["Male", "female", "x", None]})
    mine = recipe(
        tmp_path,
        """
        attributes:
          AGE: {variable: age, groups: {18-29: {min: 18, max: 29}, 65+: {min: 65}}}
          SEX: {variable: sex, groups: {Female: [Female]}}
        """,
    )
    found = group_masks(data, mine, [one("AGE", "18-29"), one("AGE", "65+"), one("SEX", "Female")])
    assert found.masks.T.astype(int).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]]
    coded = recipe(tmp_path, "attributes: {SEX: {variable: sex, groups: {Female: [2]}}}")
    with pytest.raises(DataError, match="codes for a text variable"):
        group_masks(data, coded, [one("SEX", "Female")])


# Value labels as in the American Trends Panel's files, both codings; answers are made up.
def atp(newer: bool) -> Wave:
    end = "" if newer else "_FINAL"
    sex = "F_GENDER" if newer else "F_SEX_FINAL"
    race = "F_RACETHNMOD" if newer else "F_RACETHN_RECRUITMENT"
    income = "F_INC_SDT1" if newer else "F_INCOME_FINAL"
    labels = {
        f"F_CREGION{end}": ["Northeast", "Midwest", "South", "West"],
        sex: ["A man", "A woman", "In some other way"] if newer else ["Male", "Female"],
        f"F_EDUCCAT2{end}": [
            "Less than high school",
            "High school graduate",
            "Some college, no degree",
            "Associate’s degree",
            "College graduate/some post grad",
            "Postgraduate",
        ],
        race: ["White non-Hispanic", "Black non-Hispanic", "Hispanic", "Other"]
        + (["Asian non-Hispanic"] if newer else []),
        income: [
            "Less than $30,000",
            "$30,000 to less than $40,000",
            "$40,000 to less than $50,000",
            "$50,000 to less than $60,000",
            "$60,000 to less than $70,000",
            "$70,000 to less than $80,000",
            "$80,000 to less than $90,000",
            "$90,000 to less than $100,000",
            "$100,000 or more",
        ]
        if newer
        else [
            "Less than $10,000",
            "10 to under $20,000",
            "20 to under $30,000",
            "30 to under $40,000",
            "40 to under $50,000",
            "50 to under $75,000",
            "75 to under $100,000",
            "100 to under $150,000 [OR]",
            "$150,000 or more",
        ],
        "F_PARTY_FINAL": ["Republican", "Democrat", "Independent", "Something else"],
        f"F_IDEO{end}": [
            "Very conservative",
            "Conservative",
            "Moderate",
            "Liberal",
            "Very liberal",
        ],
        f"F_RELIG{end}": [
            "Protestant (for example, Baptist, Methodist, Non-denominational, Lutheran)",
            "Roman Catholic (Catholic)",
            "Mormon (Church of Jesus Christ of Latter-day Saints/LDS)",
            "Orthodox (Greek, Russian, or some other orthodox church)",
            "Jewish (Judaism)",
            "Muslim (Islam)",
            "Buddhist",
            "Hindu",
            "Atheist (do not believe in God)",
            "Agnostic (not sure if there is a God)",
            "Something else, Specify:",
            "Nothing in particular",
        ],
    }
    columns: dict[str, list[float]] = {}
    variables = []
    for name, texts in labels.items():
        coded = {float(i): t for i, t in enumerate(texts, start=1)} | {99.0: "Refused"}
        columns[name] = [list(coded)[i % len(coded)] for i in range(13 * 12)]
        variables.append(variable(name, coded, (99.0,)))
    return wave(columns, *variables)


def test_atp_recipe_reads_both_codings_of_the_panel() -> None:
    recipe = load_group_recipe("atp")
    groups = list(load_groups("paper22"))
    new, old = (group_masks(atp(newer), recipe, groups) for newer in (True, False))
    assert not new.missing
    assert [str(s) for s, _ in old.missing] == ["RACE=Asian"]
    assert "F_RACETHNMOD is not in the file" in old.missing[0][1]
    size = dict(zip(map(str, new.subpopulations), new.masks.sum(axis=0).tolist(), strict=True))
    assert size["RELIG=Hindu"] == 12  # one of 13 codes, 156 respondents
    assert size["POLPARTY=Democrat"] in (31, 32)
    assert size["INCOME=$100,000 or more"] in (15, 16)
    old_size = dict(zip(map(str, old.subpopulations), old.masks.sum(axis=0).tolist(), strict=True))
    assert old_size["INCOME=Less than $30,000"] in (46, 47, 48)  # three of ten codes
    assert any("Other includes Asian" in n for n in old.notes)


FILES = [
    ("gss", "gss/gss_2016.zsav", "gss/groups_gss_2016.json"),
    ("gss", "gss/gss_2018.zsav", "gss/groups_gss_2018.json"),
    ("gss", "gss/gss_2018.dta", "gss/groups_gss_2018.json"),
    ("anes_2020", "anes/timeseries_2020.zsav", "anes/groups_timeseries_2020.json"),
    ("anes_2012", "anes/timeseries_2012.zsav", "anes/groups_timeseries_2012.json"),
    ("anes_pilot_2018", "anes/pilot_2018.sav", "anes/groups_pilot_2018.json"),
    ("anes_pilot_2018", "anes/pilot_2018_usermissing.sav", "anes/groups_pilot_2018.json"),
    ("anes_pilot_2018", "anes/pilot_2018.dta", "anes/groups_pilot_2018.json"),
    ("anes_pilot_2020", "anes/pilot_2020.sav", "anes/groups_pilot_2020.json"),
    ("anes_socialmedia_2020", "anes/socialmedia_2020.sav", "anes/groups_socialmedia_2020.json"),
]


def read(path: Path, recipe: Any) -> Wave:
    """The recipe's columns of a file with their value labels, without any reader of ours."""
    reader = pyreadstat.read_dta if path.suffix == ".dta" else pyreadstat.read_sav
    names = reader(path, metadataonly=True, output_format="dict")[1].column_names
    columns, meta = reader(path, usecols=recipe.columns(names), output_format="dict")
    variables = []
    for name in columns:
        labels = meta.variable_value_labels.get(name, {})
        labels = {float(c): t for c, t in labels.items() if not isinstance(c, str)}
        # age and years of school: their few labels do not cover their codes
        missing = tuple(c for c in labels if c < 0)
        variables.append(variable(name, labels, missing))
    frame = pl.DataFrame({k: pl.Series(list(v), strict=False) for k, v in columns.items()})
    frame = frame.with_columns(pl.selectors.numeric().cast(pl.Float64).fill_nan(None))
    return Wave(path.stem, "", frame, {v.name: v for v in variables})


def read_with_package(path: Path, recipe: Any) -> Wave:
    """The same through the package's own reader and the institution's conventions."""
    family = anes if path.parent.name == "anes" else gss
    return read_wave(
        path,
        family=family.__name__,
        wave=path.stem,
        columns=recipe.columns(column_names(path)),
        conventions=family.CONVENTIONS,
    )


@pytest.mark.parametrize("reader", [read, read_with_package])
@pytest.mark.parametrize(("name", "file", "checked"), FILES)
def test_counts_equal_the_checked_ones(
    shared_data: Path, reader: Any, name: str, file: str, checked: str
) -> None:
    recipe = load_group_recipe(name)
    truth = json.loads((shared_data / checked).read_text("utf-8"))["attributes"]
    expected = {
        (attribute, group): entry["n"]
        for attribute, groups in truth.items()
        for group, entry in groups["groups"].items()
    }
    found = group_masks(reader(shared_data / file, recipe), recipe, [one(*key) for key in expected])
    assert not found.missing
    got = found.masks.sum(axis=0).tolist()
    assert dict(zip([s.key for s in found.subpopulations], got, strict=True)) == expected


def test_gss_none_is_read_as_atheist(shared_data: Path) -> None:
    recipe = load_group_recipe("gss")
    groups = list(load_groups("paper22"))
    found = group_masks(read(shared_data / "gss" / "gss_2018.zsav", recipe), recipe, groups)
    assert not found.missing
    size = dict(zip([s.group for s in found.subpopulations], found.masks.sum(axis=0), strict=True))
    assert size["Atheist"] == 542  # the count published for "none" in 2018
    assert any('Atheist is the answer "none"' in n for n in found.notes)


def test_gss_trend_file_loses_what_it_does_not_hold(shared_data: Path) -> None:
    recipe = load_group_recipe("gss")
    trend = read(shared_data / "gss" / "gss_trend_2016_2024.sav", recipe)
    found = group_masks(trend, recipe, list(load_groups("paper22")))
    lost = {s.attribute for s, _ in found.missing}
    assert lost == {"CREGION", "EDUCATION", "INCOME", "POLPARTY", "RACE"}
    assert {"White", "Black", "Hispanic"} <= {s.group for s in found.subpopulations}
    assert np.all(found.masks.sum(axis=0) > 0)


def test_who_gave_no_answer_is_not_all_the_others(tmp_path: Path) -> None:
    data = wave(
        {
            "race": [1.0, 2.0, 8.0, 9.0, None, 1.0],
            "latin": [1.0, 1.0, 1.0, 1.0, 1.0, None],
            "job": ["clerk", "none", "refused", "cook", None, "clerk"],
        },
        # "Don't know" is declared nowhere; "Refused" is
        variable("race", {1.0: "White", 2.0: "Black", 8.0: "Don't know", 9.0: "Refused"}, (9.0,)),
        variable("latin", {1.0: "No", 2.0: "Yes"}),
    )
    mine = recipe(
        tmp_path,
        """
        attributes:
          A: {groups: {Other: {none: [&white {variable: race, codes: [1]}]}}}
          B: {groups: {Other: {all: [{none: [*white]}]}}}
          C: {groups: {Neither: {none: [{variable: race, codes: [2]},
                                        &latin {variable: latin, codes: [2]}]}}}
          D: {groups: {Both: {all: [*white, {none: [*latin]}]}}}
          E: {groups: {Other: {none: [{variable: job, labels: [clerk]}]}}}
        """,
    )
    wanted = [one("A", "Other"), one("B", "Other"), one("C", "Neither"), one("D", "Both")]
    found = group_masks(data, mine, [*wanted, one("E", "Other")])
    assert found.masks.T.astype(int).tolist() == [
        [0, 1, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 1],  # white is said; of Latin origin is not
        [0, 1, 0, 1, 0, 0],
    ]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ("{max: 29999}", [1, 1, 1, 0, 0, 0]),
        ("{min: 30000}", [0, 0, 0, 1, 1, 0]),
        ("{min: 0, max: 3}", None),  # codes, most likely; but 0 is none
        ("{min: 1, max: 3}", [1, 1, 1, 0, 0, 0]),
    ],
)
def test_limits_of_coded_bands(tmp_path: Path, limits: str, expected: list[int] | None) -> None:
    labels = {
        1.0: "$0 to $9,999",
        2.0: "$10,000 to $19,999",
        3.0: "$20,000 to $29,999",
        4.0: "$30,000 to $49,999",
        5.0: "$50,000 or more",
        9.0: "Refused",
    }
    data = wave({"inc": [1.0, 2.0, 3.0, 4.0, 5.0, 9.0]}, variable("inc", labels, (9.0,)))
    mine = recipe(
        tmp_path, f"attributes: {{HH: {{variable: inc, groups: {{some: {limits}, rest: [5]}}}}}}"
    )
    if expected is None:
        with pytest.raises(DataError, match="codes or of the values in their labels"):
            group_masks(data, mine, [one("HH", "some")])
        return
    if expected[4]:  # `rest` would overlap
        mine = recipe(
            tmp_path, f"attributes: {{HH: {{variable: inc, groups: {{some: {limits}}}}}}}"
        )
    found = group_masks(data, mine, [one("HH", "some")])
    assert found.masks[:, 0].astype(int).tolist() == expected


def test_groups_whose_codes_are_exchanged_are_refused(tmp_path: Path) -> None:
    data = wave({"sex": [1.0, 2.0, 2.0]}, SEX)
    text = "attributes: {{SEX: {{variable: sex, groups: {{Male: [{}], Female: [{}]}}}}}}"
    wanted = [one("SEX", "Male"), one("SEX", "Female")]
    with pytest.raises(DataError, match="codes of another one") as error:
        group_masks(data, recipe(tmp_path, text.format(2, 1)), wanted)
    assert "code 1" in str(error.value.expected)
    found = group_masks(data, recipe(tmp_path, text.format(1, 2)), wanted)
    assert found.masks.sum(axis=0).tolist() == [1, 2]
