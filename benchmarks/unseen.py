"""Methods on questions, groups and survey families that they never saw, by wording alone.

Sets: OpinionQA's visible cells; SubPOP-Eval's published questions on GSS 2018, 2016 and 2024, for
the paper's 22 groups and, in 2018 and 2016, for others; groups left out: the kernel regression
of the 22 groups alone asked of the others; families left out: kernel regression and nearest
questions of the shipped training table without one family, asked that family's questions (of the
questions left in none asks the like: cosine below the training recipe's 0.72). The training
questions ask nothing like OpinionQA's or SubPOP-Eval's either.

    python benchmarks/unseen.py [--quick] [--data DIR] [--methods surveys network nearest]
                                [--markdown FILE]

``wd`` with its 95% interval over questions beside the uniform guess's, KL, the share of observed
shares that the intervals hold, spread (how far apart predictions for two groups of an attribute lie
over how far their answers do) of party and of ideology, and groups further off than a uniform
guess. Families left out are fitted here: their intervals were never measured. ``blend`` and
``zero-shot`` may be named too and take hours. ``--quick`` asks SubPOP-Eval 2018 only. The last line
is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from opinioncast.backends.sentences import SentenceModel
from opinioncast.curate.pipeline import curate
from opinioncast.curate.recipe import load_curation
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.evaluate.steerability import steerability
from opinioncast.files import atomic_path
from opinioncast.methods.embedding.features import TextEncoder
from opinioncast.methods.embedding.kernel_regression import (
    KernelRegression,
    fit_kernel,
    fit_on,
)
from opinioncast.methods.nearest import NearestQuestions
from opinioncast.methods.prediction import Method
from opinioncast.methods.surveys import half_and_half
from opinioncast.models import SHIPPED_NETWORK, SHIPPED_TRAINING
from opinioncast.predictor import Predictor
from opinioncast.readers.subpop import read_rows, to_table
from opinioncast.survey import Cells, OpinionTable, load_groups

OPINIONQA = Path("opinionqa") / "opinionqa_contentious.jsonl"
ALIKE = 0.72
"""Cosine from which the training recipe takes a question for another wording of one."""
VALIDATION = 6
"""One training question in so many chooses the kernel's temperature."""
QUESTION = ("family", "wave", "question_id")
MEASURES = ("wd", "wd_uniform", "kl", "covered", "half_width")


def subpop_eval(data: Path, year: int) -> OpinionTable:
    """Its questions on a year of the General Social Survey, all groups."""
    recipe, beside = load_curation("subpop_eval_2018")
    wave = recipe.waves[0].model_copy(
        update={
            "wave": str(year),
            "file": (f"gss_{year}.zsav",),
            "groups": "gss_years" if year > 2018 else "gss",  # 2024 codes regions otherwise
            "weight": "wtssnrps" if year > 2018 else "wtssall",
        }
    )
    groups = ("paper22",) if year > 2018 else ("paper22", "unseen")
    recipe = recipe.model_copy(update={"groups": groups, "waves": (wave,)})
    table = curate(recipe, [data / "gss", beside]).table
    return OpinionTable(table.frame.filter(pl.col("n") >= 20), table.meta)


def only(table: OpinionTable, cells: pl.Expr) -> OpinionTable:
    return OpinionTable(table.frame.filter(cells), table.meta)


def of_groups(names: str, *, within: bool) -> pl.Expr:
    keys = [f"{a}={g}" for a, g in (s.key for s in load_groups(names))]
    inside = (pl.col("attribute") + "=" + pl.col("group")).is_in(keys)
    return inside if within else ~inside & (pl.col("attribute") != "TOTAL")


def spread(scores: CellScores, attribute: str) -> float | None:
    """How far apart its groups are predicted, over how far apart they answered."""
    if attribute not in scores.frame["attribute"].unique().to_list():
        return None
    found = steerability(scores, attribute)
    return None if found is None else found.agreement().spread_ratio


def row(name: str, method: str, scores: CellScores) -> dict[str, Any]:
    """One line of the table."""
    means, (low, high) = scores.mean(), scores.interval()
    by = scores.by("attribute", "group")
    worse = by.filter(pl.col("wd") > pl.col("wd_uniform"))
    found: dict[str, Any] = {
        "set": name,
        "method": method,
        "low": low,
        "high": high,
        "spread_party": spread(scores, "POLPARTY"),
        "spread_ideology": spread(scores, "POLIDEOLOGY"),
        "cells": len(scores.frame),
        "worse_than_uniform": [f"{a}={g}" for a, g in worse.select("attribute", "group").rows()],
    } | {m: means[m] for m in MEASURES}
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in found.items()}


def shipped(names: Sequence[str], sets: dict[str, OpinionTable]) -> Iterator[dict[str, Any]]:
    """What ships, on questions that trained nothing."""
    for method in names:
        with Predictor(method=method) as predictor:
            for name, table in sets.items():
                prediction = predictor.predict(Cells.of_table(table))
                if len(prediction.table):  # the nearest questions know no unseen group
                    yield row(name, method, score_cells(table, prediction.table))


def groups_left_out(
    sets: dict[str, OpinionTable], encoder: TextEncoder
) -> Iterator[dict[str, Any]]:
    """The kernel regression of the paper's 22 groups alone, asked of others."""
    ships = KernelRegression.load(SHIPPED_NETWORK, encoder)
    table = OpinionTable.read(SHIPPED_TRAINING)
    known = only(table, of_groups("paper22", within=True) | (pl.col("attribute") == "TOTAL"))
    kernel = replace(fit_on(known, encoder, ships.settings), temperature=ships.temperature)
    for name, asked in sets.items():
        scores = score_cells(asked, kernel.predict(Cells.of_table(asked)).table)
        yield row(name, "network, 22 groups", scores)


def left_out(family: str, encoder: TextEncoder) -> Iterator[dict[str, Any]]:
    """Kernel regression and nearest questions without a family, asked its questions."""
    table = OpinionTable.read(SHIPPED_TRAINING)
    questions = table.questions()
    own = np.array([q.family == family for q in questions])
    vectors = encoder.encode([q.text for q in questions])
    alike = (vectors @ vectors[own].T).max(axis=1) >= ALIKE
    keys = pl.DataFrame(
        [(q.family, q.wave, q.question_id, i) for i, q in enumerate(questions)],
        schema=[*QUESTION, "at"],
        orient="row",
    )

    def part(chosen: Sequence[int]) -> OpinionTable:
        wanted = keys.filter(pl.col("at").is_in(list(chosen)))
        frame = table.frame.join(wanted, on=list(QUESTION), how="semi", maintain_order="left")
        return OpinionTable(frame, table.meta)

    kept = [i for i in range(len(questions)) if not own[i] and not alike[i]]
    train = part(kept)
    calibrating = kept[::VALIDATION]
    fitted = fit_kernel(part(sorted(set(kept) - set(calibrating))), part(calibrating), encoder)
    kernel = replace(fit_on(train, encoder, fitted.settings), temperature=fitted.temperature)
    near = NearestQuestions(train, encoder)
    both = half_and_half(kernel, near)
    asked = part([i for i in range(len(questions)) if own[i]])
    cells = Cells.of_table(asked)
    methods: dict[str, Method] = {"surveys": both, "network": kernel, "nearest": near}
    for name, method in methods.items():
        scores = score_cells(asked, method.predict(cells).table)
        yield row(f"{family}, family left out ({len(kept)} questions)", name, scores)


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| asked | method | WD | 95% over questions | uniform | KL | intervals hold | "
        "spread: party | ideology | cells | groups worse than uniform |",
        "|---|---|---:|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for r in rows:
        shown = {k: "-" if r[k] is None else f"{r[k]:.2f}" for k in r if k.startswith("spread")}
        held = "-" if r["covered"] is None else f"{100 * r['covered']:.0f}%"
        lines.append(
            f"| {r['set']} | {r['method']} | {r['wd']:.3f} | {r['low']:.3f} to {r['high']:.3f} | "
            f"{r['wd_uniform']:.3f} | {r['kl']:.3f} | {held} | {shown['spread_party']} | "
            f"{shown['spread_ideology']} | {r['cells']:,} | "
            f"{', '.join(r['worse_than_uniform']) or 'none'} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="SubPOP-Eval 2018 only")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--methods", nargs="+", default=["surveys", "network", "nearest"])
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    sets: dict[str, OpinionTable] = {}
    if not options.quick:
        answers = read_rows(options.data / OPINIONQA)
        sets["OpinionQA"] = to_table(answers.filter(answers["in_sample22"]), family="ATP")
    for year in (2018,) if options.quick else (2018, 2016, 2024):
        table = subpop_eval(options.data, year)
        sets[f"SubPOP-Eval {year}"] = only(table, of_groups("paper22", within=True))
        other = only(table, of_groups("paper22", within=False))
        if len(other):
            sets[f"SubPOP-Eval {year}, other groups"] = other
    rows = []
    for found in shipped(options.methods, sets):
        rows.append(found)
        print(found, flush=True)
    encoder = SentenceModel.load(None)
    others = {name: table for name, table in sets.items() if name.endswith("other groups")}
    for found in groups_left_out(others, encoder):
        rows.append(found)
        print(found, flush=True)
    if not options.quick:
        for family in ("ANES", "GSS"):
            for found in left_out(family, encoder):
                rows.append(found)
                print(found, flush=True)
    if options.markdown:
        with atomic_path(options.markdown) as temporary:
            temporary.write_text(markdown(rows), "utf-8")
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
