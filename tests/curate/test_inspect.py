"""What is understood of a file nobody described, and the first files made from it."""

from __future__ import annotations

import hashlib
import io
import json
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyreadstat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from opinioncast.curate.guesses import apart_codes, ordered_texts, unlabelled_codes
from opinioncast.curate.inspect import inspect
from opinioncast.curate.inspection import Kind
from opinioncast.curate.recipe import load_curation
from opinioncast.curate.starter import chosen_traits, quoted
from opinioncast.curate.traits import AGE_GROUPS, Answers, Bounds, interval, traits_of
from opinioncast.documents import parse_yaml
from opinioncast.errors import InputError
from opinioncast.jobs.curate import curate_to_files
from opinioncast.jobs.inspect import init_to_files, inspect_to_files
from opinioncast.readers.codebook import load_codebook
from opinioncast.report.inspection import inspection_tables

DATA = Path(os.environ.get("OPINIONCAST_DATA") or Path(__file__).parents[2] / "../shared/data")
_N = 600


@pytest.mark.parametrize(
    ("text", "money", "bounds"),
    [
        ("18-29", False, (18, 29)),
        ("30 to 44 years", False, (30, 44)),
        ("> 60", False, (61, np.inf)),
        ("65+", False, (65, np.inf)),
        ("65 or older", False, (65, np.inf)),
        ("under 30", False, (-np.inf, 29)),
        ("Less than $14,999", True, (-np.inf, 14_999)),
        ("Under $30,000", True, (-np.inf, 29_999)),
        ("$25,000 to $29,999", True, (25_000, 29_999)),
        ("$25K to under $30K", True, (25_000, 29_999)),
        ("$40-75k", True, (40_000, 74_999)),
        ("$100,000 or more", True, (100_000, np.inf)),
        ("$250,000 and above", True, (250_000, np.inf)),
        ("Never", False, None),
        ("Prefer not to say", True, None),
    ],
)
def test_intervals(text: str, money: bool, bounds: tuple[float, float] | None) -> None:
    found = interval(text, money=money)
    assert (None if found is None else tuple(found)) == bounds


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(19, 90), min_size=1, max_size=8, unique=True))
def test_an_age_group_is_offered_only_where_answers_cover_it(cuts: list[int]) -> None:
    """Oracle: sets of years. A group's answers hold exactly its years, or it is not offered."""
    edges = [18, *sorted(cuts), 111]
    bands = {float(i): (low, high - 1) for i, (low, high) in enumerate(pairwise(edges))}
    last = len(bands) - 1
    texts: dict[float | str, str] = {
        c: f"{a}-{b}" if c < last else f"{a} or older" for c, (a, b) in bands.items()
    }
    variable = Answers("age", "Age group", texts, dict.fromkeys(texts, 10))
    years = {c: set(range(a, b + 1)) for c, (a, b) in bands.items()}
    wanted = {
        group: set(range(max(18, int(max(low, 0))), int(min(high, 110)) + 1))
        for group, (low, high) in AGE_GROUPS.items()
    }
    whole = {
        group: {c for c in years if years[c] <= members}
        for group, members in wanted.items()
        if set().union(*(y for y in years.values() if y <= members)) == members
    }
    standard = [t for t in traits_of(variable) if t.attribute == "AGE"]
    found = {g: set(m) for t in standard for g, m in t.groups.items()}
    assert all(found[g] == whole.get(g) for g in found)
    if len(whole) >= 2 and sum(map(len, whole.values())) >= len(bands) / 2:
        assert found.keys() == whole.keys()


@pytest.mark.parametrize(
    ("codes", "answers", "missing"),
    [
        ([1, 2, 3, 4, 8, 9], [1, 2, 3, 4], [8, 9]),
        ([1, 3, 5, 8, 9], [1, 3, 5], [8, 9]),
        ([1, 5, 8], [1, 5], [8]),
        ([0, 1, 98, 99], [0, 1], [98, 99]),
        ([-1, 1, 2], [1, 2], [-1]),
        (list(range(11)), list(range(11)), []),
        ([1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7], []),
        ([1, 2, 7, 8, 9], [1, 2], [7, 8, 9]),
        ([1, 2, 3, 4, 5, 6, 7, 8, 98, 99], [1, 2, 3, 4, 5, 6, 7, 8], [98, 99]),
    ],
)
def test_codes_set_apart_are_missing(
    codes: list[float], answers: list[float], missing: list[float]
) -> None:
    found = unlabelled_codes({float(c): 5 for c in codes}, frozenset())
    assert found is not None
    assert found[0] == answers
    assert sorted(found[1]) == sorted(missing)


def test_the_whole_file_says_which_codes_are_apart() -> None:
    columns = [[1.0, 2.0, 3.0, 8.0, 9.0]] * 8 + [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]]
    wide = apart_codes(columns)
    assert wide == {8.0, 9.0}
    found = unlabelled_codes(dict.fromkeys(columns[-1], 5), wide)
    assert found is not None
    assert found[0] == [1, 2, 3, 4, 5, 6, 7]
    nine = unlabelled_codes({float(c): 5 for c in range(1, 10)}, frozenset({9.0}))
    assert nine is not None
    assert nine[0] == list(range(1, 10))  # "Other" after eight answers


def test_a_zero_is_missing_only_where_the_file_uses_it_so() -> None:
    asked = [[0.0, 1.0, 2.0, 3.0, 8.0, 9.0]] * 40 + [[1.0, 2.0, 3.0, 8.0, 9.0]] * 30
    wide = apart_codes(asked)
    assert wide == {0.0, 8.0, 9.0}
    found = unlabelled_codes(dict.fromkeys(asked[0], 5), wide)
    assert found is not None
    assert found[0] == [1, 2, 3]
    dummy = unlabelled_codes({0.0: 5, 1.0: 5, 9.0: 1}, wide)
    assert dummy is not None
    assert dummy[0] == [0, 1]  # no and yes
    assert apart_codes(asked[:45]) == {8.0, 9.0}  # too few to tell


def test_texts_in_the_order_a_person_expects() -> None:
    counts: dict[float | str, int] = {"65+": 3, "18-29": 9, "30-64": 20}
    assert ordered_texts([*map(str, counts)], counts) == ["18-29", "30-64", "65+"]
    scale: dict[float | str, int] = {
        "Agree": 5,
        "Strongly disagree": 9,
        "Disagree": 7,
        "Strongly agree": 1,
    }
    found = ordered_texts([*map(str, scale)], scale)
    expected = ["Strongly agree", "Agree", "Disagree", "Strongly disagree"]
    assert found in (expected, expected[::-1])


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40))
def test_any_label_survives_the_codebook(text: str) -> None:
    assert parse_yaml(f"a: {quoted(text)}\n", where="f", what="A file") == {"a": text}


@pytest.mark.parametrize(
    ("name", "label", "answers", "attribute", "groups"),
    [
        ("d1", "Gender of respondent", ["Male", "Female"], "SEX", ["Male", "Female"]),
        ("sexo", "Sex", ["Hombre", "Mujer"], "SEX", ["Male", "Female"]),
        (
            "degree",
            "R's highest degree",
            ["less than high school", "high school", "junior college", "bachelor", "graduate"],
            "EDUCATION",
            [
                "Less than high school",
                "High school graduate",
                "Associate's degree",
                "College graduate/some postgrad",
                "Postgraduate",
            ],
        ),
        (
            "pid",
            "Party identification",
            ["Strong Democrat", "Independent, close to Democrat", "Republican", "Other party"],
            "POLPARTY",
            ["Republican", "Democrat", "Independent", "Something else"],
        ),
    ],
)
def test_what_looks_like_an_attribute(
    name: str, label: str, answers: list[str], attribute: str, groups: list[str]
) -> None:
    texts: dict[float | str, str] = {float(i): t for i, t in enumerate(answers)}
    trait = traits_of(Answers(name, label, texts, dict.fromkeys(texts, 10)))[0]
    assert (trait.attribute, sorted(trait.groups)) == (attribute, sorted(groups))
    assert trait.share == 1


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("hhsex1", "sex of 1st person"),
        ("sexeduc", "sex education in public schools"),
        ("natrace", "race relations: too much"),
        ("intsex", "sex of the interviewer"),
    ],
)
def test_what_only_sounds_like_one_is_none(name: str, label: str) -> None:
    texts: dict[float | str, str] = {1.0: "male", 2.0: "female"}
    assert traits_of(Answers(name, label, texts, {1.0: 5, 2.0: 5})) == []


# --- whole files ----------------------------------------------------------------------------------


def write(folder: Path, kind: str) -> Path:
    draw = np.random.default_rng(7)
    columns = {
        "id": np.arange(_N, dtype=float),
        "gender": draw.choice([1.0, 2.0], _N),
        "age": draw.integers(18, 91, _N).astype(float),
        "q1": draw.choice([1.0, 2.0, 3.0], _N),
        "q2": draw.choice([1.0, 2.0, 8.0], _N, p=[0.5, 0.3, 0.2]),
        "wt": draw.uniform(0.5, 1.5, _N),
    }
    path = folder / f"poll_2023.{kind}"
    labels = {
        "gender": {1: "Male", 2: "Female"},
        "q1": {1: "Agree", 2: "Neither", 3: "Disagree"},
        "q2": {1: "Yes", 2: "No", 8: "Refused"},
    }
    names = ["Respondent id", "Gender", "Age in years", "The city is safe", "Voted", "Weight"]
    frame = pl.DataFrame(columns)
    if kind == "sav":
        pyreadstat.write_sav(frame, str(path), column_labels=names, variable_value_labels=labels)
    elif kind == "dta":
        pyreadstat.write_dta(frame, str(path), column_labels=names, variable_value_labels=labels)
    else:
        for name, texts in labels.items():
            frame = frame.with_columns(pl.col(name).replace_strict(texts))
        frame.with_columns(comment=pl.format("free text {}", "id")).write_csv(path)
    return path


@pytest.mark.parametrize("kind", ["sav", "dta", "csv"])
def test_a_small_file_from_nothing_to_a_table(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, kind)
    found, files = inspect_to_files(path, tmp_path / "look")
    assert found.design.weight == "wt"
    assert found.design.respondent_id == "id"
    assert found.columns["q1"].kind is Kind.QUESTION
    assert [a.text for a in found.columns["q2"].missing] == (
        ["Refused"] if kind == "csv" else ["8"]
    )
    assert {t.attribute for t in chosen_traits(found)} == {"SEX", "AGE"}
    page = files[0].read_text("utf-8")
    assert "free text 17" not in page  # an answer of one person
    assert "poll_2023" in page

    run = init_to_files(path, tmp_path / "first")
    recipe, beside = load_curation(run.recipe)
    assert recipe.waves[0].wave == "2023"
    table = curate_to_files(recipe, [beside], tmp_path / "table").table.frame
    draw = pl.read_csv(path) if kind == "csv" else None
    row = table.filter((pl.col("question_id") == "q2") & (pl.col("attribute") == "TOTAL")).row(
        0, named=True
    )
    raw = np.random.default_rng(7)
    raw.choice([1.0, 2.0], _N)
    raw.integers(18, 91, _N)
    raw.choice([1.0, 2.0, 3.0], _N)
    q2 = raw.choice([1.0, 2.0, 8.0], _N, p=[0.5, 0.3, 0.2])
    w = raw.uniform(0.5, 1.5, _N)
    yes = w[q2 == 1].sum() / w[q2 < 8].sum()
    assert dict(zip(row["options"], row["distribution"], strict=True))["Yes"] == pytest.approx(yes)
    assert draw is None or draw.height == _N
    assert set(table["attribute"]) == {"TOTAL", "SEX", "AGE"}

    edited = run.files[0]
    edited.write_text(edited.read_text("utf-8") + "# mine\n", "utf-8")
    with pytest.raises(InputError, match="there already"):
        init_to_files(path, tmp_path / "first")
    (tmp_path / "second").mkdir()  # a run killed after its first file: the same command goes on
    made, text = run.files[0].name, run.files[0].read_bytes()
    (tmp_path / "second" / made).write_bytes(text)
    note = {"file": made, "sha256": hashlib.sha256(text).hexdigest(), "command": "init"}
    (tmp_path / "second" / ".opinioncast-0123abcd.jsonl").write_text(json.dumps(note) + "\n")
    again = init_to_files(path, tmp_path / "second")
    assert sorted(f.name for f in (tmp_path / "second").iterdir()) == sorted(
        f.name for f in again.files
    )
    assert edited.read_text("utf-8").endswith("# mine\n")


def test_a_column_of_which_every_text_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "NA,yes\nn/a,no\nRefused,yes\n" * 40, "utf-8")
    found = inspect(path).columns["a"]
    assert found.kind is Kind.EMPTY
    assert {a.text for a in found.missing} == {"NA", "n/a", "Refused"}


def test_a_file_without_answers_still_gives_files_that_read(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text("a,b\n" + "".join(f"text {i},more {i}\n" for i in range(40)), "utf-8")
    run = init_to_files(path, tmp_path / "first")
    assert run.starter.questions == 0
    assert load_codebook(run.files[0]) == {}
    load_curation(run.recipe)


def test_texts_of_a_column_that_are_no_answers_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    care = ["Don't care"] * 30 + ["Don’t care"] * 20 + ["Care"] * 40 + ["DK"] * 6 + ["NA"] * 4
    ways = ["Bus"] * 40 + ["Train"] * 30 + ["Bus; Train"] * 20 + ["Train; Bus"] * 10
    pl.DataFrame({"care": care, "ways": ways}).write_csv(path)
    coded = pl.DataFrame({"q": ["1"] * 50 + ["2"] * 30 + ["9"] * 20})  # texts in the file itself
    pyreadstat.write_sav(coded, str(tmp_path / "t.sav"))
    assert [a.text for a in inspect(tmp_path / "t.sav").columns["q"].options] == ["1", "2"]
    found = inspect(path)
    answers = {a.text: a.n for a in found.columns["care"].options}
    assert answers == {"Don't care": 50, "Care": 40}
    assert {a.text for a in found.columns["care"].missing} == {"DK", "NA"}
    assert found.columns["ways"].kind is Kind.TEXT
    assert any("several choices in one cell" in line for line in found.odd)


def test_ages_as_texts_with_an_open_end(tmp_path: Path) -> None:
    ages = [str(a) for a in range(18, 80)] * 3 + ["80+"] * 9 + ["Refused"] * 4
    votes = (["Yes", "No"] * len(ages))[: len(ages)]
    pl.DataFrame({"age": ages, "vote": votes}).write_csv(tmp_path / "t.csv")
    assert {t.attribute for t in chosen_traits(inspect(tmp_path / "t.csv"))} == {"AGE"}
    run = init_to_files(tmp_path / "t.csv", tmp_path / "first")
    recipe, beside = load_curation(run.recipe)
    table = curate_to_files(recipe, [beside], tmp_path / "table").table.frame
    n = {g: n for a, g, n in table.select("attribute", "group", "n").iter_rows() if a == "AGE"}
    assert n == {"18-29": 36, "30-49": 60, "50-64": 45, "65+": 54}  # 15 years x 3, and 9


def test_what_the_file_says_is_neither_markup_nor_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    nasty = "[/b]<script>x</script>\x1b]52:c:aa\x07\u202e"
    path.write_text(f"{nasty},w\n" + f"y{nasty},1\nn,2\n" * 40, "utf-8")
    found, files = inspect_to_files(path, tmp_path / "look")
    printed = io.StringIO()
    Console(file=printed, width=200).print(inspection_tables(found))
    for text in (printed.getvalue(), files[0].read_text("utf-8")):
        assert not set("\x1b\x07\u202e") & set(text)
    assert "<script>x" not in files[0].read_text("utf-8")
    run = init_to_files(path, tmp_path / "first")
    options = load_codebook(run.files[0])[nasty].options
    assert options is not None
    assert options[0] in (f"y{nasty}", "n")


def test_a_weight_that_some_lack_is_not_taken_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text("weight,Do you?\n" + "0.5,y\n1.4,n\n1.1,y\n,n\n" * 40, "utf-8")
    run = init_to_files(path, tmp_path / "first")
    assert "weight is empty for 40 respondent(s)" in run.found.odd[0]
    text = run.recipe.read_text("utf-8")
    assert '    # weight: "weight"' in text
    recipe, beside = load_curation(run.recipe)
    assert recipe.waves[0].weight is None
    assert len(curate_to_files(recipe, [beside], tmp_path / "table").table) == 1


def test_own_bands_become_groups_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "bands.csv"
    rows = [f"{band},{answer}\n" for band in ("18-29", "30-44", "45-60", "> 60") for answer in "yn"]
    path.write_text("Age,Do you?\n" + "".join(rows * 30), "utf-8")
    run = init_to_files(path, tmp_path / "first")
    assert run.starter.attributes == ("AGE_OWN",)
    recipe, beside = load_curation(run.recipe)
    table = curate_to_files(recipe, [beside], tmp_path / "table").table.frame
    cell = table.filter(pl.col("group") == "45-60").row(0, named=True)
    assert cell["n"] == 60  # neither in 30-49 nor in 50-64


# --- real files: facts checked by hand ------------------------------------------------------------


def real(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return path


def test_the_comma_survey() -> None:
    """Its codebook: 5 questions; ages 18-29, 30-44, 45-60, > 60; nine census divisions."""
    found = inspect(real("fivethirtyeight/comma_survey.csv"))
    assert found.respondents == 1129
    traits = {t.attribute: t for t in chosen_traits(found)}
    assert list(traits["AGE_OWN"].groups) == ["18-29", "30-44", "45-60", "> 60"]
    assert set(traits["CREGION"].groups) == {"Northeast", "Midwest", "South", "West"}
    assert traits["CREGION"].share == 1
    book = load_codebook(real("fivethirtyeight/codebook_comma.json"))
    questions = {c.name for c in found.of_kind(Kind.QUESTION)}
    assert set(book) <= questions


def test_the_non_voters() -> None:
    """Every question codes a refusal as -1, which no label says."""
    found = inspect(real("fivethirtyeight/nonvoters_data.csv"))
    assert found.design.weight == "weight"
    column = found.columns["Q2_1"]
    assert column.guessed
    assert [a.code for a in column.missing] == [-1]
    age = next(t for t in chosen_traits(found) if t.attribute == "AGE")
    assert age.variable == "ppage"
    assert age.groups["30-49"] == Bounds(30, 49)


def test_the_trend_file_of_the_gss() -> None:
    found = inspect(real("gss/gss_trend_2016_2024.sav"))
    assert found.respondents == 16100
    assert found.conventions[0] == "gss"
    assert found.design.weight == "wtssall"
    assert any("year holds 5 values" in line for line in found.odd)


def test_unlabelled_codes_are_guessed_beside_those_that_conventions_call_missing(
    tmp_path: Path,
) -> None:
    """ANES names: -9 and -8 are theirs; 1 and 5 have no labels, as in parquet files."""
    answers = [1, 5, 1, -9, -8, 5, 1, 1]
    frame = pl.DataFrame({f"V08300{i}": answers for i in range(1, 6)})
    frame.write_parquet(tmp_path / "old.parquet")
    column = inspect(tmp_path / "old.parquet").columns["V083003"]
    assert [(a.code, a.n) for a in column.options] == [(1.0, 4), (5.0, 2)]
    assert {a.code for a in column.missing} == {-9.0, -8.0}
    assert column.guessed
