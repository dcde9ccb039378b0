"""Opinion tables in published layouts: files, dataset folders, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from opinioncast.errors import DataError
from opinioncast.readers.opinion_files import read_opinion_table
from opinioncast.readers.subpop import COLUMNS, write_subpop
from opinioncast.survey import OpinionTable, Question, load_groups, opinion_row

ROWS: list[dict[str, Any]] = [
    {
        "qkey": f"EAT{i}_W34",
        "attribute": "CREGION",
        "group": group,
        "responses": [0.25, 0.75],
        "refusal_rate": 0.02,
        "ordinal": [1.0, 1.0],
        "question": f"Do you eat {i}?",
        "options": ["Yes", "No", "Refused"],
    }
    for i in (1, 2)
    for group in ("South", "Northeast")
]


def json_lines(path: Path, rows: list[dict[str, Any]] = ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def parquet(path: Path, rows: list[dict[str, Any]] = ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows).write_parquet(path)
    return path


def as_hub_parquet(folder: Path) -> Path:
    (folder / "README.md").parent.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n", "utf-8")
    parquet(folder / "data" / "train-00000-of-00002.parquet", ROWS[:2])
    parquet(folder / "data" / "train-00001-of-00002.parquet", ROWS[2:])
    return folder


def as_hub_lines(folder: Path) -> Path:
    json_lines(folder / "subpop.jsonl")
    return folder


def as_saved(folder: Path) -> Path:
    """What ``datasets.Dataset.save_to_disk`` leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data-{i:05d}-of-00002.arrow" for i in range(2)]
    for name, rows in zip(names, (ROWS[:2], ROWS[2:]), strict=True):
        pl.DataFrame(rows).write_ipc_stream(folder / name)
    state = {"_data_files": [{"filename": name} for name in names], "_split": "train"}
    (folder / "state.json").write_text(json.dumps(state), "utf-8")
    (folder / "dataset_info.json").write_text("{}", "utf-8")
    return folder


def as_saved_splits(folder: Path) -> Path:
    as_saved(folder / "train")
    (folder / "dataset_dict.json").write_text('{"splits": ["train"]}', "utf-8")
    return folder


def as_file(folder: Path) -> Path:
    return json_lines(folder / "subpop.jsonl")


def as_parquet(folder: Path) -> Path:
    return parquet(folder / "subpop.parquet")


def as_arrow(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(ROWS).write_ipc(folder / "subpop.arrow")
    return folder / "subpop.arrow"


@pytest.mark.parametrize(
    "make",
    [as_file, as_parquet, as_arrow, as_hub_parquet, as_hub_lines, as_saved, as_saved_splits],
    ids=lambda make: make.__name__,
)
def test_each_layout_gives_the_same_table(make: Callable[[Path], Path], tmp_path: Path) -> None:
    table = read_opinion_table(make(tmp_path / "subpop"))
    assert len(table) == 4
    first = table.frame.row(0, named=True)
    assert (first["family"], first["wave"], first["question_id"]) == ("ATP", "34", "EAT1_W34")
    assert (first["options"], first["distribution"]) == (["Yes", "No"], [0.25, 0.75])
    assert first["refusal_rate"] == 0.02
    assert not any(q.has_scale for q in table.questions())  # as published: ordinals all equal
    assert table.content_hash == read_opinion_table(as_file(tmp_path / "again")).content_hash


def test_our_own_parquet_is_checked_as_before(tmp_path: Path) -> None:
    question = Question("q", "Is it so?", ("Yes", "No"), (1, 2), "T", "1")
    (group,) = load_groups("CREGION=South")
    table = OpinionTable.from_rows([opinion_row(question, group, [0.5, 0.5])], {"citation": "x"})
    path = table.write(tmp_path / "table.parquet")
    assert read_opinion_table(path).meta["citation"] == "x"
    (tmp_path / "table.parquet.json").unlink()
    with pytest.raises(DataError, match="lost its sidecar"):
        read_opinion_table(path)
    with pytest.raises(DataError, match="not found"):
        read_opinion_table(tmp_path / "absent.parquet")


def test_several_splits_are_named_and_each_can_be_had(tmp_path: Path) -> None:
    as_saved(tmp_path / "train")
    as_saved(tmp_path / "test")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}', "utf-8")
    with pytest.raises(DataError, match="several splits") as error:
        read_opinion_table(tmp_path)
    assert str(tmp_path / "test") in str(error.value.found)
    assert len(read_opinion_table(tmp_path / "test")) == 4
    folder = as_hub_parquet(tmp_path / "hub")
    parquet(folder / "data" / "test-00000-of-00001.parquet")
    with pytest.raises(DataError, match="several splits"):
        read_opinion_table(folder)
    one = folder / "data" / "test-00000-of-00001.parquet"
    assert len(read_opinion_table(one)) == 4


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no opinion table"):
        read_opinion_table(tmp_path)
    cut = parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    cut.write_bytes(cut.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        read_opinion_table(tmp_path)
    other = [{k: v for k, v in row.items() if k != "ordinal"} for row in ROWS]
    with pytest.raises(DataError) as error:
        read_opinion_table(parquet(tmp_path / "b" / "x.parquet", other))
    assert "ordinal" in str(error.value)


def test_a_sidecar_of_other_rows_is_refused(tmp_path: Path) -> None:
    path = as_file(tmp_path)
    table = read_opinion_table(path)
    sidecar = tmp_path / "subpop.jsonl.json"
    sidecar.write_text(json.dumps({"content_hash": table.content_hash, "terms": "none"}), "utf-8")
    assert read_opinion_table(path).meta["terms"] == "none"
    json_lines(path, ROWS[:3])
    with pytest.raises(DataError, match="does not match its sidecar"):
        read_opinion_table(path)


def test_the_published_columns_are_written_alone_unless_whole(tmp_path: Path) -> None:
    table = read_opinion_table(as_file(tmp_path))
    plain = write_subpop(table, tmp_path / "plain.jsonl")
    assert set(json.loads(plain.read_text("utf-8").splitlines()[0])) == {*COLUMNS, "n", "wave"}
