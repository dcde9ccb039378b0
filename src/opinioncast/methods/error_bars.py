"""Intervals of predictions: how far observed shares lay from predicted ones, measured.

For each setting (method, weights, prompts, option orders) that was run on held-out survey
questions, a file keeps how wide an interval must be to hold 9 in 10 observed shares. It is an
empirical statement about questions like those measured, not a sampling error, and it cannot know
how unlike them a new question is. The interval of a setting never measured is from 0 to 1, and the
row's ``basis`` says why.

An interval holds every share q with |l(q) - l(p)| <= t, p the predicted share and l the logit of a
share drawn a little towards one half. So it is asymmetric near 0 and 1 and never outside them.
``benchmarks/error_bars.py`` measures t, and how wide intervals of other forms would be.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.documents import parse_json, read_document
from opinioncast.errors import DataError
from opinioncast.evaluate.distance import pad_column
from opinioncast.methods.prediction import Prediction
from opinioncast.survey import PredictionTable, Subpopulation
from opinioncast.survey.tables import MODEL, NEVER_MEASURED

Array = npt.NDArray[np.float64]

COVERAGE = 0.9
OFFSET = 0.02
"""c: keeps an observed share of exactly 0 or 1 from being infinitely far from every prediction."""

POOLED = 20
"""Questions that the pooled width counts for, beside those a group's own rests on."""

_MAX_OPTIONS = 6  # questions with more options are rare: they share one width


def deviation(predicted: npt.ArrayLike, observed: npt.ArrayLike) -> Array:
    """|l(q) - l(p)|, l(s) = log((s + c) / (1 - s + c)): the smallest t whose interval around p
    holds q."""
    p, q = (_logit(np.asarray(s, dtype=float)) for s in (predicted, observed))
    return np.asarray(np.abs(q - p))


def interval(predicted: npt.ArrayLike, width: npt.ArrayLike) -> tuple[Array, Array]:
    """Ends of the set of shares whose :func:`deviation` from ``predicted`` is at most ``width``.

    Both in [0, 1] and around the predicted share; the arguments are broadcast.
    """
    p, t = np.broadcast_arrays(np.asarray(predicted, float), np.asarray(width, float))
    low, high = (_share(_logit(p) + sign * t) for sign in (-1, 1))
    return np.clip(np.minimum(low, p), 0, 1), np.clip(np.maximum(high, p), 0, 1)


def _logit(share: Array) -> Array:
    return np.asarray(np.log((share + OFFSET) / (1 - share + OFFSET)))


def _share(logit: Array) -> Array:
    """The inverse; a little below 0 or above 1 where no share has the logit."""
    return np.asarray((1 + 2 * OFFSET) / (1 + np.exp(-logit)) - OFFSET)


def question_quantile(
    scores: npt.ArrayLike, questions: npt.ArrayLike, coverage: float = COVERAGE
) -> float:
    """The score that the shares of a question stay below with probability ``coverage``.

    Shares of one question err together, so a question counts once, however many of its shares were
    observed: its m scores have weight 1 / m each.

    Args:
        scores: one number a share, shape (shares,).
        questions: the question of each, same shape.
    """
    values = np.asarray(scores, dtype=float)
    _, number, counts = np.unique(np.asarray(questions), return_inverse=True, return_counts=True)
    weights = 1 / counts[number] / len(counts)
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) >= coverage - 1e-12
    return float(values[order[np.argmax(reached)]])


@dataclass(frozen=True)
class Widths:
    """How wide a setting's intervals are: t of the module's text.

    Attributes:
        pooled: over everything that was measured.
        by_options: for questions of so many options (6: of 6 or more).
        by_group: for one group, keys as ``str(Subpopulation)``; questions of any number of options.
    """

    pooled: float
    by_options: Mapping[int, float]
    by_group: Mapping[str, float]

    def of(self, options: int, group: Subpopulation) -> float:
        """A number of options never measured has that of the next smaller count, a group never
        measured the pooled one; where both are known their ratios to the pooled one multiply."""
        below = [k for k in self.by_options if k <= options]
        width = self.by_options[max(below)] if below else self.pooled
        own = self.by_group.get(str(group), self.pooled)
        return width * own / self.pooled if self.pooled else width

    def record(self) -> dict[str, Any]:
        """As the file keeps them."""
        return {
            "pooled": round(self.pooled, 4),
            "by_options": {str(k): round(v, 4) for k, v in self.by_options.items()},
            "by_group": {k: round(v, 4) for k, v in self.by_group.items()},
        }

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        return cls(
            float(record["pooled"]),
            {int(k): float(v) for k, v in record["by_options"].items()},
            {str(k): float(v) for k, v in record["by_group"].items()},
        )


def measure(cells: pl.DataFrame) -> Widths:
    """Widths that hold 90% of observed shares (:func:`question_quantile` of their deviations).

    The widths of a number of options and of a group are shrunk to the pooled one: m questions count
    m against its 20, since a quantile over few questions says little.

    Args:
        cells: ``attribute, group, cluster, predicted, observed``, as
            :class:`opinioncast.evaluate.scores.CellScores` has them.
    """
    shares = _deviations(cells)
    pooled = question_quantile(shares["deviation"], shares["cluster"])

    def shrunk(part: pl.DataFrame) -> float:
        questions = part["cluster"].n_unique()
        own = question_quantile(part["deviation"], part["cluster"])
        return (questions * own + POOLED * pooled) / (questions + POOLED)

    by_options = {
        int(k): shrunk(part)
        for (k,), part in sorted(shares.group_by("options"), key=lambda x: x[0])
    }
    # a group's ratio to the pooled width must not be its questions' numbers of options
    expected = shares["options"].replace_strict(by_options, return_dtype=pl.Float64)
    level = shares.with_columns(deviation=pl.col("deviation") / expected * pooled)
    by_group = {
        str(Subpopulation.from_key(*key)): shrunk(part)
        for key, part in level.group_by("attribute", "group", maintain_order=True)
    }
    return Widths(pooled, by_options, by_group)


def held_out(cells: pl.DataFrame) -> tuple[Array, Array, Array]:
    """Deviations of all shares, widths measured without their own question, and the question.

    Returns:
        Each of shape (shares,). What lies below its width is held by an interval that knew nothing
        of its question.
    """
    deviations, widths, clusters = [], [], []
    for (cluster,), own in cells.group_by("cluster", maintain_order=True):
        measured = measure(cells.filter(pl.col("cluster") != cluster))
        shares = _deviations(own)
        deviations.append(shares["deviation"].to_numpy())
        widths.append(
            np.array(
                [
                    measured.of(k, Subpopulation.from_key(a, g))
                    for a, g, k in shares.select("attribute", "group", "options").iter_rows()
                ]
            )
        )
        clusters.append(shares["cluster"].to_numpy())
    return np.concatenate(deviations), np.concatenate(widths), np.concatenate(clusters)


def _deviations(cells: pl.DataFrame) -> pl.DataFrame:
    """One row a share: ``attribute, group, cluster, options, deviation``."""
    long = cells.select(
        "attribute",
        "group",
        "cluster",
        "predicted",
        "observed",
        options=pl.col("predicted").list.len().clip(upper_bound=_MAX_OPTIONS).cast(pl.Int64),
    ).explode("predicted", "observed")
    return long.with_columns(deviation=deviation(long["predicted"], long["observed"]))


@dataclass(frozen=True)
class ErrorBars:
    """What was measured of one or more settings."""

    entries: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, path: str | Path | None = None) -> Self:
        """Read a file of measured settings; the package's own when left out.

        Raises:
            DataError: not such a file.
        """
        source = str(path or "error_bars.json of the package")
        if path is None:
            text = (resources.files("opinioncast.methods") / "error_bars.json").read_text("utf-8")
            raw = parse_json(text, where=source, what="Measured errors", error=DataError)
        else:
            raw = read_document(path, "Measured errors", error=DataError)
        try:
            entries = raw["settings"]
            for entry in entries:
                Widths.of_record(entry["interval_90"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                "Measured errors cannot be read",
                where=source,
                expected='JSON with a list "settings", widths in each one\'s "interval_90"',
                found=repr(error),
            ) from error
        return cls(entries)

    def of(self, record: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What was measured of the settings in a method's ``record``, if anything was."""
        wanted = settings_hash(record)
        return next((e for e in self.entries if wanted in e["settings"]), None)

    def apply(self, prediction: Prediction) -> Prediction:
        """The prediction with intervals, and in its record what it was measured to be ``worth``
        (:mod:`opinioncast.evidence.worth`).

        Rows that have intervals already keep them. Where the settings were never measured, an
        interval is from 0 to 1 and ``basis`` says so.
        """
        frame = prediction.table.frame
        entry = self.of(prediction.record)
        shares, lengths = pad_column(frame["distribution"], np.nan), frame["options"].list.len()
        if entry is None:
            low, high = np.zeros_like(shares), np.ones_like(shares)
        else:
            widths = Widths.of_record(entry["interval_90"])
            width = [
                widths.of(len(options), Subpopulation.from_key(a, g))
                for a, g, options in frame.select("attribute", "group", "options").iter_rows()
            ]
            low, high = interval(shares, np.array(width)[:, None])
        ends = (
            pl.Series(
                end,
                [row[:k].tolist() for row, k in zip(values, lengths, strict=True)],
                dtype=pl.List(pl.Float64),
            )
            for end, values in (("low", low), ("high", high))
        )
        basis = MODEL if entry is not None else f"{MODEL}, {NEVER_MEASURED}"
        without = pl.col("low").is_null()
        filled = frame.with_columns(
            pl.when(without & (pl.col("basis") == MODEL))
            .then(pl.lit(basis))
            .otherwise("basis")
            .alias("basis"),
            *(pl.when(without).then(end).otherwise(end.name).alias(end.name) for end in ends),
        )
        more = {} if entry is None or "worth" not in entry else {"worth": entry["worth"]}
        return replace(
            prediction,
            table=PredictionTable(filled, {**prediction.table.meta, **more}),
            record={**prediction.record, **more},
        )


_SHAPING = (
    "method",
    "prompt_template",
    "option_orders",
    "sentence_model",
    "trained_on",
    "temperature",
    "totals",
    "train",
    "k",
    "pool",
    "weights",
    "structured",
    "modules",
    "chooser",
    "chooser_reads",
    "comment_tokens",
)
"""What shapes a method's numbers, among all that its record says."""


def settings_hash(record: Mapping[str, Any]) -> str:
    """Hash of what shapes a method's numbers: weights, prompts, training data, mixture."""
    shaping = {key: record[key] for key in _SHAPING if key in record}
    if str(record.get("option_orders")).isdecimal():  # only then are they drawn
        shaping["seed"] = record.get("seed")
    backend = record.get("backend", {})
    shaping["model_weights"] = backend.get("weights") or dict(backend) or None
    if backend.get("adapter"):  # beside the weights where a backend does not hash the two together
        shaping["adapter"] = backend["adapter"]
    shaping["parts"] = [settings_hash(part) for part in record.get("parts", [])]
    text = json.dumps(shaping, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
