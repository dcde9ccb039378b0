"""What of the asked-for cells could be scored, and what was wrong with the rest: named, counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from opinioncast.errors import DataError
from opinioncast.survey.tables import INTERVAL, KEY, with_intervals

ROUNDING = 0.005
"""How far a predicted distribution's sum may lie from one and still be taken as rounding."""

UNPREDICTED = "observed, not predicted"
UNOBSERVED = "predicted, not observed"
MISSING_QUESTIONS = "questions without any prediction"
MISSING_GROUPS = "groups without any prediction"
UNKNOWN_QUESTIONS = "predicted questions the table does not have"
NOT_A_DISTRIBUTION = "shares missing, negative or not numbers"
UNNORMALISED = "shares that do not sum to one"
RESCALED = "shares that miss one by rounding"
WRONG_LENGTH = "not one share per option"
NO_OPTION_TEXT = "an option without text"
NO_KEY = "no question id, attribute or group"
REPEATED = "the same cell twice"
REORDERED = "options in another order"
OTHER_OPTIONS = "other options"
OTHER_SCALE = "another scale"
WITHOUT_SCALE = "no scale, or one without range"
NOBODY_ON_SCALE = "one side has no share on the scale"
BROKEN_INTERVAL = "not one interval per option"


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of trouble.

    Attributes:
        what: one of the constants of this module.
        count: cells it concerns (questions or groups where ``what`` says so).
        done: what was done about it.
        examples: the first of them, by key.
    """

    what: str
    count: int
    done: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = "; ".join(self.examples)
        more = f", and {self.count - len(self.examples)} more" if shown else ""
        more = more if self.count > len(self.examples) else ""
        return f"{self.what}: {self.count}, {self.done}" + (f" ({shown}{more})" if shown else "")


@dataclass(frozen=True)
class Coverage:
    """How much of an opinion table the scores are about.

    Attributes:
        asked: cells of the opinion table.
        scored: of these, cells with a usable prediction.
        scaled: of these, cells with a Wasserstein distance.
        findings: everything that was not as it should be, zero counts left out.
    """

    asked: int
    scored: int
    scaled: int
    findings: tuple[Finding, ...]

    def count(self, what: str) -> int:
        """How often ``what`` was found."""
        return sum(f.count for f in self.findings if f.what == what)

    def frame(self) -> pl.DataFrame:
        """``what, count, done, examples``, one row per finding."""
        return pl.DataFrame(
            [(f.what, f.count, f.done, "; ".join(f.examples)) for f in self.findings],
            schema={"what": pl.String, "count": pl.Int64, "done": pl.String, "examples": pl.String},
            orient="row",
        )


def usable_predictions(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Finding]]:
    """Rows of a frame from anywhere that hold a distribution over their options.

    Args:
        frame: at least question_id, attribute, group, options, distribution; family and wave are
            empty where absent, what else a prediction may hold is null. Rows without a key are not
            one cell twice: nothing says which cell they are.

    Returns:
        The usable rows, those off by no more than :data:`ROUNDING` rescaled, and what was wrong
        with the others.

    Raises:
        DataError: a column is missing.
    """
    needed = [c for c in (*KEY, "options", "distribution") if c not in ("family", "wave")]
    missing = [c for c in needed if c not in frame.columns]
    if missing:
        raise DataError(
            "The predictions lack columns",
            expected=", ".join(needed),
            found=f"without {', '.join(missing)}",
        )
    types: Mapping[str, Any] = {
        **dict.fromkeys(KEY, pl.String),
        "options": pl.List(pl.String),
        "distribution": pl.List(pl.Float64),
        **dict.fromkeys(("ordinal", *INTERVAL), pl.List(pl.Float64)),
        "label_mass": pl.Float64,
        "order_spread": pl.Float64,
    }
    try:
        frame = (
            with_intervals(frame)
            .select(
                (pl.col(c) if c in frame.columns else pl.lit(None)).cast(t, strict=False).alias(c)
                for c, t in types.items()
            )
            .with_columns(pl.col("family", "wave").fill_null(""))
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(
            "The predictions have a column of another type",
            expected=", ".join(f"{c}: {t}" for c, t in types.items()),
            found=error,
        ) from error
    shares = pl.col("distribution").list
    bad = pl.element().is_null() | ~pl.element().is_finite() | (pl.element() < 0)
    checks = [
        (NO_KEY, pl.any_horizontal(pl.col("question_id", "attribute", "group").is_null())),
        (NO_OPTION_TEXT, pl.col("options").list.eval(pl.element().is_null()).list.any()),
        (
            NOT_A_DISTRIBUTION,
            pl.col("distribution").is_null() | (shares.len() == 0) | shares.eval(bad).list.any(),
        ),
        (WRONG_LENGTH, (shares.len() != pl.col("options").list.len()).fill_null(True)),
        (UNNORMALISED, (shares.sum() - 1).abs() > ROUNDING),
        (REPEATED, pl.struct(*KEY).is_duplicated()),
    ]
    findings = []
    for what, expression in checks:
        check = expression.fill_null(False)  # a null elsewhere is another check's
        wrong = frame.filter(check)
        findings += finding(what, wrong, "left out")
        if wrong.height:
            frame = frame.filter(~check)
    ends = [pl.col(end).list for end in INTERVAL]
    whole = pl.all_horizontal(
        (end.len() == pl.col("options").list.len())
        & ~end.eval(pl.element().is_null() | ~pl.element().is_finite()).list.any()
        for end in ends
    )
    given = pl.any_horizontal(pl.col(*INTERVAL).is_not_null())
    broken = frame.filter(given & ~whole.fill_null(False))
    findings += finding(BROKEN_INTERVAL, broken, "scored without")
    frame = frame.with_columns(pl.when(whole).then(pl.col(end)).alias(end) for end in INTERVAL)
    told = pl.col("label_mass", "order_spread")
    frame = frame.with_columns(pl.when(told.is_finite()).then(told))
    off = (shares.sum() - 1).abs() > 1e-6
    findings += finding(RESCALED, frame.filter(off), "rescaled")
    scaled = pl.col("distribution").list.eval(pl.element() / pl.element().sum())
    return frame.with_columns(pl.when(off).then(scaled).otherwise("distribution")), findings


def finding(what: str, cells: pl.DataFrame, done: str) -> list[Finding]:
    """A finding about ``cells`` (KEY columns), or none if there are none."""
    if cells.height == 0:
        return []
    first = cells.head(3).select(*KEY).iter_rows()
    return [Finding(what, cells.height, done, tuple(named(row) for row in first))]


def named(row: Sequence[Any]) -> str:
    """A cell's key as a person reads it."""
    family, wave, question, attribute, group = row
    return f"{'/'.join(p for p in (family, wave, question) if p)} {attribute}={group}"


def absent(observed: pl.DataFrame, predicted: pl.DataFrame) -> list[Finding]:
    """Cells, questions and groups that only one side has; both frames hold the KEY columns."""
    findings = finding(
        UNPREDICTED, observed.join(predicted, on=list(KEY), how="anti"), "not in the averages"
    )
    findings += finding(UNOBSERVED, predicted.join(observed, on=list(KEY), how="anti"), "left out")
    question = ["family", "wave", "question_id"]
    for what, one, other, columns in (
        (MISSING_QUESTIONS, observed, predicted, question),
        (UNKNOWN_QUESTIONS, predicted, observed, question),
        (MISSING_GROUPS, observed, predicted, ["attribute", "group"]),
    ):
        only = one.select(columns).unique(maintain_order=True).join(other, on=columns, how="anti")
        if only.height:
            join = "=" if "group" in columns else "/"
            examples = tuple(join.join(filter(None, r)) for r in only.head(3).iter_rows())
            done = "left out" if one is predicted else "not in the averages"
            findings.append(Finding(what, only.height, done, examples))
    return findings
