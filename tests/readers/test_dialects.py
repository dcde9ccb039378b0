"""CSV and TSV as programs export them: one table, whatever its dialect."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opinioncast.errors import DataError
from opinioncast.readers import column_names, read_wave
from opinioncast.readers.tabular import read_raw
from opinioncast.survey import tagged

NAMES = ["id", "q", "open text", "w"]


def dialect(rows, *, separator, decimal, newline, quoting, encoding, bom, sep_line, empty):
    """The bytes of a table; numbers with three decimals where they have any."""
    out = io.StringIO()
    writer = csv.writer(
        out, delimiter=separator, lineterminator=newline, quoting=quoting, quotechar='"'
    )
    if sep_line:
        out.write(f"sep={separator}{newline}")
    writer.writerow(NAMES)
    for row in rows:
        writer.writerow(
            [
                empty
                if cell is None
                else f"{cell:.3f}".replace(".", decimal)
                if isinstance(cell, float)
                else cell
                for cell in row
            ]
        )
    text = out.getvalue()
    raw = text.encode(encoding)
    marks = {"utf-8": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
    return marks.get(encoding, b"") * bom + raw


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_dialect_gives_the_same_table(tmp_path, data):
    """Oracle: the rows that were written."""
    height = data.draw(st.integers(3, 12))
    answer = st.one_of(st.none(), st.integers(1, 5))
    said = st.sampled_from(["naïve", "a; b, c", 'he said "no"', "zwei\nZeilen", "Größe", "x\ty"])
    rows = [
        [
            1000 + i,
            data.draw(answer),
            data.draw(said),
            data.draw(st.integers(1, 1999).map(lambda v: v / 1000)),
        ]
        for i in range(height)
    ]
    rows[0][3] = 0.25  # one weight below 1: its comma can only be a decimal sign
    rows[0][1] = 1
    separator = data.draw(st.sampled_from(",;\t|"))
    decimal = data.draw(st.sampled_from(".,"))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "cp1252"]))
    raw = dialect(
        rows,
        separator=separator,
        decimal=decimal,
        newline=data.draw(st.sampled_from(["\n", "\r\n"])),
        quoting=data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        encoding=encoding,
        bom=data.draw(st.booleans()),
        sep_line=data.draw(st.booleans()),
        empty=data.draw(st.sampled_from(["", " ", "NA", "#NULL!"])),
    )
    path = tmp_path / "t.csv"
    path.write_bytes(raw)
    frame = read_raw(path, None).frame
    assert frame.columns == NAMES
    assert frame["q"].to_list() == [None if r[1] is None else float(r[1]) for r in rows]
    assert frame["w"].to_list() == pytest.approx([r[3] for r in rows])
    assert frame["open text"].to_list() == [r[2] for r in rows]
    assert column_names(path) == NAMES


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.integers(1000, 9_999_999), min_size=3, max_size=20),
    mark=st.sampled_from([",", ".", " ", "'", "\u00a0"]),
    told=st.booleans(),
)
def test_thousands_signs_are_read_left_or_said_never_guessed(tmp_path, values, mark, told):
    """The numbers, or the texts as they stand with a note."""
    path = tmp_path / "t.csv"
    texts = [f"{v:,}".replace(",", mark) for v in values]
    path.write_text("id;n\n" + "".join(f"{i};{t}\n" for i, t in enumerate(texts, 1)), "utf-8")
    decimal = {",": ".", ".": ","}.get(mark, ".") if told else None
    raw = read_raw(path, None, None, decimal)
    column = raw.frame["n"]
    if column.dtype.is_numeric():
        wrong = [v / 1000 for v in values]
        if mark == "." and not told and all(v < 1_000_000 for v in values):
            assert column.to_list() == pytest.approx(wrong)  # an ordinary decimal point
        else:
            assert column.to_list() == [float(v) for v in values]
    else:
        assert column.to_list() == texts
        assert not told
        assert mark == "." or any("thousands sign" in n for n in raw.notes)


def qualtrics(headers, separator=","):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator)
    writer.writerow(["StartDate", "ResponseId", "Q1", "Q2"])
    if headers >= 2:
        writer.writerow(["Start Date", "Response ID", "Do you\nagree?", "Pick all, please"])
    if headers == 3:
        ids = ["startDate", "_recordId", "QID1", "QID2"]
        writer.writerow([json.dumps({"ImportId": i}) for i in ids])
    for i in range(20):
        writer.writerow(["2025-01-02 10:00:00", f"R_{i}", 1 + i % 2, "1,2" if i % 3 else "1"])
    return out.getvalue()


@pytest.mark.parametrize("headers", [1, 2, 3])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_qualtrics_header_rows_are_no_people(tmp_path, headers, encoding, separator):
    path = tmp_path / "q.tsv"
    path.write_bytes(qualtrics(headers, separator).encode(encoding))
    wave = read_wave(path, family="T", wave="1")
    assert len(wave) == 20
    assert wave.respondents["Q1"].to_list() == [1.0, 2.0] * 10
    assert wave.respondents["Q2"].to_list()[:2] == ["1", "1,2"]  # two choices, not 1.2
    if headers > 1:
        assert wave.variables["Q1"].label == "Do you agree?"


@pytest.mark.parametrize(
    ("last", "people"),
    [
        ("Total,9,6.5", 4),
        (",,6.5", 4),
        ("Summe,9,\nMean,2.25,1.625", 4),
        ("5,2,2.0", 5),
        (",,2.0", 5),
        ("5,9,1.0", 5),
        ("id,q,w", 4),
    ],
)
def test_totals_at_the_end_are_no_people(tmp_path, last, people):
    path = tmp_path / "t.csv"
    path.write_text(f"id,q,w\n1,2,1.5\n2,3,1.25\n3,1,1.75\n4,3,2.0\n{last}\n")
    raw = read_raw(path, None)
    assert raw.frame.height == people
    assert people == 5 or any("left out" in n for n in raw.notes)


def test_one_bad_byte_changes_one_text(tmp_path):
    path = tmp_path / "t.csv"
    text = "id,q,t\n" + "".join(f"{i},{'Für' if i % 2 else 'Weiß nicht'},ok\n" for i in range(50))
    path.write_bytes(text.encode().replace(b"7,F\xc3\xbcr,ok", b"7,F\xc3\xbcr,caf\xe9", 1))
    raw = read_raw(path, None)
    assert set(raw.frame["q"]) == {"Für", "Weiß nicht"}
    assert raw.frame["t"][7] == "café"
    assert any("1 byte(s) are not UTF-8" in n for n in raw.notes)


def test_a_comma_that_may_be_either_is_left_and_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('id,w\n1,"1,234"\n2,"2,500"\n')
    raw = read_raw(path, None)
    assert raw.frame["w"].to_list() == ["1,234", "2,500"]
    assert any("decimal: " in n for n in raw.notes)
    assert read_raw(path, None, None, ",").frame["w"].to_list() == [1.234, 2.5]
    assert read_raw(path, None, None, ".").frame["w"].to_list() == [1234.0, 2500.0]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("id;w\n1;1.500\n2;2.500\n3;500\n", None),  # one and a half, or fifteen hundred
        ("id,w\n1,1.500\n2,2.500\n3,500\n", None),
        ("id;w;v\n1;1.500;0.25\n2;2.500;0.5\n3;3.125;1\n", [1.5, 2.5, 3.125]),
        ("id,w\n1,1.500\n2,2.512\n3,1.000\n", [1.5, 2.512, 1.0]),
        ("id;w;v\n1;1.500;0,25\n2;2.500;0,5\n3;500;1,0\n", None),
    ],
)
def test_points_before_three_digits(tmp_path, text, values):
    path = tmp_path / "t.csv"
    path.write_text(text)
    raw = read_raw(path, None)
    if values is not None:
        assert raw.frame["w"].to_list() == values
        return
    assert raw.frame["w"].to_list() == [line.split(text[2])[1] for line in text.split()[1:]]
    assert any("decimal: " in n for n in raw.notes)
    assert read_raw(path, None, None, ",").frame["w"].to_list() == [1500.0, 2500.0, 500.0]


@pytest.mark.parametrize(
    ("above", "left_out"),
    [
        ("City survey 2025\n", True),
        ("City survey 2025,,\n,,\n", True),
        ("Source: City Office\n\nAll respondents\n", True),
        ("report,,\n,,\n", True),
        ("id,,\n", False),  # a header of which two names are empty
        ("a,b,c\n", False),
    ],
)
def test_titles_above_the_header(tmp_path, above, left_out):
    path = tmp_path / "t.csv"
    path.write_text(above + "id,q,w\n1,2,0.5\n2,1,1.5\n")
    assert (column_names(path) == ["id", "q", "w"]) == left_out
    raw = read_raw(path, None)
    assert any("above the header left out" in n for n in raw.notes) == left_out
    assert not left_out or raw.frame["w"].to_list() == [0.5, 1.5]


def test_a_title_hides_no_separator(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Export of the survey\n\nid;q;w\n1;2;0,5\n2;1;1,25\n")
    assert read_raw(path, None).frame["w"].to_list() == [0.5, 1.25]


def test_missing_letters_in_a_column_of_numbers(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("q,t\n1,.a\n2,.b\n.a,.b\n.r,.a\n.,x\n")
    wave = read_wave(path, family="T", wave="1")
    assert wave.respondents["q"].to_list() == [1.0, 2.0, tagged("a"), tagged("r"), None]
    assert set(wave.variables["q"].missing) == {tagged("a"), tagged("r")}
    assert wave.respondents["t"].to_list() == [".a", ".b", ".b", ".a", "x"]


def test_an_encoding_that_was_guessed_is_shown(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("q\nWeiß nicht\nGrün\n".encode("mac_roman"))
    note = next(n for n in read_raw(path, None).notes if "cp1252" in n)
    assert '"Wei§"' in note
    assert "`encoding:`" in note
    assert read_raw(path, None, "mac_roman").frame["q"].to_list() == ["Weiß nicht", "Grün"]


def test_a_wording_file_of_another_survey_is_refused_and_strays_are_named(tmp_path):
    data, wording = tmp_path / "d.csv", tmp_path / "w.json"
    data.write_text("Q1,q2\n1,2\n2,1\n")
    wording.write_text(json.dumps({"q1": "Is it?", "q3": "And?"}))
    wave = read_wave(data, family="T", wave="1", wording=wording)
    assert wave.variables["Q1"].wording == "Is it?"
    assert any("data lack: 1 variable(s): q3" in n for n in wave.meta["notes"])
    wording.write_text(json.dumps({"x1": "Is it?", "x3": "And?"}))
    with pytest.raises(DataError, match="2 variable"):
        read_wave(data, family="T", wave="1", wording=wording)


def test_respondent_ids_twice(tmp_path):
    data = tmp_path / "d.csv"
    data.write_text("id,year,q\n1,2018,2\n2,2018,1\n1,2020,1\n")
    with pytest.raises(DataError, match="rows 1, 3"):
        read_wave(data, family="T", wave="1", respondent_id="id")
    read_wave(data, family="T", wave="1", respondent_id="id", id_within=["year"])
    data.write_text("ResponseId,q\n" + "".join(f"R{min(i, 8)},1\n" for i in range(10)))
    notes = read_wave(data, family="T", wave="1").meta["notes"]
    assert any("ResponseId looks like" in n and "1 row(s) repeat" in n for n in notes)


def test_rows_that_end_early_are_counted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,"q,1",q2\n1,2\n2,"3",4\n"3"\n')
    raw = read_raw(path, None)
    assert raw.frame.height == 3
    assert any("2 rows end before the last column (line 2, 4)" in n for n in raw.notes)


def test_a_quote_that_swallows_rows_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,text,q2\n1,"open,2\n2,x,3\n3,y,"4"\n')
    with pytest.raises(DataError, match="cannot be read") as caught:
        read_raw(path, None)
    assert "line 2" in str(caught.value)
    path.write_text('id,text,q2\n1,"two\nlines",2\n2,x,3\n')
    assert read_raw(path, None).notes == ()
