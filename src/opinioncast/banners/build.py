"""From an opinion table or predictions to a book of banner tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from opinioncast.banners.columns import banner_columns
from opinioncast.banners.lines import (
    mean_label,
    mean_range,
    net_range,
    nets,
    scale_moments,
)
from opinioncast.banners.marks import marks
from opinioncast.banners.settings import BannerSettings
from opinioncast.banners.significance import mean_p_value, share_p_value
from opinioncast.banners.table import (
    PREDICTION,
    STAR,
    STARS,
    SURVEY,
    Array,
    Banner,
    Bases,
    Column,
    Line,
    QuestionTable,
)
from opinioncast.banners.words import base_text, prediction_footer, survey_footer
from opinioncast.errors import InputError
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation
from opinioncast.survey.tables import KEY, MODEL, NEVER_MEASURED

QuestionKey = tuple[str, str, str]
"""Family, wave and id of a question."""


@dataclass(frozen=True)
class Counts:
    """What an opinion table does not hold of a question: weighted bases, and who is in two groups.

    Attributes:
        places: of subpopulations in the arrays.
        weighted: base, shape (groups,).
        kish: (sum w)^2 / sum w^2 of those in both of two groups, shape (groups, groups); None
            where only bases are known.
    """

    places: Mapping[Subpopulation, int]
    weighted: Array
    kish: Array | None = None


def survey_banner(
    table: OpinionTable,
    settings: BannerSettings,
    *,
    counts: Mapping[QuestionKey, Counts] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Banner:
    """Tables of what people answered.

    Args:
        counts: of microdata, by question; without them unweighted bases stand in for weighted ones
            and groups of one attribute are taken to exclude each other, which the footer says.
        labels: words for attributes beside the standard ones.

    Raises:
        InputError: a table without a row.
    """
    columns = _columns(table, labels, lettered=settings.compare == "columns")
    held = counts or {}
    tables = []
    for question, rows in _by_question(table):
        mine = held.get(_key(question))
        tables.append(_survey_table(question, rows, columns, settings, mine))
    weighted = bool(tables) and all(_known(t.bases.weighted) for t in tables if t.bases)
    overlap = bool(tables) and all(
        (c := held.get(_key(t.question))) is not None and c.kish is not None for t in tables
    )
    no_bases = any(t.bases and not _known(t.bases.unweighted) for t in tables)
    footer = survey_footer(
        settings,
        table.meta,
        weighted=weighted,
        overlap=overlap,
        no_bases=no_bases,
        total=any(c.is_total for c in columns),
    )
    return Banner(SURVEY, columns, tuple(tables), settings, footer, dict(table.meta))


def prediction_banner(
    table: PredictionTable,
    settings: BannerSettings,
    *,
    observed: OpinionTable | None = None,
    labels: Mapping[str, str] | None = None,
) -> Banner:
    """Tables of predictions, with what people answered and the difference where that is given.

    Args:
        observed: matched by the whole key of a question, else by its id, wording and options.

    Raises:
        InputError: a table without a row; ``observed`` holds none of the cells predicted.
    """
    columns = _columns(table, labels, lettered=False)
    beside = {} if observed is None else _observed_rows(table, observed)
    tables = []
    for question, rows in _by_question(table):
        answered = beside.get(_key(question))
        tables.append(_prediction_table(question, rows, columns, settings, answered))
    if observed is not None and not any(t.bases is not None for t in tables):
        raise InputError(
            "Nothing observed is of what was predicted",
            where="observed",
            expected="the same questions (id, wording, options) and groups",
            found=f"{len(observed)} rows of other questions or groups",
        )
    measured = table.frame.select(
        (pl.col("low").is_not_null() & ~pl.col("basis").str.contains(NEVER_MEASURED, literal=True))
        .any()
        .alias("measured")
    ).item()
    footer = prediction_footer(settings, table.meta, measured=measured, compared=bool(beside))
    return Banner(PREDICTION, columns, tuple(tables), settings, footer, dict(table.meta))


def _key(question: Question) -> QuestionKey:
    return question.family, question.wave, question.question_id


def _columns(
    table: OpinionTable | PredictionTable, labels: Mapping[str, str] | None, *, lettered: bool
) -> tuple[Column, ...]:
    if not len(table):
        raise InputError("A table without rows makes no banner", expected="at least one row")
    return banner_columns(table.subpopulations(), labels, lettered=lettered)


def _by_question(
    table: OpinionTable | PredictionTable,
) -> list[tuple[Question, pl.DataFrame]]:
    parts = table.frame.partition_by(KEY[:3], as_dict=True, maintain_order=True)
    return [(question, parts[_key(question)]) for question in table.questions()]


def _survey_table(
    question: Question,
    rows: pl.DataFrame,
    columns: Sequence[Column],
    settings: BannerSettings,
    counts: Counts | None,
) -> QuestionTable:
    at = _placed(rows, columns)
    shares = _shares(rows, at, len(columns), len(question.options))
    n, effective = (_numbers(rows, at, len(columns), c) for c in ("n", "n_eff"))
    effective = np.where(np.isnan(effective), n, effective)
    weighted = np.full(len(columns), np.nan)
    if counts is not None:
        for i, column in enumerate(columns):
            place = counts.places.get(column.subpopulation)
            if place is not None and not np.isnan(n[i]):
                weighted[i] = counts.weighted[place]
    bases = Bases(n, weighted, effective)
    flags = _flags(n, settings)
    hidden = np.array([f == STARS for f in flags])
    tested = [f != STARS and e > 0 for f, e in zip(flags, effective, strict=True)]
    pooling = np.where(np.isnan(weighted), n, weighted)
    overlap = _overlaps(columns, effective, counts)

    def of_shares(values: Array) -> tuple[str, ...]:
        def p_value(i: int, j: int) -> float:
            return share_p_value(
                (values[i], values[j]),
                (pooling[i], pooling[j]),
                (effective[i], effective[j]),
                overlap[i, j],
            )

        return marks(columns, values, effective, tested, p_value, settings)

    lines = []
    for label, values in _share_lines(question, shares, settings):
        kind, words = label
        lines.append(Line(kind, words, np.where(hidden, np.nan, values), marks=of_shares(values)))
    if question.has_scale:
        mean, variance, size = scale_moments(shares, np.array(question.ordinal))

        def of_means(i: int, j: int) -> float:
            # whoever is off the scale is in no mean
            return mean_p_value(
                (mean[i], mean[j]),
                (variance[i], variance[j]),
                (pooling[i] * size[i], pooling[j] * size[j]),
                (effective[i] * size[i], effective[j] * size[j]),
                overlap[i, j] * np.sqrt(size[i] * size[j]),
            )

        found = marks(columns, mean, effective, tested, of_means, settings)
        shown = np.where(hidden, np.nan, mean)
        lines.append(Line("mean", mean_label(question), shown, marks=found))
    refused = _numbers(rows, at, len(columns), "refusal_rate")
    if not np.isnan(refused).all():
        lines.append(Line("refused", "Refused (of all asked)", np.where(hidden, np.nan, refused)))
    return QuestionTable(question, tuple(lines), bases, flags, base_text(SURVEY, question))


def _prediction_table(
    question: Question,
    rows: pl.DataFrame,
    columns: Sequence[Column],
    settings: BannerSettings,
    answered: pl.DataFrame | None,
) -> QuestionTable:
    at = _placed(rows, columns)
    size = len(question.options)
    shares = _shares(rows, at, len(columns), size)
    low, high = (_shares(rows, at, len(columns), size, end) for end in ("low", "high"))
    ordinal = np.array(question.ordinal)
    seen = bases = None
    flags: tuple[str, ...] = ("",) * len(columns)
    if answered is not None:
        there = _placed(answered, columns)
        seen = _shares(answered, there, len(columns), size)
        n, effective = (_numbers(answered, there, len(columns), c) for c in ("n", "n_eff"))
        bases = Bases(n, np.full(len(columns), np.nan), np.where(np.isnan(effective), n, effective))
        flags = _flags(n, settings)
        seen[[f == STARS for f in flags]] = np.nan
    lines = []
    observed = iter(
        [values for _, values in _share_lines(question, seen, settings)] if seen is not None else []
    )
    members = [(i,) for i in range(size)] + [n.options for n in nets(question, settings.nets)]
    for (label, values), options in zip(
        _share_lines(question, shares, settings), members, strict=True
    ):
        ends = (low[:, options[0]], high[:, options[0]])
        if len(options) > 1:
            ends = net_range(low, high, options)
        lines.append(Line(*label, values, *ends, observed=next(observed, None)))
    if question.has_scale:
        mean = scale_moments(shares, ordinal)[0]
        other = None if seen is None else scale_moments(seen, ordinal)[0]
        ends = mean_range(low, high, ordinal)
        lines.append(Line("mean", mean_label(question), mean, *ends, observed=other))
    refused = _numbers(rows, at, len(columns), "refusal_rate")
    if not np.isnan(refused).all():
        lines.append(Line("refused", "Refused (of all asked)", refused))
    notes = _bases_of_rows(rows)
    return QuestionTable(
        question, tuple(lines), bases, flags, base_text(PREDICTION, question), notes
    )


def _share_lines(
    question: Question, shares: Array, settings: BannerSettings
) -> list[tuple[tuple[Any, str], Array]]:
    """Kind and label of each line of shares, with its values: options, then nets, not rounded."""
    out: list[tuple[tuple[Any, str], Array]] = [
        (("option", option), shares[:, i]) for i, option in enumerate(question.options)
    ]
    for net in nets(question, settings.nets):
        out.append((("net", net.label), shares[:, list(net.options)].sum(axis=1)))
    return out


def _placed(rows: pl.DataFrame, columns: Sequence[Column]) -> list[int]:
    """Column of each row."""
    place = {c.subpopulation.key: i for i, c in enumerate(columns)}
    return [place[key] for key in rows.select("attribute", "group").iter_rows()]


def _shares(
    rows: pl.DataFrame, at: Sequence[int], columns: int, options: int, name: str = "distribution"
) -> Array:
    out = np.full((columns, options), np.nan)
    for i, values in zip(at, rows[name].to_list(), strict=True):
        if values is not None:
            out[i] = values
    return out


def _numbers(rows: pl.DataFrame, at: Sequence[int], columns: int, name: str) -> Array:
    out = np.full(columns, np.nan)
    out[at] = rows[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return out


def _flags(n: Array, settings: BannerSettings) -> tuple[str, ...]:
    return tuple(
        STARS if base < settings.suppress_base else STAR if base < settings.small_base else ""
        for base in n
    )


def _overlaps(columns: Sequence[Column], effective: Array, counts: Counts | None) -> Array:
    """Effective base of those in two columns, shape (columns, columns)."""
    size = len(columns)
    out = np.zeros((size, size))
    total = next((i for i, c in enumerate(columns) if c.is_total), None)
    if total is not None:  # everyone of a part is in the whole
        out[total], out[:, total] = effective, effective
    if counts is None or counts.kish is None:
        return out
    places = [counts.places.get(c.subpopulation) for c in columns]
    kish = counts.kish
    for i, a in enumerate(places):
        for j, b in enumerate(places):
            if a is None or b is None or i == j or total in (i, j):
                continue
            own = np.sqrt(kish[a, a] * kish[b, b])
            # a clustered sample's effective bases are smaller than Kish's; so are shared ones
            out[i, j] = kish[a, b] * np.sqrt(effective[i] * effective[j]) / own if own else 0.0
    return out


def _known(values: Array) -> bool:
    return not np.isnan(values).all()


def _observed_rows(
    table: PredictionTable, observed: OpinionTable
) -> dict[QuestionKey, pl.DataFrame]:
    """Rows of ``observed`` by the predicted question they are of."""
    exact = {_key(q): (q, rows) for q, rows in _by_question(observed)}
    loose: dict[tuple[str, tuple[str, ...]], list[tuple[Question, pl.DataFrame]]] = {}
    for question, rows in exact.values():
        loose.setdefault((question.question_id, question.options), []).append((question, rows))
    groups = {s.key for s in table.subpopulations()}
    out = {}
    for question in table.questions():
        found = exact.get(_key(question))
        if found is None or found[0].options != question.options:
            near = loose.get((question.question_id, question.options), [])
            same = [(q, r) for q, r in near if q.text.casefold() == question.text.casefold()]
            found = same[0] if len(same) == 1 else None
        if found is None:
            continue
        keep = [k in groups for k in found[1].select("attribute", "group").iter_rows()]
        rows = found[1].filter(pl.Series(keep, dtype=pl.Boolean))
        if rows.height:
            out[_key(question)] = rows
    return out


def _bases_of_rows(rows: pl.DataFrame) -> tuple[str, ...]:
    """What the rows of a prediction rest on, where that is more than the model."""
    found = [b for b in rows["basis"].unique(maintain_order=True) if b and b != MODEL]
    return (f"Rests on: {'; '.join(found)}.",) if found else ()


def without_columns(banner: Banner, keep: Sequence[int]) -> Banner:
    """The same book with some of its columns, in the order given: toplines are the whole alone."""

    def line(old: Line) -> Line:
        return replace(
            old,
            values=old.values[list(keep)],
            low=None if old.low is None else old.low[list(keep)],
            high=None if old.high is None else old.high[list(keep)],
            observed=None if old.observed is None else old.observed[list(keep)],
            marks=tuple(old.marks[i] for i in keep) if old.marks else (),
        )

    def table(old: QuestionTable) -> QuestionTable:
        bases = old.bases and Bases(
            *(getattr(old.bases, f)[list(keep)] for f in ("unweighted", "weighted", "effective"))
        )
        return replace(
            old,
            lines=tuple(map(line, old.lines)),
            bases=bases,
            flags=tuple(old.flags[i] for i in keep),
        )

    return replace(
        banner,
        columns=tuple(banner.columns[i] for i in keep),
        tables=tuple(map(table, banner.tables)),
    )
