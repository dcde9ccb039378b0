"""From what people answered and what a model says to scores: per cell, by group, overall."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from opinioncast.errors import DataError, InputError
from opinioncast.evaluate import coverage as cov
from opinioncast.evaluate import distance as d
from opinioncast.evaluate.clusters import CLUSTER, question_counts, with_clusters
from opinioncast.evaluate.coverage import Coverage, Finding
from opinioncast.evaluate.distance import Array
from opinioncast.survey.tables import INTERVAL, KEY, OpinionTable, PredictionTable

QUESTION = ("family", "wave", "question_id")
"""Key of a question as one wave asked it; what intervals draw is :data:`clusters.CLUSTER`."""

SMOOTHING = 1e-3
"""Epsilon of :func:`opinioncast.evaluate.distance.smooth` in the KL columns."""

_ROUNDING = 1e-9  # an end that a share touches holds it

_CHUNK = 100_000  # rows measured at once: some hundred bytes a row and distance

ON_SCALE = ("wd", "wd_uniform", "wd_noise", "variance", "variance_model")
ANY_SCALE = (
    "tv",
    "js",
    "kl",
    "kl_reverse",
    "one_hot_accuracy",
    "top_choice_agreement",
    "spearman",
    "kendall",
    "entropy",
    "entropy_model",
)

INTERVALS = ("covered", "half_width")


@dataclass(frozen=True)
class CellScores:
    """Every cell that both tables hold, scored.

    Attributes:
        frame: KEY columns, question, options, ordinal, observed, predicted, n, n_eff, label_mass,
            order_spread, low, high (intervals of the predicted shares), cluster (number of
            the question, whatever the wave: :mod:`opinioncast.evaluate.clusters`), evenness
            (people's entropy / log of the options); then

            * ``wd``, ``wd_uniform``, ``wd_noise``: Wasserstein distances of the model, of the
              uniform bound, and to expect from sampling alone; null without a scale or base;
            * ``variance``, ``variance_model``: on the scale, null without one;
            * ``tv``, ``js``: total variation, Jensen-Shannon distance;
            * ``kl``, ``kl_reverse``: KL(people || model) and back, both sides smoothed by
              :data:`SMOOTHING`; ``kl_infinite``: the first is infinite unsmoothed;
            * ``one_hot_accuracy``, ``top_choice_agreement``, ``spearman``, ``kendall``;
            * ``entropy``, ``entropy_model``: in nats;
            * ``covered``: share of the options whose observed share lies in its interval;
              ``half_width``: of these intervals, mean over the options; null without intervals.
        asked: KEY columns and evenness of every cell of the opinion table, scored or not.
        coverage: what was wrong with the input.
    """

    frame: pl.DataFrame
    asked: pl.DataFrame
    coverage: Coverage

    @property
    def unpredicted(self) -> int:
        """Cells of the opinion table without a usable prediction."""
        return self.coverage.count(cov.UNPREDICTED)

    def mean(self) -> dict[str, Any]:
        """Averages over all cells (paper, Table 1); keys as the columns of :meth:`by`.

        ``cells_in_all`` are the cells that were scored, with a scale or without.
        """
        row = self.by().row(0, named=True)
        return {**row, "cells_in_all": row.pop("cells_scored")}

    def by(self, *columns: str) -> pl.DataFrame:
        """Averages by ``columns`` (of ``asked``), in order of first appearance.

        Means of the Wasserstein distances and variances are over the cells with a scale, those of
        everything else over all scored cells. ``wd_noise`` is null unless known for each of its
        cells. ``variance_ratio`` and ``entropy_ratio`` are ratios of means, predicted / observed:
        well below 1, predictions have collapsed. ``kl_infinite`` counts cells. ``cells`` have a
        distance, ``cells_scored`` a prediction, ``asked`` are all of the table's; where the first
        is smaller than the last, ``note`` says why.

        Raises:
            InputError: a column that is not there.
        """
        unknown = [c for c in columns if c not in self.asked.columns]
        if unknown:
            raise InputError(
                "Scores cannot be averaged by this column",
                expected=f"columns among {', '.join(self.asked.columns)}",
                found=", ".join(unknown),
            )
        keys = list(columns) or ["_all"]
        asked, frame = self.asked, self.frame
        if not columns:
            asked, frame = (f.with_columns(_all=pl.lit(0)) for f in (asked, frame))
        every = asked.group_by(keys, maintain_order=True).agg(asked=pl.len())
        if every.height == 0:
            every = pl.DataFrame({"_all": [0], "asked": [0]}, schema_overrides={"_all": pl.Int32})
        means = frame.group_by(keys).agg(*_averages())
        counts = ("cells", "cells_scored", "kl_infinite")
        return (
            every.join(means, on=keys, how="left", maintain_order="left")
            .with_columns(pl.col(*counts).fill_null(0))
            .with_columns(
                one_hot_error=1 - pl.col("one_hot_accuracy"),
                variance_ratio=_ratio("variance_model", "variance"),
                entropy_ratio=_ratio("entropy_model", "entropy"),
                note=_note(),
            )
            .select(
                *columns,
                "wd",
                "wd_uniform",
                "wd_noise",
                *ANY_SCALE[:4],
                "kl_infinite",
                "one_hot_accuracy",
                "one_hot_error",
                *ANY_SCALE[5:],
                "entropy_ratio",
                "variance",
                "variance_model",
                "variance_ratio",
                *INTERVALS,
                "cells",
                "cells_scored",
                "asked",
                "note",
            )
        )

    def interval(
        self, column: str = "wd", *, replicates: int = 2000, seed: int = 0
    ) -> tuple[float, float]:
        """95% interval of a mean by a bootstrap over questions.

        Groups and waves share a question, so its cells rise and fall together: whole questions are
        resampled, with every group and wave they were asked in (:func:`clusters.with_clusters`
        says which cells are of one). It says how far the mean would move with other questions of
        this kind. NaN for both ends where one question is all there is.
        """
        low, high = self.intervals(column=column, replicates=replicates, seed=seed).row(0)[-2:]
        return (np.nan, np.nan) if low is None else (low, high)

    def intervals(
        self, *columns: str, column: str = "wd", replicates: int = 2000, seed: int = 0
    ) -> pl.DataFrame:
        """:meth:`interval` of each row of ``by(*columns)``: the columns, then ``low, high``.

        All rows see the same resampled questions. Null where a row has no cell, or stands on fewer
        than two questions, however many waves asked them (nothing can be resampled).
        """
        keys = self.by(*columns).select(columns)
        cells = self.frame.filter(pl.col(column).is_not_null())
        place = {k: i for i, k in enumerate(keys.iter_rows())} if columns else {(): 0}
        sums, counts = question_sums(cells, list(columns), column, place)
        low = np.full(len(place), np.nan)
        high = low.copy()
        if len(sums):
            means = bootstrap_means(sums, counts, replicates=replicates, seed=seed)
            known = (counts > 0).sum(axis=0) > 1
            if known.any():
                low[known], high[known] = np.nanpercentile(means[:, known], [2.5, 97.5], axis=0)
        return (
            keys.with_columns(_column("low", low), _column("high", high))
            if columns
            else (pl.DataFrame([_column("low", low), _column("high", high)]))
        )

    def questions(self, column: str = "wd") -> tuple[int, int]:
        """How many questions ``column`` is known of, and how many counting each wave's by itself.

        The first is what :meth:`interval` draws from.
        """
        return question_counts(self.frame.filter(pl.col(column).is_not_null()))

    def only(self, cells: pl.DataFrame) -> CellScores:
        """The scores of these cells (KEY columns); all that was asked stays asked."""
        kept = self.frame.join(cells, on=list(KEY), how="semi", maintain_order="left")
        return replace(self, frame=kept)

    def with_column(self, name: str, values: pl.DataFrame) -> CellScores:
        """The same scores with a column to average by.

        Args:
            values: some KEY columns and ``name``, one row per combination.
        """
        on = [c for c in values.columns if c in KEY]
        added = values.select(*on, name)

        def joined(frame: pl.DataFrame) -> pl.DataFrame:
            return frame.join(added, on=on, how="left", maintain_order="left")

        return replace(self, frame=joined(self.frame), asked=joined(self.asked))


def shared_cells(*scores: CellScores) -> pl.DataFrame:
    """KEY columns of the cells in which every one of ``scores`` has a distance, in table order."""
    keys = [s.frame.filter(pl.col("wd").is_not_null()).select(KEY) for s in scores]
    found = keys[0]
    for other in keys[1:]:
        found = found.join(other, on=list(KEY), how="semi", maintain_order="left")
    return found


def mean_over(cells: pl.DataFrame, scores: CellScores) -> float:
    """Mean distance over ``cells`` (KEY columns), in all of which there is one; NaN for none."""
    values = cells.join(scores.frame.select(*KEY, "wd"), on=list(KEY), how="inner")["wd"]
    return float(values.sum()) / len(values) if len(values) else np.nan


def share_cells(observed: OpinionTable, predicted: PredictionTable) -> bool:
    """Whether any cell is in both tables."""
    keys = list(KEY)
    return observed.frame.join(predicted.frame.select(keys), on=keys, how="semi").height > 0


def score_cells(observed: OpinionTable, predicted: PredictionTable | pl.DataFrame) -> CellScores:
    """Match the two tables cell by cell and measure the distances.

    Options are matched by text: where the prediction lists the same ones in another order, its
    shares are put in the table's order. The scale is the table's. Everything that does not fit is
    left out and counted in ``coverage``.

    Args:
        predicted: a checked table, or a frame from elsewhere (what
            :func:`opinioncast.evaluate.coverage.usable_predictions` takes).

    Raises:
        DataError: no usable cell in common.
    """
    findings: list[Finding] = []
    if isinstance(predicted, PredictionTable):
        right = predicted.frame
    else:
        right, findings = cov.usable_predictions(predicted)
    left = with_clusters(observed.frame).select(
        *KEY, "question", "options", "ordinal", "n", "n_eff", CLUSTER, observed="distribution"
    )
    both = left.join(
        right.select(
            *KEY,
            "label_mass",
            "order_spread",
            *INTERVAL,
            predicted="distribution",
            _options="options",
            _ordinal="ordinal",
        ),
        on=list(KEY),
        how="inner",
        maintain_order="left",
    )
    both, aligned = _align(both)
    findings += [*aligned, *cov.absent(left, right)]
    if both.height == 0:
        raise DataError(
            "The predictions and the observations have no cell in common",
            expected="the same family, wave, question_id, attribute, group and options on both "
            "sides",
            found=f"{len(observed)} observed and {len(predicted)} predicted rows"
            + "".join(f"; {f}" for f in findings),
        )
    frame = pl.concat([_measured(both[i : i + _CHUNK]) for i in range(0, both.height, _CHUNK)])
    no_scale = frame["wd_uniform"].is_null() & frame["variance_model"].is_null()
    nobody = frame["wd"].is_null() & ~no_scale
    findings += cov.finding(cov.WITHOUT_SCALE, frame.filter(no_scale), "in scale-free scores only")
    findings += cov.finding(cov.NOBODY_ON_SCALE, frame.filter(nobody), "in scale-free scores only")
    asked = pl.concat([_evenness(left[i : i + _CHUNK]) for i in range(0, left.height, _CHUNK)])
    scaled = frame.height - frame["wd"].null_count()
    covered = Coverage(len(observed), frame.height, scaled, tuple(findings))
    return CellScores(frame, asked, covered)


def _align(both: pl.DataFrame) -> tuple[pl.DataFrame, list[Finding]]:
    """Predicted shares in the order of the observed options; cells with other options removed."""
    findings = []
    # a share list of another length can only come with other options
    differ = pl.col("options") != pl.col("_options")
    odd = both.with_row_index("_row").filter(differ)
    if odd.height:
        moved: dict[int, list[int]] = {}
        places: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int] | None] = {}
        for row, wanted, given in odd.select("_row", "options", "_options").iter_rows():
            pair = tuple(wanted), tuple(given)
            if pair not in places:
                same = sorted(wanted) == sorted(given)
                places[pair] = [given.index(o) for o in wanted] if same else None
            order = places[pair]
            if order is not None:
                moved[row] = order
        turned = odd.filter(pl.col("_row").is_in(list(moved)))
        findings += cov.finding(cov.REORDERED, turned, "put in the table's order by their text")
        other = odd.filter(~pl.col("_row").is_in(list(moved)))
        findings += cov.finding(cov.OTHER_OPTIONS, other, "left out")
        columns = {c: both[c].to_list() for c in ("predicted", *INTERVAL)}
        for row, order in moved.items():
            for values in columns.values():
                if values[row] is not None:
                    values[row] = [values[row][i] for i in order]
        dropped = set(other["_row"].to_list())
        keep = pl.Series([i not in dropped for i in range(both.height)], dtype=pl.Boolean)
        both = both.with_columns(
            *(pl.Series(c, v, dtype=pl.List(pl.Float64)) for c, v in columns.items()),
            # a turned scale says nothing new: compare only where the order was the same
            _ordinal=pl.when(differ).then(None).otherwise("_ordinal"),
        ).filter(keep)
    scale = both.filter((pl.col("ordinal") != pl.col("_ordinal")).fill_null(False))
    findings += cov.finding(cov.OTHER_SCALE, scale, "scored on the table's scale")
    return both.drop("_options", "_ordinal"), findings


def _measured(cells: pl.DataFrame) -> pl.DataFrame:
    p, q = d.pad_column(cells["observed"], 0.0), d.pad_column(cells["predicted"], 0.0)
    ordinal = d.pad_column(cells["ordinal"], np.nan)
    even = d.uniform(ordinal)
    n_eff = cells["n_eff"].fill_null(cells["n"].cast(pl.Float64)).to_numpy().astype(float)
    near_p, near_q = (d.smooth(side, ordinal, SMOOTHING) for side in (p, q))
    entropy = d.entropy(p)
    values: dict[str, Array] = {
        "evenness": _share_of_most(entropy, even),
        "wd": d.wasserstein(p, q, ordinal),
        "wd_uniform": d.wasserstein(p, even, ordinal),
        "wd_noise": d.sampling_noise(p, ordinal, n_eff),
        "tv": d.total_variation(p, q),
        "js": d.jensen_shannon(p, q),
        "kl": d.kl(near_p, near_q),
        "kl_reverse": d.kl(near_q, near_p),
        "one_hot_accuracy": d.one_hot_accuracy(p, q),
        "top_choice_agreement": d.top_choice_agreement(p, q),
        "spearman": d.spearman(p, q, ordinal),
        "kendall": d.kendall(p, q, ordinal),
        "entropy": entropy,
        "entropy_model": d.entropy(q),
        "variance": d.scale_variance(p, ordinal),
        "variance_model": d.scale_variance(q, ordinal),
    }
    values |= _intervals(cells, p)
    infinite = pl.Series("kl_infinite", ((q <= 0) & (p > 0)).any(axis=1))
    return cells.with_columns(*(_column(k, v) for k, v in values.items()), infinite)


def _intervals(cells: pl.DataFrame, p: Array) -> dict[str, Array]:
    """Of each cell: share of its options that the intervals hold, and their mean half-width."""
    if cells["low"].null_count() == cells.height:
        return dict.fromkeys(("covered", "half_width"), np.full(cells.height, np.nan))
    absent = pl.col("observed").list.eval(pl.element() * None)
    ends = cells.select(
        pl.when(pl.col(e).is_null()).then(absent).otherwise(e).alias(e) for e in INTERVAL
    )
    low, high = (d.pad_column(ends[e], np.nan) for e in INTERVAL)
    known = ~np.isnan(low)
    options = np.where(known.any(axis=1), known.sum(axis=1), np.nan)
    held = known & (p >= low - _ROUNDING) & (p <= high + _ROUNDING)
    return {
        "covered": held.sum(axis=1) / options,
        "half_width": np.nansum(high - low, axis=1) / 2 / options,
    }


def _evenness(cells: pl.DataFrame) -> pl.DataFrame:
    p, ordinal = d.pad_column(cells["observed"], 0.0), d.pad_column(cells["ordinal"], np.nan)
    evenness = _share_of_most(d.entropy(p), d.uniform(ordinal))
    return cells.select(*KEY).with_columns(_column("evenness", evenness))


def _share_of_most(entropy: Array, even: Array) -> Array:
    """Entropy over that of the even distribution; NaN where a question has one option only."""
    with np.errstate(invalid="ignore"):
        return np.asarray(entropy / d.entropy(even))


def _averages() -> Iterator[pl.Expr]:
    scaled = pl.col("wd").is_not_null()
    for name in ON_SCALE:
        mean = pl.col(name).filter(scaled).mean()
        if name == "wd_noise":  # a mean over other cells than the model's could not be compared
            mean = pl.when(pl.col(name).filter(scaled).null_count() == 0).then(mean)
        yield mean.alias(name)
    for name in (*ANY_SCALE, *INTERVALS):
        yield pl.col(name).mean()
    yield pl.col("kl_infinite").sum().cast(pl.Int64)
    yield scaled.sum().cast(pl.Int64).alias("cells")
    yield pl.len().cast(pl.Int64).alias("cells_scored")


def _ratio(over: str, under: str) -> pl.Expr:
    return pl.when(pl.col(under) > 0).then(pl.col(over) / pl.col(under))


def _note() -> pl.Expr:
    cells, scored, asked = pl.col("cells"), pl.col("cells_scored"), pl.col("asked").cast(pl.Int64)
    missing, unscaled = asked - scored, scored - cells
    reasons = pl.concat_str(
        pl.when(missing > 0).then(pl.format("; {} without a usable prediction", missing)),
        pl.when(unscaled > 0).then(pl.format("; {} without a distance on a scale", unscaled)),
        ignore_nulls=True,
    )
    return (
        pl.when(cells < asked)
        .then(pl.concat_str(pl.format("{} of {} cells", cells, asked), reasons))
        .otherwise(pl.lit(""))
    )


def question_sums(
    cells: pl.DataFrame, columns: list[str], value: str, place: dict[tuple[Any, ...], int]
) -> tuple[Array, Array]:
    """Sum of ``value`` and number of cells per question and row, each (questions, len(place)).

    A question is all cells of one :data:`clusters.CLUSTER`, in whatever wave. ``place`` gives each
    combination of ``columns`` its column; questions are in table order.
    """
    grouped = cells.group_by(CLUSTER, *columns, maintain_order=True).agg(
        pl.col(value).sum().alias("_sum"), pl.len().alias("_cells")
    )
    ids = grouped.select(CLUSTER).unique(maintain_order=True).with_row_index("_question")
    row = grouped.join(ids, on=CLUSTER, maintain_order="left")["_question"].to_numpy()
    column = [place[k] for k in grouped.select(columns).iter_rows()] if columns else 0
    sums, counts = np.zeros((2, ids.height, len(place)))
    sums[row, column] = grouped["_sum"].to_numpy()
    counts[row, column] = grouped["_cells"].to_numpy()
    return sums, counts


def bootstrap_means(sums: Array, counts: Array, *, replicates: int, seed: int) -> Array:
    """Means of resampled questions, shape (replicates, columns); NaN where none was drawn.

    Args:
        sums, counts: per question and column, shape (questions, columns).
    """
    questions = len(sums)
    rng = np.random.default_rng(seed)
    step = max(1, 4_000_000 // max(questions, 1))
    parts = []
    for start in range(0, replicates, step):
        rows = min(step, replicates - start)
        pick = rng.integers(0, questions, (rows, questions))
        pick += questions * np.arange(rows)[:, None]
        times = np.bincount(pick.ravel(), minlength=rows * questions).reshape(rows, questions)
        with np.errstate(invalid="ignore", divide="ignore"):
            parts.append((times @ sums) / (times @ counts))
    return np.concatenate(parts)


def _column(name: str, values: Array) -> pl.Series:
    return pl.Series(name, values, nan_to_null=True)
