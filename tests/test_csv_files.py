"""CSV out and in again: no formula in a file, no text changed by the way."""

from __future__ import annotations

import re
import string
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from opinioncast.csv_files import read_csv, read_text_table, write_csv
from opinioncast.errors import InputError

TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text(st.sampled_from("'=+-@\t\r\n \",;|1.%\ufeff\uff1da"), max_size=6),
)
ROWS = st.lists(st.tuples(st.one_of(st.none(), TEXT), TEXT, st.integers(-9, 9)), max_size=6)
SOURCE = Path(__file__).parents[1]


@pytest.mark.slow
@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    for_excel=st.booleans(),
    rows=ROWS,
    name=TEXT.filter(lambda n: n.strip() != "" and n not in ("b", "n", "'b", "'n")),
)
def test_round_trip(
    tmp_path: Path, for_excel: bool, rows: list[tuple[str | None, str, int]], name: str
) -> None:
    schema = {name: pl.String, "b": pl.String, "n": pl.Int64}
    frame = pl.DataFrame(rows, schema, orient="row")
    path = write_csv(frame, tmp_path / "t.csv", for_excel=for_excel)
    again = read_csv(path, infer_schema=False).with_columns(pl.col("n").cast(pl.Int64))
    assert_frame_equal(again, frame)


def test_what_a_spreadsheet_would_run_carries_an_apostrophe(tmp_path: Path) -> None:
    frame = pl.DataFrame({"=name": ["=1+1", "fine"], "x": [-1.5, 2.0]})
    raw = write_csv(frame, tmp_path / "t.csv", decimals=1).read_text("utf-8-sig")
    assert raw == "'=name,x\n'=1+1,-1.5\nfine,2.0\n"
    assert read_csv(tmp_path / "t.csv").equals(frame)


@pytest.mark.parametrize("folder", ["src", "benchmarks"])
def test_nobody_else_writes_csv(folder: str) -> None:
    other = re.compile(r"\.write_csv\(|csv\.writer|DictWriter|\.to_csv\(")
    found = [
        f"{path.name}: {line.strip(string.whitespace)}"
        for path in (SOURCE / folder).rglob("*.py")
        if path.name != "csv_files.py"
        for line in path.read_text("utf-8").splitlines()
        if other.search(line)
    ]
    assert not found


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("a,b,c\n1,2,3\n4,5\n", "line 3", "2 cells"),
        ("a,b,c\n1,2,3,4\n", "line 2", "4 cells"),
        ('a,b,c\n1,"2,3\n4,5,6\n', "line 2", "never closed"),
        ('a,b,c\n1,"x\n4,5,6\n7,8,9\nq","3"\n', "line 2", "a row in a cell: 4,5,6"),
        ("a,a,c\n1,2,3\n", "line 1", "twice"),
        ("", "f.csv", "nothing"),
        ("a,b\n1,\x00\n", "f.csv", "NUL"),
        ('a,b,c\n"x"y,2,3\n', "f.csv", "expected after"),
    ],
)
def test_a_table_that_is_not_whole_is_refused(
    tmp_path: Path, text: str, line: str, found: str
) -> None:
    (tmp_path / "f.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read_text_table(tmp_path / "f.csv", "A table", InputError)
    assert line in str(caught.value)
    assert found in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "rows"),
    [
        (b'a;b\r\n1;"x\r\ny"\r\n\r\n', [("1", "x\ny")]),
        ("\ufeffa,b\n1,\n".encode(), [("1", None)]),
        ("a\tb\n1\té\n".encode("utf-16"), [("1", "é")]),
        (b"a,b,,\n1,2,,\n", [("1", "2")]),
        (b"a,b\n1,'=2+3\n", [("1", "=2+3")]),
        (b'a,b\n1,"say ""x"""\n', [("1", 'say "x"')]),
    ],
)
def test_a_table_as_people_make_them(
    tmp_path: Path, raw: bytes, rows: list[tuple[str | None, ...]]
) -> None:
    (tmp_path / "f.csv").write_bytes(raw)
    table = read_text_table(tmp_path / "f.csv", "A table", InputError)
    assert table.columns == ["a", "b"]
    assert table.rows() == rows
