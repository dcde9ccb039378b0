"""Codes that are texts: two meanings never share a number."""

from __future__ import annotations

import json
from collections import Counter

import polars as pl
import pyreadstat
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from opinioncast.errors import DataError
from opinioncast.readers import read_wave
from opinioncast.readers.codebook import Entry, crossed, load_codebook, load_wording
from opinioncast.readers.describe import Flags
from opinioncast.readers.text_codes import by_codebook, by_labels, number_of, resolve
from opinioncast.survey import Missing, tagged

TEXTS = st.one_of(
    st.sampled_from(
        ["None", "1", "2", "3", "01", "1.0", "4 or more", "0 - None", "10 - Fully", "-1",
         "-9", "-101", "Yes", "No", "1e1", "10", "+1", "007"]
    ),
    st.text("ab1 ", min_size=1, max_size=4).map(str.strip).filter(bool),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=500)
@given(
    codes=st.lists(TEXTS, min_size=1, max_size=8, unique=True),
    gone=st.lists(TEXTS, max_size=4, unique=True),
    strays=st.lists(TEXTS, max_size=3, unique=True),
    draws=st.lists(st.integers(0, 14), min_size=1, max_size=40),
)
def test_two_texts_of_a_column_never_share_a_code(codes, gone, strays, draws):
    """Counts per option are those of plain Python on the texts, or the codebook is refused."""
    assume(not set(codes) & set(gone))
    pool = [*codes, *gone, *strays]
    cells = [pool[d % len(pool)] for d in draws]
    entry = Entry(
        "q", codes=tuple(codes), options=tuple(codes), missing_codes=dict.fromkeys(gone, "")
    )
    try:
        found = by_codebook(pl.Series("q", cells), entry, None, Flags())
    except DataError:
        found = None
    if found is None:
        # refused only where zeros in front make two writings of one number
        numbers = Counter(float(t) for t in {*pool} if number_of(t) is not None)
        assert any(n > 1 for n in numbers.values())
        return
    assert found.entry is not None
    assert found.entry.codes is not None
    values = found.column.to_list()
    assert len({*found.entry.codes, *found.entry.missing_codes}) >= len({*codes, *gone})
    listed = {*codes, *gone}
    for text, code in zip(codes, found.entry.codes, strict=True):
        expected = 0
        for cell in cells:
            same = cell == text
            alike = (
                cell not in listed
                and number_of(cell) is not None
                and [c for c in listed if number_of(c) == number_of(cell)] == [text]
            )
            expected += same or alike
        assert values.count(code) == expected, (text, code)


def test_codes_that_are_one_value_are_refused(tmp_path):
    for codes, gone in (([1, "1.0"], {}), ([1, 2], {"1": "refused"}), ([1], {"9": "", "09": "x"})):
        book = tmp_path / "book.json"
        book.write_text(json.dumps({"q": {"codes": codes, "missing_codes": gone}}))
        entry = load_codebook(book)["q"]
        with pytest.raises(DataError, match="one value"):
            resolve(entry, {1.0: "Yes", 2.0: "No"})


def test_letters_labels_and_numbers_resolve_on_a_column_of_numbers():
    entry = Entry("q", codes=("Yes", "no"), missing_codes={".r": "refused", "d": "", "-9": ""})
    found = resolve(entry, {1.0: "Yes", 2.0: "No"})
    assert found.codes == (1.0, 2.0)
    assert set(found.missing_codes) == {tagged("r"), tagged("d"), -9.0}
    with pytest.raises(DataError, match="a text for a column of numbers") as error:
        resolve(Entry("q", codes=("Maybe",)), {1.0: "Yes"})
    assert '1 "Yes"' in error.value.expected
    with pytest.raises(DataError, match="labels several codes"):
        resolve(Entry("q", codes=("Yes",)), {1.0: "Yes", 2.0: "YES"})


def test_yes_and_no_without_quotes_in_a_yaml_codebook_are_text(tmp_path):
    book = tmp_path / "book.yaml"
    book.write_text("q: {codes: [Yes, No], options: ['Yes', 'No']}")
    entry = load_codebook(book)["q"]
    assert entry.codes == entry.options == ("Yes", "No")


def test_a_csv_column_with_and_without_zeros_in_front(tmp_path):
    data, book = tmp_path / "d.csv", tmp_path / "book.json"
    data.write_text("q,z\n01,1\n1,2\n01,1\n2,2\n")
    book.write_text(json.dumps({"q": {"codes": [1, 2], "options": ["a", "b"]}}))
    with pytest.raises(DataError, match="one code as numbers"):
        read_wave(data, family="T", wave="1", codebook=book)
    book.write_text(json.dumps({"q": {"codes": ["01", "1", "2"], "options": ["a", "b", "c"]}}))
    wave = read_wave(data, family="T", wave="1", codebook=book)
    codes = dict(zip(wave.variables["q"].options, wave.variables["q"].codes, strict=True))
    values = wave.respondents["q"].to_list()
    assert [values.count(codes[o]) for o in "abc"] == [2, 1, 1]


def test_only_the_shape_of_a_sign_sets_no_text_apart(tmp_path):
    data, book = tmp_path / "d.csv", tmp_path / "book.json"
    cells = ["Don't care"] * 3 + ["Don’t care"] * 2 + ["Donâ€™t care"] + ["18–29", "18-29"]
    cells += ["Zu\u0301rich", "Z\u00farich"]
    data.write_text("q\n" + "\n".join(cells) + "\n", "utf-8")
    codes = ["Don't care", "18-29", "Z\u00farich"]
    book.write_text(json.dumps({"q": {"codes": codes, "options": ["a", "b", "c"]}}))
    wave = read_wave(data, family="T", wave="1", codebook=book)
    assert Counter(wave.respondents["q"].to_list()) == {1.0: 6, 2.0: 2, 3.0: 2}
    # where the codebook tells them apart, they are two
    book.write_text(json.dumps({"q": {"codes": ["18–29", "18-29"], "options": ["a", "b"]}}))
    wave = read_wave(data, family="T", wave="1", codebook=book)
    values = wave.respondents["q"].to_list()
    assert [values.count(1.0), values.count(2.0)] == [1, 1]


def test_what_a_codebook_says_twice_is_refused_with_both_rows(tmp_path):
    book = tmp_path / "b.csv"
    book.write_text("variable,question,code,option\nq,Is it?,1,Yes\nz,Z?,1,A\nq,Was it?,2,No\n")
    with pytest.raises(DataError, match="question of a variable") as error:
        load_codebook(book)
    assert "rows 2 and 4" in error.value.where
    book.write_text("variable,question\nq,Is it?\nq,Was it?\n")
    with pytest.raises(DataError, match="twice"):
        load_wording(book)
    both = tmp_path / "b.yaml"
    both.write_text("q: {answers: [2], missing_codes: {2: refused}}")
    with pytest.raises(DataError, match="wrong kind") as error:
        load_codebook(both)
    assert "both among" in str(error.value.found)


@pytest.mark.slow
@settings(max_examples=200)
@given(
    keys=st.lists(st.sampled_from(["A1", "A2", "-oth-", "01", "1", "02", "2", "99", "M", "F"]),
                  min_size=2, max_size=6, unique=True),
    draws=st.lists(st.integers(0, 6), min_size=1, max_size=30),
)  # fmt: skip
def test_labels_of_string_values_keep_every_value_apart(keys, draws):
    cells = [[*keys, "stray"][d % (len(keys) + 1)] for d in draws]
    found = by_labels(pl.Series("q", cells), {k: f"Label {k}" for k in keys}, [], None, Flags())
    assert found is not None
    values = found.column.to_list()
    whole = [float(k) for k in keys if k.isdecimal()]
    for key in keys:
        assert values.count(found.texts[key]) == cells.count(key)
        if key.isdecimal() and len(set(whole)) == len(whole):
            assert found.texts[key] == float(key)  # a 99 stays apart from the answers
        assert found.labels[found.texts[key]] == f"Label {key}"
    assert sum(
        any(low <= v <= high for low, high in found.declared) for v in values
    ) == cells.count("stray")


def test_a_string_variable_with_labels_and_missing_values(tmp_path):
    frame = pl.DataFrame({"q": ["01", "02", "99", "", "02"], "s": ["M", "F", "M", "F", "M"]})
    path = tmp_path / "f.sav"
    pyreadstat.write_sav(
        frame,
        str(path),
        variable_value_labels={
            "q": {"01": "Yes", "02": "No", "99": "Refused"},
            "s": {"M": "Male", "F": "Female"},
        },
        missing_ranges={"q": ["99"]},
    )
    wave = read_wave(path, family="T", wave="1")
    q, s = wave.variables["q"], wave.variables["s"]
    assert (q.codes, q.options, dict(q.missing)) == (
        (1.0, 2.0),
        ("Yes", "No"),
        {99.0: Missing.REFUSED},
    )
    assert wave.respondents["q"].to_list() == [1.0, 2.0, 99.0, None, 2.0]
    assert (s.options, dict(s.texts)) == (("Male", "Female"), {"M": 1.0, "F": 2.0})
    free = pl.DataFrame({"t": [f"text {i}" for i in range(9)]})
    pyreadstat.write_sav(free, str(path), variable_value_labels={"t": {"": "nothing said"}})
    assert read_wave(path, family="T", wave="1").variables["t"].codes == ()


SWAPPED = {"q": {"codes": [1, 2], "options": ["No", "Yes"]}}


@pytest.mark.parametrize("kind", ["labels", "texts"])
def test_a_codebook_that_gives_a_code_the_label_of_another_decides_nothing(tmp_path, kind):
    """Order taken for meaning, by the person who wrote the codebook."""
    frame = pl.DataFrame({"q": [1.0] * 30 + [2.0] * 10})
    path = tmp_path / "f.sav"
    book = dict(SWAPPED["q"])
    if kind == "labels":
        pyreadstat.write_sav(frame, str(path), variable_value_labels={"q": {1: "Yes", 2: "No"}})
    else:
        path = tmp_path / "f.csv"
        frame.select(pl.col("q").replace_strict({1.0: "Yes", 2.0: "No"})).write_csv(path)
        book["codes"] = ["Yes", "No"]
    file = tmp_path / "book.json"
    file.write_text(json.dumps({"q": book}))
    if kind == "texts":
        with pytest.raises(DataError, match="the text of another"):
            read_wave(path, family="T", wave="1", codebook=file)
    else:
        wave = read_wave(path, family="T", wave="1", codebook=file)
        assert 'says "No" for a code that the file labels "Yes"' in wave.variables["q"].undecided
    file.write_text(json.dumps({"q": book | {"relabel": True}}))  # a person's word on it
    variable = read_wave(path, family="T", wave="1", codebook=file).variables["q"]
    assert not variable.undecided
    assert variable.options == ("No", "Yes")
    file.write_text(json.dumps({"q": book | {"options": ["It is so", "It is not"]}}))
    variable = read_wave(path, family="T", wave="1", codebook=file).variables["q"]
    assert not variable.undecided


@settings(max_examples=300)
@given(st.permutations(range(4)), st.sampled_from(["plain", "upper", "worded"]))
def test_any_exchange_of_labels_is_found(order, how):
    labels = ["Agree", "Neither", "Disagree", "Depends"]
    texts = [labels[i] for i in order]
    if how != "plain":
        texts = [t.upper() if how == "upper" else f"I would say: {t}" for t in texts]
    expected = how != "worded" and list(order) != [0, 1, 2, 3]
    assert (crossed(texts, labels) is not None) == expected


def test_a_codebook_of_a_spreadsheet(tmp_path):
    book = tmp_path / "b.tsv"
    book.write_text("Variable\tCode\tOption\tMissing\nq\t1\tYes\t\nq\t9\t\trefused\n")
    entry = load_codebook(book)["q"]
    assert (entry.codes, entry.options) == (("1",), ("Yes",))
    book.write_text("variable\tcode\tlabel\nq\t1\tYes\n")
    with pytest.raises(DataError, match="no column of what they mean"):
        load_codebook(book)


def test_what_a_codebook_lists_though_it_reads_missing_is_said(tmp_path):
    data, book = tmp_path / "d.csv", tmp_path / "b.json"
    data.write_text("q\n" + "1\n2\n9\n8\n" * 5)
    options = ["Yes", "No", "Don't know", "Refused"]
    book.write_text(json.dumps({"q": {"codes": [1, 2, 8, 9], "options": options}}))
    wave = read_wave(data, family="T", wave="1", codebook=book)
    assert wave.variables["q"].options == tuple(options)
    assert any("kept as it says" in n and '9 "Refused" x 5' in n for n in wave.meta["notes"])
    assert not any("Don't know" in n for n in wave.meta["notes"])
