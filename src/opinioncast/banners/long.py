"""A book of tables as one frame: a row per figure, for statistics programs and for checks."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from opinioncast.banners.rounding import half_up
from opinioncast.banners.table import PREDICTION, STARS, Array, Banner

_SCHEMA: dict[str, Any] = {
    "table": pl.Int64,
    "family": pl.String,
    "wave": pl.String,
    "question_id": pl.String,
    "question": pl.String,
    "line": pl.String,
    "label": pl.String,
    "attribute": pl.String,
    "group": pl.String,
    "letter": pl.String,
    "value": pl.Float64,
    "shown": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "observed": pl.Float64,
    "difference": pl.Float64,
    "marks": pl.String,
    "n": pl.Float64,
    "n_weighted": pl.Float64,
    "n_eff": pl.Float64,
    "flag": pl.String,
    "source": pl.String,
}


def long_frame(banner: Banner) -> pl.DataFrame:
    """One row per table, line and column.

    ``line``: option, net, mean or refused. ``value``: share (0 to 1) or mean; ``shown``: in
    percent, rounded as printed (means to two decimals). ``n``, ``n_weighted``, ``n_eff``: bases of
    what people answered. ``source`` says that predictions are model output. Figures that are not
    shown for their base are null.
    """
    predicted = banner.kind == PREDICTION
    source = "model prediction, not survey data" if predicted else "survey"
    rows: list[dict[str, Any]] = []
    for number, table in enumerate(banner.tables, start=1):
        question, bases = table.question, table.bases
        for line in table.lines:
            for i, column in enumerate(banner.columns):
                value = _number(line.values, i)
                if value is None and (predicted or table.flags[i] != STARS):
                    continue  # the group is not there
                rows.append(
                    {
                        "table": number,
                        "family": question.family,
                        "wave": question.wave,
                        "question_id": question.question_id,
                        "question": question.text,
                        "line": line.kind,
                        "label": line.label,
                        "attribute": column.subpopulation.attribute,
                        "group": column.name,
                        "letter": column.letter,
                        "value": value,
                        "shown": _shown(value, line.kind == "mean", banner.settings.decimals),
                        "low": _number(line.low, i),
                        "high": _number(line.high, i),
                        "observed": _number(line.observed, i),
                        "difference": _number(line.difference, i),
                        "marks": line.marks[i] if line.marks else "",
                        "n": _number(bases.unweighted if bases else None, i),
                        "n_weighted": _number(bases.weighted if bases else None, i),
                        "n_eff": _number(bases.effective if bases else None, i),
                        "flag": table.flags[i],
                        "source": source,
                    }
                )
    return pl.DataFrame(rows, schema=_SCHEMA)


def _number(values: Array | None, i: int) -> float | None:
    if values is None:
        return None
    value = float(values[i])
    return None if math.isnan(value) else value


def _shown(value: float | None, mean: bool, decimals: int) -> float | None:
    if value is None:
        return None
    return half_up(value, 2) if mean else half_up(100 * value, decimals)
