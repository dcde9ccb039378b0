"""How far observed shares lie from predicted ones: the intervals that predictions carry, and worth.

Settings are run on the demo table, whose questions stay out of every adapter the package ships; how
wide an interval must be to hold 9 in 10 of its shares is measured, and what the predictions are
worth in respondents. Coverage is measured twice: on each question of the demo with the widths of
the others, and, where the OpinionQA rows are at hand (--data), on a survey family, questions and
years the widths were not measured on. Other forms of the interval are shown beside its own
(logit): one width for all shares, and one that grows with sqrt(p (1 - p)).

    python benchmarks/error_bars.py [--quick] [--write] [--data DIR] [--setting NAME ...]

--write puts the result into the package (src/opinioncast/methods/error_bars.json); with --setting
the entries of the other settings stay. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import opinioncast.methods.error_bars as bars
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.evidence.worth import OVERALL, measure_worth
from opinioncast.files import atomic_path
from opinioncast.jobs.demo import demo_table
from opinioncast.methods.error_bars import settings_hash
from opinioncast.methods.prediction import Prediction
from opinioncast.models import SHIPPED
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.readers.subpop import read_rows, to_table
from opinioncast.survey import Cells, OpinionTable, Subpopulation

OPINIONQA = Path("opinionqa") / "opinionqa_contentious.jsonl"


def scored(settings: PredictSettings, observed: OpinionTable) -> tuple[CellScores, Prediction]:
    """Predictions of every cell of ``observed``, scored."""
    with Predictor(settings) as predictor:
        prediction = predictor.predict(Cells.of_table(observed))
    return score_cells(observed, prediction.table), prediction


def other_forms(cells: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """Coverage and mean half-width, each question with the widths of the others, of the interval's
    form and of others; widths by number of options, shrunk to the pooled one."""
    long = cells.select(
        "cluster", "predicted", "observed", options=pl.col("predicted").list.len()
    ).explode("predicted", "observed")
    p, q, options, cluster = (long[c].to_numpy() for c in [*long.columns[1:], "cluster"])
    found = {}
    for name in ("logit", "one width", "sqrt(p (1 - p) + c)"):
        scale = np.sqrt(p * (1 - p) + bars.OFFSET) if name.startswith("sqrt") else np.ones(len(p))
        score = bars.deviation(p, q) if name == "logit" else np.abs(p - q) / scale
        held, half = np.zeros(len(p)), np.zeros(len(p))
        for own in np.unique(cluster):
            rest, mine = cluster != own, cluster == own
            pooled = bars.question_quantile(score[rest], cluster[rest])
            like = rest & (options == options[mine][0])
            m = len(np.unique(cluster[like]))
            width = bars.question_quantile(score[like], cluster[like]) if m else pooled
            width = (m * width + bars.POOLED * pooled) / (m + bars.POOLED)
            if name == "logit":
                low, high = bars.interval(p[mine], width)
            else:
                low, high = (np.clip(p[mine] + s * width * scale[mine], 0, 1) for s in (-1, 1))
            held[mine] = (q[mine] >= low) & (q[mine] <= high)
            half[mine] = (high - low) / 2
        found[name] = (float(held.mean()), float(half.mean()))
    return found


def with_intervals(scores: CellScores, widths: bars.Widths) -> pl.DataFrame:
    """``predicted, observed, low, high`` of every share, with the intervals of ``widths``."""
    rows: list[tuple[float, ...]] = []
    for a, g, predicted, observed in scores.frame.select(
        "attribute", "group", "predicted", "observed"
    ).iter_rows():
        width = widths.of(len(predicted), Subpopulation.from_key(a, g))
        rows += zip(predicted, observed, *bars.interval(predicted, width), strict=True)
    return pl.DataFrame(rows, schema=["predicted", "observed", "low", "high"], orient="row")


def mean_of(values: pl.Series) -> float:
    return float(np.mean(values.to_numpy()))


def first_questions(table: OpinionTable, count: int) -> OpinionTable:
    keys = table.frame.select("family", "wave", "question_id").unique(maintain_order=True)
    return OpinionTable(
        table.frame.join(keys.head(count), on=keys.columns, how="semi", maintain_order="left"),
        table.meta,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="six questions; writes nothing")
    parser.add_argument("--write", action="store_true", help="put the result into the package")
    parser.add_argument(
        "--setting",
        action="append",
        choices=("surveys", "network", "blend", "adapter", "zero-shot"),
        help="measure this one; repeat for several (default: all)",
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    demo = demo_table()
    opinionqa = None
    if (options.data / OPINIONQA).is_file():
        rows = read_rows(options.data / OPINIONQA)
        opinionqa = to_table(rows.filter(rows["in_sample22"]), family="ATP")
    if options.quick:
        demo = first_questions(demo, 6)
        opinionqa = None if opinionqa is None else first_questions(opinionqa, 6)
    every: dict[str, dict[str, Any]] = {
        "surveys": {"method": "surveys"},
        "network": {"method": "network"},
        "blend": {"method": "blend"},
        "adapter": {"method": "zero-shot", "adapter": SHIPPED},
        "zero-shot": {"method": "zero-shot"},
    }
    chosen = {name: every[name] for name in options.setting or every}
    # Rounding moves shares by far less than the bar, but the weights' hash differs by dtype.
    measured = {
        name: [PredictSettings(**settings)]
        if options.quick or name in ("surveys", "network")
        else [PredictSettings(**settings, dtype=dtype) for dtype in ("float32", "bfloat16")]
        for name, settings in chosen.items()
    }
    entries, figures = [], {}
    for name, variants in measured.items():
        scores, prediction = scored(variants[0], demo)
        hashes = {settings_hash(prediction.record)}
        for other in variants[1:]:
            hashes.add(settings_hash(scored(other, first_questions(demo, 1))[1].record))
        widths = bars.measure(scores.frame)
        worth = measure_worth(scores)
        deviation, width, cluster = bars.held_out(scores.frame)
        held = pl.DataFrame({"cluster": cluster, "held": deviation <= width})
        by_question = held.group_by("cluster").agg(pl.col("held").mean())["held"]
        ends = with_intervals(scores, widths)
        half = mean_of(ends["high"] - ends["low"]) / 2
        print(
            f"{name}: WD {scores.mean()['wd']:.3f}, {worth[OVERALL]}; k-hat {worth[OVERALL].k_hat}"
        )
        print(
            f"  each question with the widths of the others: intervals hold "
            f"{100 * mean_of(held['held']):.1f}% of shares (mean over questions "
            f"{100 * mean_of(by_question):.1f}%), mean half-width {100 * half:.1f} points"
        )
        for form, (share, wide) in other_forms(scores.frame).items():
            print(
                f"  without widths by group, {form}: hold {100 * share:.1f}%, mean half-width "
                f"{100 * wide:.1f} points"
            )
        figures[f"held_out_{name}"] = round(mean_of(held["held"]), 3)
        figures[f"half_width_{name}"] = round(half, 3)
        figures[f"worth_{name}"] = round(worth[OVERALL].respondents, 1)
        entry: dict[str, Any] = {
            "method": prediction.record["method"],
            "model": prediction.record["model"],
            "settings": sorted(hashes),
            "interval_90": widths.record(),
            "measured_on": f"demo table {demo.content_hash[:15]}, {len(demo)} cells",
            "held_out": round(mean_of(held["held"]), 4),
            "worth": {group: w.record() for group, w in worth.items()},
        }
        if opinionqa is not None:
            other_scores, _ = scored(variants[0], opinionqa)
            ends = with_intervals(other_scores, widths)
            inside = ends["observed"].is_between(ends["low"], ends["high"])
            half = mean_of(ends["high"] - ends["low"]) / 2
            low, high = other_scores.interval()
            print(
                f"  OpinionQA, {len(opinionqa)} cells: WD {other_scores.mean()['wd']:.4f} "
                f"({low:.3f} to {high:.3f}), uniform {other_scores.mean()['wd_uniform']:.4f}, "
                f"{measure_worth(other_scores)[OVERALL]}; the intervals hold "
                f"{100 * mean_of(inside):.1f}% of shares, "
                f"mean half-width {100 * half:.1f} points"
            )
            figures[f"wd_opinionqa_{name}"] = round(other_scores.mean()["wd"] or 0, 4)
            figures[f"coverage_opinionqa_{name}"] = round(mean_of(inside), 3)
            entry["coverage_opinionqa"] = round(mean_of(inside), 4)
        entries.append(entry)
    if options.write and not options.quick:
        path = Path(str(bars.__file__)).with_suffix(".json")
        done = {h for e in entries for h in e["settings"]}
        kept = json.loads(path.read_text("utf-8"))["settings"] if options.setting else []
        entries = [e for e in kept if done.isdisjoint(e["settings"])] + entries
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps({"settings": entries}, indent=1) + "\n", "utf-8")
        print(f"wrote {path.name}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
