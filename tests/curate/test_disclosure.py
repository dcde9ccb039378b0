"""Cells held back: few people, and what would give them away. Hand-worked counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.made_up_survey import write_survey

from opinioncast.csv_files import read_csv
from opinioncast.curate.disclosure import (
    MIN_RESPONDENTS,
    WORKED_OUT,
    complementary,
    counted,
    without_counts,
)
from opinioncast.curate.recipe import CurationRecipe, load_curation
from opinioncast.jobs.curate import curate_to_files, summary
from opinioncast.survey import OpinionTable, Subpopulation


def groups(*names: str) -> list[Subpopulation]:
    return [
        Subpopulation(tuple(tuple(c.split("=")) for c in name.split("&")) if name else ())  # type: ignore[misc]
        for name in names
    ]


def held(names: list[Subpopulation], n: list[float], everyone: float, least: int = 10) -> list[str]:
    found = complementary(np.array(n, float)[:, None], np.array([everyone]), names, least)
    return [str(g) for g, h in zip(names, found[:, 0], strict=True) if h]


FAITH = groups("", "R=A", "R=B", "R=C")


@pytest.mark.parametrize(
    ("n", "also"),
    [
        ([1000, 500, 496, 4], ["R=B"]),  # alone: total - A - B is C; the smallest other goes too
        ([1000, 500, 480, 4], []),  # 16 others are in no group: C is not to be told from them
        ([1000, 500, 492, 4], ["R=B"]),  # 8 in all are left over
        ([18, 4, 6, 8], []),  # three held back, 18 people: nothing shown
        ([1000, 990, 6, 4], []),  # two held back, of 10 people together
        ([1000, 992, 5, 3], ["R=A"]),  # two held back, of 8 together
        ([1000, 500, 500, 0], []),  # a group of nobody tells nothing
        ([1000, 500, 490, 10], []),
    ],
)
def test_a_group_alone_does_not_follow_from_the_total(n: list[float], also: list[str]) -> None:
    assert held(FAITH, n, n[0]) == also
    # a topline is published elsewhere: the total need not be in the table
    assert held(FAITH[1:], n[1:], n[0]) == also


def test_groups_of_a_group() -> None:
    names = groups("S=F", "S=M", "S=F&R=A", "S=M&R=A", "S=F&R=B", "S=M&R=B", "S=F&R=C", "S=M&R=C")
    n = [500.0, 500, 300, 300, 196, 150, 4, 50]
    # women - A - B leaves the four of C; nobody gives men away
    assert held(names, n, 1000) == ["S=F & R=B"]
    n[4] = 150  # 50 women are in no group
    assert held(names, n, 1000) == []


@given(st.lists(st.integers(0, 60), min_size=2, max_size=6), st.integers(0, 15), st.integers(2, 20))
def test_what_is_left_over_is_never_a_few_people(sizes: list[int], others: int, least: int) -> None:
    names = [Subpopulation((("R", str(i)),)) for i in range(len(sizes))]
    n = np.array(sizes, float)[:, None]
    everyone = n.sum(axis=0) + others
    also = complementary(n, everyone, names, least)
    small = (n > 0) & (n < least)
    assert not (also & small).any()
    shown = ~small & ~also & (n > 0)
    if small.any() and shown.any():
        assert everyone[0] - n[shown].sum() >= least
    if not small.any():
        assert not also.any()


def test_recipes_hold_back_unless_told_otherwise() -> None:
    assert CurationRecipe.model_fields["min_n"].default == MIN_RESPONDENTS == 10


def test_counts_of_few_people_are_not_written() -> None:
    key = {"question_id": ["q"] * 3, "variable": ["q"] * 3, "attribute": ["R"] * 3}
    bases = pl.DataFrame(key | {"group": ["A", "B", "C"], "n": [500, 496, 4], "weight": ["w"] * 3})
    dropped = pl.DataFrame(
        {c: v[:2] for c, v in key.items()}
        | {"group": ["C", "B"], "reason": ["fewer than 10 respondents answered", WORKED_OUT]}
    )
    shown = without_counts(bases, dropped)
    assert shown.columns == bases.columns
    assert shown["n"].to_list() == [500, None, None]
    assert shown["weight"].to_list() == ["w"] * 3
    assert counted(dropped) == {"too few respondents": 1, "to protect those": 1}


def test_a_group_of_one_is_in_no_file(tmp_path: Path) -> None:
    people = 120
    rng = np.random.default_rng(1)
    columns = {
        "sex": np.array([1.0] + [2.0] * (people - 1)),
        "region": np.array([1.0, 2.0] * (people // 2)),
        "q1": rng.integers(1, 4, people).astype(float),
        "w": rng.uniform(0.5, 2.0, people),
    }
    columns["q1"][0] = 3.0
    recipe, beside = load_curation(write_survey(tmp_path, columns))
    run = curate_to_files(recipe, [beside], tmp_path / "out")
    shown = OpinionTable.read(tmp_path / "out" / "opinions.parquet")
    assert set(shown.frame["group"]) == {"South", "West"}  # women would give the one man away
    assert shown.meta["waves"][0]["held_back"] == {"too few respondents": 1, "to protect those": 1}
    dropped = read_csv(tmp_path / "out" / "dropped_cells.csv")
    assert dict(dropped.select("group", "reason").rows()) == {
        "Male": "fewer than 10 respondents answered",
        "Female": WORKED_OUT,
    }
    assert dropped["n"].null_count() == dropped.height == 2
    bases = read_csv(tmp_path / "out" / "bases.csv")
    assert bases.filter(pl.col("n").is_null())["group"].to_list() == ["Male", "Female"]
    assert summary(run.curation)[0]["of these held back"] == 2
