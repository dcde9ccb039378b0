"""When a prediction rests on nothing: the measures of ``opinioncast.methods.basis``.

    python benchmarks/basis.py --data ../shared/data [--quick] [--write]

* widths: predictions of the network method for OpinionQA's cells, each held against the observed
  shares of another question with as many options, drawn five times: t that holds 9 in 10. Beside
  it the own width, and that of a uniform guess.
* by distance: own width by the cosine with the nearest training question. Not used: it does not
  grow.
* words: which words the questions of the library and the training table use, and how many of a
  real question's words are among them. The limit is below nearly all of OpinionQA's.

``--write`` puts them into the package (basis.json, known_words.txt). Last line: JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from opinioncast.errors import InputError
from opinioncast.evaluate.scores import score_cells
from opinioncast.jobs.evaluation_inputs import read_opinions
from opinioncast.library.own import open_library
from opinioncast.methods.basis import known_share, nearest_known, words_of
from opinioncast.methods.error_bars import deviation, question_quantile
from opinioncast.models import SHIPPED_TRAINING
from opinioncast.predictor import Predictor
from opinioncast.survey import Cells, OpinionTable, Question

METHODS = Path(__file__).parents[1] / "src/opinioncast/methods"
DRAWS = 5
LEAST_WORDS, LEAST_COSINE = 0.55, 0.30
"""Chosen by the table this prints: what hardly any real question falls below."""
_EDGES = (0.0, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 1.01)
_OPTIONS = range(2, 6)  # of more, too few questions


def known_words() -> list[str]:
    """Words of the questions and options that the package knows, in alphabetical order."""
    found: Counter[str] = Counter()
    columns = pl.read_parquet(SHIPPED_TRAINING).select("question", "options").unique()
    asked = [(q, tuple(o)) for q, o in columns.iter_rows()]
    asked += [
        (a.question.text, a.question.options)
        for a in open_library().questions
        if a.source == "reference"
    ]
    for text, options in asked:
        found.update({w for part in (text, *options) for w in words_of(part)})
    return sorted(found)


def opinionqa(data: Path, questions: int | None) -> OpinionTable:
    """OpinionQA's cells whose options can be told apart."""
    frames = [
        read_opinions(data / "opinionqa" / f"opinionqa_{part}.jsonl").frame
        for part in ("contentious", "other")
    ]
    keys = ["family", "wave", "question_id", "attribute", "group"]
    frame = pl.concat(frames).unique(keys, keep="first", maintain_order=True)
    columns = ("family", "wave", "question_id", "question", "options", "ordinal")
    whole = []
    for f, w, i, text, options, ordinal in frame.select(columns).unique("question_id").iter_rows():
        try:
            Question(i, text, tuple(options), tuple(ordinal), f, w)
        except InputError:
            continue
        whole.append(i)
    return OpinionTable(frame.filter(pl.col("question_id").is_in(sorted(whole)[:questions])))


def measure(observed: OpinionTable, words: frozenset[str]) -> dict[str, Any]:
    """Everything of the module's text."""
    asked = observed.questions()
    with Predictor(method="network") as predictor:
        made = predictor.predict(Cells.of_table(observed))
        near = nearest_known(predictor.method, asked)
    cosine = {q.question_id: c for q, c in zip(asked, near, strict=True)}
    cells = score_cells(observed, made.table).frame.with_columns(
        near=pl.col("question_id").replace_strict(cosine, return_dtype=pl.Float64)
    )
    rng = np.random.default_rng(0)
    widths: dict[int, float] = {}
    table = []
    for k in _OPTIONS:
        part = cells.filter(pl.col("predicted").list.len() == k)
        if part["question_id"].n_unique() < 2:
            continue
        predicted, seen = (np.array(part[c].to_list()) for c in ("predicted", "observed"))
        ids = part["question_id"].to_numpy()
        away, whose = [], []
        for _ in range(DRAWS):
            other = rng.permutation(len(ids))
            apart = ids != ids[other]
            away.append(deviation(predicted[apart], seen[other][apart]).ravel())
            whose.append(np.repeat(ids[other][apart], k))
        widths[k] = round(question_quantile(np.concatenate(away), np.concatenate(whose)), 3)
        own = np.repeat(ids, k)
        uniform = np.full(seen.shape, 1 / k)
        table.append(
            {
                "options": k,
                "questions": len(set(ids)),
                "of another question": widths[k],
                "own": round(question_quantile(deviation(predicted, seen).ravel(), own), 3),
                "uniform": round(question_quantile(deviation(uniform, seen).ravel(), own), 3),
            }
        )
    by_distance = []
    for low, high in itertools.pairwise(_EDGES):
        part = cells.filter(pl.col("near").is_between(low, high, closed="left"))
        long = part.select("question_id", "predicted", "observed").explode("predicted", "observed")
        if long.height:
            own_away = deviation(long["predicted"], long["observed"])
            by_distance.append(
                {
                    "cosine": f"{low:g} to {high:g}",
                    "questions": part["question_id"].n_unique(),
                    "own": round(question_quantile(own_away, long["question_id"]), 3),
                    "wd": part["wd"].mean(),
                }
            )
    shares = [known_share(q, words) for q in asked]
    cosines = [c for c in near if c is not None]
    return {
        "widths": widths,
        "by_options": table,
        "by_distance": by_distance,
        "words_percentiles_0_0.5_1_5": np.percentile(shares, [0, 0.5, 1, 5]).round(3).tolist(),
        "cosine_percentiles_0_0.5_1_5": np.percentile(cosines, [0, 0.5, 1, 5]).round(3).tolist(),
        "below_least_words": sum(s < LEAST_WORDS for s in shares),
        "below_least_cosine": sum(c < LEAST_COSINE for c in cosines),
        "questions": len(asked),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--quick", action="store_true", help="40 questions")
    parser.add_argument("--write", action="store_true", help="into the package")
    args = parser.parse_args()
    words = known_words()
    found = measure(opinionqa(args.data, 40 if args.quick else None), frozenset(words))
    print(pl.DataFrame(found["by_options"]))
    print(pl.DataFrame(found["by_distance"]))
    if args.write:
        record = {
            "widths": found["widths"],
            "least_words": LEAST_WORDS,
            "least_cosine": LEAST_COSINE,
            "measured_on": f"OpinionQA, {found['questions']} questions, method network",
            "by": "benchmarks/basis.py",
        }
        (METHODS / "basis.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        (METHODS / "known_words.txt").write_text("\n".join(words) + "\n", "utf-8")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
