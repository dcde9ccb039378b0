"""Everyone answers as the total population does, where that is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from opinioncast.errors import DataError
from opinioncast.methods.declaration import MethodKind, Resources
from opinioncast.methods.prediction import Prediction, Progress, Rows
from opinioncast.options import check_types, option
from opinioncast.survey import Cells, OpinionTable
from opinioncast.survey.groups import TOTAL_ATTRIBUTE, TOTAL_GROUP


@dataclass(frozen=True, slots=True)
class TotalSettings:
    """Of the method total.

    Attributes:
        train: opinion table with the TOTAL rows of the questions asked.
    """

    train: Path = option(..., "total: opinion table with the answers of the whole population.")

    def __post_init__(self) -> None:
        check_types(self)


@dataclass(frozen=True)
class TotalPopulation:
    """Everyone answers as the total population does, where that is known.

    Attributes:
        totals: an opinion table; only its ``TOTAL`` rows are read. For a table without them,
            :func:`totals_from_groups` makes some of its groups. A question is found by family,
            wave and id and must have the same options.
    """

    totals: OpinionTable

    @property
    def name(self) -> str:
        return "total population"

    def predict(self, cells: Cells, *, progress: Progress | None = None) -> Prediction:
        """Questions without a total are problems, one per cell.

        Raises:
            DataError: a question has other options in the totals.
        """
        known = {
            (r["family"], r["wave"], r["question_id"]): r
            for r in self.totals.frame.filter(pl.col("attribute") == TOTAL_ATTRIBUTE).iter_rows(
                named=True
            )
        }
        rows = Rows(cells, model=self.name, method=self.name)
        for question, asked in cells.by_question():
            total = known.get((question.family, question.wave, question.question_id))
            if total is not None and tuple(total["options"]) != question.options:
                raise DataError(
                    "A question has other options in the table of totals",
                    where=f'question "{question.question_id}"',
                    expected=str(list(question.options)),
                    found=total["options"],
                )
            for cell, _ in asked:
                if total is None:
                    rows.lack(cell, "the total population's answer is not known")
                else:
                    rows.put(cell, total["distribution"], refusal_rate=total["refusal_rate"])
        if progress:
            progress(len(cells), len(cells))
        return rows.prediction(
            {
                "method": self.name,
                "model": self.name,
                "totals": self.totals.content_hash,
                "totals_from": self.totals.meta.get("totals_from", "TOTAL rows"),
            }
        )


def totals_from_groups(table: OpinionTable) -> OpinionTable:
    """TOTAL rows made of a table's groups: per question, the mean weighted by ``n`` over its rows.

    An approximation: a table that holds several attributes counts each person once per attribute,
    and groups it leaves out are not in the total. ``n`` and refusal rate are left null for that
    reason. TOTAL rows the table already has are not used.

    Raises:
        DataError: a row without ``n``.
    """
    groups = table.frame.filter(pl.col("attribute") != TOTAL_ATTRIBUTE)
    bare = groups.filter(pl.col("n").is_null() | (pl.col("n") <= 0))
    if bare.height:
        row = bare.row(0, named=True)
        raise DataError(
            "A total cannot be made of groups of unknown size",
            where=f"{row['question_id']} / {row['attribute']} = {row['group']}",
            expected="n in every row",
            found=f"{bare.height} rows without",
            hint="curate the table with TOTAL among its groups",
        )
    key = ["family", "wave", "question_id", "question", "options", "ordinal"]
    rows = []
    for values, part in groups.group_by(key, maintain_order=True):
        shares = np.stack(part["distribution"].to_list())
        weights = part["n"].to_numpy()
        mean = weights @ shares / weights.sum()
        rows.append(
            dict(zip(key, values, strict=True))
            | {
                "attribute": TOTAL_ATTRIBUTE,
                "group": TOTAL_GROUP,
                "distribution": (mean / mean.sum()).tolist(),
            }
        )
    meta = dict(table.meta) | {"totals_from": "n-weighted mean over the groups of the table"}
    return OpinionTable.from_rows(rows, meta)


def build(settings: Any, resources: Resources) -> TotalPopulation:
    """The method on the table of the settings."""
    return TotalPopulation(resources.table(settings.train))


METHOD = MethodKind(
    name="total",
    help="Every group answers as the whole population did, where a table tells.",
    settings=TotalSettings,
    build=build,
    shapes=("method", "totals"),
    advice="give a --train table with the answers of the whole population (TOTAL) to every "
    "question asked",
    order=70,
)
