"""Which cosine means "the same question" for a sentence model (paper, A.5, for another model).

    python benchmarks/overlap_threshold.py --data ../shared/data [--quick] [--figures DIR]

Pairs that ask the same thing, from real questionnaires: wordings that differ though the variable is
the same (GSS codebook against SubPOP's published wording; ANES items reworded between 2012 and
2020, checked by hand). Raw GSS wordings (interviewer instructions, half sentences) are shown
but do not count: overlap is looked for after refinement. Pairs that do not: for each question the
most similar one of another variable (a hard case: the same battery), and a random one. Identical
wordings are left out: any threshold finds them. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from opinioncast.backends.sentences import SentenceModel
from opinioncast.curate.overlap import (
    PAPER_THRESHOLD,
    QuestionSet,
    choose_threshold,
    find_overlap,
)
from opinioncast.curate.question_map import question_map
from opinioncast.report.overlap_figures import draw_question_map, draw_similarities

# ANES items asked in 2012 and, in other words, in 2020 (read side by side).
ANES_REWORDED = (
    ("gayrt_adopt", "V201415"),
    ("govrole_lessmore", "V202255x"),
    ("respons_elections", "V201238"),
    ("inspre_self", "V201252"),
    ("ptyperf_ptyecon", "V201239"),
    ("aidblack_self", "V201258"),
    ("trustgov_trustgstd", "V201233"),
    ("spsrvpr_ssself", "V201246"),
    ("guarpr_self", "V201255"),
    ("electintpo_countfair", "V202219"),
    ("defsppr_self", "V201249"),
    ("patriot_amident", "V202504"),
    ("envjob_self", "V201262"),
    ("effic_carerev", "V202212"),
    ("trustgvpo_crook", "V201236"),
    ("health_2010hcr_x", "V202328x"),
    ("fedspend_schools", "V201305x"),
    ("fedspend_welfare", "V201314x"),
    ("fedspend_poor", "V201320x"),
    ("fedspend_ss", "V201302x"),
    ("fedspend_crime", "V201311x"),
    ("fedspend_enviro", "V201323x"),
)


def load(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def wordings(data: Path) -> dict[str, dict[str, str]]:
    """Source -> variable -> wording."""
    gss = data / "gss"
    eval_questions = load(gss / "subpop_eval_questions.json")
    found = {
        f"codebook {year}": {
            e["variable"]: e["question"] for e in load(gss / f"codebook_gss_{year}.json")
        }
        for year in (2016, 2018)
    }
    found |= {
        f"raw {year}": {
            k: v["question"]
            for k, v in load(gss / f"wording_gss_{year}.json").items()
            if v["question"].strip()
        }
        for year in (2016, 2018)
    }
    found["SubPOP original"] = {k: v["original_qbody"] for k, v in eval_questions.items()}
    found["SubPOP refined"] = {k: v["refined_qbody"] for k, v in eval_questions.items()}
    for year in (2012, 2020):
        entries = load(data / "anes" / f"codebook_timeseries_{year}.json")
        found[f"ANES {year}"] = {e["variable"]: e["question"] for e in entries}
    return found


def positives(source: dict[str, dict[str, str]]) -> list[tuple[str, str, str]]:
    kinds = [
        ("codebook 2016", "codebook 2018"),
        ("codebook 2018", "raw 2018"),
        ("codebook 2016", "raw 2016"),
        ("SubPOP refined", "codebook 2018"),
        ("SubPOP refined", "SubPOP original"),
    ]
    pairs = [
        (f"{a} / {b}", source[a][k], source[b][k])
        for a, b in kinds
        for k in source[a]
        if k in source[b]
    ]
    pairs += [
        ("ANES 2012 / 2020, reworded", source["ANES 2012"][a], source["ANES 2020"][b])
        for a, b in ANES_REWORDED
    ]
    return list(dict.fromkeys(p for p in pairs if p[1] != p[2]))


def negatives(model: SentenceModel, source: dict[str, str], n: int) -> list[tuple[str, str, str]]:
    """For ``n`` variables: the most similar and a random question of another variable.

    GSS variants of one question (natspac, natspacy) and repeated wordings are not "another".
    """
    draw = random.Random(0)
    names = sorted(source)
    vectors = model.encode([source[k] for k in names])
    cosine = vectors @ vectors.T
    found = []
    for i in draw.sample(range(len(names)), min(n, len(names))):
        others = [
            j
            for j, name in enumerate(names)
            if name[:4] != names[i][:4] or source[name].split() == source[names[i]].split()
        ]
        others = [j for j in others if cosine[i, j] < 0.9999]
        nearest = max(others, key=lambda j: cosine[i, j])
        found.append(("nearest other", source[names[i]], source[names[nearest]]))
        found.append(("random other", source[names[i]], source[names[draw.choice(others)]]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the shared survey data")
    parser.add_argument(
        "--model", help="sentence model by name or folder (default: the embedded one)"
    )
    parser.add_argument("--quick", action="store_true", help="a sample of 60 pairs of each kind")
    parser.add_argument("--figures", type=Path, help="folder for Figures 7 and 8 with this model")
    given = parser.parse_args()
    if not (given.data / "gss").is_dir():
        sys.exit(f"no survey data in {given.data}")
    warnings.simplefilter("ignore")  # long raw wordings are cut; counted below by their effect
    began = time.perf_counter()
    model = SentenceModel.load(given.model)
    source = wordings(given.data)
    pairs = positives(source)
    if given.quick:
        kinds = sorted({k for k, _, _ in pairs})
        draw = random.Random(0)
        by_kind = [[p for p in pairs if p[0] == k] for k in kinds]
        pairs = [p for each in by_kind for p in draw.sample(each, min(60, len(each)))]
    others = negatives(model, source["codebook 2018"], 60 if given.quick else 1000)
    labelled = pl.DataFrame(
        [{"kind": k, "text_a": a, "text_b": b, "same": True} for k, a, b in pairs]
        + [{"kind": k, "text_a": a, "text_b": b, "same": False} for k, a, b in others]
    )
    a, b = (model.encode(labelled[c].to_list()) for c in ("text_a", "text_b"))
    labelled = labelled.with_columns(cosine=np.einsum("ij,ij->i", a, b).astype(float))
    with pl.Config(tbl_rows=30, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        print(
            labelled.group_by("same", "kind")
            .agg(
                pl.len().alias("pairs"),
                pl.col("cosine").quantile(0.05).round(3).alias("5%"),
                pl.col("cosine").median().round(3).alias("median"),
                pl.col("cosine").quantile(0.95).round(3).alias("95%"),
                (pl.col("cosine") >= PAPER_THRESHOLD).mean().round(3).alias(">= 0.87"),
            )
            .sort("same", "kind", descending=[True, False])
        )
        refined = labelled.filter(~pl.col("kind").str.contains("raw"))
        choices = {
            r: choose_threshold(refined, model.encode, recall=r) for r in (1, 0.99, 0.95, 0.9)
        }
        table = choices[1].table
        print(
            table.filter((pl.col("threshold") * 100 % 5).round(6) == 0).with_columns(
                pl.col("recall", "precision").round(3)
            )
        )
    gss = QuestionSet.of_texts("GSS 2018", source["codebook 2018"], model.encode)
    anes = QuestionSet.of_texts("ANES 2020", source["ANES 2020"], model.encode)
    overlap = find_overlap(gss, anes, threshold=choices[1].threshold)
    total = len(gss.ids) * len(anes.ids)
    print(f"GSS 2018 and ANES 2020 at {overlap.threshold}: {overlap.pairs.height} of {total} pairs")
    for cosine, left, right in overlap.pairs.select("cosine", "left_id", "right_id").head(8).rows():
        print(f"  {cosine:.3f}  {left}  {right}")
    if given.figures:
        for path in draw_similarities(overlap, given.figures / "similarities"):
            print(path)
        for path in draw_question_map(question_map([gss, anes]), given.figures / "map"):
            print(path)
    at_paper = table.filter(pl.col("threshold") == PAPER_THRESHOLD).row(0, named=True)
    print(
        json.dumps(
            {
                "model": model.name,
                "same_pairs": int(refined["same"].sum()),
                "other_pairs": len(others),
                "recall_at_0.87": round(at_paper["recall"], 4),
                "precision_at_0.87": round(at_paper["precision"], 4),
                **{f"threshold_recall_{r:g}": c.threshold for r, c in choices.items()},
                **{
                    f"precision_recall_{r:g}": round(
                        c.table.filter(pl.col("threshold") == c.threshold)["precision"][0], 4
                    )
                    for r, c in choices.items()
                },
                "gss_anes_pairs_share": round(overlap.pairs.height / total, 6),
                "seconds": round(time.perf_counter() - began, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
