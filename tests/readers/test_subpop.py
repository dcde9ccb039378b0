"""SubPOP's layout: keys made for rows without one, rows that split nowhere but at line ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from opinioncast.errors import DataError
from opinioncast.readers.subpop import read_rows, read_subpop, to_table, with_keys, write_subpop


def row(**changed: Any) -> dict[str, Any]:
    return {
        "qkey": None,
        "attribute": "SEX",
        "group": "Male",
        "responses": [0.25, 0.75],
        "refusal_rate": 0.0,
        "ordinal": [1.0, 2.0],
        "question": "Good?",
        "options": ["Yes", "No", "Refused"],
    } | changed


def written(path: Path, *rows: dict[str, Any], encoding: str = "utf-8", end: str = "\n") -> Path:
    text = "".join(json.dumps(r, ensure_ascii=False) + end for r in rows)
    path.write_bytes(text.encode(encoding))
    return path


def test_rows_without_a_key_get_one_of_wording_options_and_scale(tmp_path: Path) -> None:
    rows = read_rows(
        written(
            tmp_path / "t.jsonl",
            row(),
            row(group="Female"),
            row(question="Bad?"),
            row(),
            row(qkey="GIVEN_W34"),
        )
    )
    keyed, repeated = with_keys(rows)
    first, other_group, other_text, again, given = keyed["qkey"].to_list()
    assert first == other_group
    assert other_text not in (first, given)
    assert again == f"{first}-2"
    assert given == "GIVEN_W34"
    assert repeated == 1
    table = to_table(rows, family="ATP")
    assert table.frame["question_id"].to_list() == keyed["qkey"].to_list()
    assert table.meta["repeated_cells"] == 1
    # without "Refused" the options are those of the same question
    bare = rows.with_columns(options=pl.lit(["Yes", "No"]))
    assert with_keys(bare)[0]["qkey"][0] == first


def test_rows_end_at_line_ends_only(tmp_path: Path) -> None:
    """JSON allows U+2028, U+2029 and U+0085 inside a text; str.splitlines breaks there."""
    text = "One\u2028two\u2029three\x85four?"
    path = written(tmp_path / "t.jsonl", row(question=text), row(group="Female"), end="\r\n")
    table = read_subpop(path)
    assert table.frame["question"].to_list() == [text, "Good?"]
    again = read_subpop(write_subpop(table, tmp_path / "again.jsonl"))
    assert again.content_hash == table.content_hash


def test_other_encodings_are_named_with_their_line(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", row(), row(question="Café?"), encoding="latin-1")
    with pytest.raises(DataError, match="not in UTF-8") as caught:
        read_subpop(path)
    assert caught.value.where == "t.jsonl, line 2"
    assert "save the file as UTF-8" in str(caught.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"options": ["Yes", None, "Refused"]},
        {"responses": [0.25, None]},
        {"responses": None},
        {"options": ["Yes", "No"], "question": None},
    ],
)
def test_nulls_in_a_row_are_named_not_raised(tmp_path: Path, changed: dict[str, Any]) -> None:
    path = written(tmp_path / "t.jsonl", row(), row(group="Female", **changed))
    with pytest.raises(DataError, match="SubPOP's layout") as caught:
        read_subpop(path)
    assert caught.value.where is not None
    assert "row 2, " in caught.value.where
    assert "SEX=Female" in caught.value.where
