"""One question over its waves, by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from opinioncast.errors import InputError
from opinioncast.library.shelf import AskedBefore, Library, year_of
from opinioncast.survey import Subpopulation


@dataclass(frozen=True)
class History:
    """What groups answered to a question over the years.

    Attributes:
        asked: the question.
        frame: ``year, wave, attribute, group, option, share, se, n``, by year, group and option.
        terms: of the data.
    """

    asked: AskedBefore
    frame: pl.DataFrame
    terms: str

    @property
    def groups(self) -> list[Subpopulation]:
        """Those with an answer, the total first."""
        pairs = self.frame.select("attribute", "group").unique(maintain_order=True).rows()
        found = [Subpopulation.from_key(a, g) for a, g in pairs]
        return sorted(found, key=lambda s: bool(s.conditions))


def history(library: Library, name: str, groups: Sequence[Subpopulation] | None = None) -> History:
    """The history of a question of the library.

    Args:
        name: ``FAMILY/id``.
        groups: only these; None: all that the table has.

    Raises:
        InputError: no such question; none of ``groups`` answered it.
    """
    asked = library.find(name)
    shelf = library.shelf(asked)
    rows = shelf.rows(asked)
    if groups is not None:
        keys = {g.key for g in groups}
        there = sorted({f"{a}={g}" for a, g in rows.select("attribute", "group").iter_rows()})
        rows = rows.filter(
            pl.struct("attribute", "group").map_elements(
                lambda s: (s["attribute"], s["group"]) in keys, return_dtype=pl.Boolean
            )
        )
        if not rows.height:
            raise InputError(
                "The library has none of these groups' answers to the question",
                where=asked.name,
                expected=", ".join(there),
                found=", ".join(map(str, groups)),
            )
    long = (
        rows.with_columns(
            year=pl.col("wave").map_elements(year_of, return_dtype=pl.Int64),
            se=pl.when(pl.col("se").is_null())
            .then(pl.lit(None, pl.Float64).repeat_by(pl.col("options").list.len()))
            .otherwise("se"),
        )
        .explode("options", "distribution", "se")
        .rename({"options": "option", "distribution": "share"})
        .sort("year", "wave", maintain_order=True)
    )
    columns = ("year", "wave", "attribute", "group", "option", "share", "se", "n")
    return History(asked, long.select(columns), shelf.terms)
