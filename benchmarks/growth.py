"""How seconds and memory grow: five commands at 1, 2, 4 and 8 times the work, in one table.

Work is questions, groups, or respondents, one of them at a time. Surveys are made up; predictions
are the network's (no language model: its work is one prompt a row), evidence is a pilot of those
respondents and a topline. Each figure is of the command as it is typed, in a process that has its
libraries already, so that what is seen to grow is the work and not the start; seconds are the
processor's, which a busy machine changes little.

    python benchmarks/growth.py [--quick] [--times 1 2 4 8]

``--quick`` takes a small survey, and questions at 1 and 8 times only.

``growth`` is a power of the work: 1 is in
proportion, 2 the square. It is that of what the last step adds against what the one before added
(what a command takes whatever the work cancels); where that is too little to tell, or there is one
step only, of the last seconds against those before. The last line is one JSON object;
``faster_than_work`` names what has a power above 1.3 and takes more than half a second.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyreadstat
import yaml

from opinioncast.cli.main import main as opinioncast
from opinioncast.survey import Question, Subpopulation, load_groups, opinion_row
from opinioncast.survey.tables import OpinionTable

COMMANDS = ("curate", "predict", "evidence", "evaluate", "workbook")
OPTIONS = ("Strongly favor", "Somewhat favor", "Somewhat oppose", "Strongly oppose")
CROSSED = ("SEX=Male", "SEX=Female")
JOBS = ("curate", "predict", "update", "evaluate", "banner")
LIBRARIES = (
    *(f"opinioncast.jobs.{name}" for name in JOBS),
    *("opinioncast.backends.sentences", "opinioncast.methods.network", "transformers"),
    *("torch", "xlsxwriter", "matplotlib.pyplot", "opinioncast.report.page"),
)
"""What a command loads whatever its work."""
POWER_MOST, SECONDS_LEAST, NOISE_SECONDS = 1.3, 0.5, 0.1
TRAITS = ("SEX", "CREGION", "EDUCATION", "RACE", "INCOME", "POLPARTY", "POLIDEOLOGY", "RELIG")


@dataclass(frozen=True)
class Size:
    """How much there is to do."""

    questions: int
    groups: int
    respondents: int

    def of(self, what: str, times: int) -> Size:
        return replace(self, **{what: getattr(self, what) * times})


@dataclass(frozen=True)
class Took:
    """Processor seconds, and megabytes above those of a process that has done nothing yet."""

    seconds: float
    mb: float


def groups(count: int) -> list[str]:
    """The paper's 22, then those of them that are no sex, within each sex."""
    plain = [f"{a}={g}" for a, g in (s.key for s in load_groups("paper22"))]
    crossed = [f"{c} & {g}" for c in CROSSED for g in plain if not g.startswith("SEX")]
    return [*plain, *crossed][:count]


def questions(count: int) -> list[Question]:
    return [
        Question(
            f"q{i}",
            f"Do you favor or oppose proposal number {i} on public transport?",
            OPTIONS,
            (1, 2, 3, 4),
        )
        for i in range(count)
    ]


def codes() -> dict[str, list[str]]:
    """Attribute -> its groups, each a code from one."""
    found: dict[str, list[str]] = {name: [] for name in TRAITS}
    for attribute, group in (s.key for s in load_groups("paper22")):
        found[attribute].append(group)
    return found


def write_survey(folder: Path, size: Size) -> Path:
    """Answers of respondents as SPSS has them, with a recipe."""
    rng = np.random.default_rng(0)
    coded = codes()
    n = size.respondents
    columns: dict[str, Any] = {"w": rng.uniform(0.5, 2, n)}
    for name, listed in coded.items():
        columns[name.lower()] = rng.integers(1, len(listed) + 1, n).astype(float)
    asked = [q.question_id for q in questions(size.questions)]
    for name in asked:
        columns[name] = rng.choice([1.0, 2.0, 3.0, 4.0, -9.0], n, p=[0.3, 0.3, 0.2, 0.15, 0.05])
    labels: dict[str, dict[float, str]] = {
        name.lower(): {float(i): g for i, g in enumerate(listed, 1)}
        for name, listed in coded.items()
    }
    answered = {float(i): option for i, option in enumerate(OPTIONS, 1)} | {-9.0: "Refused"}
    labels |= dict.fromkeys(asked, answered)
    pyreadstat.write_sav(
        pl.DataFrame(columns),
        str(folder / "survey.sav"),
        variable_value_labels=labels,
        missing_ranges={q: [{"lo": -9, "hi": -1}] for q in asked},
    )
    attributes = {
        name: {"variable": name.lower(), "groups": {g: [i] for i, g in enumerate(listed, 1)}}
        for name, listed in coded.items()
    }
    wording = {q.question_id: q.text for q in questions(size.questions)}
    wave = {"family": "MADE", "wave": "1", "file": "survey.sav", "conventions": "anes"}
    wave |= {"wording": "wording.json", "groups": "groups.yaml", "weight": "w"}
    recipe = {
        "name": "made_up",
        "citation": "Nobody (2025). Made up.",
        "terms": "Made up.",
        "redistribution": "group-level",
        "groups": groups(size.groups),
        "select": {"min_n": 1},
        "waves": [wave],
    }
    written = {"groups.yaml": {"name": "made_up", "attributes": attributes}, "recipe.yaml": recipe}
    for name, content in written.items():
        (folder / name).write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    (folder / "wording.json").write_text(json.dumps(wording), "utf-8")
    return folder / "recipe.yaml"


def write_opinions(folder: Path, size: Size) -> Path:
    rng = np.random.default_rng(1)
    scheme: list[Subpopulation] = list(load_groups(*groups(size.groups)))
    rows = [
        opinion_row(q, g, rng.dirichlet(np.full(4, 3.0)).tolist(), n=200, n_eff=150.0)
        for q in questions(size.questions)
        for g in scheme
    ]
    made = OpinionTable.from_rows(rows, {"citation": "made up", "terms": "Made up."})
    return made.write(folder / "observed" / "opinions.parquet")


def write_questionnaire(folder: Path, size: Size) -> Path:
    listed = [
        {"id": q.question_id, "question": q.text, "options": list(q.options), "scale": [1, 2, 3, 4]}
        for q in questions(size.questions)
    ]
    path = folder / "questionnaire.yaml"
    path.write_text(yaml.safe_dump({"questions": listed}, allow_unicode=True), "utf-8")
    return path


def commands(folder: Path, size: Size, wanted: Sequence[str]) -> dict[str, list[str]]:
    """The inputs written, and each command as it is typed."""
    asked = [part for g in groups(size.groups) for part in ("-g", g)]
    predicted = folder / "predicted"
    known = folder / "known.csv"
    shares = zip(OPTIONS, (40, 30, 20, 10), strict=True)
    known.write_text(
        "question_id,group,option,percent,n\n"
        + "".join(f"q0,TOTAL,{option},{percent},900\n" for option, percent in shares),
        "utf-8",
    )
    typed = {"predict": [*("predict", str(write_questionnaire(folder, size))), *asked]}
    typed["predict"] += ["--method", "network", "--no-library", "--write", "parquet"]
    typed["predict"] += ["-o", str(predicted)]
    if {"curate", "evidence"} & {*wanted}:
        recipe = str(write_survey(folder, size))
        typed["curate"] = ["curate", recipe, "-o", str(folder / "curated")]
        typed["evidence"] = ["update", str(predicted), "--pilot"]
        typed["evidence"] += [str(folder / "survey.sav"), "--recipe", recipe, "--known", str(known)]
        typed["evidence"] += ["-o", str(folder / "updated")]
    if {"evaluate", "workbook"} & {*wanted}:
        opinions = str(write_opinions(folder, size))
        typed["evaluate"] = ["evaluate", str(predicted / "predictions.parquet"), opinions]
        typed["evaluate"] += ["-o", str(folder / "scores")]
        typed["workbook"] = ["banner", opinions, "-o", str(folder / "tables")]
    return typed


def run(typed: Sequence[str]) -> Took:
    """The command, in this process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout = nowhere
        try:
            opinioncast(list(typed))
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"{' '.join(typed[:2])} ...: status {end.code}") from end
        finally:
            sys.stdout = sys.__stdout__
    seconds = time.process_time() - begun
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return Took(seconds, grown / 1024)


def apart(context: Any, work: Any, *given: Any) -> Any:
    """``work`` in a process of its own, forked from one that has imported all there is."""
    with context.Pool(1) as pool:
        return pool.apply(work, given)


def measure(context: Any, size: Size, wanted: Sequence[str]) -> dict[str, Took]:
    with tempfile.TemporaryDirectory() as name:
        typed = apart(context, commands, Path(name), size, wanted)
        if "predict" not in wanted and {"evidence", "evaluate"} & {*wanted}:
            apart(context, run, typed["predict"])
        order = [c for c in ("predict", *COMMANDS[:1], *COMMANDS[2:]) if c in wanted]
        return {command: apart(context, run, typed[command]) for command in order}


def power(seconds: Sequence[float], times: Sequence[int]) -> float:
    """Of the work in the seconds, at its end.

    >>> round(power([1.1, 1.2, 1.4, 1.8], [1, 2, 4, 8]), 2)
    1.0
    >>> round(power([1.1, 1.4, 2.6, 7.4], [1, 2, 4, 8]), 2)
    2.0
    """
    ratio = times[-1] / times[-2]
    if len(seconds) > 2 and math.isclose(ratio, times[-2] / times[-3]):
        before, last = seconds[-2] - seconds[-3], seconds[-1] - seconds[-2]
        if before > NOISE_SECONDS and last > 0:
            return math.log(last / before, ratio)
    return math.log(seconds[-1] / seconds[-2], ratio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a small survey, at 1 and 8 times")
    parser.add_argument("--times", type=int, nargs="+")
    options = parser.parse_args()
    times = options.times or ([1, 8] if options.quick else [1, 2, 4, 8])
    base = Size(3, 5, 150) if options.quick else Size(25, 5, 1000)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [Path(__file__).stem, "xlsxwriter", "torch", "matplotlib.pyplot"]
    )
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    table: dict[str, dict[str, Any]] = {}
    print(f"at 1: {base}\n{'':24}" + "".join(f"{f'x{t}':>18}" for t in times) + f"{'growth':>9}")
    for what in ("questions",) if options.quick else ("questions", "groups", "respondents"):
        wanted = COMMANDS if what != "respondents" else ("curate", "evidence")
        found = [measure(context, base.of(what, t), wanted) for t in times]
        for command in wanted:
            took = [f[command] for f in found]
            grown = power([t.seconds for t in took], times)
            table[f"{command}, {what}"] = {
                "seconds": [round(t.seconds, 2) for t in took],
                "mb": [round(t.mb) for t in took],
                "growth": round(grown, 2),
            }
            figures = "".join(f"{t.seconds:9.2f} s{t.mb:5.0f} MB" for t in took)
            print(f"{command + ', ' + what:24}{figures}{grown:9.2f}", flush=True)
    fast = [
        name
        for name, row in table.items()
        if row["growth"] > POWER_MOST and row["seconds"][-1] > SECONDS_LEAST
    ]
    print(json.dumps({"times": times, **table, "faster_than_work": fast}))


if __name__ == "__main__":
    main()
