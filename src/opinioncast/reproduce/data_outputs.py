"""Tables about the data: who was asked (Table 3) and what about (Table 4)."""

from __future__ import annotations

import polars as pl

from opinioncast.curate.recipe import builtin_curations, load_curation
from opinioncast.report import interactive
from opinioncast.report.dot_chart import DotPanel, DotSeries, dot_figure
from opinioncast.reproduce.context import FEW_CELLS, Context, joined
from opinioncast.reproduce.result import PAPER, Result, beside_paper

_SHARE = "Share of the respondents"
_QUESTIONS = "Questions"


def people(context: Context) -> Result:
    """One row per survey, wave and group: respondents and their share, as drawn and weighted."""
    recipe = context.recipe
    (table,) = recipe.tables
    frame = context.workshop.tables.people(table)
    few = pl.col("n") < FEW_CELLS
    withheld = frame.filter(few).height
    frame = frame.with_columns(
        pl.when(~few).then(pl.col(c)).alias(c) for c in ("n", "share", "weighted")
    )
    waves = frame.select("family", "wave").unique(maintain_order=True).rows()
    frame, paper = beside_paper(frame, recipe.paper)
    panels = []
    for family, wave in waves:
        part = frame.filter(pl.col("family") == family, pl.col("wave") == wave)
        series = [
            DotSeries("weighted", part["weighted"].to_list()),
            DotSeries("as drawn", part["share"].to_list()),
            *(
                DotSeries(c.replace(PAPER, "paper, "), part[c].to_list(), hollow=True)
                for c in paper
            ),
        ]
        labels = [f"{a} {g}" for a, g in part.select("attribute", "group").iter_rows()]
        panels.append(DotPanel(f"{family} {wave}", labels, series))
    asked = ", ".join(
        f"{f} {w}: {n:,} respondents"
        for f, w, n in frame.select("family", "wave", "respondents")
        .unique(maintain_order=True)
        .rows()
    )
    return Result(
        recipe,
        frame,
        [c for c in frame.columns if c != "respondents"],
        joined(asked, f"groups of {context.title(table)}"),
        lambda: dot_figure(panels, title=recipe.title, axis=_SHARE, note=asked),
        lambda: interactive.dots(panels, axis=_SHARE),
        model=False,
        withheld=f"{withheld} groups of fewer than {FEW_CELLS} respondents" if withheld else "",
    )


def topics(context: Context) -> Result:
    """One row per table and wave: its topic and how many questions of it the table has."""
    recipe = context.recipe
    rows = []
    for table in recipe.tables:
        said = _topics(context, table)
        keys = ["family", "wave"]
        counts = (
            context.workshop.tables.table(table)
            .frame.select(*keys, "question_id")
            .unique()
            .group_by(keys)
            .len()
            .sort("family", pl.col("wave").cast(pl.Int64, strict=False), "wave")
        )
        rows += [
            {
                "table": table,
                "survey": family,
                "wave": wave,
                "questions": questions,
                "topic": said.get((family, wave), ""),
            }
            for family, wave, questions in counts.iter_rows()
        ]
    frame, paper = beside_paper(pl.DataFrame(rows), recipe.paper)
    panels = []
    for table in recipe.tables:
        part = frame.filter(pl.col("table") == table)
        labels = [f"{s} {w}" for s, w in part.select("survey", "wave").iter_rows()]
        series = [
            DotSeries("questions", part["questions"].to_list()),
            *(
                DotSeries(c.replace(PAPER, "paper, "), part[c].to_list(), hollow=True)
                for c in paper
            ),
        ]
        panels.append(DotPanel(context.title(table), labels, series))
    of = [frame.filter(pl.col("table") == table) for table in recipe.tables]
    base = "; ".join(
        f"{context.title(table)}: {part['questions'].sum():,} questions of {part.height} waves"
        for table, part in zip(recipe.tables, of, strict=True)
    )
    untold = frame.filter(pl.col("topic") == "").height
    return Result(
        recipe,
        frame,
        frame.columns,
        joined(base, f"{untold} waves whose recipe names no topic" if untold else ""),
        lambda: dot_figure(panels, title=recipe.title, axis=_QUESTIONS, note=base),
        lambda: interactive.dots(panels, axis=_QUESTIONS),
        {
            f"questions_{t}": int(part["questions"].sum())
            for t, part in zip(recipe.tables, of, strict=True)
        },
        model=False,
    )


def _topics(context: Context, table: str) -> dict[tuple[str, str], str]:
    """(Family, wave) -> topic, as the recipes say that make the table; of a file, as the recipe of
    its name does that ships."""
    curations = context.setting.tables[table].curated
    recipes = [context.setting.curation(key)[0] for key in curations]
    if not recipes and table in builtin_curations():
        recipes = [load_curation(table)[0]]
    return {(w.family, w.wave): w.topic for r in recipes for w in r.waves}
