"""Cells that would tell something about persons: those of few people, and those that give one away.

A share of a handful of people is close to their answers, and a group's answers follow from a total
and the other groups. Output of microdata is held back below a number of respondents nearly
everywhere; statistical offices mostly ask for 10 (ESSnet SDC, *Guidelines for the checking of
output based on microdata research*, 2010, rule of thumb of class 1 and 2 outputs; Griffiths et
al., *Handbook on Statistical Disclosure Control for Outputs*, 2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.survey.groups import Subpopulation

Bools = npt.NDArray[np.bool_]

MIN_RESPONDENTS = 10
"""Of a cell that is shown, where a recipe says nothing else: the number statistical offices use for
output of microdata. It also is where a share stops meaning anything: with 10 respondents its
standard error is up to 16 points. A lower one (``min_n: 1`` shows all) is for data that may be
passed on person by person, or that stay in the house."""

WORKED_OUT = "could be worked out from a total and the other groups"


def complementary(
    n: npt.NDArray[np.float64],
    everyone: npt.NDArray[np.float64],
    subpopulations: Sequence[Subpopulation],
    min_n: int,
) -> Bools:
    """Cells to hold back beside those of fewer than ``min_n`` people, shape of ``n``.

    A total is taken as known, whether it is in the table or not: toplines are published. The people
    that are in a total and in no group shown of an attribute must be ``min_n`` at least, or none of
    them in a group held back. Where they are fewer, the smallest group shown is held back too, and
    so on. The same holds below a group (women) for its own groups (women of each age) where it is
    shown.

    Args:
        n: respondents who answered, shape (groups, questions).
        everyone: respondents who answered at all, shape (questions,).
    """
    held = (n > 0) & (n < min_n)
    small = held.copy()
    families = list(_families(subpopulations))
    questions = np.flatnonzero(held.any(axis=0))
    changed = True
    while changed and len(questions):
        changed = False
        for parent, children in families:
            for q in questions:
                if parent is not None and (held[parent, q] or n[parent, q] == 0):
                    continue
                whole = everyone[q] if parent is None else n[parent, q]
                shown = [c for c in children if n[c, q] > 0 and not held[c, q]]
                if not held[children, q].any() or not shown:
                    continue
                if whole - n[shown, q].sum() < min_n:
                    held[min(shown, key=lambda c: n[c, q]), q] = True
                    changed = True
    return np.asarray(held & ~small)


def _families(subpopulations: Sequence[Subpopulation]) -> Iterator[tuple[int | None, list[int]]]:
    """A total (None: everyone) and the groups that are parts of it, of one attribute each.

    Smaller totals come first: what protects within them mostly protects within larger ones.
    """
    of_attribute: dict[str, list[int]] = {}
    for place, group in enumerate(subpopulations):
        if group.conditions:
            of_attribute.setdefault(group.attribute, []).append(place)
    places = {group.conditions: i for i, group in enumerate(subpopulations) if group.conditions}
    for children in of_attribute.values():
        several = len(subpopulations[children[0]].conditions) > 1
        for parent, place in places.items() if several else ():
            within = [c for c in children if set(parent) < set(subpopulations[c].conditions)]
            if within:
                yield place, within
    for children in of_attribute.values():
        yield None, children


def without_counts(bases: pl.DataFrame, dropped: pl.DataFrame) -> pl.DataFrame:
    """``bases`` without the counts of cells that are held back: they are counts of a few people."""
    key = ["question_id", "variable", "attribute", "group"]
    hidden = dropped.filter(is_held_back(pl.col("reason"))).select(key).unique()
    counts = [c for c in bases.columns if c not in (*key, "weight")]
    marked = bases.join(
        hidden.with_columns(_held=pl.lit(True)), on=key, how="left", maintain_order="left"
    )
    held = pl.col("_held").is_not_null()
    return marked.with_columns(
        pl.when(held).then(None).otherwise(pl.col(c)).alias(c) for c in counts
    ).drop("_held")


def is_held_back(reason: pl.Expr) -> pl.Expr:
    """Whether a cell is left out so that nothing is told of persons."""
    return reason.str.starts_with("fewer than ") | reason.str.starts_with(WORKED_OUT)


def counted(dropped: pl.DataFrame) -> Mapping[str, int]:
    """Cells held back, by why."""
    small = dropped.filter(pl.col("reason").str.starts_with("fewer than ")).height
    return {
        "too few respondents": small,
        "to protect those": dropped.filter(is_held_back(pl.col("reason"))).height - small,
    }
