"""The identity of a table: one for every processor, another for every other content."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
import random
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from opinioncast.errors import DataError
from opinioncast.survey.identity import (
    RULE,
    content_hash,
    hash_by_first_rule,
    to_identity_digits,
)
from opinioncast.survey.tables import KEY, OpinionTable

pytestmark = pytest.mark.avx2
NUMBERS = st.floats(1e-9, 1e12) | st.floats(-1e12, -1e-9)


def table(rows: int = 200, seed: int = 0) -> OpinionTable:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet([2, 1, 3], rows)
    return OpinionTable(
        pl.DataFrame(
            {
                "family": ["GSS"] * rows,
                "wave": ["2018"] * rows,
                "question_id": [f"q{i // 20}" for i in range(rows)],
                "question": [f"Is it so, {i // 20}?" for i in range(rows)],
                "options": [["Yes", "No", "Both"]] * rows,
                "ordinal": [[1.0, 3.0, -1.0]] * rows,
                "attribute": ["SEX"] * rows,
                "group": [f"group {i}" for i in range(rows)],
                "distribution": shares.tolist(),
                "refusal_rate": rng.uniform(0, 0.1, rows),
                "n": rng.integers(20, 2000, rows),
                "n_eff": rng.uniform(20, 2000, rows),
                "se": np.sqrt(shares * (1 - shares) / 300).tolist(),
            }
        )
    )


def nudged(frame: pl.DataFrame, column: str, towards: float) -> pl.DataFrame:
    """Each number of a column moved to the next that the processor knows."""
    values = frame[column]
    flat = values.explode() if values.dtype == pl.List else values
    moved = pl.Series(column, np.nextafter(flat.to_numpy(), towards))
    if values.dtype == pl.List:
        moved = moved.reshape((frame.height, -1)).arr.to_list()
    return frame.with_columns(moved.alias(column))


@pytest.mark.parametrize("column", ["n_eff", "se", "distribution", "refusal_rate"])
@pytest.mark.parametrize("towards", [-math.inf, math.inf])
def test_the_last_bit_of_every_number_leaves_it(column: str, towards: float) -> None:
    made = table()
    moved = OpinionTable(nudged(made.frame, column, towards))
    assert not moved.frame[column].equals(made.frame[column])
    assert moved.content_hash == made.content_hash
    # the rule of before: what made one survey two tables on two machines
    assert hash_by_first_rule(moved.frame, KEY) != hash_by_first_rule(made.frame, KEY)


@given(NUMBERS, st.sampled_from([-1.0, 1.0]))
def test_the_ninth_digit_of_any_number_changes_it(value: float, sign: float) -> None:
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 8)
    assert to_identity_digits(np.array([value])) != to_identity_digits(
        np.array([value + sign * unit])
    )


@given(NUMBERS)
def test_a_number_moves_by_less_than_its_ninth_digit(value: float) -> None:
    kept = float(to_identity_digits(np.array([value]))[0])
    assert kept == pytest.approx(value, rel=1e-9, abs=0)
    assert to_identity_digits(np.array([kept]))[0] == kept


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(0, 6))
def test_numbers_that_people_write_lie_on_no_border(over: int, under: int, power: int) -> None:
    """Fractions and short decimals, a few bits off in either direction, are one number."""
    value = over / under / 10.0**power
    assume(value > 1e-9)
    off = np.array([value * (1 + ulps * 2.0**-52) for ulps in range(-8, 9)])
    assert len(set(to_identity_digits(off).tolist())) == 1


def test_borders_are_rare() -> None:
    values = np.random.default_rng(1).uniform(0, 1, 1_000_000)
    split = to_identity_digits(values) != to_identity_digits(np.nextafter(values, 2))
    assert split.mean() < 5e-6


def test_numbers_that_are_none() -> None:
    odd = np.array([0.0, -0.0, 1e-17, -1e-17, math.nan, -math.nan, math.inf, -math.inf])
    found = to_identity_digits(odd)
    assert found[:4].tobytes() == np.zeros(4).tobytes()
    assert found[4:6].tobytes() == np.array([math.nan] * 2).tobytes()
    assert found[6:].tolist() == [math.inf, -math.inf]


FRAMES: list[dict[str, Any]] = [
    {"k": ["a", "b"], "x": [["ab", "c"], []]},
    {"k": ["a", "b"], "x": [["a", "bc"], []]},
    {"k": ["a", "b"], "x": [["ab"], ["c"]]},
    {"k": ["a", "b"], "x": [["ab", "c"], None]},
    {"k": ["a", "b"], "x": [["ab", "c"], [None]]},
    {"k": ["a", "b"], "x": [["ab", "c", None], []]},
    {"k": ["a", "b"], "x": [["ab", "c"], [""]]},
    {"k": ["a", "b"], "y": [["ab", "c"], []]},
    {"k": ["a", "b"], "x": ["abc", ""]},
    {"k": ["a", "b"], "x": ["abc", None]},
    {"k": ["a", "b"], "x": ["ab", "c"]},
    {"k": ["a", "b"], "x": [1, 0]},
    {"k": ["a", "b"], "x": [1, None]},
    {"k": ["a", "b"], "x": [1.0, 0.0]},
    {"k": ["a", "b"], "x": [1.0, None]},
    {"k": ["a", "b"], "x": [1.0, math.nan]},
]


def test_contents_that_look_alike_are_told_apart() -> None:
    """Nothing, an empty text, an empty list, a list of nothing; text cut at another place."""
    hashes = {content_hash(pl.DataFrame(frame), ["k"]) for frame in FRAMES}
    assert len(hashes) == len(FRAMES)
    with pytest.raises(TypeError, match="no identity for a column of Date"):
        content_hash(pl.DataFrame({"k": ["a"]}).with_columns(x=pl.date(2020, 1, 1)), ["k"])


@settings(max_examples=25)
@given(st.randoms(use_true_random=False), st.integers(1, 5))
def test_neither_row_order_nor_chunks_matter(shuffle: random.Random, chunks: int) -> None:
    made = table(40)
    order = list(range(40))
    shuffle.shuffle(order)
    parts = [made.frame[order[i::chunks]] for i in range(chunks)]
    assert OpinionTable(pl.concat(parts, rechunk=False)).content_hash == made.content_hash


def test_keys_that_a_separator_cannot_tell_apart() -> None:
    """The one text that keys are joined to is only a short cut."""
    frame = pl.DataFrame({"a": ["x\x1f", "x"], "b": ["y", "\x1fy"], "v": [1, 2]})
    assert content_hash(frame, ["a", "b"]) == content_hash(frame.reverse(), ["a", "b"])


def test_a_known_table_keeps_its_hash() -> None:
    """What is recorded in files people keep; it may change only with the rule's name."""
    frame = pl.DataFrame({"k": ["b", "a"], "x": [[0.75, 1e-15], []], "n": [7, None]})
    written = (
        b'[2, ["k", "x", "n"]]'
        + b"text 2 " + b"\1\1" + struct.pack("<2q", 1, 1) + b"ab"
        + b"list 2 " + b"\1\1" + struct.pack("<2q", 0, 2)
        + b"float 2 " + b"\1\1" + struct.pack("<2d", 0.75, 0.0)
        + b"integer 2 " + b"\0\1" + struct.pack("<q", 7)
    )  # fmt: skip
    assert content_hash(frame, ["k"]) == "v2:" + hashlib.sha256(written).hexdigest()


@pytest.mark.slow
def test_it_is_computed_once_and_travels() -> None:
    made = table(20_000)
    list(made.frame)  # polars starts its threads
    started = time.process_time()
    first = made.content_hash
    assert time.process_time() - started < 1.0  # 0.07 s on one core; 1.4 s row by row
    started = time.process_time()
    for _ in range(1000):
        assert made.content_hash is first
    assert time.process_time() - started < 0.05
    assert pickle.loads(pickle.dumps(made)).content_hash == first


def with_sidecar(path: Path, **changes: Any) -> None:
    sidecar = path.with_name(path.name + ".json")
    meta = json.loads(sidecar.read_text("utf-8")) | changes
    sidecar.write_text(json.dumps(meta), "utf-8")


def test_a_file_of_before_is_read_and_still_guarded(tmp_path: Path) -> None:
    made = table()
    path = made.write(tmp_path / "old.parquet")
    old = hash_by_first_rule(made.frame, KEY)
    with_sidecar(path, content_hash=old)
    read = OpinionTable.read(path)
    assert read.content_hash == made.content_hash
    assert read.content_hash.startswith(RULE)
    assert read.has_content(old)
    assert not read.has_content(None)
    # under its own rule: the last bit counts
    nudged(made.frame, "se", 2.0).write_parquet(path)
    with pytest.raises(DataError, match="does not match its sidecar"):
        OpinionTable.read(path)


@pytest.mark.parametrize("recorded", ["", "v2:", "v3:" + "0" * 64, "0" * 64, 7])
def test_a_hash_of_no_known_rule_is_refused(tmp_path: Path, recorded: Any) -> None:
    path = table().write(tmp_path / "t.parquet")
    with_sidecar(path, content_hash=recorded)
    with pytest.raises(DataError, match="does not match its sidecar"):
        OpinionTable.read(path)
