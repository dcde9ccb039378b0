"""Tables of an evaluation: averages by group, wave and band, and what is withheld of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from opinioncast.csv_files import write_csv
from opinioncast.evaluate.compare import improvement_by, skill_score
from opinioncast.evaluate.scores import CellScores
from opinioncast.evidence.worth import Worth
from opinioncast.jobs.evaluation_inputs import GROUP
from opinioncast.survey import Subpopulation
from opinioncast.survey.tables import INTERVAL, KEY

WORTH = ("worth", "worth_low", "worth_high", "k_hat")
"""Columns of ``by_group`` with what predictions are worth (:mod:`opinioncast.evidence.worth`)."""

_PEOPLE_ONLY = (
    "wd_uniform",
    "wd_noise",
    "entropy",
    "variance",
    "entropy_ratio",
    "variance_ratio",
    "covered",
    *WORTH,
)
FEW_CELLS = 5
"""Averages over fewer cells than this say almost what the cells say: withheld with them."""

_BY = {
    "by_group": GROUP,
    "by_wave": ("family", "wave"),
    "by_family": ("family",),
    "by_entropy": ("entropy_band",),
    "by_similarity": ("similarity_band",),
    "by_training": ("training_band",),
}
CAPTIONS = {
    "by_group": "Mean Wasserstein distance by group, with bounds.",
    "by_wave": "Mean Wasserstein distance by wave.",
    "by_family": "Mean Wasserstein distance by survey family.",
    "by_entropy": "Mean Wasserstein distance by how divided people are.",
    "by_similarity": "Mean Wasserstein distance by similarity to the training questions.",
    "by_training": "Mean Wasserstein distance by whether the training asks the question too.",
}
SHOWN = (
    "worth",
    "lower",
    "baseline",
    "wd",
    "wd_low",
    "wd_high",
    "wd_uniform",
    "relative",
    "skill",
    "one_hot_error",
    "covered",
    "cells",
    "asked",
    "note",
)


def average_tables(
    scores: CellScores,
    other: CellScores | None,
    bounds: pl.DataFrame | None,
    shared: pl.DataFrame | None,
) -> dict[str, pl.DataFrame]:
    """Averages by everything the scores can be averaged by.

    Args:
        bounds: of the scored cells.
        shared: of the cells that both methods have.
    """
    found = {}
    for name, columns in _BY.items():
        if columns[-1] not in scores.asked.columns:
            continue
        ends = scores.intervals(*columns)
        frame = scores.by(*columns).with_columns(wd_low=ends["low"], wd_high=ends["high"])
        if columns[-1].endswith("_band"):
            frame = frame.sort(columns)
        of_both = None
        if bounds is None or name != "by_group":
            frame = frame.with_columns(lower=pl.col("wd_noise"))
        else:
            human = bounds.select(*GROUP, lower="human", _of="note")
            frame = frame.join(human, on=GROUP, how="left", maintain_order="left").with_columns(
                note=pl.concat_str(
                    pl.when(pl.col("note") != "").then("note"),
                    pl.when(pl.col("_of").fill_null("") != "").then("_of"),
                    separator="; ",
                    ignore_nulls=True,
                )
            )
            frame = frame.drop("_of")
            if shared is not None:
                of_both = shared.select(*GROUP, lower="human")
        if other is not None:
            more = improvement_by(scores, other, *columns, lower=of_both)
            frame = frame.join(
                more.select(
                    *columns, "absolute", "relative", baseline="zero_shot", cells_in_both="cells"
                ),
                on=columns,
                how="left",
                maintain_order="left",
            )
        skill = [skill_score(*row) for row in frame.select("wd_uniform", "wd", "lower").iter_rows()]
        frame = frame.with_columns(skill=pl.Series(skill, dtype=pl.Float64))
        first = [c for c in (*columns, *SHOWN[:-4]) if c in frame.columns]
        last = ["cells", "cells_scored", "asked", "note"]
        middle = [c for c in frame.columns if c not in (*first, *last)]
        found[name] = frame.select(*first, *middle, *last)
    return found


def with_worth(by_group: pl.DataFrame, worth: Mapping[str, Worth]) -> pl.DataFrame:
    """The table with :data:`WORTH` behind its keys; null where nothing is known or can be told."""
    rows = []
    for key in by_group.select(GROUP).iter_rows():
        found = worth.get(str(Subpopulation.from_key(*key)))
        record = {} if found is None else found.record()
        rows.append([record.get(c) for c in ("respondents", "low", "high", "k_hat")])
    added = pl.DataFrame(rows, schema=dict.fromkeys(WORTH, pl.Float64), orient="row")
    rest = [c for c in by_group.columns if c not in GROUP]
    return pl.concat([by_group, added], how="horizontal").select(*GROUP, *WORTH, *rest)


def write_cells(scores: CellScores, path: Path, withheld: str | None) -> Path:
    """A row per cell; without what gives people's answers away where they are ``withheld``."""
    frame = scores.frame
    if withheld is not None:
        # whatever follows from people's answers alone would give them away; so would the set of
        # divergences taken together
        frame = frame.select(*KEY, "question", "wd", "tv")
    else:
        lists = ("options", "ordinal", "observed", "predicted", *INTERVAL)
        frame = frame.with_columns(
            pl.col(c).cast(pl.List(pl.String)).list.join(" | ") for c in lists
        )
    return write_csv(frame, path)


def withhold_few(frame: pl.DataFrame) -> pl.DataFrame:
    """Blank what people's answers alone decide where an average is over a few cells."""
    hide = [c for c in (*_PEOPLE_ONLY, "lower", "skill", "relative") if c in frame.columns]
    few = pl.col("cells_scored") < FEW_CELLS
    return frame.with_columns(pl.when(~few).then(pl.col(c)).alias(c) for c in hide)
