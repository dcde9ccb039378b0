"""What a file says about itself: weight, missing values, sets, encoding, encryption, design."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pyreadstat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opinioncast.errors import DataError
from opinioncast.readers import read_wave, spss_stata
from opinioncast.readers.describe import Flags
from opinioncast.readers.mended_text import decode_bytes
from opinioncast.readers.portable import read_portable
from opinioncast.readers.raw import RawFile, ResponseSet
from opinioncast.readers.response_sets import mark_sets
from opinioncast.readers.system_file import read_header
from opinioncast.survey import Design, Missing, Variable


def read(path, **more):
    return read_wave(path, family="T", wave="1", **more)


def weighted(path, index):
    """The file with WEIGHT BY set to the variable at ``index`` of its dictionary (header, 76)."""
    raw = bytearray(path.read_bytes())
    raw[76:80] = struct.pack("<i", index)
    path.write_bytes(raw)
    return path


@pytest.fixture
def file(tmp_path):
    frame = pl.DataFrame(
        {
            "openanswer": ["a long text of more than eight bytes", "b", "c", "d"],
            "q": [1.0, 2.0, 1.0, 2.0],
            "final_weight": [3.0, 1.0, 2.0, None],
        }
    )
    path = tmp_path / "f.sav"
    pyreadstat.write_sav(frame, str(path), variable_value_labels={"q": {1.0: "Yes", 2.0: "No"}})
    return path


def test_weight_by_is_found_behind_long_texts_and_heeded(file):
    assert read_header(file).weight is None
    assert read(file).design.weight is None
    records = 36 // 8 + 1  # of the text before it
    weighted(file, records + 2)
    assert read_header(file).weight == "final_weight"
    wave = read(file)
    assert wave.design.weight == "final_weight"
    assert wave.respondents["final_weight"].to_list() == [3.0, 1.0, 2.0, 0.0]
    assert any("WEIGHT BY" in n for n in wave.meta["notes"])
    assert read(file, columns=["q"]).design.weight == "final_weight"
    assert read(file, design=Design(weight="none")).design.weight is None
    named = read(file, design=Design(weight="final_weight"))
    assert named.respondents["final_weight"][3] is None


def test_a_design_that_nobody_named_is_seen(tmp_path):
    frame = pl.DataFrame(
        {"q": [1.0, 2.0], "vstrat": [1.0, 2.0], "vpsu": [1.0, 2.0], "WT": [1.0, 2]}
    )
    path = tmp_path / "f.sav"
    pyreadstat.write_sav(frame, str(path))
    wave = read(path)
    assert wave.meta["design_in_file"] == {"weight": ["WT"], "strata": ["vstrat"], "psu": ["vpsu"]}
    assert sum("seems to have" in n for n in wave.meta["notes"]) == 3
    full = read(path, design=Design("WT", "vstrat", "vpsu"))
    assert not any("seems to have" in n for n in full.meta["notes"])


NUMBERS = st.one_of(st.integers(-99, 9999).map(float), st.sampled_from([0.5, -1.25, 1e7]))


@pytest.mark.slow
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    answers=st.lists(st.one_of(st.none(), NUMBERS), min_size=1, max_size=30),
    texts=st.lists(st.text("abZ /1", max_size=12), min_size=30, max_size=30),
    missing=st.lists(NUMBERS, max_size=3, unique=True),
    span=st.sampled_from(["", "lo", "hi", "both"]),
)
def test_portable_files_keep_user_missing_answers(tmp_path, answers, texts, missing, span):
    """Oracle: the values written; the records are put in by hand (PSPP's format description)."""
    path = tmp_path / "p.por"
    frame = pl.DataFrame(
        {"Q": pl.Series(answers, dtype=pl.Float64), "T": [t.strip() for t in texts[: len(answers)]]}
    )
    pyreadstat.write_por(frame, str(path))
    stream = "".join(path.read_text("latin-1").replace("\r", "").split("\n"))
    at = stream.index("1/Q", 464) + 3
    for _ in range(6):
        at = stream.index("/", at) + 1
    records = "".join(f"8{base30(v)}/" for v in missing)
    expected = {(v, v) for v in missing}
    if span == "lo":
        records, expected = "9-3T/", {(float("-inf"), -119.0)}
    elif span == "hi":
        records, expected = "A40/", {(120.0, float("inf"))}
    elif span == "both":
        records, expected = "B40/50/", {(120.0, 150.0)}
    stream = stream[:at] + records + stream[at:]
    stream = stream.ljust(-(-len(stream) // 80) * 80, "Z")
    lines = [stream[i : i + 80] for i in range(0, len(stream), 80)]
    path.write_text("\r\n".join(lines) + "\r\n", "latin-1", newline="")
    assert set(read_portable(path).declared.get("Q", ())) == expected
    wave = read(path)
    assert wave.respondents["Q"].to_list() == pytest.approx(answers)
    assert wave.respondents["T"].to_list() == [t.strip() or None for t in texts[: len(answers)]]
    gone = {v for v in answers if v is not None and any(a <= v <= b for a, b in expected)}
    assert gone <= set(wave.variables["Q"].missing)


def base30(value):
    """A number as a portable file has it."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRST"
    whole, rest = divmod(abs(value), 1)
    out = ""
    while whole:
        whole, digit = divmod(whole, 30)
        out = digits[int(digit)] + out
    out = out or "0"
    if rest:
        out += "."
        for _ in range(10):
            rest *= 30
            out += digits[int(rest)]
            rest -= int(rest)
            if not rest:
                break
    return "-" * (value < 0) + out


def test_an_encrypted_file_says_what_to_do(tmp_path):
    path = tmp_path / "secret.sav"
    path.write_bytes(b"\x1c" + bytes(7) + b"ENCRYPTEDSAV\x15" + bytes(3) + bytes(range(256)) * 4)
    with pytest.raises(DataError, match="encrypted") as error:
        read(path)
    assert "without" in error.value.hint
    assert "pspp-convert" in error.value.hint
    assert "download" not in error.value.hint


def test_one_bad_byte_in_an_answer_leaves_the_labels(tmp_path):
    frame = pl.DataFrame({"q": [1.0, 2.0, 8.0] * 10, "größe": ["gut", "naïve", "xyzw"] * 10})
    path = tmp_path / "f.sav"
    labels = {1.0: "Völlig dafür", 2.0: "Dagegen", 8.0: "Weiß nicht"}
    pyreadstat.write_sav(
        frame, str(path), variable_value_labels={"q": labels}, column_labels=["Überhaupt", "x"]
    )
    raw = path.read_bytes().replace(b"xyzw", b"l\xe9ge", 1)
    path.write_bytes(raw)
    for columns in (None, ["q", "größe"]):
        wave = read(path, columns=columns)
        assert wave.variables["q"].options == ("Völlig dafür", "Dagegen")
        assert wave.variables["q"].missing == {8.0: Missing.DONT_KNOW}
        assert wave.variables["q"].label == "Überhaupt"
        assert wave.respondents["größe"][:3].to_list() == ["gut", "naïve", "lége"]
        assert any("1 text(s) not in the encoding" in n for n in wave.meta["notes"])


@pytest.mark.slow
@settings(max_examples=300)
@given(
    parts=st.lists(
        st.one_of(
            st.text("aßé€漢 ", min_size=1, max_size=5).map(lambda t: (t, t.encode())),
            st.sampled_from([("é", b"\xe9"), ("’", b"\x92"), ("ü", b"\xfc"), ("€", b"\x80")]),
        ),
        max_size=8,
    )
)
def test_bytes_of_another_encoding_change_only_themselves(parts):
    """A Windows-1252 letter between whole UTF-8 texts (a space keeps it from making one)."""
    raw = b" ".join(p for _, p in parts) + b" "
    text, _ = decode_bytes(raw, "utf-8")
    assert text == " ".join(t for t, _ in parts) + " "


def test_multiple_response_sets():
    frame = pl.DataFrame(
        {"a": [1.0, None, None, None], "b": [None, 1.0, None, 1.0], "m1": [1.0, 2.0, 1.0, 1.0]}
    )
    variables = {
        "a": Variable("a", codes=(1.0,), options=("Park",)),
        "b": Variable("b", codes=(1.0,), options=("Park",)),
        "m1": Variable("m1", codes=(1.0, 2.0), options=("Bus", "Tram")),
    }
    raw = RawFile(
        frame,
        sets=(
            ResponseSet("$use", "Used", ("a", "b"), 1.0),
            ResponseSet("$go", "By", ("m1",), None),
        ),
    )
    flags = Flags()
    frame, done = mark_sets(frame, variables, raw, flags)
    # rows 1, 2 and 4 chose something: 1 of 3 chose a, 2 of 3 chose b; row 3 was not asked
    for name, chosen in (("a", 1), ("b", 2)):
        assert done[name].options == ("Park", "Not chosen")
        values = frame[name].to_list()
        assert values.count(1.0) == chosen
        assert values.count(done[name].codes[1]) == 3 - chosen
        assert values[2] is None
    assert "mention 1 of 1" in done["m1"].undecided
    assert len(flags.notes()) == 2


def test_sets_of_a_system_file_are_heard(tmp_path):
    """A set as SPSS writes it (record 7, subtype 7): name=D, counted value, label, variables."""
    frame = pl.DataFrame({"a": [1.0, None, None], "b": [None, 1.0, None], "q": [1.0, 2.0, 1.0]})
    path = tmp_path / "f.sav"
    pyreadstat.write_sav(frame, str(path), variable_value_labels={"a": {1.0: "Ticked"}})
    raw = path.read_bytes()
    body = b"$use=D1 1 4 Used a b\n"
    record = struct.pack("<4i", 7, 7, 1, len(body)) + body
    end = raw.index(struct.pack("<2i", 999, 0))
    path.write_bytes(raw[:end] + record + raw[end:])
    _, meta = pyreadstat.read_sav(str(path), output_format="dict", metadataonly=True)
    assert meta.mr_sets
    for columns in (None, ["a"]):
        wave = read(path, columns=columns)
        assert wave.variables["a"].options == ("Ticked", "Not chosen")
        assert wave.respondents["a"].null_count() == 1


def test_a_sas_catalog_beside_the_file_gives_its_labels(tmp_path, monkeypatch):
    """pyreadstat is played: formats of every kind, and catalogs by either name."""
    asked = {}

    def played(path, **options):
        asked.update(options)
        labels = {"APPR": {1.0: "Yes", 2.0: "No"}} if "catalog_file" in options else {}
        meta = SimpleNamespace(
            column_names=["q", "when", "x"],
            column_names_to_labels={"q": "Approve", "when": None, "x": None},
            readstat_variable_types={"q": "double", "when": "double", "x": "double"},
            value_labels=labels,
            variable_to_label={"q": "APPR"},
            missing_ranges={},
            missing_user_values={},
            original_variable_types={"q": "APPR", "when": "DATE9", "x": "BEST12"},
            number_rows=2,
            mr_sets={},
        )
        return {"q": [1.0, 2.0], "when": [1.0, 2.0], "x": [1.0, 2.0]}, meta

    monkeypatch.setitem(spss_stata._READERS, ".sas7bdat", played)
    path = tmp_path / "Town.sas7bdat"
    path.write_bytes(bytes(12) + b"\xc2\xea\x81\x60" + bytes(2000))
    bare = read(path)
    assert bare.variables["q"].codes == ()
    assert [
        n for n in bare.meta["notes"] if "q (APPR)" in n and "when" not in n and ".sas7bcat" in n
    ]
    (tmp_path / "FORMATS.sas7bcat").write_bytes(b"x")
    assert read(path).variables["q"].options == ("Yes", "No")
    (tmp_path / "town.SAS7BCAT").write_bytes(b"x")
    assert any("town.SAS7BCAT" in n for n in read(path).meta["notes"])
    assert asked["catalog_file"].endswith("town.SAS7BCAT")


@pytest.mark.parametrize("catalog", ["town.sas7bcat", "FORMATS.SAS7BCAT"])
def test_a_written_sas_catalog_labels_a_written_data_set(tmp_path, catalog):
    """Files that ReadStat's own writers made (q1: APPR, 8 respondents)."""
    made = Path(__file__).parent / "sas"
    data = tmp_path / "town.sas7bdat"
    data.write_bytes(gzip.decompress((made / "town.sas7bdat.gz").read_bytes()))
    assert any(".sas7bcat" in n for n in read(data).meta["notes"])
    (tmp_path / catalog).write_bytes(gzip.decompress((made / "town.sas7bcat.gz").read_bytes()))
    for columns in (None, ["q1"]):
        wave = read(data, columns=columns)
        q1 = wave.variables["q1"]
        assert dict(zip(q1.codes, q1.options, strict=True)) == {1.0: "Approve", 2.0: "Disapprove"}
        assert 8.0 in q1.missing
        assert wave.respondents["q1"].to_list() == [1, 1, 1, 2, 2, 8, 8, 1]
