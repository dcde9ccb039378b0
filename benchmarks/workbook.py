"""A pollster's morning: 100 questions in Word, 22 groups, a banner workbook. Seconds and memory.

    python benchmarks/workbook.py                   # predicted by the default method
    python benchmarks/workbook.py --quick           # the first 20 questions
    python benchmarks/workbook.py --method blend    # with the language model

A questionnaire of 100 questions is written with python-docx as pollsters write them (sections, who
is asked, coded options, "don't know", a few batteries in tables), and then goes the way of a user:
imported, predicted for 22 groups and the whole, tabulated. Seconds are wall time of this process,
and processor time of all its threads, which other programs of the machine do not lengthen much;
``peak_mb`` is the most memory it held until the end of the step. ``load`` opens the models with a
question of another questionnaire; nothing is taken from the cache of finished rows.
``survey`` tabulates made-up shares of as many respondents, with letters to test; ``records`` draws
1,000 synthetic ones. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import docx
import numpy as np

from opinioncast.banners.settings import BannerSettings
from opinioncast.jobs.banner import BannerRequest, banner_to_files
from opinioncast.jobs.import_questionnaire import import_questionnaire
from opinioncast.jobs.synthesize import SynthesisRequest, synthesize_to_files
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.survey import GroupScheme, OpinionTable, Question, load_groups, opinion_row

QUESTIONS = 100
QUICK = 20
BATTERIES, ITEMS = 4, 5
"""How many of the questions stand in tables: batteries, and items of each."""
GROUPS = ("total", "paper22")
AIM = 60.0
"""Seconds from the file to the workbook, once the model is loaded."""

TOPICS = (
    *("rents", "public transport", "schools", "the police", "immigration", "energy prices"),
    *("health care", "pensions", "climate policy", "taxes", "housing", "child care", "trade"),
    *("crime", "the army", "elections", "drug policy", "farming", "roads", "social media"),
)
FORMS = (
    (
        "Do you favor or oppose that the government spends more on {}?",
        ("Strongly favor", "Somewhat favor", "Somewhat oppose", "Strongly oppose"),
    ),
    (
        "How satisfied are you with the way things are going in {} where you live?",
        ("Very satisfied", "Satisfied", "Neither", "Dissatisfied", "Very dissatisfied"),
    ),
    (
        "Thinking ahead five years, do you expect that {} will get better, stay the same or get "
        "worse?",
        ("Get better", "Stay the same", "Get worse"),
    ),
    (
        "When you decide how to vote, how important to you are the parties' plans for {}?",
        ("Very important", "Somewhat important", "Not too important", "Not at all important"),
    ),
)  # fmt: skip
BATTERY = "How much do you trust each of these to tell the truth about {}?"
TRUSTED = ("Scientists", "Journalists", "Members of Congress", "Your neighbors", "Companies")
TRUST = ("A great deal", "A fair amount", "Not very much", "Not at all")
T = TypeVar("T")


def write_word(path: Path) -> None:
    """The questionnaire, as pollsters write them."""
    document = docx.Document()
    document.add_heading("City and country: draft questionnaire", 0)
    number = 0
    for topic in TOPICS[:BATTERIES]:
        number += 1
        document.add_heading(f"Section: {topic}", 1)
        document.add_paragraph("ASK ALL")
        document.add_paragraph(f"Q{number}. {BATTERY.format(topic)}")
        table = document.add_table(ITEMS + 1, len(TRUST) + 1)
        for cell, option in zip(table.rows[0].cells[1:], TRUST, strict=True):
            cell.text = option
        for row, who in zip(table.rows[1:], TRUSTED, strict=True):
            row.cells[0].text = who
            for code, cell in enumerate(row.cells[1:], start=1):
                cell.text = str(code)
    plain = [(form, topic) for topic in TOPICS for form in FORMS]
    for (wording, options), topic in plain[: QUESTIONS - BATTERIES * ITEMS]:
        number += 1
        document.add_paragraph(f"Q{number}. {wording.format(topic)}")
        for code, option in enumerate(options, start=1):
            document.add_paragraph(f"{code}  {option}")
        document.add_paragraph("98  Don't know")
    document.save(str(path))


def survey(asked: Sequence[Question], groups: GroupScheme) -> OpinionTable:
    """Made-up shares of 50 to 1,000 respondents a group."""
    rng = np.random.default_rng(0)
    rows = []
    for question in asked:
        whole = rng.dirichlet(np.full(len(question.options), 3.0))
        for group in groups:
            n = int(rng.integers(50, 1000))
            shares = rng.dirichlet(40 * whole + 0.1).tolist()
            rows.append(opinion_row(question, group, shares, n=n, n_eff=0.7 * n))
    return OpinionTable.from_rows(rows)


@dataclass
class Steps:
    """Seconds of each step, by the clock and of the processor, and the most memory held until its
    end in MB."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)

    def take(self, name: str, work: Callable[[], T]) -> T:
        """The step, done and timed."""
        started, used = time.perf_counter(), time.process_time()
        made = work()
        self.seconds[name] = time.perf_counter() - started
        self.cpu[name] = time.process_time() - used
        self.peak_mb[name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{name:<14}{self.seconds[name]:>9.2f}{self.cpu[name]:>9.2f}{self.peak_mb[name]:>9.0f}",
            flush=True,
        )
        return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="the first 20 questions")
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="the first so many")
    parser.add_argument("--method", help="default: the product's")
    options = parser.parse_args()
    method = PredictSettings(method=options.method)
    if method.model is not None:
        method = PredictSettings(method=options.method, use_cache=False)
    print(f"{'step':<14}{'seconds':>9}{'of cpu':>9}{'peak MB':>9}", flush=True)
    groups, settings, steps = load_groups(*GROUPS), BannerSettings(), Steps()
    only = BannerRequest(formats=("xlsx",))
    other = Question("other", "Are you afraid of spiders?", ("Yes", "No"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        word = out / "draft.docx"
        write_word(word)
        read = steps.take("import", lambda: import_questionnaire(word, out / "draft.yaml"))
        asked = read.questionnaire.questions
        if len(asked) != QUESTIONS:
            raise SystemExit(f"{len(asked)} of {QUESTIONS} questions were read")
        asked = asked[: min(options.questions, QUICK if options.quick else QUESTIONS)]
        with Predictor(method) as predictor:
            steps.take("load", lambda: predictor.predict([other], groups))
            predicted = steps.take("model", lambda: predictor.predict(asked, groups))
        predicted.raise_for_problems()
        table = predicted.table.write(out / "predictions.parquet")
        steps.take("workbook", lambda: banner_to_files(table, settings, out / "b", only))
        steps.take("every_format", lambda: banner_to_files(table, settings, out / "c"))
        answered = survey(asked, groups).write(out / "opinions.parquet")
        run = steps.take("survey", lambda: banner_to_files(answered, settings, out / "a"))
        letters = sum(len(m) for t in run.banner.tables for line in t.lines for m in line.marks)
        steps.take("records", lambda: synthesize_to_files(table, out / "d", SynthesisRequest()))
        size = (out / "b" / "banner.xlsx").stat().st_size / 1e6
    whole = sum(steps.seconds[s] for s in ("import", "model", "workbook"))
    figures = {
        "method": method.method,
        "questions": len(asked),
        "groups": len(groups) - 1,
        "seconds": {k: round(v, 2) for k, v in steps.seconds.items()},
        "cpu": {k: round(v, 2) for k, v in steps.cpu.items()},
        "peak_mb": {k: round(v) for k, v in steps.peak_mb.items()},
        "file_to_workbook": round(whole, 2),
        "aim": AIM,
        "aim_met": whole < AIM,
        "model_share": round(steps.seconds["model"] / whole, 3),
        "workbook_mb": round(size, 2),
        "survey_letters": letters,
    }
    print(json.dumps({"benchmark": "workbook", "quick": options.quick, **figures}))


if __name__ == "__main__":
    main()
