"""How far observed shares lie from predicted ones: the error bar that predictions carry.

Settings are run on the demo table, whose questions stay out of every adapter the package ships; the
half-width that holds 9 in 10 of its shares is the error bar. Where the OpinionQA rows are at hand
(--data), the share of them that the bar really holds is measured: a survey family, questions and
years the bar was not fitted on.

    python benchmarks/error_bars.py [--quick] [--write] [--data DIR] [--orders SPEC ...]

--write puts the result into the package (src/opinioncast/methods/error_bars.json).
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import opinioncast.methods.error_bars as bars
from opinioncast.evaluate.scores import score_cells
from opinioncast.files import atomic_path
from opinioncast.jobs.demo import demo_table
from opinioncast.jobs.predict import PredictSettings, open_backend
from opinioncast.methods.row_cache import RowCache
from opinioncast.methods.zero_shot import ZeroShot
from opinioncast.readers.subpop import read_rows, to_table
from opinioncast.survey import GroupScheme, OpinionTable, standard_attributes

OPINIONQA = Path("opinionqa") / "opinionqa_contentious.jsonl"


def scored(method: ZeroShot, observed: OpinionTable) -> tuple[list[Any], list[Any]]:
    """Predicted and observed shares of every cell of ``observed``."""
    groups = GroupScheme("calibration", standard_attributes(), (), "table").with_subpopulations(
        observed.subpopulations()
    )
    cells = score_cells(observed, method.predict(observed.questions(), groups).table).frame
    return cells["predicted"].to_list(), cells["observed"].to_list()


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
    parser.add_argument("--orders", nargs="+", default=["reversed", "given"])
    options = parser.parse_args()
    settings = PredictSettings()
    backends = [open_backend(settings)]
    if not options.quick:
        other = "float32" if backends[0].fingerprint["dtype"] != "float32" else "bfloat16"
        backends.append(open_backend(PredictSettings(dtype=other)))
    weights = [str(b.fingerprint["weights"]) for b in backends]
    demo = demo_table()
    opinionqa = None
    if (options.data / OPINIONQA).is_file():
        rows = read_rows(options.data / OPINIONQA)
        opinionqa = to_table(rows.filter(rows["in_sample22"]), family="ATP")
    if options.quick:
        demo = first_questions(demo, 6)
        opinionqa = None if opinionqa is None else first_questions(opinionqa, 12)
    entries, figures = [], {}
    with RowCache() as cache:
        for orders in options.orders:
            method = ZeroShot(backends[0], settings.style, orders, cache=cache)
            widths = bars.measure(*scored(method, demo))
            shown = ", ".join(f"{k}: ±{100 * w:.0f}" for k, w in widths.items())
            print(f"orders {orders}: points by number of options {shown}")
            figures[f"half_width_2_{orders}"] = round(widths[2], 3)
            entry: dict[str, Any] = {
                "model": backends[0].name,
                "weights": weights,
                "prompt_template": settings.style.template_hash(),
                "option_orders": orders,
                "half_width_90": {str(k): round(w, 4) for k, w in widths.items()},
                "measured_on": f"demo table {demo.content_hash[:12]}, {len(demo)} cells",
            }
            if opinionqa is not None:
                held = coverage(*scored(method, opinionqa), widths)
                print(f"  holds {100 * held:.1f}% of {len(opinionqa)} OpinionQA cells' shares")
                figures[f"coverage_opinionqa_{orders}"] = round(held, 3)
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
