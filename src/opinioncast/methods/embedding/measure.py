"""What an embedding model's epoch and temperature are chosen by, on validation cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import polars as pl

from opinioncast.errors import InputError
from opinioncast.survey import OpinionTable
from opinioncast.survey.question import OFF_SCALE

SOME, ANY = 1e-12, 1e12
"""The least number above 0 that a setting may have, and the largest."""

Metric = Literal["wd", "kl"]
"""Mean Wasserstein distance, or mean KL divergence where questions have no scale."""


def check_numbers(settings: object, allowed: Mapping[str, tuple[float, float]]) -> None:
    """Raise InputError where a setting is no number between its least and its most, both of which
    it may be."""
    for name, (least, most) in allowed.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            raise InputError(
                "An embedding model cannot be trained like this",
                where=f"{type(settings).__name__}.{name}",
                expected=f"a number from {least:g}" + (f" to {most:g}" if most < ANY else " up"),
                found=value,
            )


def check_measurable(validation: OpinionTable, metric: Metric) -> None:
    """Raise InputError where no validation cell has what is to be measured: without a number,
    nothing can be chosen."""
    if len(validation) == 0:
        raise InputError(
            "The validation table is empty", expected="cells to choose by", found="none"
        )
    if metric == "kl":
        return
    places = pl.col("ordinal").list.eval(pl.element().filter(pl.element() != OFF_SCALE))
    cells = validation.frame.filter(places.list.n_unique() > 1)
    on_scale = cells.select(row=pl.int_range(pl.len()), share="distribution", place="ordinal")
    answered = on_scale.explode("share", "place").filter(
        pl.col("place") != OFF_SCALE, pl.col("share") > 0
    )
    if answered.height == 0:
        raise InputError(
            "No validation cell has a scale, so there is no distance to choose by",
            expected="questions with different scale positions, and people on them",
            found=f"{len(validation)} cells without",
            hint="choose by the KL divergence (--metric kl), or give a table with scales",
        )
