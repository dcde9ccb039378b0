"""How well the curation rules agree with what people decided: scales, refined wordings, selection.

    python benchmarks/curation_quality.py [--quick] [--data DIR]

Scales count as equal up to reversal, shift and stretch (what normalised Wasserstein distance cannot
tell apart). Parts whose data are absent are skipped and named. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from opinioncast.curate.ordinality import detect_scale, same_scale
from opinioncast.curate.refine import refine_rules
from opinioncast.curate.select import Reason, select
from opinioncast.readers import gss
from opinioncast.readers.microdata import read_wave

Figures = dict[str, float | int]


class Case(NamedTuple):
    """One hand-made scale: name, wording, substantive options, positions."""

    name: str
    question: str
    options: Sequence[str]
    ordinal: Sequence[float]


def subpop_cases(data: Path) -> list[Case]:
    raw = json.loads((data / "gss/subpop_eval_questions.json").read_text(encoding="utf-8"))
    return [
        Case(n, e["refined_qbody"], e["option_list"][:-1], e["ordinal"]) for n, e in raw.items()
    ]


def opinionqa_cases(file: Path) -> list[Case]:
    """Distinct (question, options, ordinal); "Refused" closes each list and has no position."""
    cases: dict[tuple[Any, ...], Case] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        options = [o for o in row["options"] if o != "Refused"]
        key = (row["question"], *options, *row["ordinal"])
        name = row["qkey"] or row["question"][:50]
        cases.setdefault(key, Case(name, row["question"], options, row["ordinal"]))
    return list(cases.values())


def codebook_cases(folder: Path) -> list[Case]:
    cases = []
    for file in sorted(folder.glob("codebook_*.json")):
        for e in json.loads(file.read_text(encoding="utf-8")):
            ordinal = e["ordinal"] or [0.0] * len(e["options"])
            cases.append(Case(f"{file.stem} {e['variable']}", e["question"], e["options"], ordinal))
    return cases


def scale_agreement(title: str, cases: Sequence[Case]) -> float:
    """Share of cases with the published scale; prints the others."""
    wrong = []
    for case in cases:
        scale = detect_scale(case.options, case.question)
        if not same_scale(scale.ordinal, case.ordinal):
            wrong.append((case, scale))
    share = 1 - len(wrong) / len(cases)
    print(f"\n{title}: {len(cases) - len(wrong)} of {len(cases)} scales agree ({100 * share:.1f}%)")
    for case, scale in wrong[:40]:
        options = " | ".join(o[:40] for o in case.options)
        print(f"  {case.name}: {options}")
        print(f"      given {list(case.ordinal)}, found {list(scale.ordinal)} ({scale.rule})")
    if len(wrong) > 40:
        print(f"  ... and {len(wrong) - 40} more")
    return round(share, 4)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def refinement(
    title: str, cases: Sequence[tuple[str, str, str, Sequence[str]]]
) -> tuple[float, float, float]:
    """Exact matches, mean similarity, and similarity of the raw wording; prints the worst ten."""
    scored = []
    exact, raw_similarity = 0, 0.0
    for name, raw, wanted, options in cases:
        found = refine_rules(raw, options).text
        exact += words(found) == words(wanted)
        raw_similarity += similarity(raw, wanted)
        scored.append((similarity(found, wanted), name, found, wanted))
    mean = sum(s for s, *_ in scored) / len(scored)
    raw_mean = raw_similarity / len(cases)
    print(
        f"\n{title}: {exact} of {len(cases)} exact; mean similarity {mean:.4f} "
        f"(raw wording {raw_mean:.4f}). Least similar:"
    )
    for score, name, found, wanted in sorted(scored)[:10]:
        if score < 1:
            print(
                f"  {score:.2f} {name}\n      found  {found[-150:]}\n      wanted {wanted[-150:]}"
            )
    return round(exact / len(cases), 4), round(mean, 4), round(raw_mean, 4)


def similarity(first: str, second: str) -> float:
    """difflib ratio over words."""
    a, b = words(first), words(second)
    return difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()


def gss_wordings(data: Path) -> Iterator[tuple[str, str, str, Sequence[str]]]:
    for year in (2016, 2018):
        raw = json.loads((data / f"gss/wording_gss_{year}.json").read_text(encoding="utf-8"))
        book = json.loads((data / f"gss/codebook_gss_{year}.json").read_text(encoding="utf-8"))
        for e in book:
            if e["wording"] == "verbatim" and e["variable"] in raw:
                name = f"{year} {e['variable']}"
                yield name, raw[e["variable"]]["question"], e["question"], e["options"]


def selection(data: Path) -> Figures:
    """GSS 2018: every codebook entry was made as a usable question; who disagrees, and why."""
    folder = data / "gss"
    codebook = folder / "codebook_gss_2018.json"
    wave = read_wave(
        folder / "gss_2018.zsav",
        family="GSS",
        wave="2018",
        codebook=codebook,
        wording=folder / "wording_gss_2018.json",
        design=gss.design(2018),
        conventions=gss.CONVENTIONS,
        respondent_id="id",
    )
    masks = np.zeros((len(wave), 0), dtype=bool)
    started = time.perf_counter()
    report = select(wave, masks=masks, subpopulations=()).report
    seconds = time.perf_counter() - started
    names = {e["variable"] for e in json.loads(codebook.read_text(encoding="utf-8"))}
    rows = [r for r in report.iter_rows(named=True) if r["variable"] in names]
    dropped = [r for r in rows if not r["kept"]]
    print(
        f"\nGSS 2018: {report['kept'].sum()} of {report.height} variables kept in {seconds:.1f} s; "
        f"of {len(rows)} codebook questions {len(dropped)} dropped:"
    )
    for r in dropped:
        print(f"  {r['variable']}: {r['reason']}; {r['detail'][:140]}")
    return {
        "select_gss_2018_s": round(seconds, 2),
        "select_gss_2018_variables": report.height,
        "select_gss_2018_kept": int(report["kept"].sum()),
        "select_gss_2018_codebook_dropped": len(dropped),
        "select_gss_2018_codebook_filtered": sum(r["reason"] == Reason.FILTERED for r in dropped),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="published scales and wordings only")
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", metavar="DIR"
    )
    args = parser.parse_args()
    data: Path = args.data
    figures: Figures = {}

    subpop = data / "gss/subpop_eval_questions.json"
    if subpop.is_file():
        title = "SubPOP-Eval (89 GSS questions)"
        figures["scale_agreement_subpop_eval"] = scale_agreement(title, subpop_cases(data))
        raw = json.loads(subpop.read_text(encoding="utf-8"))
        exact, mean, before = refinement(
            title,
            [
                (n, e["original_qbody"], e["refined_qbody"], e["option_list"][:-1])
                for n, e in raw.items()
            ],
        )
        figures["refine_exact_subpop_eval"] = exact
        figures["refine_similarity_subpop_eval"] = mean
        figures["raw_similarity_subpop_eval"] = before
    else:
        print(f"skipped: {subpop} is not there")
    for key, stem in (
        ("scale_agreement_opinionqa", "opinionqa_contentious"),
        ("scale_agreement_opinionqa_listing_ranks", "opinionqa_other"),
    ):
        file = data / "opinionqa" / f"{stem}.jsonl"
        if not file.is_file():
            print(f"skipped: {file} is not there")
            continue
        cases = opinionqa_cases(file)
        figures[key] = scale_agreement(f"OpinionQA, {stem}", cases)
        plain = sum(list(c.ordinal) == list(range(1, len(c.options) + 1)) for c in cases)
        print(f"  ({plain} of these {len(cases)} scales are bare ranks in listing order)")
    if not args.quick and (data / "gss/codebook_gss_2018.json").is_file():
        for family in ("gss", "anes"):
            cases = codebook_cases(data / family)
            if cases:
                figures[f"scale_agreement_codebooks_{family}"] = scale_agreement(
                    f"{family.upper()} codebooks", cases
                )
        exact, mean, before = refinement("GSS raw to verbatim wording", list(gss_wordings(data)))
        figures["refine_exact_gss"] = exact
        figures["refine_similarity_gss"] = mean
        figures["raw_similarity_gss"] = before
        figures |= selection(data)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
