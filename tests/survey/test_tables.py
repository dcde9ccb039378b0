"""Tables: round trips, the content hash, what earlier versions wrote."""

from __future__ import annotations

import errno
import hashlib
import json
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinioncast.errors import DataError, InputError, StorageError
from opinioncast.survey.groups import Subpopulation
from opinioncast.survey.identity import content_hash
from opinioncast.survey.question import Question
from opinioncast.survey.tables import KEY, OpinionTable, PredictionTable, opinion_row

TRUST = Question("trust", "Can people be trusted?", ("Yes", "No", "It depends"), (1, 3, -1), "GSS")
WAR = Question("war", "Is war near — or «far»?", ("Near", "Far"), (1, 2), "GSS", "2018")
FEMALE = Subpopulation((("SEX", "Female"),))
BOTH = Subpopulation((("SEX", "Female"), ("RACE", "Black")))


def rows() -> list[dict[str, Any]]:
    return [
        opinion_row(TRUST, FEMALE, [0.5, 0.25, 0.25], n=100, n_eff=80.5, se=[0.05, 0.04, 0.04]),
        opinion_row(TRUST, BOTH, [0.2, 0.8, 0.0], refusal_rate=0.01, n=20),
        opinion_row(WAR, Subpopulation(), [0.125, 0.875]),
    ]


def table() -> OpinionTable:
    return OpinionTable.from_rows(rows(), {"source": "hand", "paraphrase": True})


def test_a_written_table_reads_back_the_same(tmp_path: Path) -> None:
    made = table()
    path = made.write(tmp_path / "new folder" / "opinions.parquet")
    read = OpinionTable.read(path)
    assert read.frame.equals(made.frame)
    assert read.content_hash == made.content_hash
    assert read.meta["source"] == "hand"
    sidecar = json.loads((path.parent / "opinions.parquet.json").read_text("utf-8"))
    assert (sidecar["kind"], sidecar["rows"]) == ("OpinionTable", 3)
    assert sorted(f.name for f in path.parent.iterdir()) == [
        "opinions.parquet",
        "opinions.parquet.json",
    ]


def test_questions_and_groups_come_back_out() -> None:
    made = table()
    trust, war = made.questions()
    assert (trust.options, trust.ordinal, trust.paraphrase) == (TRUST.options, TRUST.ordinal, True)
    assert (war.text, war.family, war.wave) == (WAR.text, "GSS", "2018")
    assert made.subpopulations() == [FEMALE, BOTH, Subpopulation()]
    assert len(made.filter(pl.col("question_id") == "war")) == 1


@given(st.randoms(use_true_random=False))
def test_the_hash_does_not_depend_on_row_order(shuffle: random.Random) -> None:
    listed = rows()
    shuffle.shuffle(listed)
    assert OpinionTable.from_rows(listed).content_hash == table().content_hash


@pytest.mark.parametrize(
    "change",
    [
        {"distribution": [0.5, 0.26, 0.24]},
        {"group": "Male"},
        {"question": "Can most people be trusted?"},
        {"ordinal": [1.0, 2.0, -1.0]},
        {"n": 101},
        {"se": None},
        {"refusal_rate": 0.0},
    ],
)
def test_the_hash_depends_on_every_value(change: dict[str, Any]) -> None:
    changed = rows()
    changed[0] |= change
    assert OpinionTable.from_rows(changed).content_hash != table().content_hash


def test_a_table_without_rows(tmp_path: Path) -> None:
    empty = OpinionTable.from_rows([])
    assert len(empty) == 0
    assert empty.questions() == []
    assert len(OpinionTable.read(empty.write(tmp_path / "empty.parquet"))) == 0


def test_a_column_may_be_filled_from_a_late_row_on() -> None:
    listed = [
        opinion_row(WAR, Subpopulation((("AGE", str(i)),)), [0.5, 0.5]) for i in range(300)
    ] + [opinion_row(WAR, FEMALE, [0.5, 0.5], refusal_rate=0.5)]
    assert OpinionTable.from_rows(listed).frame["refusal_rate"].to_list()[-1] == 0.5


def test_a_column_the_table_has_not_is_named() -> None:
    late = opinion_row(WAR, FEMALE, [0.5, 0.5], refusal=0.5, label_mass=1.0)
    with pytest.raises(DataError, match="no such columns") as caught:
        OpinionTable.from_rows([*rows(), late])
    assert caught.value.found == "refusal, label_mass"
    assert "refusal_rate, n, n_eff" in str(caught.value.expected)


def test_a_table_changed_after_writing_is_refused(tmp_path: Path) -> None:
    path = table().write(tmp_path / "t.parquet")
    frame = pl.read_parquet(path)
    frame.with_columns(n=pl.lit(7)).write_parquet(path)
    with pytest.raises(DataError, match="does not match its sidecar") as caught:
        OpinionTable.read(path)
    assert caught.value.where == str(path)


def test_rewriting_the_same_rows_in_another_order_is_no_change(tmp_path: Path) -> None:
    path = table().write(tmp_path / "t.parquet")
    pl.read_parquet(path).reverse().write_parquet(path, compression="gzip")
    assert len(OpinionTable.read(path)) == 3


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not found"):
        OpinionTable.read(tmp_path / "absent.parquet")


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="cannot be read"):
        OpinionTable.read(path)


def test_a_lost_sidecar(tmp_path: Path) -> None:
    path = table().write(tmp_path / "t.parquet")
    (tmp_path / "t.parquet.json").unlink()
    with pytest.raises(DataError, match="lost its sidecar"):
        OpinionTable.read(path)


@pytest.mark.parametrize("text", ["{not json", "[]", "{}", '"text"', "null"])
def test_a_broken_sidecar(tmp_path: Path, text: str) -> None:
    path = table().write(tmp_path / "t.parquet")
    (tmp_path / "t.parquet.json").write_text(text)
    with pytest.raises(DataError, match=r"sidecar .* cannot be read"):
        OpinionTable.read(path)


def test_the_other_kind_of_table(tmp_path: Path) -> None:
    path = table().write(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="another kind of table") as caught:
        PredictionTable.read(path)
    assert (caught.value.expected, caught.value.found) == ("PredictionTable", "OpinionTable")


def test_a_full_disk_leaves_the_old_table_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table().write(tmp_path / "t.parquet")

    def full(self: Path, *args: Any, **kwargs: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    other = table().filter(pl.col("question_id") == "war")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(StorageError, match="could not be written"):
            other.write(path)
    assert len(OpinionTable.read(path)) == 3
    assert len(list(tmp_path.iterdir())) == 2


def test_one_key_with_two_wordings() -> None:
    other = Question("trust", "Trust?", TRUST.options, TRUST.ordinal, "GSS")
    made = OpinionTable.from_rows([*rows(), opinion_row(other, Subpopulation(), [1, 0, 0])])
    with pytest.raises(DataError, match="two wordings"):
        made.questions()


def test_a_row_of_the_wrong_length() -> None:
    with pytest.raises(InputError, match="one share per option") as caught:
        opinion_row(TRUST, FEMALE, [0.5, 0.5])
    assert caught.value.where == 'question "trust", SEX=Female'


def test_long_has_one_row_per_option_and_says_what_it_is() -> None:
    made = PredictionTable.from_rows(
        [
            opinion_row(TRUST, FEMALE, [0.5, 0.25, 0.25], label_mass=0.9, model="m", method="qa"),
            opinion_row(WAR, BOTH, [0.125, 0.875], refusal_rate=0.1, model="m", method="qa"),
        ]
    )
    long = made.long()
    assert long.select(
        "question_id", "option_number", "option", "scale_position", "share"
    ).rows() == [
        ("trust", 1, "Yes", 1.0, 0.5),
        ("trust", 2, "No", 3.0, 0.25),
        ("trust", 3, "It depends", -1.0, 0.25),
        ("war", 1, "Near", 1.0, 0.125),
        ("war", 2, "Far", 2.0, 0.875),
    ]
    assert long["source"].unique().to_list() == ["model prediction, not survey data"]
    assert long["label_mass"].to_list() == [0.9, 0.9, 0.9, None, None]
    assert long["group"].to_list()[-1] == "Female & Black"


def predictions() -> list[dict[str, Any]]:
    return [
        opinion_row(TRUST, FEMALE, [0.5, 0.25, 0.25], low=[0.4, 0.2, 0.1], high=[0.6, 0.3, 0.5]),
        opinion_row(TRUST, BOTH, [0.2, 0.8, 0.0]),
        opinion_row(
            WAR,
            Subpopulation(),
            [0.125, 0.875],
            low=[0.0, 0.5],
            high=[0.5, 1.0],
            basis="model and 100 respondents",
        ),
    ]


def test_predictions_say_what_they_rest_on_and_how_wide_they_are(tmp_path: Path) -> None:
    made = PredictionTable.from_rows(predictions())
    assert made.frame["basis"].to_list() == ["model", "model", "model and 100 respondents"]
    again = PredictionTable.read(made.write(tmp_path / "p.parquet"))
    assert again.content_hash == made.content_hash
    long = made.long()
    assert long.height == 8
    assert long["low"].to_list() == [0.4, 0.2, 0.1, None, None, None, 0.0, 0.5]
    assert long["high"].to_list()[-2:] == [0.5, 1.0]
    assert long["basis"].to_list()[-1] == "model and 100 respondents"


def earlier_table(tmp_path: Path) -> tuple[Path, pl.DataFrame]:
    """A file as version 0.1.0 wrote it, hashed as that did."""
    later = ("low", "high", "basis", "known_question", "known_group")
    columns = [c for c in PredictionTable.schema if c not in later]
    columns.insert(columns.index("model"), "share_error_90")
    frame = pl.DataFrame(
        [
            opinion_row(WAR, FEMALE, [0.125, 0.875], share_error_90=0.25, model="m", method="x"),
            opinion_row(WAR, BOTH, [0.5, 0.5], share_error_90=None, model="m", method="x"),
        ],
        schema_overrides=PredictionTable.schema | {"share_error_90": pl.Float64},
    )
    frame = frame.with_columns(
        pl.lit(None, PredictionTable.schema[c]).alias(c) for c in columns if c not in frame.columns
    ).select(columns)
    digest = hashlib.sha256(json.dumps(columns).encode())
    for row in frame.sort("family", "wave", "question_id", "attribute", "group").iter_rows():
        digest.update(json.dumps(row, ensure_ascii=False).encode())
    path = tmp_path / "earlier.parquet"
    frame.write_parquet(path)
    meta = {"kind": "PredictionTable", "content_hash": digest.hexdigest()}
    path.with_name("earlier.parquet.json").write_text(json.dumps(meta))
    return path, frame


def test_a_table_from_before_rows_said_how_near_what_is_known_is_read(tmp_path: Path) -> None:
    path = tmp_path / "before.parquet"
    columns = [c for c in PredictionTable.schema if not c.startswith("known_")]
    row = opinion_row(WAR, FEMALE, [0.25, 0.75], model="m", method="x")
    frame = PredictionTable.from_rows([row]).frame.select(columns)
    frame.write_parquet(path)
    meta = {"kind": "PredictionTable", "content_hash": content_hash(frame, KEY)}
    path.with_name("before.parquet.json").write_text(json.dumps(meta))
    read = PredictionTable.read(path).frame
    assert read.columns == list(PredictionTable.schema)
    assert read["known_question"].to_list() == [None]
    frame.with_columns(method=pl.lit("y")).write_parquet(path)  # changed since
    with pytest.raises(DataError, match="does not match its sidecar"):
        PredictionTable.read(path)


def test_a_table_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path, frame = earlier_table(tmp_path)
    rows = {r["group"]: r for r in PredictionTable.read(path).frame.iter_rows(named=True)}
    assert (rows["Female"]["low"], rows["Female"]["high"]) == ([0.0, 0.625], [0.375, 1.0])
    assert rows["Female & Black"]["low"] is rows["Female & Black"]["high"] is None
    # but not one that was changed since
    frame.with_columns(share_error_90=pl.lit(0.3)).write_parquet(path)
    with pytest.raises(DataError, match="does not match its sidecar"):
        PredictionTable.read(path)
