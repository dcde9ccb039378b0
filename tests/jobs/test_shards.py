"""A run in parts gives the table of one machine, and says what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from opinioncast.errors import DataError, IncompleteRunError, InputError
from opinioncast.jobs.predict import predict_questionnaire
from opinioncast.jobs.shards import Given, Shard, merge_shards, predict_shard
from opinioncast.predictor import PredictSettings
from opinioncast.survey.tables import KEY

UNIFORM = PredictSettings(method="uniform")
NETWORK = PredictSettings(method="network")
RUN = ("written", "seconds", "files", "scores")
TEXT = """
questions:
  - {id: rent, question: Do you favor or oppose a limit on rents?, options: [Favor, Oppose],
     known: {TOTAL: {shares: {Favor: 80, Oppose: 20}, n: 2000}}}
  - {id: parks, question: Should the city spend more on parks?, options: [Yes, No]}
  - {id: vote, question: How often do you vote?, options: [Always, Sometimes, Never],
     observed: {TOTAL: [50, 30, 20]}}
  - {id: trust, question: Do you trust the mayor?, options: [Yes, No]}
  - {id: bus, question: Do you take the bus?, options: [Daily, Weekly, Never]}
"""


@pytest.fixture
def given(tmp_path: Path) -> Given:
    path = tmp_path / "survey.yaml"
    path.write_text(TEXT)
    return Given(path, ("paper22", "total"))


@pytest.mark.slow
def test_parts_give_the_table_of_one_machine(given: Given, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in (3, 1, 2):  # in any order
        run = predict_shard(given, Shard(3, number), NETWORK, out)
        assert run.questions == (1 if number == 3 else 2)
    merged = merge_shards(out)
    asked, groups = given.read()
    whole = predict_questionnaire(asked, groups, NETWORK, tmp_path / "whole")
    one, other = merged.prediction.table, whole.prediction.table
    assert one.frame.select(KEY).equals(other.frame.select(KEY))  # the order of rows
    # a batch of another size may give another last bit; the identity of tables leaves it out
    assert one.content_hash == other.content_hash
    assert merged.scores is not None
    assert whole.scores is not None
    assert merged.scores.mean()["kl"] == pytest.approx(whole.scores.mean()["kl"], rel=1e-9)
    first, second = (
        json.loads((folder / "manifest.json").read_text()) for folder in (out, tmp_path / "whole")
    )
    assert [s["number"] for s in first.pop("shards")] == [1, 2, 3]
    assert {k: v for k, v in first.items() if k not in RUN} == {
        k: v for k, v in second.items() if k not in RUN
    }


def test_a_missing_part_is_named(given: Given, tmp_path: Path) -> None:
    predict_shard(given, Shard(3, 1), UNIFORM, tmp_path)
    dead = Shard(3, 2).folder(tmp_path)
    dead.mkdir()  # killed before its manifest
    with pytest.raises(IncompleteRunError, match=r"2 of 3 parts.*\n(.*\n)*.*2/3, 3/3"):
        merge_shards(tmp_path)


@pytest.mark.slow
def test_parts_of_other_settings_are_refused(given: Given, tmp_path: Path) -> None:
    predict_shard(given, Shard(2, 1), UNIFORM, tmp_path)
    predict_shard(given, Shard(2, 2), NETWORK, tmp_path)
    with pytest.raises(InputError, match="Parts of different runs"):
        merge_shards(tmp_path)


def test_parts_divided_differently_are_refused(given: Given, tmp_path: Path) -> None:
    predict_shard(given, Shard(2, 1), UNIFORM, tmp_path)
    predict_shard(given, Shard(3, 1), UNIFORM, tmp_path)
    with pytest.raises(InputError, match="parts of 2, parts of 3"):
        merge_shards(tmp_path)


@pytest.mark.parametrize("change", ["questions", "groups", "population"])
def test_a_part_of_something_else_is_refused(given: Given, tmp_path: Path, change: str) -> None:
    predict_shard(given, Shard(2, 1), UNIFORM, tmp_path)
    other = given
    if change == "questions":
        given.questionnaire.write_text(TEXT.replace("the bus", "a bus"))
    elif change == "groups":
        other = Given(given.questionnaire, ("paper22",))
    else:
        other = Given(given.questionnaire, given.groups, "adults in Berlin")
    predict_shard(other, Shard(2, 2), UNIFORM, tmp_path)
    with pytest.raises(InputError, match=r"different runs|not those of the parts"):
        merge_shards(tmp_path)


@pytest.mark.slow
def test_a_questionnaire_changed_since_is_refused(given: Given, tmp_path: Path) -> None:
    for number in (1, 2):
        predict_shard(given, Shard(2, number), UNIFORM, tmp_path)
    moved = given.questionnaire.rename(tmp_path / "moved.yaml")
    assert len(merge_shards(tmp_path, questionnaire=moved).prediction) == 5 * 23
    moved.write_text(TEXT.replace("the mayor", "the council"))
    with pytest.raises(InputError, match="not those of the parts"):
        merge_shards(tmp_path, questionnaire=moved)


def test_a_swapped_table_is_refused(given: Given, tmp_path: Path) -> None:
    runs = [predict_shard(given, Shard(2, n), UNIFORM, tmp_path) for n in (1, 2)]
    for ending in ("", ".json"):
        one, two = (Path(f"{run.files[0]}{ending}") for run in runs)
        two.write_bytes(one.read_bytes())
    with pytest.raises(DataError, match=r"another predictions\.parquet"):
        merge_shards(tmp_path)


@pytest.mark.parametrize("written", ["0/3", "4/3", "3", "1/0", "-1/3", "1/3/5", "a/b", "1.0/3"])
def test_what_is_no_part_is_refused(written: str) -> None:
    with pytest.raises(InputError, match="counted from one"):
        Shard.read(written)


def test_more_parts_than_questions_are_refused(given: Given, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at most 5 parts"):
        predict_shard(given, Shard(9, 7), UNIFORM, tmp_path)


def test_every_question_is_in_one_part() -> None:
    for of in range(1, 8):
        parts = [Shard(of, n) for n in range(1, of + 1)]
        for place in range(20):
            assert sum(part.holds(place) for part in parts) == 1


def test_folders_stand_in_order() -> None:
    names = [Shard(12, n).folder(Path()).name for n in (2, 10)]
    assert names == sorted(names) == ["shard-02-of-12", "shard-10-of-12"]


@pytest.mark.slow
def test_problems_of_parts_are_kept(given: Given, tmp_path: Path) -> None:
    """A row no part could predict is a problem of the whole, not a gap."""
    for number in (1, 2):
        predict_shard(given, Shard(2, number), UNIFORM, tmp_path)
    rest = Shard(2, 1).folder(tmp_path) / "prediction.json"
    held = json.loads(rest.read_text())
    table = Shard(2, 1).folder(tmp_path) / "predictions.parquet"
    from opinioncast.files import checksum
    from opinioncast.survey import PredictionTable

    whole = PredictionTable.read(table)
    lost = whole.frame.row(0, named=True)
    PredictionTable(whole.frame.slice(1), whole.meta).write(table)
    keys = ("family", "wave", "question_id", "attribute", "group")
    held["problems"] = [{k: lost[k] for k in keys} | {"what": "no answer", "missing": True}]
    rest.write_text(json.dumps(held))
    manifest = rest.parent / "manifest.json"
    listed = json.loads(manifest.read_text())
    listed["files"] |= {p.name: checksum(p) for p in (table, rest)}
    manifest.write_text(json.dumps(listed))
    run = merge_shards(tmp_path)
    assert [p.what for p in run.prediction.problems] == ["no answer"]
    assert len(run.prediction) == 5 * 23 - 1
    assert run.prediction.frame.filter(pl.col("group") == lost["group"]).height == 4
    with pytest.raises(IncompleteRunError):
        run.prediction.raise_for_problems()
