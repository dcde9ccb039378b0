"""Banner tables of 100 questions and 23 columns: seconds, memory, and the model's share of a run.

    python benchmarks/workbook.py            # predicted by the default method
    python benchmarks/workbook.py --quick    # by the network: no language model

Seconds are wall time of this process. ``survey`` has letters to test (five options a question, 23
columns), ``predictions`` intervals to bound; each is written as workbook, page, CSV and parquet.
``records`` are 1,000 synthetic ones. ``peak MB`` is of the whole process, the model in it.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from opinioncast.banners.settings import BannerSettings
from opinioncast.jobs.banner import banner_to_files
from opinioncast.jobs.synthesize import SynthesisRequest, synthesize_to_files
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.survey import GroupScheme, OpinionTable, Question, load_groups, opinion_row

QUESTIONS = 100
SCALE = ("Strongly favor", "Somewhat favor", "Neither", "Somewhat oppose", "Strongly oppose")
T = TypeVar("T")


def questions() -> list[Question]:
    return [
        Question(
            f"q{i}",
            f"Do you favor or oppose that the city spends more on proposal number {i}?",
            SCALE,
            (1, 2, 3, 4, 5),
        )
        for i in range(1, QUESTIONS + 1)
    ]


def survey(asked: list[Question], groups: GroupScheme) -> OpinionTable:
    """Made-up shares of 50 to 1,000 respondents a group."""
    rng = np.random.default_rng(0)
    rows = []
    for question in asked:
        whole = rng.dirichlet(np.full(5, 3.0))
        for group in groups:
            n = int(rng.integers(50, 1000))
            shares = rng.dirichlet(40 * whole + 0.1).tolist()
            rows.append(opinion_row(question, group, shares, n=n, n_eff=0.7 * n))
    return OpinionTable.from_rows(rows)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    made = work()
    return time.perf_counter() - started, made


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="predicted by the network")
    options = parser.parse_args()
    asked, groups = questions(), load_groups("total", "paper22")
    settings = BannerSettings()
    figures: dict[str, Any] = {"questions": len(asked), "columns": len(groups)}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        answered = survey(asked, groups).write(out / "opinions.parquet")
        figures["survey"], run = timed(lambda: banner_to_files(answered, settings, out / "a"))
        figures["survey_letters"] = sum(
            len(m) for t in run.banner.tables for line in t.lines for m in line.marks
        )
        figures["peak_mb_tables"] = peak()
        method = PredictSettings(method="network") if options.quick else PredictSettings()
        figures["method"] = method.method
        with Predictor(method) as predictor:
            figures["load"], _ = timed(lambda: predictor.predict(asked[:1], groups))
            figures["model"], predicted = timed(lambda: predictor.predict(asked, groups))
        table = predicted.table.write(out / "predictions.parquet")
        figures["predictions"], _ = timed(lambda: banner_to_files(table, settings, out / "b"))
        figures["workbook_mb"] = (out / "b" / "banner.xlsx").stat().st_size / 1e6
        figures["records"], _ = timed(
            lambda: synthesize_to_files(table, out / "c", SynthesisRequest())
        )
        figures["model_share"] = figures["model"] / (figures["model"] + figures["predictions"])
        figures["peak_mb"] = peak()
    for name, value in figures.items():
        shown = f"{value:.2f}" if isinstance(value, float) else value
        print(f"{name:<18}{shown:>12}")
    known = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
    print(json.dumps({"benchmark": "workbook", "quick": options.quick, **known}))


if __name__ == "__main__":
    main()
