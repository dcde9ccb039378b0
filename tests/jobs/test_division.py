"""A table in published layout, divided, and held against another."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tests.methods.fake_encoder import FakeEncoder
from typer.testing import CliRunner

from opinioncast.cli.main import app
from opinioncast.errors import InputError
from opinioncast.jobs.division import overlap_to_folder, split_to_folder
from opinioncast.readers.subpop import write_subpop
from opinioncast.survey import OpinionTable, Question, load_groups, opinion_row

GROUPS = load_groups("SEX=Female", "total")


def table(words: list[str], prefix: str = "") -> OpinionTable:
    return OpinionTable.from_rows(
        [
            opinion_row(
                Question(f"{prefix}{w}", f"{w}?", ("Yes", "No"), (1, 2), "ATP", ""), g, [0.7, 0.3]
            )
            for w in words
            for g in GROUPS
        ]
    )


WORDS = ["apple", "pear", "plum", "fig", "war", "noise", "rain", "sun"]


def asked(path: Path) -> set[str]:
    return set(OpinionTable.read(path).frame["question"])


def test_parts_of_a_published_file_share_no_question(tmp_path: Path) -> None:
    source = write_subpop(table(WORDS), tmp_path / "subpop.jsonl")
    done = split_to_folder(source, tmp_path / "out", {"train": 0.75, "test": 0.25}, seed=3)
    train, test = (asked(tmp_path / "out" / f"{n}.parquet") for n in ("train", "test"))
    assert train | test == {f"{w}?" for w in WORDS}
    assert (len(train), len(test), len(train & test)) == (6, 2, 0)
    assert done.parts.keys() == {"train", "test"}
    assert pl.read_csv(tmp_path / "out" / "split.csv")["rows"].sum() == 16


def test_questions_that_others_ask_are_taken_out(tmp_path: Path) -> None:
    source = write_subpop(table(WORDS), tmp_path / "subpop.jsonl")
    other = write_subpop(table(["war", "fig", "other"], "x"), tmp_path / "evaluation.csv")
    done = overlap_to_folder(source, [other], tmp_path / "out", FakeEncoder().encode)
    left = asked(tmp_path / "out" / "table.parquet")
    assert left == {f"{w}?" for w in WORDS} - {"war?", "fig?"}
    assert done.removed is not None
    assert set(done.removed["question"]) == {"war?", "fig?"}
    record = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert (record["questions"], record["removed"]) == (8, 2)
    with pytest.raises(InputError, match="Nothing is left"):
        overlap_to_folder(source, [source], tmp_path / "none", FakeEncoder().encode)


def test_the_command_names_a_part_it_cannot_read(tmp_path: Path) -> None:
    source = str(write_subpop(table(WORDS), tmp_path / "subpop.jsonl"))
    for wrong in ("train", "train:much", ":0.5", "../x:0.5"):
        with pytest.raises(InputError, match="part cannot be read"):
            CliRunner().invoke(
                app,
                ["split", source, "--part", wrong, "--no-meaning"],
                catch_exceptions=False,
                standalone_mode=False,
            )
    out = str(tmp_path / "out")
    parts = ["--part", "a:0.5", "--part", "b:0.5"]
    done = CliRunner().invoke(app, ["split", source, *parts, "--no-meaning", "-o", out])
    assert done.exit_code == 0, done.output
    assert "a: 8 rows, 4 questions" in done.output
