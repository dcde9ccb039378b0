"""Splits: partitions, what stays together, balance, and independence of row order."""

from __future__ import annotations

import random
import re
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinioncast.curate.overlap import question_key
from opinioncast.curate.split import split_table
from opinioncast.errors import InputError
from opinioncast.survey.tables import KEY, OpinionTable

GROUPS = ["Male", "Female", "Hindu"]
THREE = {"train": 0.6, "validation": 0.2, "test": 0.2}


def row(family: str, wave: str, question: str, group: str) -> dict[str, Any]:
    return {
        "family": family,
        "wave": wave,
        "question_id": question,
        "question": f"What of {question}?",
        "options": ["Yes", "No"],
        "ordinal": [1.0, 2.0],
        "attribute": "A",
        "group": group,
        "distribution": [0.5, 0.5],
    }


def table(n: int, seed: int) -> OpinionTable:
    """n items, some in two waves, with groups that not every question has."""
    draw = random.Random(seed)
    rows = []
    for i in range(n):
        for wave in ("61", "82")[: draw.choice([1, 1, 1, 2])]:
            groups = ["Male", "Female", *(["Hindu"] if draw.random() < 0.3 else [])]
            rows += [row("ATP", wave, f"Q{i}_W{wave}", g) for g in groups]
    return OpinionTable.from_rows(rows)


def keys(table: OpinionTable) -> set[str]:
    return {
        question_key(*k)
        for k in table.frame.select("family", "wave", "question_id").unique().iter_rows()
    }


@pytest.mark.slow
@settings(deadline=None, max_examples=10)
@given(st.integers(40, 80), st.integers(0, 1000))
def test_parts_are_disjoint_complete_and_stable(n: int, seed: int) -> None:
    whole = table(n, seed)
    names = sorted(keys(whole))
    drawn = [random.Random(seed + i).sample(names, 2) for i in range(n // 10)]
    linked = [(a, b) for a, b in drawn]
    split = split_table(whole, by="question", fractions=THREE, seed=seed, linked=linked)
    together = pl.concat([t.frame for t in split.parts.values()])
    assert together.sort(KEY).equals(whole.frame.sort(KEY))
    owner = {k: part for part, t in split.parts.items() for k in keys(t)}
    assert sum(len(keys(t)) for t in split.parts.values()) == len(owner)
    for a, b in linked:
        assert owner[a] == owner[b]
    for key in owner:  # the same item in another wave
        twin = key.replace("61", "82")
        assert owner.get(twin, owner[key]) == owner[key]
    shuffled = OpinionTable(whole.frame.sample(fraction=1, shuffle=True, seed=seed), whole.meta)
    backwards = dict(reversed(THREE.items()))
    again = split_table(
        shuffled, by="question", fractions=backwards, seed=seed, linked=linked[::-1]
    )
    assert list(again.parts) == list(backwards)
    assert {p: keys(t) for p, t in again.parts.items()} == {
        p: keys(t) for p, t in split.parts.items()
    }


@settings(deadline=None, max_examples=10)
@given(st.integers(20, 80), st.integers(0, 1000))
def test_every_group_is_near_its_share(n: int, seed: int) -> None:
    report = split_table(table(n, seed), by="question", fractions=THREE, seed=seed).report
    whole = pl.col("rows").sum().over("group")
    off = report.select((pl.col("rows") - pl.col("target") * whole).abs().max()).item()
    assert off <= 2.5  # clusters hold one or two rows of a group
    assert report["rows"].sum() == len(table(n, seed))


def test_another_seed_gives_another_split() -> None:
    whole = table(100, 1)
    a, b = (split_table(whole, by="question", fractions=THREE, seed=s) for s in (1, 2))
    assert keys(a.parts["test"]) != keys(b.parts["test"])
    assert a.parts["test"].meta["split"] == {
        "by": "question",
        "fractions": THREE,
        "seed": 1,
        "questions": len(keys(whole)),
        "together": 100,
    }


def test_groups_are_balanced_closely() -> None:
    whole = OpinionTable.from_rows(
        row("GSS", "2018", f"q{i}", g)
        for i in range(300)
        for g in GROUPS
        if g != "Hindu" or i % 3 == 0
    )
    fractions = {"train": 0.8, "validation": 0.1, "test": 0.1}
    report = split_table(whole, by="question", fractions=fractions, seed=0).report
    assert (report["share"] - report["target"]).abs().max() <= 0.01
    assert report.group_by("group").agg(pl.col("rows").sum())["rows"].sum() == len(whole)


def test_by_wave_and_family() -> None:
    whole = OpinionTable.from_rows(
        row(f, w, f"{f}{w}{i}", "Male")
        for f in ("GSS", "ANES")
        for w in ("1", "2", "3", "4")
        for i in range(5)
    )
    halves = {"a": 0.5, "b": 0.5}
    waves = split_table(whole, by="wave", fractions=halves, seed=0).parts
    sides = [set(t.frame.select("family", "wave").unique().iter_rows()) for t in waves.values()]
    assert not sides[0] & sides[1]
    families = split_table(whole, by="family", fractions=halves, seed=0).parts
    assert [t.frame["family"].n_unique() for t in families.values()] == [1, 1]


def test_waves_that_share_an_item_cannot_be_cut() -> None:
    whole = OpinionTable.from_rows(
        [row("GSS", w, q, "Male") for w in ("2016", "2018") for q in ("abany", f"own{w}")]
    )
    with pytest.raises(InputError, match="stays empty") as error:
        split_table(whole, by="wave", fractions={"a": 0.5, "b": 0.5}, seed=0)
    assert "remove_overlap" in str(error.value)


@pytest.mark.parametrize(
    "fractions", [{"a": 1.0}, {"a": 0.5, "b": 0.6}, {"a": 1.2, "b": -0.2}, {"a": 1.0, "b": 0.0}]
)
def test_fractions_are_checked(fractions: dict[str, float]) -> None:
    with pytest.raises(InputError, match="not shares"):
        split_table(table(10, 0), by="question", fractions=fractions, seed=0)


@settings(deadline=None, max_examples=10)
@given(st.integers(20, 40), st.integers(0, 1000))
def test_a_wording_is_never_on_both_sides(n: int, seed: int) -> None:
    """Each asked twice: under another id, wave, family, in other letters and apostrophes."""
    draw = random.Random(seed)
    rows = []
    for i in range(n):
        text = f"Don't you agree with statement {i}?"
        rows.append(row("GSS", "2016", f"a{i}", "Male") | {"question": text})
        twin = draw.choice(
            [
                row("GSS", "2018", f"A{i}_W2018", "Male"),
                row("ANES", "2020", f"v{draw.randrange(10**6)}", "Male")
                | {"question": text.upper().replace("'", "’") + " "},
                row("GSS", "2018", f"b{i}", "Male") | {"question": text.replace("'", "")},
            ]
        )
        rows.append(twin)
    split = split_table(
        OpinionTable.from_rows(rows), by="question", fractions={"a": 0.75, "b": 0.25}, seed=seed
    )
    sides = [
        {int(re.findall(r"\d+", i)[0]) for i in t.frame.filter(family="GSS")["question_id"]}
        for t in split.parts.values()
    ]
    assert not sides[0] & sides[1]
    numbers = [
        {re.findall(r"(\d+)\?", q)[0] for q in t.frame["question"] if "statement" in q.lower()}
        for t in split.parts.values()
    ]
    assert not numbers[0] & numbers[1]
    assert abs(len(split.parts["b"]) - n / 2) <= 2  # a pair is two rows
    assert split.parts["a"].meta["split"]["together"] == n


def test_links_to_questions_that_are_not_there_are_refused() -> None:
    with pytest.raises(InputError, match="does not have"):
        split_table(
            table(10, 0), by="question", fractions=THREE, seed=0, linked=[("ATP/61/Q0_W61", "x")]
        )
    with pytest.raises(InputError, match="cannot be split by this"):
        split_table(table(10, 0), by="topic", fractions=THREE, seed=0)  # type: ignore[arg-type]
