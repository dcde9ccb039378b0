"""Synthetic files of every kind, written by pyreadstat or by hand, and read back."""

import datetime
import hashlib
import json

import polars as pl
import pyreadstat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opinioncast.errors import DataError
from opinioncast.readers import anes, column_names, gss, read_wave
from opinioncast.survey import Design, Missing, tagged


def read(path, **more):
    return read_wave(path, family="TEST", wave="1", **more)


def save(path, columns, **more):
    pyreadstat.write_sav(pl.DataFrame(columns), str(path), **more)
    return path


@pytest.fixture
def plain(tmp_path):
    return save(
        tmp_path / "plain.sav",
        {
            "Q1": [1.0, 2.0, 99.0, None],
            "Q2": [1.0, 3.0, -1.0, -2.0],
            "name": ["Zoë", "", "b", "c"],
            "w": [0.5, 1.5, 1.0, 1.0],
        },
        column_labels=["First question", "x" * 80, None, None],
        variable_value_labels={
            "Q1": {1.0: "1. Yes", 2.0: "2. No", 99.0: "99. Refused"},
            "Q2": {1.0: "Agree", 2.0: "Neither", 3.0: "Disagree", 8.0: ""},
        },
        missing_ranges={"Q1": [99.0], "Q2": [{"lo": -9, "hi": -1}]},
    )


def test_spss_labels_user_missing_values_and_provenance(plain):
    wave = read(plain)
    q1, q2 = wave.variables["Q1"], wave.variables["Q2"]
    assert (q1.codes, q1.options) == ((1.0, 2.0), ("Yes", "No"))
    assert q1.missing == {99.0: Missing.REFUSED}
    assert q1.label == "First question"
    assert q2.options == ("Agree", "Neither", "Disagree")  # nobody chose 2; 8 has an empty label
    assert q2.missing == {-1.0: Missing.UNKNOWN, -2.0: Missing.UNKNOWN}
    assert wave.respondents["Q1"].to_list() == [1.0, 2.0, 99.0, None]
    assert wave.respondents["name"].to_list() == ["Zoë", None, "b", "c"]
    assert wave.variables["name"].codes == ()
    assert wave.meta["file"] == "plain.sav"
    assert wave.meta["sha256"] == hashlib.sha256(plain.read_bytes()).hexdigest()
    assert wave.meta["respondents"] == 4
    assert wave.meta["flags"]["label cut at 80 characters"] == ["Q2"]


def test_only_the_columns_asked_for_and_the_design_are_read(plain):
    wave = read(plain, columns=["Q1"], design=Design(weight="w"))
    assert wave.respondents.columns == ["Q1", "w"]
    assert column_names(plain) == ["Q1", "Q2", "name", "w"]


def test_wrong_case_is_an_error_that_suggests_the_name(plain, tmp_path):
    with pytest.raises(DataError, match='"Q1" for "q1"') as error:
        read(plain, columns=["q1"])
    assert '"Q1" for "q1"' in str(error.value)
    book = tmp_path / "book.json"
    book.write_text(json.dumps([{"variable": "q2", "codes": [1], "options": ["Agree"]}]))
    with pytest.raises(DataError, match='"Q2" for "q2"') as error:
        read(plain, codebook=book)
    assert '"Q2" for "q2"' in str(error.value)


def test_stata_missing_letters(tmp_path):
    path = tmp_path / "letters.dta"
    frame = pl.DataFrame(
        {
            "q": pl.Series([1.0, "d", "i", "r", 2.0, None], dtype=pl.Object),
            "z": [1.0, 2.0, 3.0, 1.0, 2.0, 3.0],
        }
    )
    pyreadstat.write_dta(
        frame,
        str(path),
        missing_user_values={"q": ["d", "i", "r"]},
        variable_value_labels={"q": {1: "Yes", 2: "No", "d": "Don't know"}},
    )
    wave = read(path, conventions=gss.CONVENTIONS)
    q = wave.variables["q"]
    assert q.options == ("Yes", "No")
    assert q.missing == {
        tagged("d"): Missing.DONT_KNOW,  # by its label
        tagged("i"): Missing.NOT_ASKED,  # by the GSS's convention
        tagged("r"): Missing.REFUSED,
    }
    expected = [1.0, tagged("d"), tagged("i"), tagged("r"), 2.0, None]
    assert wave.respondents["q"].to_list() == expected
    assert wave.variables["z"].codes == ()  # values without labels
    assert read(path).variables["q"].missing[tagged("i")] is Missing.UNKNOWN


def test_portable_sas_transport_and_parquet_hold_the_same_codes(tmp_path):
    frame = pl.DataFrame({"Q": [1.0, 2.0, None], "T": ["a", "b", "c"]})
    pyreadstat.write_por(frame, str(tmp_path / "f.por"))
    pyreadstat.write_xport(frame, str(tmp_path / "f.xpt"))
    frame.write_parquet(tmp_path / "f.parquet")
    frame.write_csv(tmp_path / "f.csv")
    for name in ("f.por", "f.xpt", "f.parquet", "f.csv"):
        got = read(tmp_path / name).respondents
        assert got.equals(frame), name


def test_dates_become_text_and_impossible_ones_stay_numbers(tmp_path):
    path = save(
        tmp_path / "d.sav",
        {
            "when": [datetime.date(2020, 1, 31), None],
            "none": pl.Series([None, None], dtype=pl.Float64),
        },
    )
    wave = read(path)
    assert wave.respondents["when"].to_list() == ["2020-01-31", None]
    assert wave.respondents["none"].dtype == pl.Float64
    assert wave.respondents["none"].null_count() == 2
    bad = save(tmp_path / "bad.sav", {"when": [1e14, 2.0]}, variable_format={"when": "DATE11"})
    wave = read(bad)
    assert wave.respondents["when"].to_list() == [1e14, 2.0]
    assert any("dates beyond the calendar" in note for note in wave.meta["notes"])


def test_a_file_that_lies_about_its_encoding_is_read_as_windows_1252(tmp_path):
    path = save(
        tmp_path / "latin.sav",
        {"q": [1.0], "t": ["café"]},
        variable_value_labels={"q": {1.0: "Más"}},
    )
    raw = path.read_bytes().replace("Más".encode(), "Más ".encode("cp1252"))
    path.write_bytes(raw.replace("café".encode(), "café ".encode("cp1252")))
    wave = read(path)
    assert wave.variables["q"].options == ("Más",)
    assert wave.respondents["t"].to_list() == ["café"]
    assert any("WINDOWS-1252" in note for note in wave.meta["notes"])


def test_numbers_without_labels_scale_points_quantities_and_strays(tmp_path):
    path = save(
        tmp_path / "n.sav",
        {
            "scale": [1.0, 2.0, 3.0, 4.0, 7.0],
            "age": [18.0, 33.0, 54.0, 89.0, 40.0],
            "yes": [1.0, 2.0, 1.0, 2.0, 55.0],
            "huge": [1.0, 1e15, 1.0, 1e15, None],
        },
        variable_value_labels={
            "scale": {1.0: "Liberal", 7.0: "Conservative"},
            "age": {89.0: "89 or older"},
            "yes": {1.0: "Yes", 2.0: "No"},
            "huge": {1.0: "Yes", 1e15: "No"},
        },
    )
    wave = read(path)
    assert wave.variables["scale"].options == ("Liberal", "2", "3", "4", "Conservative")
    assert wave.variables["age"].codes == ()
    assert wave.variables["yes"].missing == {55.0: Missing.UNKNOWN}
    assert wave.variables["huge"].codes == (1.0, 1e15)
    assert wave.meta["flags"]["answers that no label or codebook explains, taken as missing"] == [
        "yes (55 x 1)"
    ]
    assert wave.meta["flags"]["a quantity, with labels on some values only"] == ["age"]


def test_anes_negative_codes_are_missing_without_being_declared(tmp_path):
    labels = {
        -9.0: "-9. Refused",
        -8.0: "-8. Don't know",
        -7.0: "-7. No post-election data, deleted due to incomplete interview",
        -1.0: "-1. Inapplicable",
        1.0: "1. Favor",
        2.0: "2. Oppose",
        3.0: "3. Don't know",
        98.0: "98. Don't know",
    }
    path = save(
        tmp_path / "a.sav",
        {"q": [1.0, 2.0, 3.0, -9.0, -6.0]},
        variable_value_labels={"q": labels},
    )
    q = read(path, conventions=anes.CONVENTIONS).variables["q"]
    assert q.options == ("Favor", "Oppose", "Don't know")  # code 3 was offered
    assert q.missing == {
        -9.0: Missing.REFUSED,
        -8.0: Missing.DONT_KNOW,
        -7.0: Missing.NOT_IN_WAVE,
        -6.0: Missing.NOT_IN_WAVE,
        -1.0: Missing.NOT_ASKED,
        98.0: Missing.DONT_KNOW,
    }


@pytest.mark.parametrize("ending", [".json", ".yaml", ".csv"])
def test_codebooks_override_the_file_in_every_notation(plain, tmp_path, ending):
    book = tmp_path / f"book{ending}"
    if ending == ".csv":
        book.write_text(
            "variable,code,option,ordinal,missing,question\n"
            "Q1,2,Nope,1,,Really?\nQ1,1,Yep,2,,\nQ1,99,,,Don't know,\n"
        )
    else:
        text = json.dumps(  # JSON is YAML
            [
                {
                    "variable": "Q1",
                    "question": "Really?",
                    "codes": [2, 1],
                    "options": ["Nope", "Yep"],
                    "ordinal": [1.0, 2.0],
                    "missing_codes": {"99": "Don't know"},
                    "system_missing": "not asked",
                    "weight": "w",
                    "wording": "verbatim",
                    "wording_source": "the questionnaire",
                    "n_unweighted": 3,
                }
            ]
        )
        book.write_text(text)
    wave = read(plain, columns=["Q1"], codebook=book)
    q = wave.variables["Q1"]
    assert (q.codes, q.options, q.ordinal) == ((2.0, 1.0), ("Nope", "Yep"), (1.0, 2.0))
    assert q.missing == {99.0: Missing.DONT_KNOW}
    assert q.wording == "Really?"
    if ending != ".csv":
        assert q.system_missing is Missing.NOT_ASKED
        assert q.weight == "w"
        assert "w" in wave.respondents.columns
        assert q.wording_source == "verbatim: the questionnaire"
        assert wave.meta["flags"]["answers counted differ from the codebook"] == ["Q1 (2 for 3)"]


def test_codebook_options_nobody_chose_and_nominal_scales_are_recorded(plain, tmp_path):
    book = tmp_path / "book.json"
    entry = {"variable": "Q1", "codes": [1, 2, 3], "options": ["a", "b", "c"], "ordinal": None}
    book.write_text(json.dumps({"questions": [entry]}))
    wave = read(plain, codebook=book)
    assert wave.variables["Q1"].ordinal == (0.0, 0.0, 0.0)
    assert wave.meta["flags"]["codebook options that nobody chose"] == ["Q1 (3)"]


@pytest.mark.parametrize(
    ("entry", "title"),
    [
        ({"codes": [1]}, "names no variable"),
        ({"variable": "Q1", "codes": [1, 2], "options": ["a"]}, "as many options as codes"),
        ({"variable": "Q1", "codes": 3}, "wrong kind"),
        ({"variable": "Q1", "system_missing": "lazy"}, "wrong kind"),
        ({"variable": "name2"}, "not in the file"),
    ],
)
def test_broken_codebooks_are_refused(plain, tmp_path, entry, title):
    book = tmp_path / "book.json"
    book.write_text(json.dumps([entry]))
    with pytest.raises(DataError, match=title):
        read(plain, codebook=book)


def test_wording_files_fill_in_what_the_codebook_leaves_open(plain, tmp_path):
    wording = tmp_path / "wording.json"
    wording.write_text(json.dumps({"Q1": {"label": "x", "question": "Asked thus?"}, "other": {}}))
    q = read(plain, wording=wording).variables["Q1"]
    assert (q.wording, q.wording_source) == ("Asked thus?", "verbatim: wording.json")


def test_csv_answers_as_text(tmp_path):
    data = tmp_path / "t.csv"
    data.write_bytes("id;q;x\n1;Sí;NA\n2;No;3\n3;Quizás;4\n4;;5\n".encode("cp1252"))
    book = tmp_path / "book.yaml"
    book.write_text(
        "- {variable: q, codes: [No, Sí], options: ['No', 'Yes'], n_unweighted: 2}\n".replace(
            "[No,", "['No',"
        )
    )
    wave = read(data, codebook=book)
    q = wave.variables["q"]
    assert (q.codes, q.options) == ((1.0, 2.0), ("No", "Yes"))
    codes = wave.respondents["q"].to_list()
    assert codes[:2] == [2.0, 1.0]
    assert q.missing[codes[2]] is Missing.UNKNOWN
    assert codes[3] is None
    assert wave.respondents["x"].to_list() == [None, 3.0, 4.0, 5.0]
    assert any("cp1252" in note for note in wave.meta["notes"])
    assert any('"Quizás" x 1' in note for note in wave.meta["notes"])


def test_csv_duplicate_names_and_ragged_rows_are_named(tmp_path):
    twice = tmp_path / "twice.csv"
    twice.write_text("a,b,a\n1,2,3\n")
    with pytest.raises(DataError, match="columns 1, 3"):
        read(twice)
    ragged = tmp_path / "ragged.csv"
    ragged.write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(DataError, match=r"ragged\.csv"):
        read(ragged)


def test_surveymonkey_header_rows_and_columns_by_position(tmp_path):
    data = tmp_path / "sm.csv"
    data.write_text("id,Pick,Rate,\n,Response,Films,Books\n1,Yes,Good,Bad\n2,No,Bad,Bad\n")
    book = tmp_path / "book.json"
    entry = {"variable": "column 4 (second header row)", "codes": ["Good", "Bad"]}
    book.write_text(json.dumps([entry | {"options": ["Good", "Bad"]}]))
    wave = read(data, codebook=book)
    assert wave.respondents.columns == ["id", "Pick", "Rate", "column 4 (second header row)"]
    assert wave.variables["column 4 (second header row)"].label == "Books // Rate"
    assert wave.respondents["column 4 (second header row)"].to_list() == [2.0, 2.0]


def broken_files(folder):
    rows = {"q": [float(i % 5) for i in range(3000)], "t": ["x"] * 3000}
    frame = pl.DataFrame(rows)
    pyreadstat.write_sav(frame, str(folder / "a.sav"))
    pyreadstat.write_sav(frame, str(folder / "a.zsav"), compress=True)
    pyreadstat.write_dta(frame, str(folder / "a.dta"))
    pyreadstat.write_por(frame, str(folder / "a.por"))
    frame.write_parquet(folder / "a.parquet")
    return folder


@pytest.mark.parametrize("ending", ["sav", "zsav", "dta", "por", "parquet"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_truncated_files_are_named(tmp_path, ending, share):
    whole = (broken_files(tmp_path) / f"a.{ending}").read_bytes()
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=r"cut\.") as error:
        read(cut)
    assert f"cut.{ending}" in str(error.value)
    assert error.value.expected
    assert error.value.found


def test_cut_sas_transport_file(tmp_path):
    path = tmp_path / "a.xpt"
    pyreadstat.write_xport(pl.DataFrame({"q": [1.0] * 100}), str(path))
    path.write_bytes(path.read_bytes()[:-37])
    with pytest.raises(DataError, match="cut short"):
        read(path)


def test_mislabelled_empty_and_absent_files(tmp_path):
    broken_files(tmp_path)
    (tmp_path / "a.dta").rename(tmp_path / "b.sav")
    with pytest.raises(DataError, match="Stata file") as error:
        read(tmp_path / "b.sav")
    assert "b.sav" in str(error.value)
    assert error.value.found == "Stata file"
    assert ".dta" in error.value.hint
    (tmp_path / "empty.sav").write_bytes(b"")
    with pytest.raises(DataError, match="0 bytes"):
        read(tmp_path / "empty.sav")
    with pytest.raises(DataError, match="is not there"):
        read(tmp_path / "absent.sav")
    with pytest.raises(DataError, match="unknown kind"):
        read(tmp_path / "file.xyz")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    answers=st.lists(st.one_of(st.none(), st.integers(-9, 12)), min_size=1, max_size=40),
    labelled=st.sets(st.integers(-9, 12), max_size=12),
    declared=st.integers(-9, 0),
)
def test_every_code_of_a_closed_variable_is_an_option_or_missing(
    tmp_path, answers, labelled, declared
):
    """No cell is lost: what a respondent has is null, an option, or missing with a reason."""
    values = [None if a is None else float(a) for a in answers]
    path = save(
        tmp_path / "p.sav",
        {"q": pl.Series(values, dtype=pl.Float64)},
        variable_value_labels={"q": {float(c): f"Option {c}" for c in labelled}},
        missing_ranges={"q": [{"lo": -9, "hi": declared}]},
    )
    wave = read(path)
    assert wave.respondents["q"].to_list() == values
    q = wave.variables["q"]
    present = {v for v in values if v is not None}
    assert {v for v in present if v <= declared} <= set(q.missing)
    if q.codes:
        assert present <= set(q.codes) | set(q.missing)
