"""What a curation run writes; overlap and split through a recipe; bounds; terms."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from tests.made_up_survey import answers, write_survey

from opinioncast.curate.recipe import CurationRecipe, OverlapRecipe, load_curation
from opinioncast.curate.review import read_review, write_review
from opinioncast.errors import InputError
from opinioncast.jobs.curate import CurationRun, bounds_of, curate_to_files
from opinioncast.survey import OpinionTable
from opinioncast.survey.tables import KEY


def encode(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """One direction per question number: rewordings of one question coincide."""
    out = np.zeros((len(texts), 10), np.float32)
    for i, text in enumerate(texts):
        out[i, int(next(c for c in text if c.isdigit()))] = 1
    return out


def load(path: Path) -> tuple[CurationRecipe, list[Path]]:
    recipe, beside = load_curation(path)
    return recipe, [beside]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


def many_questions(count: int = 8) -> dict[str, np.ndarray]:
    columns = answers()
    base = {k: columns[k] for k in ("w", "sex", "region")}
    return base | {f"q{i}": answers(seed=i + 1)["q1"] for i in range(count)}


def curated(tmp_path: Path, **recipe: object) -> CurationRun:
    loaded, folders = load(write_survey(tmp_path / "in", many_questions(), **recipe))  # type: ignore[arg-type]
    return curate_to_files(loaded, folders, tmp_path / "out", encode=encode)


def test_a_run_writes_what_a_person_needs(tmp_path: Path) -> None:
    columns = answers()
    columns["region"][:] = 1.0
    recipe, folders = load(write_survey(tmp_path / "in", columns, redistribution="none"))
    out = tmp_path / "out"
    run = curate_to_files(recipe, folders, out)
    names = [f.name for f in run.files]
    assert names[-1] == "manifest.json"
    assert all((out / n).is_file() for n in names)
    assert {"terms.txt", "curation_report.csv", "scales.csv", "bases.csv"} <= set(names)
    table = OpinionTable.read(out / "opinions.parquet")
    assert table.content_hash == run.table.content_hash
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["content_hash"] == table.content_hash
    report = rows(out / "curation_report.csv")
    assert {r["variable"] for r in report} == set(columns)
    assert all(r["reason"] for r in report)
    dropped = rows(out / "dropped_cells.csv")
    assert {(r["group"], r["reason"]) for r in dropped} == {("West", "no respondent is in it")}
    assert len(table) + len(dropped) == 2 * 4
    terms = (out / "terms.txt").read_text()
    assert "Nobody (2025)" in terms
    assert "Nothing in this folder may be passed on" in terms
    assert table.meta["redistribution"] == "none"


def test_the_same_recipe_twice_gives_the_same_table(tmp_path: Path) -> None:
    recipe, folders = load(write_survey(tmp_path / "in", answers()))
    hashes = {curate_to_files(recipe, folders, tmp_path / name).table.content_hash for name in "ab"}
    assert len(hashes) == 1


def test_a_reviewed_wording_comes_back(tmp_path: Path) -> None:
    recipe, folders = load(write_survey(tmp_path / "in", answers()))
    curate_to_files(recipe, folders, tmp_path / "out")
    written = read_review(tmp_path / "out" / "wording_MADE_1.csv")
    edited = [replace(r, refined=f"My words on {r.variable}?", decided_by="me") for r in written]
    write_review(tmp_path / "in" / "review.csv", edited)
    again, folders = load(write_survey(tmp_path / "in", answers(), wave={"review": "review.csv"}))
    texts = [q.text for q in curate_to_files(again, folders, tmp_path / "b").table.questions()]
    assert texts == ["My words on q1?", "My words on q2?"]


def test_overlap_and_split_through_a_recipe(tmp_path: Path) -> None:
    other = many_questions(2)  # asks q0 and q1 too
    made, folders = load(write_survey(tmp_path / "eval", other, wave={"wave": "2"}))
    curate_to_files(made, folders, tmp_path / "in")
    (tmp_path / "in" / "opinions.parquet").rename(tmp_path / "in" / "eval.parquet")
    (tmp_path / "in" / "opinions.parquet.json").rename(tmp_path / "in" / "eval.parquet.json")
    parts = {"train": 0.5, "dev": 0.5}
    run = curated(
        tmp_path,
        overlap={"against": ["eval.parquet"], "threshold": 0.9},
        split={"by": "question", "fractions": parts},
    )
    assert run.removed is not None
    assert run.removed.height == 2
    assert set(run.table.frame["question_id"]) == {f"q{i}" for i in range(2, 8)}
    assert len(rows(tmp_path / "out" / "overlap.csv")) == 2
    dropped = rows(tmp_path / "out" / "dropped_cells.csv")
    assert len(dropped) + len(run.table) == 8 * 4
    assert {r["reason"] for r in dropped} == {"the evaluation asks the same (overlap.csv)"}
    train, dev = (OpinionTable.read(tmp_path / "out" / f"{p}.parquet") for p in parts)
    assert not set(train.frame["question_id"]) & set(dev.frame["question_id"])
    assert len(train) + len(dev) == len(run.table)
    assert train.meta["redistribution"] == "group-level"
    assert train.frame.join(run.table.frame, on=KEY, how="anti").is_empty()


def test_a_table_to_keep_apart_from_that_is_absent(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="keep apart") as caught:
        curated(tmp_path, overlap={"against": ["nowhere.parquet"]})
    assert "nowhere.parquet" in str(caught.value)


@pytest.mark.slow
def test_overlap_with_the_embedded_sentence_model(tmp_path: Path) -> None:
    wordings = {
        "q0": "Should abortion be legal if the woman was raped?",
        "q1": "How much confidence do you have in banks?",
        "q2": "Do you favor the death penalty for murder?",
    }
    columns = many_questions(3)
    for folder, wave in (("eval", "2"), ("in", "1")):
        path = write_survey(tmp_path / folder, columns, wave={"wave": wave})
        chosen = dict(wordings)
        if folder == "eval":
            chosen = {
                "q2": "Are you in favor of the death penalty for persons convicted of murder?"
            }
        (tmp_path / folder / "wording.json").write_text(json.dumps(chosen))
        recipe, folders = load(path)
        if folder == "eval":
            table = curate_to_files(recipe, folders, tmp_path / "made").table
            # another key, so that only the wording can tell
            frame = table.frame.with_columns(question_id=pl.lit("penalty"))
            OpinionTable(frame, table.meta).write(tmp_path / "in" / "eval.parquet")
        else:
            overlap = OverlapRecipe(against=("eval.parquet",))
            recipe = recipe.model_copy(update={"overlap": overlap})
            run = curate_to_files(recipe, folders, tmp_path / "out")
            assert run.removed is not None
            assert run.removed["id"].to_list() == ["MADE/1/q2"]
            assert run.removed["reason"].to_list() == ["the same meaning"]


def test_bounds_through_a_recipe(tmp_path: Path) -> None:
    recipe, folders = load(write_survey(tmp_path / "in", answers(), bounds={"replicates": 40}))
    table = bounds_of(recipe, folders).groups
    overall = table.row(-1, named=True)
    assert table.height == 5
    assert overall["attribute"] == "OVERALL"
    assert 0 < overall["human"] < overall["uniform"] < 1
    assert overall["human_low"] <= overall["human"] <= overall["human_high"]
    psus = recipe.with_bounds({"resample": "psus"}).model_copy(update={"lonely_psu": "adjust"})
    with pytest.raises(InputError, match="no bootstrap"):
        bounds_of(psus, folders)
