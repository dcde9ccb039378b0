"""What a prediction can be expected to reach: uniform upper bound, human lower bound.

Both are mean Wasserstein distances to the observed distributions (paper, section 4.1 and Appendix
D): from the uniform distribution, and from what other samples of the same people would have given.
The samples are drawn in :mod:`opinioncast.curate.bootstrap`; any object with the three attributes
of :class:`Replicates` serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.errors import DataError, InputError
from opinioncast.evaluate.distance import pad, uniform, wasserstein
from opinioncast.survey.groups import Subpopulation
from opinioncast.survey.question import OFF_SCALE, Question
from opinioncast.survey.tables import KEY, OpinionTable

Array = npt.NDArray[np.float64]

OVERALL = ("OVERALL", "all groups")
"""Attribute and group of the row that averages over all cells of the table."""


class Replicates(Protocol):
    """Bootstrap distributions of one group.

    ``shares`` lists the options of all ``questions`` one after the other, shape (replicates,
    options); NaN where a replicate holds nobody who answered.
    """

    @property
    def subpopulation(self) -> Subpopulation: ...
    @property
    def questions(self) -> Sequence[Question]: ...
    @property
    def shares(self) -> Array: ...


_HUMAN = ("human", "human_low", "human_high")
_GROUP = ("attribute", "group")


@dataclass(frozen=True)
class Bounds:
    """Both bounds of a table.

    Attributes:
        groups: ``attribute, group, n_questions, without_scale, uniform, human, human_low,
            human_high, empty_draws``, one row per group, last :data:`OVERALL`; ``attribute, group``
            and the human columns are needed.
        cells: KEY columns and ``human``: the lower bound of each cell with a distance, its mean
            over the replicates. None where only averages are known.
    """

    groups: pl.DataFrame
    cells: pl.DataFrame | None = None

    def of(self, scored: pl.DataFrame) -> pl.DataFrame:
        """The lower bound of exactly the groups and questions that were scored.

        Where a group was scored on the questions its bound is of, the bound and its interval are
        the measured ones. On other questions it is the mean over the scored cells, without an
        interval, where the bounds of the cells are known; else it is not known, and ``note`` says
        why. Overall, each group weighs as many cells as were scored.

        Args:
            scored: KEY columns of the cells that have a distance.

        Returns:
            ``attribute, group, human, human_low, human_high, cells, note``; groups in order of
            appearance, then :data:`OVERALL`.
        """
        named = self.groups.filter(pl.col("attribute") != OVERALL[0])
        measured = {(row["attribute"], row["group"]): row for row in named.iter_rows(named=True)}
        known = self._by_group()
        rows: list[_Row] = []
        exact = True
        for key, part in scored.group_by(_GROUP, maintain_order=True):
            group = (str(key[0]), str(key[1]))
            human, note, same = _of_group(part, measured.get(group), known.get(group))
            exact &= same
            low, high = (measured[group][c] for c in _HUMAN[1:]) if same else (None, None)
            rows.append(_Row(*group, human, low, high, part.height, note))
        total = sum(row.cells for row in rows)
        lacking = [row.note for row in rows if row.human is None]
        last = self.groups.row(-1, named=True)
        if not rows or lacking:
            overall = _Row(*OVERALL, None, None, None, total, "; ".join(dict.fromkeys(lacking)))
        elif exact and len(rows) == sum(r["human"] is not None for r in measured.values()):
            human, low, high = (last[c] for c in _HUMAN)
            overall = _Row(*OVERALL, human, low, high, total, rows[0].note)
        else:
            mean = sum((row.human or 0.0) * row.cells for row in rows) / total
            note = "of the groups and questions scored"
            overall = _Row(*OVERALL, mean, None, None, total, note)
        return pl.DataFrame([*rows, overall], schema=_SCORED, orient="row")

    def _by_group(self) -> dict[tuple[str, str], pl.DataFrame]:
        if self.cells is None:
            return {}
        parts = self.cells.filter(pl.col("human").is_not_null()).partition_by(_GROUP, as_dict=True)
        return {(str(a), str(g)): frame for (a, g), frame in parts.items()}


_UNTOLD = "of how many questions the lower bound is, its file does not say"


class _Row(NamedTuple):
    attribute: str
    group: str
    human: float | None
    low: float | None
    high: float | None
    cells: int
    note: str


_SCORED = {
    "attribute": pl.String,
    "group": pl.String,
    **dict.fromkeys(_HUMAN, pl.Float64),
    "cells": pl.Int64,
    "note": pl.String,
}


def _of_group(
    scored: pl.DataFrame, measured: dict[str, object] | None, cells: pl.DataFrame | None
) -> tuple[float | None, str, bool]:
    """Bound of one group's scored cells, a note, and whether it is the measured one."""
    if measured is None or measured["human"] is None:
        return None, "no lower bound of some groups", False
    whole = float(str(measured["human"]))
    if cells is None:
        questions = measured.get("n_questions")
        if questions is not None and questions != scored.height:
            note = (
                f"the lower bound is of {questions} questions of a group and {scored.height} were "
                "scored (the file of each cell's bounds is not there)"
            )
            return None, note, False
        return whole, "" if questions is not None else _UNTOLD, True
    found = scored.join(cells.select(*KEY, "human"), on=list(KEY), how="left")["human"]
    if found.null_count():
        return None, "no lower bound of some questions", False
    if scored.height == cells.height:
        return whole, "", True
    return float(found.sum()) / scored.height, "of the questions scored", False


class FlatScales:
    """Wasserstein distance over many questions at once without padding.

    The options of all questions lie one after the other; the on-scale ones are put in scale order
    and each question's cost is a segment sum of |difference of cumulative shares| x step. Gives
    what :func:`opinioncast.evaluate.distance.wasserstein` gives row by row, for a whole matrix of
    replicates, at the cost of a few passes over (replicates, options).

    Args:
        ordinals: scale positions of each question; all must have a scale.
    """

    def __init__(self, ordinals: Sequence[Sequence[float]]) -> None:
        order: list[int] = []
        starts: list[int] = []
        steps: list[float] = []
        offset = 0
        for ordinal in ordinals:
            scale = np.asarray(ordinal, dtype=float)
            on = np.flatnonzero(scale != OFF_SCALE)
            on = on[np.argsort(scale[on], kind="stable")]
            length = np.ptp(scale[on]) if len(on) else 0.0
            if length == 0:
                raise InputError(
                    "A question without a scale has no Wasserstein distance",
                    expected="at least two different scale positions",
                    found=list(ordinal),
                )
            starts.append(len(order))
            order += (offset + on).tolist()
            steps += [*(np.diff(scale[on]) / length).tolist(), 0.0]
            offset += len(ordinal)
        self._order = np.array(order, dtype=np.intp)
        self._starts = np.array(starts, dtype=np.intp)
        self._sizes = np.diff([*starts, len(order)])
        self._steps = np.array(steps)

    def __call__(self, p: Array, q: Array) -> Array:
        """Distances of shares ``p`` and ``q``, shape (..., options), as (..., questions).

        NaN where one side has no share on the scale.
        """
        difference = np.abs(self._cumulative(p) - self._cumulative(q)) * self._steps
        return np.asarray(np.add.reduceat(difference, self._starts, axis=-1))

    def _cumulative(self, shares: Array) -> Array:
        """Cumulative shares within each question, renormalised over the scale."""
        ordered = np.take(shares, self._order, axis=-1)
        totals = np.add.reduceat(ordered, self._starts, axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            ordered /= np.repeat(totals, self._sizes, axis=-1)
        absent = np.isnan(ordered)
        running = np.cumsum(np.where(absent, 0.0, ordered), axis=-1)
        before = np.take(running, self._starts, axis=-1) - np.take(
            np.where(absent, 0.0, ordered), self._starts, axis=-1
        )
        running -= np.repeat(before, self._sizes, axis=-1)
        running[absent] = np.nan
        return running


def uniform_bound(table: OpinionTable) -> pl.DataFrame:
    """Mean distance between the observed and the uniform distribution, per group and overall.

    Returns:
        ``attribute, group, n_questions, without_scale, uniform``; the groups in the order of the
        table, then the row :data:`OVERALL`, the mean over all cells. Questions without a scale (or
        cells whose answers are all off the scale) have no distance: counted in ``without_scale``,
        not averaged. ``uniform`` is null where nothing is left.
    """
    frame = table.frame
    ordinal = pad(frame["ordinal"].to_list(), np.nan)
    distance = wasserstein(pad(frame["distribution"].to_list(), 0.0), uniform(ordinal), ordinal)
    cells = frame.select("attribute", "group").with_columns(
        distance=pl.Series(distance).fill_nan(None)
    )
    columns = [
        pl.col("distance").count().cast(pl.Int64).alias("n_questions"),
        pl.col("distance").null_count().cast(pl.Int64).alias("without_scale"),
        pl.col("distance").mean().alias("uniform"),
    ]
    overall = cells.select(
        pl.lit(OVERALL[0]).alias("attribute"), pl.lit(OVERALL[1]).alias("group"), *columns
    )
    return pl.concat(
        [cells.group_by("attribute", "group", maintain_order=True).agg(columns), overall]
    )


def human_bound(table: OpinionTable, replicates: Iterable[Replicates]) -> Bounds:
    """The human lower bound: distance between the observed distributions and resampled ones.

    Per group, D^(r) is the mean over the group's questions of the distance between the table's
    distribution and replicate r; reported are the mean of D^(r) and its 2.5th and 97.5th
    percentiles. Overall, D^(r) is the mean over all cells of all groups. With the paper's
    respondent bootstrap groups are drawn independently, although people belong to several: the
    overall interval is then too narrow, the PSU bootstrap's is not.

    Args:
        replicates: one per subpopulation of the table, in any order, all with the same number of
            replicates. Questions and groups without a row in the table are left out.

    Returns:
        Groups with ``attribute, group, human, human_low, human_high, empty_draws``, last the row
        :data:`OVERALL`, and each cell's. ``empty_draws`` counts cells x replicates in which nobody
        who answered was drawn; D^(r) is then over the other questions.

    Raises:
        DataError: a group of the table without replicates, a question that has other options.
    """
    rows: list[tuple[str, str, float | None, float | None, float | None, int]] = []
    total: Array | None = None
    number: Array | None = None
    keys = ("family", "wave", "question_id")
    measured: list[tuple[object, ...]] = []
    groups = dict(table.frame.partition_by("attribute", "group", as_dict=True, maintain_order=True))
    order = list(groups)
    for drawn in replicates:
        frame = groups.pop(drawn.subpopulation.key, None)
        if frame is None:
            continue
        cells = dict(zip(frame.select(*keys).iter_rows(), frame.iter_rows(named=True), strict=True))
        places: list[int] = []
        observed: list[float] = []
        ordinals: list[list[float]] = []
        asked: list[tuple[str, str, str]] = []
        at = 0
        for question in drawn.questions:
            size = len(question.options)
            row = cells.pop((question.family, question.wave, question.question_id), None)
            if row is not None and row["options"] != list(question.options):
                raise DataError(
                    "A question has other options in the table than in the replicates",
                    where=f'question "{question.question_id}"',
                    expected=str(list(question.options)),
                    found=row["options"],
                )
            if row is not None and _has_distance(row["ordinal"], row["distribution"]):
                places += range(at, at + size)
                observed += row["distribution"]
                ordinals.append(row["ordinal"])
                asked.append((question.family, question.wave, question.question_id))
            at += size
        if cells:
            raise DataError(
                "A question of the table has no replicates",
                where=str(drawn.subpopulation),
                expected="replicates of the same questions",
                found=str(next(iter(cells))),
            )
        if not ordinals:
            rows.append((*drawn.subpopulation.key, None, None, None, 0))
            continue
        distance = FlatScales(ordinals)(np.take(drawn.shares, places, axis=1), np.array(observed))
        valid = ~np.isnan(distance)
        sums, counts = np.nansum(distance, axis=1), valid.sum(axis=1).astype(float)
        drawn_in = valid.sum(axis=0)
        of_cell = np.nansum(distance, axis=0) / np.maximum(drawn_in, 1)
        measured += [
            (*key, *drawn.subpopulation.key, value if times else None)
            for key, value, times in zip(asked, of_cell.tolist(), drawn_in.tolist(), strict=True)
        ]
        total = sums if total is None else total + sums
        number = counts if number is None else number + counts
        rows.append((*drawn.subpopulation.key, *_interval(sums, counts), int((~valid).sum())))
    if groups:
        raise DataError(
            "A group of the table has no replicates",
            where=" = ".join(next(iter(groups))),
            expected="replicates of each group",
            found=f"{len(groups)} group(s) without",
        )
    rows.sort(key=lambda row: order.index((row[0], row[1])))
    empty = sum(row[-1] for row in rows)
    if total is not None and number is not None:
        rows.append((*OVERALL, *_interval(total, number), empty))
    frame = pl.DataFrame(
        rows,
        schema={
            "attribute": pl.String,
            "group": pl.String,
            **dict.fromkeys(_HUMAN, pl.Float64),
            "empty_draws": pl.Int64,
        },
        orient="row",
    )
    schema = {**dict.fromkeys(KEY, pl.String), "human": pl.Float64}
    return Bounds(frame, pl.DataFrame(measured, schema=schema, orient="row"))


def bounds(table: OpinionTable, replicates: Iterable[Replicates]) -> Bounds:
    """:func:`uniform_bound` beside :func:`human_bound`: per group, overall and by cell."""
    human = human_bound(table, replicates)
    both = uniform_bound(table).join(
        human.groups, on=["attribute", "group"], how="left", maintain_order="left"
    )
    return Bounds(both, human.cells)


def _has_distance(ordinal: Sequence[float], shares: Sequence[float]) -> bool:
    on = {v for v in ordinal if v != OFF_SCALE}
    share = sum(s for s, v in zip(shares, ordinal, strict=True) if v != OFF_SCALE)
    return len(on) > 1 and share > 0


def _interval(sums: Array, counts: Array) -> tuple[float | None, float | None, float | None]:
    """Mean, 2.5th and 97.5th percentile over the replicates in which anyone was drawn."""
    drawn = counts > 0
    if not drawn.any():
        return None, None, None
    mean = sums[drawn] / counts[drawn]
    low, high = np.percentile(mean, [2.5, 97.5])
    return float(mean.mean()), float(low), float(high)
