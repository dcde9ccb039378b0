"""Methods side by side on OpinionQA's rows: distances, intervals, failures, seconds.

    python benchmarks/methods.py [--quick] [--data DIR] [--markdown FILE] [--questions N]
        [--methods NAME ...] [--network DIR] [--train TABLE] [--modules DIR ...]

``--data`` is the folder that holds ``opinionqa/opinionqa_contentious.jsonl``; the rows marked
``in_sample22`` are scored. ``--train`` is an opinion table of other surveys, for the nearest
questions and the few-shot examples: the training table that ships when left out.
``--network`` is a folder of ``opinioncast train-network`` (the shipped one), ``--modules`` are
folders of ``opinioncast train-community``; without them pluralism's two modules are the untrained
model, and its row says so.

``--questions`` asks the language model about so many questions only (the first ones); the column
"cells" says on how many a row stands. ``--quick`` is two questions and short comments.

"Total" is an oracle, not a competitor: the n-weighted mean over all rows the file holds for a
question (also those outside the sample; people count once per attribute), so it has seen the
answers. It shows what knowing a question's level is worth.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.backends.protocol import Generator
from opinioncast.backends.sentences import SentenceModel
from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.evaluate.scores import score_cells
from opinioncast.files import atomic_path
from opinioncast.methods.blend import Blend, BlendSettings
from opinioncast.methods.few_shot import FewShot
from opinioncast.methods.nearest import NearestQuestions
from opinioncast.methods.network import load_embedding_model
from opinioncast.methods.pluralism import COMMENT_TOKENS, ModularPluralism
from opinioncast.methods.prediction import Known, Method, Prediction
from opinioncast.methods.row_cache import RowCache
from opinioncast.methods.surveys import half_and_half
from opinioncast.methods.total import TotalPopulation, totals_from_groups
from opinioncast.methods.uniform import Uniform
from opinioncast.methods.zero_shot import ZeroShot
from opinioncast.models import SHIPPED, SHIPPED_NETWORK, SHIPPED_TRAINING
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.predictor.resources import Resources
from opinioncast.prompts import Answers, Format, Layout, Prompting
from opinioncast.readers.subpop import read_rows, to_table
from opinioncast.survey import Cells, OpinionTable

QUICK_QUESTIONS = 2
TUNED = "fine-tuned (shipped adapter)"
SHARES = BlendSettings().blend


@dataclass
class Bench:
    """What is measured so far.

    Attributes:
        slow: methods of the language model are scored on this part of the table.
    """

    sample: OpinionTable
    slow: OpinionTable
    rows: list[dict[str, Any]] = field(default_factory=list)

    def measure(self, name: str, method: Method, *, slow: bool) -> Any:
        """Predict the observed cells and score them."""
        observed = self.slow if slow else self.sample
        started = time.perf_counter()
        prediction = predicted(method, observed)
        seconds = time.perf_counter() - started
        scores = score_cells(observed, prediction.table) if len(prediction.table) else None
        means: Mapping[str, Any] = scores.mean() if scores else {}
        low, high = scores.interval() if scores else (None, None)
        row = {
            "method": name,
            "wd": means.get("wd"),
            "low": low,
            "high": high,
            "uniform": means.get("wd_uniform"),
            "kl": means.get("kl"),
            "one_hot_error": means.get("one_hot_error"),
            "cells": means.get("cells", 0),
            "asked": len(observed),
            "parse_failures": prediction.record.get("parse_failures"),
            "problems": len(prediction.problems),
            "tokens_in": prediction.record.get("tokens_in"),
            "tokens_out": prediction.record.get("tokens_out"),
            "seconds": round(seconds, 1),
        }
        self.rows.append(row)
        print(_line(_cells(row)), flush=True)
        return prediction


_COLUMNS = {
    "method": 44,
    "WD": 7,
    "95% over questions": 19,
    "uniform": 8,
    "KL": 7,
    "one-hot error": 14,
    "cells": 12,
    "parse failures": 15,
    "s": 8,
}
"""Title and width of each column."""


def _line(cells: Iterable[str]) -> str:
    first, *rest = zip(cells, _COLUMNS.values(), strict=True)
    return first[0].ljust(first[1]) + "".join(cell.rjust(width) for cell, width in rest)


def _cells(row: Mapping[str, Any]) -> list[str]:
    def number(value: float | None) -> str:
        return "-" if value is None or math.isnan(value) else f"{value:.3f}"

    cells = str(row["cells"]) + (f" of {row['asked']}" if row["cells"] < row["asked"] else "")
    failures = "-" if row["parse_failures"] is None else str(row["parse_failures"])
    error = "-" if row["one_hot_error"] is None else f"{100 * row['one_hot_error']:.1f}%"
    ends = [number(row["low"]), number(row["high"])]
    between = "-" if "-" in ends else " to ".join(ends)
    return [
        str(row["method"]),
        number(row["wd"]),
        between,
        number(row["uniform"]),
        number(row["kl"]),
        error,
        cells,
        failures,
        f"{row['seconds']:.1f}",
    ]


def predicted(method: Method, observed: OpinionTable) -> Prediction:
    """Predict the cells of the table, and no others: they would not be scored."""
    return method.predict(Cells.of_table(observed))


def markdown(rows: list[dict[str, Any]], questions: int, limited: int) -> str:
    """One table, and what it stands on."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|---{'|---:' * (len(_COLUMNS) - 1)}|"]
    lines += ["| " + " | ".join(c.strip() for c in _cells(row)) + " |" for row in rows]
    note = f"OpinionQA's rows of the 22 groups, {questions} questions."
    if limited < questions:
        note += f" Rows of the language model: its first {limited} questions."
    return "\n".join([*lines, "", note, ""])


def opinionqa(data: Path) -> tuple[OpinionTable, OpinionTable]:
    """The rows of the 22-group sample, and all rows."""
    rows = read_rows(data / "opinionqa" / "opinionqa_contentious.jsonl")
    sample = to_table(rows.filter(pl.col("in_sample22")), family="ATP")
    whole = to_table(rows, family="ATP")
    return sample, whole


def totals(whole: OpinionTable) -> OpinionTable:
    """n-weighted means of the questions all of whose rows have a base."""
    return totals_from_groups(whole.filter(pl.col("n").is_not_null()))


def first_questions(table: OpinionTable, count: int) -> OpinionTable:
    chosen = [(q.family, q.wave, q.question_id) for q in table.questions()[:count]]
    keys = pl.struct("family", "wave", "question_id")
    wanted = [dict(zip(("family", "wave", "question_id"), key, strict=True)) for key in chosen]
    return table.filter(keys.is_in(wanted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="two questions for the model")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--markdown", type=Path, help="write the table to this file")
    parser.add_argument("--questions", type=int, help="for the methods of the language model")
    parser.add_argument("--methods", nargs="+", help="only those whose name begins like this")
    parser.add_argument("--network", type=Path, default=SHIPPED_NETWORK)
    parser.add_argument("--train", type=Path, default=SHIPPED_TRAINING)
    parser.add_argument("--modules", nargs="+", default=[])
    options = parser.parse_args()
    sample, whole = opinionqa(options.data)
    limit = options.questions or (QUICK_QUESTIONS if options.quick else len(sample.questions()))
    slow = first_questions(sample, limit)
    bench = Bench(sample, slow)
    encoder = SentenceModel.load()
    train = OpinionTable.read(options.train)
    network = load_embedding_model(options.network, encoder)
    made: dict[str, Any] = {}
    print(_line(_COLUMNS))
    with RowCache() as cache:

        @functools.cache
        def model(adapter: str | None = None) -> TorchBackend:
            found = Predictor(method="zero-shot", adapter=adapter).language_model
            if not isinstance(found, TorchBackend):
                raise TypeError("the embedded model runs in the PyTorch backend")
            return found

        def zero_shot(**style: Any) -> Method:
            return ZeroShot(model(), Prompting(**style), cache=cache)

        def as_in_the_paper(format: Format) -> Method:
            return zero_shot(format=format, layout=Layout.PAPER)

        def fine_tuned() -> Method:
            trained = Resources(PredictSettings(method="zero-shot", adapter=SHIPPED)).prompting
            return ZeroShot(model(SHIPPED), trained, cache=cache, judge_mass=False)

        def few_shot() -> Method:
            return FewShot(model(), train, encoder, cache=cache)

        def pluralism() -> Method:
            named = tuple(options.modules)
            modules: list[Generator] = [model(), model()]
            if named:
                opened = Resources(PredictSettings(method="pluralism", modules=named))
                modules = [opened.module(name) for name in named]
            tokens = 8 if options.quick else COMMENT_TOKENS
            return ModularPluralism(modules, model(), model(), comment_tokens=tokens, cache=cache)

        near = NearestQuestions(OpinionTable.read(SHIPPED_TRAINING), encoder)

        def blend() -> Method:
            said = made.get(TUNED) or predicted(fine_tuned(), slow)
            return Blend(
                [
                    (Known("network", predicted(network, slow)), SHARES.network),
                    (Known("nearest", predicted(near, slow)), SHARES.nearest),
                    (Known("zero-shot", said), SHARES.language_model),
                ]
            )

        untrained = "" if options.modules else " (untrained modules)"
        plan: dict[str, tuple[Callable[[], Method], bool]] = {
            "uniform": (Uniform, False),
            "total (oracle)": (lambda: TotalPopulation(totals(whole)), False),
            "nearest": (lambda: NearestQuestions(train, encoder), False),
            "network": (lambda: network, False),
            "surveys (the default)": (lambda: half_and_half(network, near), False),
            "zero-shot QA (paper's prompt)": (lambda: as_in_the_paper(Format.QA), True),
            "zero-shot BIO (paper's prompt)": (lambda: as_in_the_paper(Format.BIO), True),
            "zero-shot PORTRAY (paper's prompt)": (
                lambda: as_in_the_paper(Format.PORTRAY),
                True,
            ),
            "zero-shot, question first": (zero_shot, True),
            "zero-shot, question first, in words": (
                lambda: zero_shot(answers=Answers.WORDS),
                True,
            ),
            "few-shot, 5 examples": (few_shot, True),
            f"pluralism{untrained}": (pluralism, True),
            TUNED: (fine_tuned, True),
            "blend": (blend, True),
        }
        for name, (build, asks) in plan.items():
            if options.methods and not name.startswith(tuple(options.methods)):
                continue
            made[name] = bench.measure(name, build(), slow=asks)
            if options.markdown:  # after every method: a run that is stopped leaves what it has
                text = markdown(bench.rows, len(sample.questions()), limit)
                with atomic_path(options.markdown) as temporary:
                    temporary.write_text(text, "utf-8")
    print(
        json.dumps(
            {"questions": len(sample.questions()), "limited_to": limit, "methods": bench.rows}
        )
    )


if __name__ == "__main__":
    main()
