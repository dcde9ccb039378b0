"""A newcomer's way in, on every real file: inspect, init, curate, with no recipe and no help.

    python benchmarks/newcomer.py [--data DATA] [--quick] [--only PART] [--results FILE]

Prints per file what was found, whether the files that ``init`` wrote run at once, the number of
questions beside the hand-made codebook's, and on the questions both have the fraction whose
weighted shares are equal (to 1e-9), with what differs. ``--quick`` takes the small files.
``--results`` keeps each file's row (JSON lines) as soon as it is known: a run that was stopped goes
on after the last one. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from opinioncast.curate.recipe import load_curation
from opinioncast.errors import OpinioncastError
from opinioncast.jobs.curate import curate_to_files
from opinioncast.jobs.inspect import init_to_files, inspect_to_files
from opinioncast.readers import PLAIN, column_names, read_wave
from opinioncast.readers.codebook import load_codebook
from opinioncast.readers.tabular import position
from opinioncast.survey.wave import Wave

EQUAL = 1e-9

CODEBOOKS = {
    "gss/gss_2016.zsav": "gss/codebook_gss_2016.json",
    "gss/gss_2018.zsav": "gss/codebook_gss_2018.json",
    "gss/gss_2018.dta": "gss/codebook_gss_2018.json",
    "gss/gss_trend_2016_2024.sav": "gss/codebook_gss_trend.json",
    "anes/pilot_2018.sav": "anes/codebook_pilot_2018.json",
    "anes/pilot_2018.dta": "anes/codebook_pilot_2018.json",
    "anes/pilot_2018_usermissing.sav": "anes/codebook_pilot_2018.json",
    "anes/pilot_2020.sav": "anes/codebook_pilot_2020.json",
    "anes/socialmedia_2020.sav": "anes/codebook_socialmedia_2020.json",
    "anes/timeseries_2012.zsav": "anes/codebook_timeseries_2012.json",
    "anes/timeseries_2020.zsav": "anes/codebook_timeseries_2020.json",
    "anes/timeseries_2000.parquet": "anes/items_timeseries_2000.json",
    "anes/timeseries_2004.parquet": "anes/items_timeseries_2004.json",
    "anes/timeseries_2008.parquet": "anes/items_timeseries_2008.json",
    "ai2018/ai_attitudes_2018.csv": "ai2018/labels.json",
    "fivethirtyeight/comma_survey.csv": "fivethirtyeight/codebook_comma.json",
    "fivethirtyeight/flying_etiquette.csv": "fivethirtyeight/codebook_flying_etiquette.json",
    "fivethirtyeight/nonvoters_data.csv": "fivethirtyeight/codebook_nonvoters.json",
    "fivethirtyeight/star_wars.csv": "fivethirtyeight/codebook_star_wars.json",
}
"""File -> the codebook that a person made for it."""

QUICK = (
    "gss/gss_trend_2016_2024.sav",
    "anes/anes_2020_stata_example.dta",
    "ai2018/ai_attitudes_2018.csv",
    "fivethirtyeight/comma_survey.csv",
    "fivethirtyeight/flying_etiquette.csv",
    "fivethirtyeight/nonvoters_data.csv",
    "fivethirtyeight/star_wars.csv",
)
Shares = Mapping[Any, float]


def files(data: Path, *, quick: bool) -> list[Path]:
    """Every microdata file of the folder; published tables of shares are none."""
    if quick:
        return [data / name for name in QUICK if (data / name).is_file()]
    endings = {".sav", ".zsav", ".dta", ".csv", ".parquet"}
    return sorted(
        p for p in data.glob("*/*") if p.suffix in endings and p.name != "bannerbooks.parquet"
    )


def hand_made(path: Path) -> tuple[dict[str, dict[Any, str]], Mapping[str, str | None]]:
    """Codes and texts of a hand-made codebook's questions, and their weights where it names one."""
    raw = json.loads(path.read_text("utf-8"))
    if path.name.startswith("items_"):  # ANES: options as "code. label"
        entries = {
            v: {float(o.partition(".")[0]): o.partition(".")[2].strip() for o in e["options"]}
            for v, e in raw.items()
            if all(o.partition(".")[0].lstrip("-").isdigit() for o in e["options"])
        }
        return entries, {}
    if path.name == "labels.json":
        gone = ("skipped", "not asked")
        found = {
            v: {float(c): t for c, t in e["labels"].items() if t.casefold() not in gone}
            for v, e in raw.items()
            if len(e["labels"]) >= 2
        }
        return found, {}
    book = load_codebook(path)
    return (
        {
            v: dict(zip(e.codes, e.options or map(str, e.codes), strict=True))
            for v, e in book.items()
            if e.codes
        },
        {v: e.weight for v, e in book.items()},
    )


def shares(wave: Wave, name: str, codes: list[Any], weights: Sequence[str]) -> Shares:
    """Weighted share of each code among those who gave one of them."""
    column = wave.respondents[name]
    w = np.ones(len(column))
    for weight in weights:
        w = w * np.nan_to_num(wave.respondents[weight].to_numpy())
    sums = {}
    for code in codes:
        match = column == (code if column.dtype.is_numeric() else str(code))
        sums[code] = float(w[match.fill_null(False).to_numpy()].sum())
    total = sum(sums.values())
    return {c: s / total for c, s in sums.items() if s > 0} if total else {}


def compare(file: Path, codebook: Path, starter: Path, out: Path) -> dict[str, Any]:
    """Shares by the codebook that ``init`` wrote beside those by a person's, file codes as keys.

    Of a person's questions those count of which two answers occur in the file at all.
    """
    theirs, weights = hand_made(codebook)
    columns = column_names(file)
    by_place = {v: columns[position(v) - 1] for v in theirs if position(v) > 0}
    theirs = {by_place.get(v, v): codes for v, codes in theirs.items()}
    ours = load_codebook(starter)
    raw = read_wave(file, family="f", wave="1", conventions=PLAIN)
    recipe, _ = load_curation(out)
    whole = recipe.waves[0].weights
    theirs = {
        v: codes
        for v, codes in theirs.items()
        if v in raw.respondents.columns and len(shares(raw, v, list(codes), ())) >= 2
    }
    both = [v for v in theirs if v in ours]
    equal, differs = 0, []
    for name in both:
        entry = ours[name]
        own = (entry.weight,) if entry.weight else whole
        named = weights.get(name)
        other = (named,) if named else whole
        mine = shares(raw, name, list(entry.codes or ()), own)
        hand = shares(raw, name, list(theirs[name]), other)
        if mine.keys() == hand.keys() and all(abs(mine[c] - hand[c]) < EQUAL for c in mine):
            equal += 1
            continue
        more = sorted(set(mine) - set(hand), key=str)
        less = sorted(set(hand) - set(mine), key=str)
        words = []
        if more:
            words.append("answers more: " + ", ".join(f"{c} ({mine[c]:.0%})" for c in more[:4]))
        if less:
            words.append("answers less: " + ", ".join(f"{c} ({hand[c]:.0%})" for c in less[:4]))
        if not words:
            words.append(f"weights {', '.join(own) or 'none'} for {', '.join(other) or 'none'}")
        differs.append(f"{name}: {'; '.join(words)}")
    lacking = [v for v in theirs if v not in ours]
    return {
        "codebook": len(theirs),
        "both": len(both),
        "equal": equal,
        "differs": differs,
        "lacking": lacking,
    }


def newcomer(data: Path, file: Path, folder: Path) -> dict[str, Any]:
    """One file, all the way."""
    row: dict[str, Any] = {"file": f"{file.parent.name}/{file.name}"}
    began = time.monotonic()
    found, _ = inspect_to_files(file, folder)
    row["inspect_s"] = round(time.monotonic() - began, 1)
    run = init_to_files(file, folder)
    row |= {
        "variables": len(found.columns),
        "questions": run.starter.questions,
        "attributes": len(set(run.starter.attributes)),
        "weight": found.design.weight,
    }
    recipe, beside = load_curation(run.recipe)
    try:
        made = curate_to_files(recipe, [beside], folder / "table")
        row |= {
            "curated": made.table.frame.select(pl.col("question_id").n_unique()).item(),
            "cells": len(made.table),
        }
    except OpinioncastError as error:
        row["refused"] = str(error)
    codebook = CODEBOOKS.get(row["file"])
    if codebook and (data / codebook).is_file():
        starter = folder / next(n for n in run.starter.texts if n.endswith("_codebook.yaml"))
        row |= compare(file, data / codebook, starter, run.recipe)
    row["s"] = round(time.monotonic() - began, 1)
    return row


def kept(path: Path | None) -> dict[str, dict[str, Any]]:
    """Rows of an earlier run by file, a half-written last line left out."""
    rows = {}
    lines = path.read_text("utf-8").splitlines() if path is not None and path.is_file() else []
    for line in lines:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        rows[row["file"]] = row
    return rows


def show(row: Mapping[str, Any], differences: int) -> None:
    """One file's line, and below it what differs."""
    equal = f"{row['equal'] / row['both']:.1%}" if row.get("both") else "-"
    print(
        f"{row['file']:38} {row['variables']:5} {row['questions']:6} {row['attributes']:5} "
        f"{row.get('curated', '-'):>6} {row.get('cells', '-'):>6} "
        f"{row.get('codebook', '-'):>8} {row.get('both', '-'):>5} {equal:>6} "
        f"{row['s']:5}  {row['weight']}",
        flush=True,
    )
    if "refused" in row:
        print("    refused: " + " ".join(row["refused"].split())[:300])
    for line in row.get("differs", ())[:differences]:
        print(f"    {line[:160]}")
    if len(row.get("differs", ())) > differences:
        print(f"    ... and {len(row['differs']) - differences} more that differ")
    if row.get("lacking"):
        print(f"    not found ({len(row['lacking'])}): {', '.join(row['lacking'][:6])[:140]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = os.environ.get("OPINIONCAST_DATA") or Path(__file__).parents[1] / ".." / "shared/data"
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", default=[], help="part of a file's name")
    parser.add_argument("--results", type=Path, help="rows of files done, to go on from")
    parser.add_argument("--show", type=int, default=3, help="differences shown per file")
    arguments = parser.parse_args()
    found = [
        f
        for f in files(arguments.data, quick=arguments.quick)
        if not arguments.only or any(part in str(f) for part in arguments.only)
    ]
    if not found:
        print(json.dumps({"skipped": f"no survey files in {arguments.data}"}))
        return
    rows = []
    before = kept(arguments.results)
    print(
        f"{'file':38} {'vars':>5} {'quest.':>6} {'attr.':>5} {'tabled':>6} {'cells':>6} "
        f"{'codebook':>8} {'both':>5} {'equal':>6} {'s':>5}  weight"
    )
    for file in found:
        row = before.get(f"{file.parent.name}/{file.name}")
        if row is None:
            with tempfile.TemporaryDirectory() as folder:
                row = newcomer(arguments.data, file, Path(folder))
            if arguments.results is not None:
                with arguments.results.open("a", encoding="utf-8") as kept_rows:
                    kept_rows.write(json.dumps(row) + "\n")
        rows.append(row)
        show(row, arguments.show)
    both = sum(r.get("both", 0) for r in rows)
    print(
        json.dumps(
            {
                "files": len(rows),
                "run_at_once": sum("refused" not in r for r in rows),
                "questions_found": sum(r["questions"] for r in rows),
                "questions_of_codebooks": sum(r.get("codebook", 0) for r in rows),
                "in_both": both,
                "equal": sum(r.get("equal", 0) for r in rows),
                "fraction_equal": round(sum(r.get("equal", 0) for r in rows) / both, 4)
                if both
                else None,
                "inspect_seconds": round(sum(r["inspect_s"] for r in rows), 1),
                "seconds": round(sum(r["s"] for r in rows), 1),
            }
        )
    )


if __name__ == "__main__":
    main()
