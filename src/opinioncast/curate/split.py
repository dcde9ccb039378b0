"""Splitting an opinion table into parts that share no question and hold the groups alike."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.errors import InputError
from opinioncast.survey.sameness import Asked, clusters
from opinioncast.survey.tables import OpinionTable

By = Literal["question", "wave", "family"]


@dataclass(frozen=True)
class Split:
    """Parts of a table.

    Attributes:
        parts: by name, in the order of the fractions; rows keep the table's order.
        report: one row per part and group: part, attribute, group, rows, share (of the group's
            rows), target.
    """

    parts: Mapping[str, OpinionTable]
    report: pl.DataFrame


def split_table(
    table: OpinionTable,
    *,
    by: By,
    fractions: Mapping[str, float],
    seed: int,
    linked: Iterable[tuple[str, str]] = (),
) -> Split:
    """Divide ``table`` by question, wave or family.

    What must stay together goes to one part as a whole: the rows of a question; questions that are
    one by key or wording, whatever wave, family or id (:mod:`opinioncast.survey.sameness`); linked
    questions; with ``by`` "wave" or "family", everything in it. Each part's meta counts, under
    ``split``, the questions and what they hang together in.
    The largest of these clusters are placed first, each where it brings every group nearest to its
    share (chi-square of rows by group). The result depends on rows, shares and seed, not on the
    order of rows or of ``fractions``.

    Args:
        fractions: part name -> share of rows; they sum to 1.
        linked: pairs of question keys (:meth:`opinioncast.curate.overlap.Overlap.links`).

    Raises:
        InputError: fractions that are not shares, an unknown ``by``, a pair that names a question
            the table does not have, or a part that stays empty because too much hangs together.
    """
    _check(by, fractions)
    keyed = table.frame.with_columns(
        key=pl.concat_str("family", "wave", "question_id", separator="/")
    )
    cluster = _clusters(keyed, by, linked)
    numbers = {name: i for i, name in enumerate(sorted(set(cluster.values())))}
    keyed = keyed.with_columns(
        cluster=pl.col("key").replace_strict({k: numbers[c] for k, c in cluster.items()})
    )
    groups = keyed.select("attribute", "group").unique().sort("attribute", "group")
    column = {row: i for i, row in enumerate(groups.iter_rows())}
    rows = np.zeros((len(numbers), len(column)))
    for c, attribute, group, n in keyed.group_by("cluster", "attribute", "group").len().iter_rows():
        rows[c, column[attribute, group]] = n
    part = _place(rows, list(numbers), fractions, seed)
    names = list(fractions)
    empty = [name for i, name in enumerate(names) if i not in part]
    if empty:
        raise InputError(
            "A part of the split stays empty",
            where=", ".join(empty),
            expected=f"at least {len(names)} groups of questions that do not hang together",
            found=f"{len(numbers)}, the largest with "
            f"{int(rows.sum(axis=1).max(initial=0))} of {len(table)} rows",
            hint="split by question, raise the threshold that links them, or take the shared "
            "questions out first (remove_overlap)",
        )
    placed = keyed.with_columns(
        part=pl.col("cluster").replace_strict(dict(enumerate(part.tolist())))
    )
    settings = {
        "by": by,
        "fractions": dict(fractions),
        "seed": seed,
        "questions": len(cluster),
        "together": len(numbers),
    }
    parts = {
        name: OpinionTable(
            placed.filter(pl.col("part") == i).drop("key", "cluster", "part"),
            {**table.meta, "part": name, "split": settings},
        )
        for i, name in enumerate(names)
    }
    return Split(parts, _report(rows, part, list(column), fractions))


def _check(by: str, fractions: Mapping[str, float]) -> None:
    if by not in ("question", "wave", "family"):
        raise InputError(
            "A table cannot be split by this", expected="question, wave or family", found=by
        )
    values = list(fractions.values())
    if (
        len(values) < 2
        or not all(0 < v < 1 for v in values)
        or not math.isclose(sum(values), 1, abs_tol=1e-6)
    ):
        raise InputError(
            "The fractions of a split are not shares",
            expected="two or more parts, each above 0, summing to 1",
            found=dict(fractions),
        )


def _clusters(keyed: pl.DataFrame, by: By, linked: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Question key -> name of its cluster (the smallest key in it)."""
    columns = ("key", "family", "wave", "question_id", "question")
    unique = keyed.select(columns).unique("key").sort("key")
    keys = unique["key"].to_list()
    asked = [Asked(*row[1:]) for row in unique.iter_rows()]
    units = {
        "question": keys,
        "wave": [f"{q.family}/{q.wave}" for q in asked],
        "family": [q.family for q in asked],
    }[by]
    place = {key: i for i, key in enumerate(keys)}
    links = []
    for a, b in linked:
        for key in (a, b):
            if key not in place:
                raise InputError(
                    "A pair links a question the table does not have",
                    where=f"{a} and {b}",
                    expected=f'question keys such as "{next(iter(place), "GSS/2018/abany")}"',
                    found=key,
                    hint="find the pairs in this very table (QuestionSet.of_table)",
                )
        links.append((place[a], place[b]))
    numbers = clusters(asked, links, units=units)
    first: dict[int, str] = {}
    return {key: first.setdefault(n, key) for key, n in zip(keys, numbers, strict=True)}


def _place(
    rows: npt.NDArray[np.float64], names: list[str], fractions: Mapping[str, float], seed: int
) -> npt.NDArray[np.int64]:
    """Part number of each cluster. ``rows``: shape (clusters, groups)."""
    order = np.argsort(
        list(fractions)
    )  # in whatever order they are written, the parts are the same
    shares = np.array(list(fractions.values()))[order]
    target = shares[:, None] * rows.sum(axis=0)[None, :]
    placed = np.zeros_like(target)
    draws = [hashlib.sha256(f"{seed}/{name}".encode()).hexdigest() for name in names]
    size = rows.sum(axis=1)
    part = np.zeros(len(names), dtype=np.int64)
    for c in sorted(range(len(names)), key=lambda c: (-size[c], draws[c])):
        # what placing it there adds to sum((placed - target)^2 / target)
        growth = rows[c] * (rows[c] + 2 * (placed - target))
        cost = (growth / target).sum(axis=1)
        best = np.flatnonzero(cost <= cost.min() + 1e-9)
        part[c] = best[int(draws[c], 16) % len(best)]
        placed[part[c]] += rows[c]
    return np.asarray(order[part])


def _report(
    rows: npt.NDArray[np.float64],
    part: npt.NDArray[np.int64],
    groups: list[tuple[str, str]],
    fractions: Mapping[str, float],
) -> pl.DataFrame:
    total = rows.sum(axis=0)
    return pl.DataFrame(
        [
            {
                "part": name,
                "attribute": attribute,
                "group": group,
                "rows": int(n),
                "share": n / total[g],
                "target": target,
            }
            for i, (name, target) in enumerate(fractions.items())
            for g, ((attribute, group), n) in enumerate(
                zip(groups, rows[part == i].sum(axis=0), strict=True)
            )
        ]
    )
