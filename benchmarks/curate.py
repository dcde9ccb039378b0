"""Aggregation and bootstrap: seconds, against the straightforward way and the bare read.

    python benchmarks/curate.py [--quick] [--data DIR]

DIR holds ``gss/gss_2018.zsav`` with its codebook (default: ../shared/data beside the repository).
Without it the same is measured on a made-up wave of the same size.

The straightforward way does as SubPOP's published code does for its training set: for each question
it opens the file again, all of it, and for each group loops over the respondents. It gets the group
members for nothing, as sets, computes no standard errors, and reads into lists, faster than into a
data frame. It is measured on some of the questions (all without --quick) and compared per question;
a kinder variant that reads only the columns needed is shown beside it.

Everything runs on one thread, the bootstrap in a process of its own. Seconds are processor time,
which other programs on the machine disturb less; those of the bootstrap are wall clock. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyreadstat

from opinioncast.curate.aggregate import AggregateResult, aggregate
from opinioncast.curate.bootstrap import WaveQuestions, resample_respondents
from opinioncast.curate.group_recipe import load_group_recipe
from opinioncast.curate.groups import group_masks
from opinioncast.curate.pipeline import curate
from opinioncast.curate.recipe import parse_curation
from opinioncast.evaluate.bounds import Bounds, bounds
from opinioncast.readers import gss
from opinioncast.readers.microdata import column_names, read_wave
from opinioncast.survey import (
    Design,
    Missing,
    OpinionTable,
    Question,
    Subpopulation,
    Variable,
    Wave,
    load_groups,
)

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
DATA = Path(__file__).parents[2] / "shared" / "data"
REPLICATES = 1000
BOOTSTRAP_QUESTIONS = 200
Masks = npt.NDArray[np.bool_]


class Survey(NamedTuple):
    """A file on disk, what is asked of it, and how it becomes a wave with groups."""

    file: Path
    columns: list[str]
    questions: list[tuple[Question, str]]
    read: Callable[[], tuple[Wave, tuple[Subpopulation, ...], Masks]]


def real_survey(data: Path) -> Survey:
    """All codebook questions of GSS 2018, the paper's 22 groups."""
    file, codebook = data / "gss" / "gss_2018.zsav", data / "gss" / "codebook_gss_2018.json"
    recipe = load_group_recipe("gss_subpop")
    design = gss.design(2018)
    entries = json.loads(codebook.read_text("utf-8"))
    questions = [
        (Question(e["variable"], e["question"], e["options"], e["ordinal"] or ()), e["variable"])
        for e in entries
    ]
    traits = recipe.columns(column_names(file))
    named = [n for n in (design.weight, design.strata, design.psu) if n]
    columns = list(dict.fromkeys([*traits, *(v for _, v in questions), *named]))

    def read() -> tuple[Wave, tuple[Subpopulation, ...], Masks]:
        wave = read_wave(
            file,
            family="GSS",
            wave="2018",
            columns=columns,
            codebook=codebook,
            design=design,
            conventions=gss.CONVENTIONS,
        )
        groups = group_masks(wave, recipe, load_groups("paper22").subpopulations)
        return wave, groups.subpopulations, groups.masks

    return Survey(file, columns, questions, read)


def through_recipe(data: Path, folder: Path) -> Callable[[], object]:
    """The same questions as a recipe with a question file: what ``opinioncast curate`` computes."""
    entries = json.loads((data / "gss" / "codebook_gss_2018.json").read_text("utf-8"))
    chosen = {"2018": {e["variable"]: e["question"] for e in entries}}
    (folder / "questions.json").write_text(json.dumps(chosen), encoding="utf-8")
    wave = {
        "family": "GSS",
        "wave": "2018",
        "file": "gss_2018.zsav",
        "conventions": "gss",
        "codebook": "codebook_gss_2018.json",
        "questions": "questions.json",
        "groups": "gss_subpop",
        "weight": "wtssall",
        "strata": "vstrat",
        "psu": "vpsu",
    }
    about = {"name": "benchmark", "citation": "NORC", "terms": "", "redistribution": "group-level"}
    recipe = parse_curation(about | {"waves": [wave]}, "benchmark")
    return lambda: curate(recipe, [data / "gss", folder])


def synthetic_wave(
    respondents: int, questions: int, groups: int
) -> tuple[Wave, list[tuple[Question, str]], tuple[Subpopulation, ...], Masks]:
    """Made-up answers: 2 to 6 options, half of the sample asked, 78 strata of 2 PSUs."""
    rng = np.random.default_rng(0)
    columns = {
        "w": rng.lognormal(0, 0.5, respondents),
        "h": rng.integers(0, 78, respondents).astype(float),
        "j": rng.integers(0, 2, respondents).astype(float),
    }
    variables, asked = {}, []
    for q in range(questions):
        name, size = f"q{q}", 2 + q % 5
        answers = rng.integers(1, size + 1, respondents)
        columns[name] = np.where(rng.random(respondents) < 0.5, -1, answers).astype(float)
        options = tuple(f"option {i}" for i in range(size))
        codes = tuple(float(i + 1) for i in range(size))
        variables[name] = Variable(name, "", "", codes, options, missing={-1.0: Missing.NOT_ASKED})
        scale = tuple(float(i) for i in range(size))
        asked.append((Question(name, f"Made-up question {q}?", options, scale), name))
    masks = rng.random((respondents, groups)) < 0.28  # the share of the paper's 22 on average
    subpopulations = tuple(Subpopulation((("GROUP", str(g)),)) for g in range(groups))
    wave = Wave("MADE UP", "1", pl.DataFrame(columns), variables, Design("w", "h", "j"))
    return wave, asked, subpopulations, masks


def synthetic_survey(folder: Path) -> Survey:
    """A made-up wave of the size of GSS 2018, as a file."""
    wave, questions, subpopulations, masks = synthetic_wave(2348, 231, 22)
    file = folder / "made_up.zsav"
    pyreadstat.write_sav(wave.respondents, str(file), compress=True)

    def read() -> tuple[Wave, tuple[Subpopulation, ...], Masks]:
        fresh = read_wave(file, family=wave.family, wave=wave.wave, design=wave.design)
        return (
            Wave(wave.family, wave.wave, fresh.respondents, wave.variables, wave.design),
            subpopulations,
            masks,
        )

    return Survey(file, wave.respondents.columns, questions, read)


def survey_of(data: Path, folder: Path) -> Survey:
    if (data / "gss" / "gss_2018.zsav").is_file():
        return real_survey(data)
    print(f"No survey files in {data}: a made-up wave of the same size is used.")
    return synthetic_survey(folder)


def straightforward(
    survey: Survey, wave: Wave, masks: Masks, pairs: list[tuple[Question, str]], whole: bool
) -> list[list[list[float]]]:
    """Open, read and loop for each question; shares per question, group, option."""
    groups = [set(np.flatnonzero(members).tolist()) for members in masks.T]
    asked = {v for _, v in survey.questions}
    others = [c for c in survey.columns if c not in asked]
    results = []
    for _, name in pairs:
        content, _ = pyreadstat.read_sav(
            str(survey.file), usecols=None if whole else [*others, name], output_format="dict"
        )
        codes = {code: i for i, code in enumerate(wave.variables[name].codes)}
        cells = []
        for members in groups:
            sums = [0.0] * len(codes)
            answers = zip(content[name], content[str(wave.design.weight)], strict=True)
            for i, (answer, weight) in enumerate(answers):
                if i in members and answer in codes:
                    sums[codes[answer]] += weight
            cells.append([s / (sum(sums) or 1.0) for s in sums])
        results.append(cells)
    return results


def check(result: AggregateResult, pairs: list[tuple[Question, str]], plain: object) -> None:
    """Both ways must give the same shares."""
    rows = {
        (r["question_id"], r["attribute"], r["group"]): r["distribution"]
        for r in result.table.frame.iter_rows(named=True)
    }
    groups = result.bases.select("attribute", "group").unique(maintain_order=True).rows()
    for (question, _), cells in zip(pairs, plain, strict=True):  # type: ignore[call-overload]
        for key, shares in zip(groups, cells, strict=True):
            if sum(shares):
                np.testing.assert_allclose(rows[question.question_id, *key], shares, atol=1e-9)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Processor time of the fastest of some runs."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def run_bootstrap(data: Path) -> None:
    """In a process of its own: R = 1000, 22 groups, 200 questions; prints seconds, MB and bound."""
    with tempfile.TemporaryDirectory() as folder:
        survey = survey_of(data, Path(folder))
        wave, groups, masks = survey.read()
    pairs = survey.questions[:BOOTSTRAP_QUESTIONS]
    table = aggregate(wave, pairs, groups, masks).table
    start = time.perf_counter()
    groupwise = bootstrap(wave, pairs, groups, masks, table, REPLICATES).groups
    took = time.perf_counter() - start
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes on Linux
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    human = groupwise.row(-1, named=True)["human"]  # overall
    print(json.dumps({"s": took, "mb": peak, "human": human}))


def bootstrap(
    wave: Wave,
    pairs: list[tuple[Question, str]],
    groups: tuple[Subpopulation, ...],
    masks: Masks,
    table: OpinionTable,
    replicates: int,
) -> Bounds:
    drawn = resample_respondents([WaveQuestions(wave, pairs, masks)], groups, replicates=replicates)
    return bounds(table, drawn)


def growth(quick: bool) -> None:
    """Seconds as questions, groups and respondents grow, on made-up waves."""
    replicates = 50 if quick else 200
    sizes = [(2500, 50, 22), (2500, 200, 22), (2500, 800, 22), (2500, 200, 5), (2500, 200, 88)]
    sizes += [(10_000, 200, 22)] if quick else [(10_000, 200, 22), (40_000, 200, 22)]
    print("\nMade-up waves, seconds (bootstrap with R =", f"{replicates})")
    print(f"{'respondents':>12}{'questions':>11}{'groups':>8}{'aggregate':>11}{'bootstrap':>11}")
    for n, q, g in sizes:
        wave, pairs, groups, masks = synthetic_wave(n, q, g)
        table = aggregate(wave, pairs, groups, masks).table
        once = seconds(lambda w=wave, p=pairs, s=groups, m=masks: aggregate(w, p, s, m), 2)  # type: ignore[misc]
        start = time.process_time()
        bootstrap(wave, pairs, groups, masks, table, replicates)
        drawn = time.process_time() - start
        print(f"{n:>12}{q:>11}{g:>8}{once:>11.3f}{drawn:>11.2f}")


def wide_stata(folder: Path, variables: int) -> float:
    """Seconds to read a Stata file of many labelled variables and 120 respondents."""
    labels = {1: "Agree", 2: "Neither", 3: "Disagree", 8: "Don't know", 9: "Refused"}
    answers = np.random.default_rng(0).choice(list(labels), (variables, 120)).astype(np.int32)
    frame = pl.DataFrame({f"v{i}": column for i, column in enumerate(answers)})
    path = folder / "wide.dta"
    pyreadstat.write_dta(
        frame, str(path), variable_value_labels=dict.fromkeys(frame.columns, labels)
    )
    start = time.process_time()
    wave = read_wave(path, family="MADE", wave="1")
    assert len(wave.variables) == variables
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer questions the slow way")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of survey files")
    parser.add_argument("--bootstrap-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ONE_THREAD)
    if arguments.bootstrap_only:
        run_bootstrap(arguments.data)
        return
    with tempfile.TemporaryDirectory() as folder:
        survey = survey_of(arguments.data, Path(folder))
        bare = seconds(
            lambda: pyreadstat.read_sav(
                str(survey.file),
                usecols=survey.columns,
                user_missing=True,
                output_format="polars",
            ),
            5,
        )
        reading = seconds(survey.read, 5)
        wave, groups, masks = survey.read()
        result = aggregate(wave, survey.questions, groups, masks)
        aggregating = seconds(lambda: aggregate(wave, survey.questions, groups, masks), 5)

        def whole() -> object:
            fresh, subpopulations, members = survey.read()
            return aggregate(fresh, survey.questions, subpopulations, members)

        ours = seconds(whole, 5)
        recipe = math.nan
        if survey.file.parent == arguments.data / "gss":
            recipe = seconds(through_recipe(arguments.data, Path(folder)), 5)
        total = len(survey.questions)
        pairs = survey.questions[:: max(1, total // 8)] if arguments.quick else survey.questions
        start = time.process_time()
        plain = straightforward(survey, wave, masks, pairs, whole=True)
        slow = (time.process_time() - start) / len(pairs)
        check(result, pairs, plain)
        start = time.process_time()
        straightforward(survey, wave, masks, pairs, whole=False)
        kinder = (time.process_time() - start) / len(pairs)
    cells = f"{total} questions x {len(groups)} groups x {len(wave)} respondents"
    print(f"{wave.family} {wave.wave}: {cells}")
    print(f"bare read of the same {len(survey.columns)} columns         {bare:8.3f} s")
    print(f"read_wave and groups                      {reading:8.3f} s")
    print(f"aggregate, with standard errors           {aggregating:8.3f} s")
    ratio = f"{ours / bare:.1f} x the bare read"
    print(f"file to OpinionTable                      {ours:8.3f} s   {ratio}")
    print(f"the same by recipe and question file      {recipe:8.3f} s   {recipe / bare:.1f} x")
    for way, each in (("whole file per question", slow), ("columns needed only", kinder)):
        print(
            f"straightforward, {way:<25} {each:8.3f} s per question (measured on {len(pairs)}), "
            f"{each * total:.0f} s for {total}: {each * total / ours:.0f} x"
        )

    process = subprocess.run(
        [sys.executable, __file__, "--bootstrap-only", "--data", str(arguments.data)],
        check=True,
        capture_output=True,
        text=True,
    )
    drawn = json.loads(process.stdout.splitlines()[-1])
    print(
        f"bootstrap, R = {REPLICATES}, {len(groups)} groups, {BOOTSTRAP_QUESTIONS} questions, one "
        f"thread: {drawn['s']:.1f} s, peak {drawn['mb']:.0f} MB; lower bound {drawn['human']:.4f}"
    )
    growth(arguments.quick)
    variables = 8_000 if arguments.quick else 33_000
    with tempfile.TemporaryDirectory() as folder:
        wide = wide_stata(Path(folder), variables)
    print(f"Stata file of {variables} variables and 120 respondents: {wide:.1f} s")
    print(
        json.dumps(
            {
                "speedup": round(slow * total / ours, 1),
                "read_ratio": round(ours / bare, 2),
                "recipe_ratio": None if math.isnan(recipe) else round(recipe / bare, 2),
                "wide_stata_s": round(wide, 2),
                "bootstrap_s": round(drawn["s"], 2),
                "bootstrap_peak_mb": round(drawn["mb"], 1),
            }
        )
    )


if __name__ == "__main__":
    main()
