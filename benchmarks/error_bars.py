"""How far observed shares lie from predicted ones: the error bar that predictions carry.

Settings are run on the demo table, whose questions stay out of every adapter the package ships; the
half-width that holds 9 in 10 of its shares is the error bar. Where the OpinionQA rows are at hand
(--data), the share of them that the bar really holds is measured: a survey family, questions and
years the bar was not fitted on.

    python benchmarks/error_bars.py [--quick] [--write] [--data DIR]

--write puts the result into the package (src/opinioncast/methods/error_bars.json).
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import opinioncast.methods.error_bars as bars
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.files import atomic_path
from opinioncast.jobs.demo import demo_table
from opinioncast.methods.error_bars import settings_hash
from opinioncast.methods.prediction import Prediction
from opinioncast.models import SHIPPED
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.readers.subpop import read_rows, to_table
from opinioncast.survey import Cells, OpinionTable

OPINIONQA = Path("opinionqa") / "opinionqa_contentious.jsonl"


def scored(settings: PredictSettings, observed: OpinionTable) -> tuple[CellScores, Prediction]:
    """Predictions of every cell of ``observed``, scored."""
    with Predictor(settings) as predictor:
        prediction = predictor.predict(Cells.of_table(observed))
    return score_cells(observed, prediction.table), prediction


def shares(scores: CellScores) -> tuple[list[Any], list[Any]]:
    return scores.frame["predicted"].to_list(), scores.frame["observed"].to_list()


def coverage(predicted: list[Any], observed: list[Any], widths: dict[int, float]) -> float:
    """Share of observed shares within the bar."""
    inside = [
        abs(a - b) <= (bars.width_of(widths, len(p)) or 0.0)
        for p, o in zip(predicted, observed, strict=True)
        for a, b in zip(p, o, strict=True)
    ]
    return float(np.mean(inside))


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
    language_model = PredictSettings(method="zero-shot")
    chosen = {
        "network": PredictSettings(method="network"),
        "blend": PredictSettings(method="blend"),
        "adapter": replace(language_model, adapter=SHIPPED),
        "zero-shot": language_model,
    }
    # Rounding moves shares by far less than the bar, but the weights' hash differs by dtype.
    measured = {
        name: [settings]
        if options.quick or name == "network"
        else [settings, replace(settings, dtype="float32")]
        for name, settings in chosen.items()
    }
    entries, figures = [], {}
    for name, variants in measured.items():
        scores, prediction = scored(variants[0], demo)
        hashes = {settings_hash(prediction.record)}
        for other in variants[1:]:
            hashes.add(settings_hash(scored(other, first_questions(demo, 1))[1].record))
        widths = bars.measure(*shares(scores))
        shown = ", ".join(f"{k}: ±{100 * w:.0f}" for k, w in widths.items())
        print(f"{name}: WD {scores.mean()['wd']:.3f}; points by number of options {shown}")
        figures[f"half_width_2_{name}"] = round(widths[2], 3)
        entry: dict[str, Any] = {
            "method": prediction.record["method"],
            "model": prediction.record["model"],
            "settings": sorted(hashes),
            "half_width_90": {str(k): round(w, 4) for k, w in widths.items()},
            "measured_on": f"demo table {demo.content_hash[:15]}, {len(demo)} cells",
        }
        if opinionqa is not None:
            other_scores, _ = scored(variants[0], opinionqa)
            held = coverage(*shares(other_scores), widths)
            low, high = other_scores.interval()
            print(
                f"  OpinionQA, {len(opinionqa)} cells: WD {other_scores.mean()['wd']:.4f} "
                f"({low:.3f} to {high:.3f}), uniform {other_scores.mean()['wd_uniform']:.4f}; the "
                f"bar holds {100 * held:.1f}% of shares"
            )
            figures[f"wd_opinionqa_{name}"] = round(other_scores.mean()["wd"] or 0, 4)
            figures[f"coverage_opinionqa_{name}"] = round(held, 3)
            entry["coverage_opinionqa"] = round(held, 4)
        entries.append(entry)
    if options.write and not options.quick:
        path = Path(str(bars.__file__)).with_suffix(".json")
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps({"settings": entries}, indent=1) + "\n", "utf-8")
        print(f"wrote {path.name}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
