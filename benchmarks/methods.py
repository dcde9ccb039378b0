"""Methods side by side on OpinionQA's rows: mean Wasserstein distance, interval, seconds.

    python benchmarks/methods.py [--quick] [--data DIR] [--network DIR] [--train TABLE]

``--data`` is the folder that holds ``opinionqa/opinionqa_contentious.jsonl``; the rows marked
``in_sample22`` are scored. ``--train`` is an opinion table of other surveys (for the nearest
questions), ``--network`` a folder of ``opinioncast train-network``: without them these rows are
left out. ``--quick`` asks the language model about a few questions only and scores it, and a blend
with it, on those.

"Total" is an oracle, not a competitor: the n-weighted mean over all rows the file holds for a
question (also those outside the sample; people count once per attribute), so it has seen the
answers. It shows what knowing a question's level is worth.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.backends.sentences import SentenceModel
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.jobs.methods import MethodSettings, build_method
from opinioncast.jobs.predict import PredictSettings, open_backend
from opinioncast.methods.baselines import NearestQuestions, TotalPopulation, Uniform
from opinioncast.methods.blend import Blend
from opinioncast.methods.embedding_model import load_embedding_model
from opinioncast.methods.prediction import Method
from opinioncast.methods.row_cache import RowCache
from opinioncast.methods.zero_shot import ZeroShot
from opinioncast.readers.subpop import read_rows, to_table
from opinioncast.survey import GroupScheme, OpinionTable

QUICK_QUESTIONS = 12


@dataclass(frozen=True)
class Known:
    """Predictions already made, as a method: a blend need not run its parts again."""

    name: str
    made: Any

    def predict(self, *_: Any, **__: Any) -> Any:
        return self.made


def opinionqa(data: Path) -> tuple[OpinionTable, OpinionTable]:
    """The rows of the 22-group sample that have an n-weighted total, and those totals."""
    rows = read_rows(data / "opinionqa" / "opinionqa_contentious.jsonl")
    sample = to_table(rows.filter(pl.col("in_sample22")), family="ATP")
    whole = to_table(rows, family="ATP")
    return sample, whole


def totals(whole: OpinionTable) -> OpinionTable:
    """n-weighted means of the questions all of whose rows have a base."""
    from opinioncast.methods.baselines import totals_from_groups

    return totals_from_groups(whole.filter(pl.col("n").is_not_null()))


def scored(method: Method, observed: OpinionTable) -> tuple[CellScores, Any, float]:
    """Predict the observed cells' questions and groups; cells that were not observed fall away."""
    groups = GroupScheme.of_standard(observed.subpopulations(), "observed table")
    started = time.perf_counter()
    prediction = method.predict(observed.questions(), groups)
    seconds = time.perf_counter() - started
    return score_cells(observed, prediction.table), prediction, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few questions for the model")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--network", type=Path)
    parser.add_argument("--train", type=Path)
    options = parser.parse_args()
    sample, whole = opinionqa(options.data)
    figures: dict[str, Any] = {"questions": len(sample.questions()), "cells": len(sample)}
    print(f"{'method':<44}{'WD':>8}{'95% over questions':>20}{'uniform':>9}{'cells':>7}{'s':>8}")

    def row(key: str, method: Method, observed: OpinionTable) -> Any:
        scores, prediction, seconds = scored(method, observed)
        means = scores.mean()
        low, high = scores.interval()
        print(
            f"{key:<44}{means['wd']:>8.4f}{f'{low:.4f} to {high:.4f}':>20}"
            f"{means['wd_uniform']:>9.4f}{means['cells']:>7}{seconds:>8.1f}",
            flush=True,
        )
        figures[key] = {
            "wd": means["wd"],
            "low": low,
            "high": high,
            "uniform": means["wd_uniform"],
            "cells": means["cells"],
            "problems": len(prediction.problems),
        }
        return prediction

    row("uniform", Uniform(), sample)
    row("total (oracle)", TotalPopulation(totals(whole)), sample)
    encoder = SentenceModel.load()
    if options.train:
        row("nearest", NearestQuestions(OpinionTable.read(options.train), encoder), sample)
    network = None
    if options.network:
        network = load_embedding_model(options.network, encoder)
        row(network.name, network, sample)
    asked = sample
    if options.quick:
        few = [q.question_id for q in sample.questions()[:QUICK_QUESTIONS]]
        asked = sample.filter(pl.col("question_id").is_in(few))
    with RowCache() as cache:
        model = build_method(
            "zero-shot",
            MethodSettings(),
            lambda: ZeroShot(open_backend(PredictSettings()), cache=cache),
        )
        mark = f" ({QUICK_QUESTIONS} questions)" if options.quick else ""
        answered = row(f"zero-shot{mark}", model, asked)
    if network is not None:
        drawn = row(f"{network.name}{mark}", network, asked) if options.quick else None
        drawn = drawn or network.predict(
            asked.questions(),
            GroupScheme.of_standard(asked.subpopulations(), "observed table"),
        )
        blend = Blend([(Known("network", drawn), 0.8), (Known("zero-shot", answered), 0.2)])
        row(f"blend (0.8 and 0.2 zero-shot){mark}", blend, asked)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
