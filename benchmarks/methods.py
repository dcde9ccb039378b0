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
from typing import Any, Literal

import polars as pl

from opinioncast.backends.sentences import SentenceModel
from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.evaluate.scores import score_cells
from opinioncast.files import atomic_path
from opinioncast.jobs.adapters import SHIPPED
from opinioncast.jobs.community_modules import open_modules
from opinioncast.jobs.methods import SHIPPED_NETWORK, SHIPPED_TRAINING, MethodSettings
from opinioncast.jobs.predict import PredictSettings, open_backend
from opinioncast.methods.baselines import (
    NearestQuestions,
    TotalPopulation,
    Uniform,
    totals_from_groups,
)
from opinioncast.methods.blend import Blend
from opinioncast.methods.network import load_embedding_model
from opinioncast.methods.few_shot import FewShot
from opinioncast.methods.pluralism import COMMENT_TOKENS, ModularPluralism
from opinioncast.methods.prediction import Known, Method, Prediction
from opinioncast.methods.row_cache import RowCache
from opinioncast.methods.zero_shot import ZeroShot
from opinioncast.prompts import Answers, Format, Layout, PromptStyle
from opinioncast.readers.subpop import read_rows, to_table
from opinioncast.survey import GroupScheme, OpinionTable, PredictionTable

QUICK_QUESTIONS = 2
TUNED = "fine-tuned (shipped adapter)"
SHARES = MethodSettings().blend


By = Literal["question", "group"] | None
_BEGINNING = {"question": ("family", "wave", "question_id"), "group": ("attribute", "group")}


@dataclass
class Bench:
    """What is measured so far.

    Attributes:
        slow: methods of the language model are scored on this part of the table.
    """

    sample: OpinionTable
    slow: OpinionTable
    rows: list[dict[str, Any]] = field(default_factory=list)

    def measure(self, name: str, method: Method, by: By) -> Any:
        """Predict the observed cells and score them."""
        observed = self.sample if by is None else self.slow
        started = time.perf_counter()
        prediction = predicted(method, observed, by)
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


def predicted(method: Method, observed: OpinionTable, by: By) -> Prediction:
    """Predict every question for every group of the table, or (``by``) only the cells it holds: a
    language model takes its time for each, and the others are not scored. Cells are asked together
    by what their prompts begin with.
    """
    if by is None:
        groups = GroupScheme.of_standard(observed.subpopulations(), "observed table")
        return method.predict(observed.questions(), groups)
    parts = []
    for _, frame in observed.frame.group_by(_BEGINNING[by], maintain_order=True):
        own = OpinionTable(frame, observed.meta)
        groups = GroupScheme.of_standard(own.subpopulations(), "observed table")
        parts.append(method.predict(own.questions(), groups))
    counts = ("parse_failures", "tokens_in", "tokens_out")
    record = {
        key: sum(p.record[key] for p in parts)
        for key in counts
        if all(isinstance(p.record.get(key), int) for p in parts)
    }
    table = PredictionTable(pl.concat([p.table.frame for p in parts]))
    problems = tuple(problem for p in parts for problem in p.problems)
    return Prediction(table, problems, {"model": parts[0].record.get("model")} | record)


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
            found = open_backend(PredictSettings(method="zero-shot", adapter=adapter))
            if not isinstance(found, TorchBackend):
                raise TypeError("the embedded model runs in the PyTorch backend")
            return found

        def zero_shot(**style: Any) -> Method:
            return ZeroShot(model(), PromptStyle(**style), cache=cache)

        def as_in_the_paper(format: Format) -> Method:
            return zero_shot(format=format, layout=Layout.PAPER)

        def fine_tuned() -> Method:
            trained = PredictSettings(method="zero-shot", adapter=SHIPPED).prompting
            style = PromptStyle(answers=trained.answers)
            return ZeroShot(model(SHIPPED), style, cache=cache, judge_mass=False)

        def few_shot() -> Method:
            return FewShot(model(), train, encoder, cache=cache)

        def pluralism() -> Method:
            names = options.modules
            modules = (
                open_modules(names, lambda _: model(), lambda _: model())
                if names
                else [model(), model()]
            )
            tokens = 8 if options.quick else COMMENT_TOKENS
            return ModularPluralism(modules, model(), model(), comment_tokens=tokens, cache=cache)

        def blend() -> Method:
            near = NearestQuestions(OpinionTable.read(SHIPPED_TRAINING), encoder)
            said = made.get(TUNED) or predicted(fine_tuned(), slow, "question")
            return Blend(
                [
                    (Known("network", predicted(network, slow, "question")), SHARES.network),
                    (Known("nearest", predicted(near, slow, "question")), SHARES.nearest),
                    (Known("zero-shot", said), SHARES.language_model),
                ]
            )

        untrained = "" if options.modules else " (untrained modules)"
        plan: dict[str, tuple[Callable[[], Method], By]] = {
            "uniform": (Uniform, None),
            "total (oracle)": (lambda: TotalPopulation(totals(whole)), None),
            "nearest": (lambda: NearestQuestions(train, encoder), None),
            "network": (lambda: network, None),
            "zero-shot QA (paper's prompt)": (lambda: as_in_the_paper(Format.QA), "group"),
            "zero-shot BIO (paper's prompt)": (lambda: as_in_the_paper(Format.BIO), "group"),
            "zero-shot PORTRAY (paper's prompt)": (
                lambda: as_in_the_paper(Format.PORTRAY),
                "group",
            ),
            "zero-shot, question first": (zero_shot, "question"),
            "zero-shot, question first, in words": (
                lambda: zero_shot(answers=Answers.WORDS),
                "question",
            ),
            "few-shot, 5 examples": (few_shot, "group"),
            f"pluralism{untrained}": (pluralism, "group"),
            TUNED: (fine_tuned, "question"),
            "blend (the default)": (blend, "question"),
        }
        for name, (build, by) in plan.items():
            if options.methods and not name.startswith(tuple(options.methods)):
                continue
            made[name] = bench.measure(name, build(), by)
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
