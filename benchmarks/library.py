"""What the library is worth where the very question was asked before: GSS 2024 from earlier years.

    python benchmarks/library.py [--quick] [--year 2024]

The library without the year, and later ones, is looked up for the year's questions; predictions of
the network method start from what it has. Beside them: the wording alone, and the latest earlier
year unchanged. Truth: the year's own shares, base 50 or more. They have a sampling error of their
own, so fewer of them than of the population's shares lie within intervals (``covered``);
``covered_of_sample`` counts it, with intervals widened in quadrature by 1.645 standard errors of
the observed share. Also how near a question's nearest other question is (what
:data:`opinioncast.library.shelf.VERY` must lie above), and what relatives of the same options tell
of each other by nearness. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from opinioncast.evaluate.scores import score_cells
from opinioncast.evidence.frame import read_frame
from opinioncast.jobs.asked_before import relatives
from opinioncast.jobs.update import read_on
from opinioncast.library.own import SHIPPED_NAME, open_library
from opinioncast.library.shelf import VERY, AskedBefore, Library, Shelf, write_shelf, year_of
from opinioncast.models import SHIPPED_LIBRARY
from opinioncast.predictor import Predictor
from opinioncast.survey import Cells, OpinionTable, PredictionTable
from opinioncast.survey.groups import TOTAL_ATTRIBUTE

LEAST = 50
NORMAL_90 = 1.645
NEARNESS = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97)
"""Where a class of nearness begins."""
SMOOTH = 0.02
"""Of the uniform distribution in shares before their logarithm."""


def year_and_before(year: int) -> tuple[OpinionTable, OpinionTable]:
    """The year's cells of questions asked before, and what was answered before."""
    table = OpinionTable.read(SHIPPED_LIBRARY / "opinions.parquet")
    frame = table.frame.with_columns(
        year=pl.col("wave").map_elements(lambda w: year_of(w) or 0, return_dtype=pl.Int64)
    ).filter(pl.col("family") == "GSS")
    now = frame.filter((pl.col("year") == year) & (pl.col("n") >= LEAST))
    before = frame.filter(pl.col("year") < year)
    both = set(now["question_id"]) & set(before["question_id"])
    kept = pl.col("question_id").is_in(sorted(both))
    return tuple(  # type: ignore[return-value]
        OpinionTable(f.filter(kept).drop("year"), table.meta) for f in (now, before)
    )


def unchanged(now: OpinionTable, before: OpinionTable) -> PredictionTable:
    """The latest earlier year's shares of the same cell."""
    keys = ["family", "question_id", "attribute", "group"]
    last = before.frame.sort("wave").unique(keys, keep="last")
    frame = now.frame.drop("distribution").join(last.select(*keys, "distribution"), on=keys)
    return PredictionTable(frame.with_columns(model=pl.lit("last"), method=pl.lit("last year")))


def of_like_options() -> Iterator[tuple[list[AskedBefore], np.ndarray]]:
    """Questions of the shipped library that have the same options, and their cosines."""
    shelf = next(s for s in open_library().shelves if s.name == SHIPPED_NAME)
    with np.load(SHIPPED_LIBRARY / "meanings.npz") as file:
        vectors = file["vectors"].astype(np.float32)
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, asked in enumerate(shelf.questions):
        options = tuple(sorted(o.casefold() for o in asked.question.options))
        groups.setdefault(options, []).append(i)
    for places in groups.values():
        if len(places) > 1:
            own = vectors[places] / np.linalg.norm(vectors[places], axis=1, keepdims=True)
            cosines = own @ own.T
            np.fill_diagonal(cosines, -1)
            yield [shelf.questions[i] for i in places], cosines


def relatives_tell() -> list[dict[str, Any]]:
    """By nearness: how far two questions of the same options lie apart, beside how far each lies
    from even shares (mean square of centred log shares of everyone), and how alike their groups'
    differences from everyone are (correlation over groups and options)."""
    table = OpinionTable.read(SHIPPED_LIBRARY / "opinions.parquet").frame
    newest = table.sort("wave").unique(
        ["family", "question_id", "attribute", "group"], keep="last", maintain_order=True
    )
    shares: dict[tuple[str, str], dict[tuple[str, str], tuple[list[str], np.ndarray]]] = {}
    columns = ("family", "question_id", "attribute", "group", "options", "distribution")
    for f, i, attribute, group, options, distribution in newest.select(columns).iter_rows():
        p = np.asarray(distribution)
        log = np.log((1 - SMOOTH) * p + SMOOTH / len(p))
        told = [o.casefold() for o in options], log - log.mean()
        shares.setdefault((f, i), {})[attribute, group] = told
    pairs: dict[int, list[tuple[float, ...]]] = {}
    for questions, cosines in of_like_options():
        for i, j in zip(*np.nonzero(cosines >= NEARNESS[0]), strict=True):
            one, other = (
                shares[questions[k].question.family, questions[k].question.question_id]
                for k in (i, j)
            )
            everyone = next((g for g in one if g[0] == TOTAL_ATTRIBUTE and g in other), None)
            if everyone is None:
                continue
            options = one[everyone][0]
            places = [other[everyone][0].index(o) for o in options]
            level, beside = one[everyone][1], other[everyone][1][places]
            both = [g for g in one if g != everyone and g in other]
            mine = np.array([one[g][1] - level for g in both])
            theirs = np.array([other[g][1][places] - beside for g in both])
            found = (
                float(((level - beside) ** 2).mean()),
                float((level**2).mean()),
                *(
                    float((x * y).sum())
                    for x, y in ((mine, theirs), (mine, mine), (theirs, theirs))
                ),
            )
            pairs.setdefault(int(np.searchsorted(NEARNESS, cosines[i, j], "right")), []).append(
                found
            )
    rows = []
    for place, values in sorted(pairs.items()):
        apart, own, product, first, second = np.array(values).T
        rows.append(
            {
                "nearness": NEARNESS[place - 1],
                "pairs": len(values),
                "apart": round(float(apart.mean()), 2),
                "from_even_shares": round(float(own.mean()), 2),
                "contrasts_alike": round(
                    float(product.sum() / np.sqrt(first.sum() * second.sum())), 2
                ),
            }
        )
    return rows


def scores(now: OpinionTable, table: PredictionTable) -> dict[str, Any]:
    found = score_cells(now, table)
    means = found.mean()
    low, high = found.interval()
    names = ("wd", "covered", "half_width", "cells")
    told = {k: means[k] for k in names} | {"low": low, "high": high}
    return told | {"covered_of_sample": covered_of_sample(now, table)}


def covered_of_sample(now: OpinionTable, table: PredictionTable) -> float | None:
    """Share of observed shares within intervals for a sample's share; None without intervals."""
    if table.frame["low"].null_count():
        return None
    key = ["family", "wave", "question_id", "attribute", "group"]
    told = table.frame.select(*key, "low", "high", predicted="distribution")
    both = now.frame.select(*key, "distribution", "se").join(told, on=key, how="inner")
    names = ("distribution", "se", "predicted", "low", "high")
    observed, error, share, low, high = (
        np.concatenate([np.asarray(v, dtype=float) for v in both[n].to_list()]) for n in names
    )
    noise = NORMAL_90 * error
    below, above = np.hypot(share - low, noise), np.hypot(high - share, noise)
    return float(((observed >= share - below) & (observed <= share + above)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--year", type=int, default=2024)
    parser.add_argument("--quick", action="store_true", help="15 questions")
    args = parser.parse_args()
    now, before = year_and_before(args.year)
    ids = sorted(set(now.frame["question_id"]))
    if args.quick:
        ids = ids[:: max(1, len(ids) // 15)]
        now, before = (t.filter(pl.col("question_id").is_in(ids)) for t in (now, before))
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        write_shelf(before, Path(folder))
        library = Library((Shelf("earlier years", Path(folder)),))
        asked = now.questions()
        with Predictor(method="network") as predictor:
            alone = predictor.predict(Cells.of_table(now)).table
        found = relatives(library, asked, None, year=args.year)
        updated = read_on(alone, found.evidence, read_frame(None)).table
    near = [float(c) for _, cosines in of_like_options() for c in cosines.max(axis=1)]
    tell = relatives_tell()
    result = {
        "year": args.year,
        "questions": len(ids),
        "used": len(found.used),
        "wording alone": scores(now, alone),
        "with the library": scores(now, updated),
        "last year unchanged": scores(now, unchanged(now, before)),
        "others_at_or_above_very": sum(c >= VERY for c in near),
        "others": len(near),
        "relatives": tell,
        "seconds": round(time.monotonic() - started, 1),
    }
    for name in ("wording alone", "with the library", "last year unchanged"):
        print(name, result[name])
    for row in tell:
        print(row)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
