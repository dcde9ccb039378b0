"""What a row of a table is: columns, their types, and what a row may not be.

A frame is checked by one pass over its columns; which rows are wrong is looked for only where one
is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from opinioncast.errors import DataError
from opinioncast.survey.question import OFF_SCALE

KEY = ("family", "wave", "question_id", "attribute", "group")

HALF_WIDTH = "share_error_90"
"""Column of earlier versions in place of :data:`INTERVAL`; read, never written."""

INTERVAL = ("low", "high")
"""Columns with the 90% interval of each share."""

MODEL = "model"
"""``basis`` of a row in which nobody's answers to the question are."""

QUESTION_COLUMNS: dict[str, Any] = {
    "family": pl.String,
    "wave": pl.String,
    "question_id": pl.String,
    "question": pl.String,
    "options": pl.List(pl.String),
    "ordinal": pl.List(pl.Float64),
    "attribute": pl.String,
    "group": pl.String,
    "distribution": pl.List(pl.Float64),
    "refusal_rate": pl.Float64,
}
_OPTIONAL = {"family", "wave", "refusal_rate"}
_SLACK = 1e-6  # as much as a sum of shares may miss one by


@dataclass(frozen=True, slots=True)
class _Rule:
    """What no row may be.

    Attributes:
        broken: true in a row that breaks it.
        expected: instead, in words.
        shown: the column that an error quotes.
    """

    broken: pl.Expr
    expected: str
    shown: str


def checked(frame: pl.DataFrame, schema: Mapping[str, Any], kind: str) -> pl.DataFrame:
    """``frame`` with exactly the columns of ``schema``, those left out null.

    Args:
        kind: of the table, for errors.

    Raises:
        DataError: a column of a question is missing or has another type, or a row breaks a rule.
    """
    missing = [c for c in QUESTION_COLUMNS if c not in frame.columns and c not in _OPTIONAL]
    if missing:
        raise DataError(
            f"{kind} lacks columns",
            expected=", ".join(QUESTION_COLUMNS),
            found=f"without {', '.join(missing)}",
        )
    try:
        if "low" in schema:
            frame = with_intervals(frame)
        frame = frame.select(
            (pl.col(c) if c in frame.columns else pl.lit(None)).cast(t).alias(c)
            for c, t in schema.items()
        ).with_columns(pl.col("family", "wave").fill_null(""))
        if "low" in schema:
            frame = frame.with_columns(pl.col("basis").fill_null(MODEL))
    except pl.exceptions.PolarsError as error:
        raise wrong_type(kind, schema, error) from error
    _hold(frame, _rules(schema), kind)
    if "low" in schema:
        _hold_shares(frame, kind)
    return frame


def _rules(schema: Mapping[str, Any]) -> list[_Rule]:
    """The rules of a table with these columns, in the order in which they are told."""
    lengths = pl.col("options").list.len()
    shares = pl.col("distribution").list
    named = ("question_id", "question", "options", "ordinal", "attribute", "group")
    no_share = pl.element().is_nan() | pl.element().is_null() | (pl.element() < -1e-9)
    no_position = (
        pl.element().is_null()
        | ~pl.element().is_finite()
        | ((pl.element() < 0) & (pl.element() != OFF_SCALE))
    )
    rules = [
        _Rule(
            pl.any_horizontal(pl.col(named).is_null()),
            "a question, options, scale, attribute and group in each row",
            "question_id",
        ),
        _Rule(
            pl.col("options").list.eval(pl.element().is_null()).list.any(),
            "text for every option",
            "options",
        ),
        _Rule(
            (shares.len() != lengths) | (pl.col("ordinal").list.len() != lengths),
            "as many shares and scale positions as options",
            "distribution",
        ),
        _Rule(
            pl.col("distribution").is_null()
            | ((shares.sum() - 1).abs() > 1e-6)
            | shares.eval(no_share).list.any(),
            "shares of 0 or more that sum to 1",
            "distribution",
        ),
        _Rule(
            pl.col("ordinal").list.eval(no_position).list.any(),
            "scale positions of 0 or more, or -1",
            "ordinal",
        ),
        _Rule(
            pl.col("refusal_rate").is_not_null() & ~pl.col("refusal_rate").is_between(0, 1),
            "a refusal rate between 0 and 1",
            "refusal_rate",
        ),
    ]
    if "n_eff" in schema:
        base = (pl.col("n") < 0) | (pl.col("n_eff") < 0) | ~pl.col("n_eff").is_finite()
        rules.append(_Rule(base, "a base of 0 or more, or none where it is not known", "n_eff"))
    if "se" in schema:
        errors = pl.col("se").list
        rules.append(
            _Rule(
                (errors.len() != lengths) | errors.eval(pl.element() < 0).list.any(),
                "one standard error of 0 or more per option, or none at all",
                "se",
            )
        )
    if "low" in schema:
        rules += [
            _Rule(
                (pl.col(end).list.len() != lengths)
                | pl.col(end)
                .list.eval(pl.element().is_null() | ~pl.element().is_finite())
                .list.any()
                | (pl.col("low").is_null() != pl.col("high").is_null()),
                "a low and a high end for each option, or neither",
                end,
            )
            for end in INTERVAL
        ]
    return [*rules, _Rule(pl.struct(*KEY).is_duplicated(), "each key once", "group")]


def _hold(frame: pl.DataFrame, rules: list[_Rule], kind: str) -> None:
    """Refuse the rows that break the first rule that is broken."""
    broken = frame.select(r.broken.any().alias(str(n)) for n, r in enumerate(rules)).row(0)
    for rule, bad in zip(rules, broken, strict=True):
        if bad:
            wrong = frame.with_row_index("row").filter(rule.broken)
            raise _refused(wrong, kind, rule.expected, rule.shown)


def _hold_shares(frame: pl.DataFrame, kind: str) -> None:
    """Refuse intervals that do not hold their share or leave 0 to 1; they are whole by now."""
    ranges = (
        frame.with_row_index("row")
        .filter(pl.col("low").is_not_null())
        .select("row", "distribution", *INTERVAL)
        .explode("distribution", *INTERVAL)
    )
    share, low, high = pl.col("distribution"), pl.col("low"), pl.col("high")
    wrong = {
        "low": (low < -_SLACK) | (low > share + _SLACK),
        "high": (high > 1 + _SLACK) | (high < share - _SLACK),
    }
    broken = ranges.select(bad.any().alias(end) for end, bad in wrong.items()).row(0, named=True)
    for end, bad in wrong.items():
        if broken[end]:
            rows = ranges.filter(bad)["row"].unique().to_list()
            found = frame.with_row_index("row").filter(pl.col("row").is_in(rows))
            raise _refused(found, kind, "intervals between 0 and 1 that hold their share", end)


def _refused(wrong: pl.DataFrame, kind: str, expected: str, shown: str) -> DataError:
    first = wrong.row(0, named=True)
    key = "/".join(str(first[c]) for c in KEY)
    return DataError(
        f"{kind} has {wrong.height} row(s) that break its schema",
        where=f"row {first['row']} ({key})",
        expected=expected,
        found=f"{shown} = {first[shown]}",
    )


def with_intervals(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` with :data:`INTERVAL` in place of :data:`HALF_WIDTH`, where it has the latter only.

    A row's half-width becomes share - width to share + width, cut off at 0 and 1.
    """
    if HALF_WIDTH not in frame.columns or any(end in frame.columns for end in INTERVAL):
        return frame
    width = pl.col(HALF_WIDTH).cast(pl.Float64)
    shares = pl.col("distribution").cast(pl.List(pl.Float64))
    known = width.is_not_null() & shares.is_not_null()
    ends = {
        "low": (shares - width).list.eval(pl.element().clip(0, 1)),
        "high": (shares + width).list.eval(pl.element().clip(0, 1)),
    }
    return frame.with_columns(
        pl.when(known).then(end).alias(name) for name, end in ends.items()
    ).drop(HALF_WIDTH)


def wrong_type(kind: str, schema: Mapping[str, Any], error: Exception) -> DataError:
    """A column cannot be read as what it is declared to be."""
    return DataError(
        f"{kind} has a column of another type",
        expected=", ".join(f"{c}: {t}" for c, t in schema.items()),
        found=error,
    )
