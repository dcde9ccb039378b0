"""What each choice of the shipped adapter's recipe is worth: the search, one change at a time.

    python benchmarks/ablation.py TRAIN VALIDATION -o DIR [--only NAME ...] [--markdown FILE]
                                  [--kernel DIR] [--blend VARIATION|shipped]
                                  [--quick]

TRAIN and VALIDATION are the tables of ``opinioncast curate training``. Every variation is trained
for the same number of passes over the same questions as ``base``, unless it says otherwise, and
scored on every validation question for a few groups. The validation questions are of the training
surveys; OpinionQA and SubPOP-Eval are not looked at. Differences to ``base`` are paired by
question (bootstrap, 95%). "Party spread" is the mean distance between the predictions for Democrats
and for Republicans over that between their answers: 0 where the party changes nothing. A variation
that is finished in DIR is not trained again; a killed one goes on.

``--blend`` asks what shares the kernel regression, the nearest questions and a variation's adapter,
or the shipped one, should have of a blend: on the validation questions, and on a survey that no
part has seen (all trained on the General Social Survey, the adapter by the recipe that ships, and
asked ANES questions); the least mean of the two first.

``--quick`` trains two variations on a few questions. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.backends.sentences import SentenceModel
from opinioncast.csv_files import write_csv
from opinioncast.errors import DataError
from opinioncast.evaluate.compare import paired_test
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.evaluate.steerability import steerability
from opinioncast.files import atomic_path
from opinioncast.finetune.recipe import FinetuneRecipe, parse_finetune
from opinioncast.jobs.finetune import finetune_to_folder
from opinioncast.methods.blend import Blend
from opinioncast.methods.embedding.kernel_regression import fit_kernel
from opinioncast.methods.nearest import NEIGHBOURS, NearestQuestions
from opinioncast.methods.network import load_embedding_model
from opinioncast.methods.prediction import Known, Prediction
from opinioncast.models import SHIPPED
from opinioncast.predictor import predict
from opinioncast.survey import Cells, OpinionTable, PredictionTable, load_groups

CHECKED = (
    "total",
    "POLPARTY=Democrat",
    "POLPARTY=Republican",
    "RACE=Black",
    "EDUCATION=College graduate/some postgrad",
    "RELIG=Protestant",
)

PARTY = "POLPARTY"

BASE: dict[str, Any] = {
    "model": "embedded",
    "layout": "question-first",
    "answers": "words",
    "option_order": "reversed",
    "groups_per_question": 6,
    "loss": {"kl": 1.0},
    "lora": {"rank": 16, "alpha": 32, "dropout": 0.0, "targets": "all-linear"},
    "optimizer": {"learning_rate": 3e-4, "batch_rows": 24, "epochs": 1, "schedule": "cosine"},
    "checks": {"every": 1_000_000},
    "compile": True,
    "pack_tokens": 512,
}

SHIPS = "KL + 100 contrast, 12 groups, rate 5e-4, 4 passes"
ACROSS_QUESTIONS = 150
TENTHS = range(11)
SHARES = tuple((k / 10, n / 10, (10 - k - n) / 10) for k in TENTHS for n in TENTHS if k + n <= 10)
"""Of kernel regression, nearest questions and adapter."""

PAPER_LORA = {"rank": 8, "alpha": 32, "dropout": 0.05, "targets": ["q_proj", "v_proj"]}

# No apostrophe in a name: PyTorch's compiler writes what follows "--only" into code, unescaped.
VARIATIONS: dict[str, dict[str, Any]] = {
    "base": {},
    "answers by letter": {"answers": "letters"},
    "answers by letter, 3 passes": {"answers": "letters", "optimizer": {"epochs": 3}},
    "learning rate 1e-3": {"optimizer": {"learning_rate": 1e-3}},
    "learning rate 1e-4": {"optimizer": {"learning_rate": 1e-4}},
    "loss KL + WD/2": {"loss": {"kl": 1.0, "wasserstein": 0.5}},
    "loss KL + contrast": {"loss": {"kl": 1.0, "contrast": 1.0}},
    "loss KL + 20 contrast": {"loss": {"kl": 1.0, "contrast": 20.0}},
    "loss WD": {"loss": {"kl": 0.0, "wasserstein": 1.0}},
    "one-hot targets": {"target": "one-hot"},
    "LoRA as in the paper (rank 8, query and value)": {"lora": PAPER_LORA},
    "LoRA as in the paper, learning rate 1e-3": {
        "lora": PAPER_LORA,
        "optimizer": {"learning_rate": 1e-3},
    },
    "rank 4": {"lora": {"rank": 4}},
    "orders as given": {"option_order": "given"},
    "orders at random": {"option_order": "random"},
    "rows weighted by effective base": {"row_weight": "n_eff"},
    "groups weighted alike": {"row_weight": "group"},
    "12 groups per question": {"groups_per_question": 12, "optimizer": {"batch_rows": 48}},
    "2 groups per question": {"groups_per_question": 2, "optimizer": {"batch_rows": 8}},
    "half the questions": {"fraction": 0.5},
    "half the questions, 2 passes": {"fraction": 0.5, "optimizer": {"epochs": 2}},
    "2 passes": {"optimizer": {"epochs": 2}},
    "3 passes": {"optimizer": {"epochs": 3}},
    SHIPS: {
        "loss": {"kl": 1.0, "contrast": 100.0},
        "groups_per_question": 12,
        "optimizer": {"learning_rate": 5e-4, "batch_rows": 48, "epochs": 4},
    },
    "KL, 12 groups, rate 5e-4, 4 passes": {
        "groups_per_question": 12,
        "optimizer": {"learning_rate": 5e-4, "batch_rows": 48, "epochs": 4},
    },
    "paper layout, a quarter of the questions": {
        "layout": "paper",
        "groups_per_question": None,
        "groups": list(CHECKED),
        "fraction": 0.25,
    },
    "question-first, the same rows": {
        "groups_per_question": None,
        "groups": list(CHECKED),
        "fraction": 0.25,
    },
}


@dataclass(frozen=True)
class Result:
    name: str
    scores: CellScores
    seconds_per_1000_rows: float | None


def recipe_of(name: str, train: Path, validation: Path, quick: bool) -> FinetuneRecipe:
    raw = merged(BASE, VARIATIONS[name])
    raw |= {"name": name, "table": str(train), "validation": str(validation)}
    if quick:
        raw |= {"fraction": 0.03, "compile": False, "pack_tokens": 512}
    return parse_finetune(raw, name)


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in change.items():
        old = out.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and key != "loss":
            out[key] = merged(old, value)
        else:
            out[key] = value
    return out


def trained(recipe: FinetuneRecipe, folder: Path, observed: OpinionTable) -> Result:
    """The variation's scores; trained where its folder does not hold them yet."""
    done = folder / "adapter" / "manifest.json"
    record = json.loads(done.read_text("utf-8")) if done.is_file() else {}
    if record.get("recipe") != recipe.model_dump(mode="json"):
        print(f"training: {recipe.name}", flush=True)
        finetune_to_folder(recipe, folder)
        record = json.loads(done.read_text("utf-8"))
    predicted = PredictionTable.read(folder / "adapter" / "validation.parquet")
    speed = record["rows_per_second"]  # 0 where a killed run had only its records left to write
    return Result(recipe.name, score_cells(observed, predicted), 1000 / speed if speed else None)


def table_of(results: list[Result]) -> pl.DataFrame:
    base = next((r for r in results if r.name == "base"), None)
    rows = []
    for result in results:
        mean = result.scores.mean()
        low, high = result.scores.interval()
        row: dict[str, Any] = {
            "variation": result.name,
            "wd": mean["wd"],
            "wd_low": low,
            "wd_high": high,
            "kl": mean["kl"],
            "party_spread": steerability(result.scores, PARTY).agreement().spread_ratio,
            "cells": mean["cells"],
            "seconds_per_1000_rows": result.seconds_per_1000_rows,
            "difference": None,
            "difference_low": None,
            "difference_high": None,
        }
        if base is not None and result is not base:
            paired = paired_test(result.scores, base.scores)
            row |= {
                "difference": paired.difference,
                "difference_low": paired.low,
                "difference_high": paired.high,
            }
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def markdown(table: pl.DataFrame) -> str:
    lines = [
        "| variation | WD (95% interval) | difference to base (95%) | KL | party spread "
        "| s per 1,000 rows |",
        "|---|---|---|---|---|---|",
    ]
    for row in table.iter_rows(named=True):
        change = "" if row["difference"] is None else _interval(row, "difference", "+.4f")
        seconds = row["seconds_per_1000_rows"]
        speed = "" if seconds is None else f"{seconds:.0f}"
        lines.append(
            f"| {row['variation']} | {_interval(row, 'wd', '.4f')} | {change} | {row['kl']:.3f} "
            f"| {row['party_spread']:.2f} | {speed} |"
        )
    return "\n".join(lines) + "\n"


def _interval(row: dict[str, Any], name: str, form: str) -> str:
    return f"{row[name]:{form}} ({row[name + '_low']:{form}} to {row[name + '_high']:{form}})"


def blend_shares(train: Path, validation: Path, out: Path, adapter: str) -> pl.DataFrame:
    """Distances of blends of kernel regression, nearest questions and adapter, within and across
    survey families; the least mean of the two first.

    Args:
        adapter: the variation whose adapter is asked within the families, or ``shipped``.
    """
    tables = [OpinionTable.read(path) for path in (train, validation)]
    whole = OpinionTable(pl.concat([t.frame for t in tables]), tables[0].meta)
    # nothing of ANES shapes what is asked ANES questions, the kernel's temperature included
    gss, gss_held = (t.filter(pl.col("family") == "GSS") for t in tables)
    keys = ["family", "wave", "question_id"]
    anes = checked(whole.filter(pl.col("family") == "ANES"), None)
    drawn = anes.frame.select(keys).unique(maintain_order=True).sample(ACROSS_QUESTIONS, seed=1)
    anes = OpinionTable(
        anes.frame.join(drawn, on=keys, how="semi", maintain_order="left"), anes.meta
    )
    for name, table in (("gss", gss), ("anes", anes)):
        table.write(out / f"{name}.parquet")
    rows = []
    few, seen = checked(tables[1], None), out / "validation.parquet"
    for name, variation, folder, learned, held, observed, paths in (
        ("same surveys", adapter, slug(adapter), tables[0], tables[1], few, (train, seen)),
        (
            "another survey",
            SHIPS,
            "another-survey",
            gss,
            gss_held,
            anes,
            (out / "gss.parquet", out / "anes.parquet"),
        ),
    ):
        cells = Cells.of_table(observed)
        if variation == SHIPPED:
            said = predict(cells, method="zero-shot", adapter=SHIPPED).table
        else:
            trained(recipe_of(variation, *paths, quick=False), out / folder, observed)
            said = PredictionTable.read(out / folder / "adapter" / "validation.parquet")
        kernel = fit_kernel(learned, held, SentenceModel.load())
        near = NearestQuestions(learned, kernel.encoder, NEIGHBOURS)
        parts = (
            Known("kernel", kernel.predict(cells)),
            Known("nearest", near.predict(cells)),
            Known("adapter", Prediction(said, (), {})),
        )
        for shares in SHARES:
            weights = [(part, w) for part, w in zip(parts, shares, strict=True) if w]
            method = weights[0][0] if len(weights) == 1 else Blend(weights)
            mean = score_cells(observed, method.predict(cells).table).mean()
            rows.append(
                dict(zip(("kernel", "nearest", "adapter"), shares, strict=True))
                | {"asked": name, "wd": mean["wd"], "kl": mean["kl"]}
            )
    found = pl.DataFrame(rows).pivot("asked", index=["kernel", "nearest", "adapter"])
    distances = [c for c in found.columns if c.startswith("wd_")]
    return found.with_columns(wd_mean=pl.mean_horizontal(distances)).sort("wd_mean")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("validation", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=VARIATIONS)
    parser.add_argument("--kernel", type=Path, help="folder of opinioncast train-network")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--blend", metavar="VARIATION", choices=[*VARIATIONS, SHIPPED])
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    observed = checked(OpinionTable.read(args.validation), 6 if args.quick else None)
    few = args.out / "validation.parquet"
    observed.write(few)
    names = args.only or list(VARIATIONS)
    if args.quick and not args.only:
        names = ["base", "loss KL + contrast"]
    results = []
    for name in names:
        recipe = recipe_of(name, args.train, few, args.quick)
        results.append(trained(recipe, args.out / slug(name), observed))
        print(markdown(table_of(results[-1:])).splitlines()[-1], flush=True)
    if args.kernel:
        network = load_embedding_model(args.kernel, SentenceModel.load())
        cells = Cells.of_table(observed)
        made = network.predict(cells).table
        results.append(Result(network.name, score_cells(observed, made), None))
    table = table_of(results)
    write_csv(table, args.out / "ablation.csv", for_excel=False)
    text = markdown(table)
    print(text)
    if args.markdown:
        with atomic_path(args.markdown) as temporary:
            temporary.write_text(text, "utf-8")
    figures: dict[str, Any] = {"variations": table.to_dicts()}
    if args.blend:
        blends = blend_shares(args.train, args.validation, args.out, args.blend)
        with pl.Config(tbl_rows=-1):
            print(blends)
        figures["blends"] = blends.to_dicts()
    print(json.dumps(figures))


def checked(table: OpinionTable, questions: int | None) -> OpinionTable:
    """The cells of the checked groups."""
    groups = pl.DataFrame(
        [{"attribute": g.attribute, "group": g.group} for g in load_groups(*CHECKED)]
    )
    frame = table.frame.join(groups, on=["attribute", "group"], how="semi", maintain_order="left")
    if questions is not None:
        keys = ["family", "wave", "question_id"]
        first = frame.select(keys).unique(maintain_order=True).head(questions)
        frame = frame.join(first, on=keys, how="semi", maintain_order="left")
    if frame.height == 0:
        raise DataError(
            "No validation rows to score", expected=", ".join(CHECKED), found="other groups only"
        )
    return OpinionTable(frame, table.meta)


def slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower())


if __name__ == "__main__":
    main()
