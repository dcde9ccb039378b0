"""Scoring a million predictions: every distance at once against one SciPy call per row.

The plain way is what published evaluation code does: a loop over rows that keeps the on-scale
options and calls ``scipy.stats.wasserstein_distance`` on them, then averages by group. It is given
the same rows as Python lists already, and computes the Wasserstein distance only; opinioncast is
timed from the two tables to per-cell scores (sixteen columns), averages by group and intervals.
Where not all rows go through the loop, its seconds are extrapolated from those that did.

    python benchmarks/evaluate.py [--quick] [--rows N]

The last line is one JSON object with ``rows``, ``seconds``, ``speedup`` (everything against
the loop's one distance) and ``speedup_same_work`` (that one distance on both sides).
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np
import polars as pl
from scipy.stats import wasserstein_distance

from opinioncast.evaluate.distance import pad_column, wasserstein
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.survey import OpinionTable, PredictionTable, load_groups
from opinioncast.survey.question import OFF_SCALE


def tables(rows: int, seed: int = 0) -> tuple[OpinionTable, PredictionTable]:
    """Random answers and predictions, 2 to 6 options, a third of the questions with one off scale.

    Columns are built as arrays: making a million dictionaries is not what is measured.
    """
    rng = np.random.default_rng(seed)
    groups = [g.key for g in load_groups("paper22")]
    questions = -(-rows // len(groups))
    sizes = rng.integers(2, 7, questions)
    off = rng.random(questions) < 1 / 3
    options, scales = [], []
    for size, has_off in zip(sizes.tolist(), off.tolist(), strict=True):
        options.append([f"Option {i}" for i in range(size)])
        scale = [float(i) for i in range(1, size + 1)]
        scales.append([*scale[:-1], OFF_SCALE] if has_off and size > 2 else scale)
    base = pl.DataFrame(
        {
            "question_id": [f"q{i}" for i in range(questions)],
            "question": [f"Question {i}?" for i in range(questions)],
            "options": options,
            "ordinal": scales,
        }
    )
    named = pl.DataFrame(groups, schema=["attribute", "group"], orient="row")
    frame = base.join(named, how="cross").head(rows)
    lengths = frame["options"].list.len().to_numpy().astype(np.int64)

    def shares() -> pl.Series:
        drawn = rng.exponential(size=int(lengths.sum()))
        starts = np.cumsum(lengths) - lengths
        drawn /= np.repeat(np.add.reduceat(drawn, starts), lengths)
        row = np.repeat(np.arange(len(lengths)), lengths)
        lists = pl.DataFrame({"row": row, "share": drawn}).group_by("row", maintain_order=True)
        return lists.agg("share")["share"]

    observed = OpinionTable(frame.with_columns(distribution=shares(), n=pl.lit(200)))
    predicted = PredictionTable(frame.with_columns(distribution=shares(), label_mass=pl.lit(1.0)))
    return observed, predicted


def vectorised(observed: OpinionTable, predicted: PredictionTable) -> tuple[CellScores, float]:
    started = time.perf_counter()
    scores = score_cells(observed, predicted)
    scores.mean()
    scores.by("attribute", "group")
    return scores, time.perf_counter() - started


def distance_only(cells: pl.DataFrame) -> float:
    """Seconds for just what the loop does: the distance of each row and its mean by group."""
    cells = cells.select("attribute", "group", "observed", "predicted", "ordinal")
    started = time.perf_counter()
    distance = wasserstein(
        pad_column(cells["observed"], 0.0),
        pad_column(cells["predicted"], 0.0),
        pad_column(cells["ordinal"], np.nan),
    )
    cells.with_columns(wd=distance).group_by("attribute", "group").agg(pl.col("wd").mean())
    return time.perf_counter() - started


def looped(cells: pl.DataFrame) -> tuple[list[float], float]:
    """One call a row, then a mean by group."""
    rows = cells.select("attribute", "group", "observed", "predicted", "ordinal").rows()
    started = time.perf_counter()
    found = []
    by_group: dict[tuple[str, str], list[float]] = {}
    for attribute, group, p, q, ordinal in rows:
        on = [i for i, v in enumerate(ordinal) if v != OFF_SCALE]
        x = [ordinal[i] for i in on]
        distance = wasserstein_distance(x, x, [p[i] for i in on], [q[i] for i in on])
        found.append(float(distance) / (max(x) - min(x)))
        by_group.setdefault((attribute, group), []).append(found[-1])
    for values in by_group.values():
        np.mean(values)
    return found, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="20,000 rows, all through the loop")
    parser.add_argument("--rows", type=int)
    options = parser.parse_args()
    rows = options.rows or (20_000 if options.quick else 1_000_000)
    observed, predicted = tables(rows)
    scores, seconds = vectorised(observed, predicted)
    started = time.perf_counter()
    scores.interval()
    interval_seconds = time.perf_counter() - started
    same_work = distance_only(scores.frame)
    sample = min(rows, 20_000)
    distances, loop_seconds = looped(scores.frame.head(sample))
    largest = float(np.abs(np.array(distances) - scores.frame["wd"].head(sample).to_numpy()).max())
    per_row = loop_seconds / sample
    whole = per_row * rows
    print(f"opinioncast: {rows:,} rows, 16 columns a row, by group: {seconds:.2f} s")
    print(f"of this, the work of the loop alone (one distance, by group): {same_work:.2f} s")
    print(f"bootstrap over questions, 2,000 replicates: {interval_seconds:.2f} s more")
    said = "measured" if sample == rows else f"extrapolated from {sample:,} rows"
    print(
        f"loop over SciPy, one distance a row: {whole:.1f} s ({said}, {1e6 * per_row:.0f} us/row)"
    )
    print(f"largest difference between the two: {largest:.2g}")
    print(
        json.dumps(
            {
                "rows": rows,
                "seconds": round(seconds, 3),
                "speedup": round(whole / seconds, 1),
                "seconds_same_work": round(same_work, 3),
                "speedup_same_work": round(whole / same_work, 1),
                "loop_seconds": round(whole, 2),
                "loop_rows": sample,
                "interval_seconds": round(interval_seconds, 3),
                "largest_difference": largest,
                "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }
        )
    )


if __name__ == "__main__":
    main()
