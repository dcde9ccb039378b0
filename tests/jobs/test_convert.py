"""From one layout into another and back."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tests.finetune.small_table import make_table
from typer.testing import CliRunner

from opinioncast.cli.main import app
from opinioncast.errors import InputError
from opinioncast.jobs.convert import convert
from opinioncast.readers.opinion_files import read_opinion_table
from opinioncast.survey import OpinionTable, Question, load_groups, opinion_row


@pytest.fixture
def table() -> OpinionTable:
    """Ids that look like waves, waves that look like numbers, texts that look like formulas."""
    odd = Question(
        "EAT1_W34", '=A1, "really"\n?', ("+1", "-1", "Ne sais pas é"), (1, 2, -1), "X", "007"
    )
    group, total = load_groups("CREGION=South", "TOTAL")
    rows = make_table().frame.to_dicts()
    rows += [
        opinion_row(odd, group, [1 / 3, 1 / 3, 1 / 3], n=7, n_eff=6.5, se=[0.1, 0.2, 0.0]),
        opinion_row(odd, total, [0.1, 0.2, 0.7], refusal_rate=0.0),
    ]
    meta = {"citation": "Made up.", "terms": "none", "redistribution": "group-level"}
    return OpinionTable.from_rows(rows, meta)


@pytest.mark.parametrize("name", ["t.jsonl", "t.csv", "folder"])
def test_there_and_back_nothing_is_lost(table: OpinionTable, name: str, tmp_path: Path) -> None:
    source = table.write(tmp_path / "source.parquet")
    convert(source, tmp_path / name)
    back = read_opinion_table(tmp_path / name)
    assert back.frame.equals(table.frame)
    convert(tmp_path / name, tmp_path / "back.parquet")
    again = OpinionTable.read(tmp_path / "back.parquet")
    assert again.content_hash == table.content_hash
    assert {k: again.meta[k] for k in table.meta} == dict(table.meta)


def test_the_published_layout_has_its_columns_and_says_what_it_leaves_out(
    table: OpinionTable, tmp_path: Path
) -> None:
    source = table.write(tmp_path / "source.parquet")
    done = convert(source, tmp_path / "t.jsonl", published=True)
    assert done.lost == ("n_eff", "se", "family", "citation, terms and what else its sidecar says")
    assert [f.name for f in done.files] == ["t.jsonl"]
    line = json.loads((tmp_path / "t.jsonl").read_text("utf-8").splitlines()[0])
    assert line["options"][-1] == "Refused"
    assert len(line["responses"]) == len(line["options"]) - 1
    assert "family" not in line


def test_a_dataset_folder_is_one_that_the_hub_knows(table: OpinionTable, tmp_path: Path) -> None:
    source = table.write(tmp_path / "source.parquet")
    convert(source, tmp_path / "hub")
    card = (tmp_path / "hub" / "README.md").read_text("utf-8")
    assert "path: data/train-*" in card
    assert "Made up." in card
    (data,) = (tmp_path / "hub" / "data").glob("train-*.parquet")
    assert pl.read_parquet(data).height == len(table)


def test_what_cannot_be_written_is_refused(table: OpinionTable, tmp_path: Path) -> None:
    source = table.write(tmp_path / "source.parquet")
    for target, published in (("t.xlsx", False), ("t.parquet", True)):
        with pytest.raises(InputError, match="cannot be written in this layout"):
            convert(source, tmp_path / target, published=published)
    with pytest.raises(InputError, match="written over what it is read from"):
        convert(source, tmp_path / "." / "source.parquet")


def test_a_question_that_could_not_be_asked_is_converted_all_the_same(tmp_path: Path) -> None:
    """Published files hold such: an option twice."""
    row = make_table().frame.row(0, named=True)
    table = OpinionTable.from_rows([row | {"options": ["Ye", "Ye"], "distribution": [0.5, 0.5]}])
    source = table.write(tmp_path / "source.parquet")
    done = CliRunner().invoke(app, ["convert", str(source), str(tmp_path / "hub")])
    assert done.exit_code == 0, done.output
    assert "1 rows, 1 questions, 1 groups" in done.output
    assert read_opinion_table(tmp_path / "hub").frame.equals(table.frame)


def test_the_command(table: OpinionTable, tmp_path: Path) -> None:
    source = table.write(tmp_path / "source.parquet")
    done = CliRunner().invoke(app, ["convert", str(source), str(tmp_path / "t.csv"), "--published"])
    assert done.exit_code == 0, done.output
    assert "18 rows" in done.output
    assert "left out: n_eff" in done.output.replace("\n", " ")
