"""The demo: predict shipped General Social Survey questions and compare with what people said."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.evidence.worth import OVERALL, Worth, measure_worth, number_words
from opinioncast.jobs.demo_story import Chapter, tell
from opinioncast.jobs.manifest import write_manifest
from opinioncast.jobs.predict import run_record
from opinioncast.methods.blend import abstentions
from opinioncast.methods.prediction import Prediction, Problem, Progress
from opinioncast.models import SHIPPED
from opinioncast.output_folder import holds_folder
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.report.answers_chart import answers_chart
from opinioncast.report.figure_files import write_figure
from opinioncast.report.group_chart import group_chart
from opinioncast.report.page import write_page
from opinioncast.report.report import Report, chosen_formats
from opinioncast.report.terminal import percent
from opinioncast.survey import GroupScheme, OpinionTable, PredictionTable
from opinioncast.survey.tables import NEVER_MEASURED


def demo_table() -> OpinionTable:
    """The opinion table in the package: GSS 2016 and 2018, group level, wording paraphrased."""
    with resources.as_file(resources.files("opinioncast.recipes")) as folder:
        return OpinionTable.read(folder / "demo.parquet")


@dataclass(frozen=True)
class DemoRun:
    """What the demo made.

    Attributes:
        prediction, scores: of the default method.
        language_model: name and scores of the embedded language model with the shipped adapter.
        problems: of both.
        worth: of the default method, over all cells and by group, in respondents.
        story: the same questions with more and more known.
    """

    prediction: Prediction
    scores: CellScores
    worth: Mapping[str, Worth]
    story: tuple[Chapter, ...]
    language_model: tuple[str, CellScores]
    problems: tuple[Problem, ...]
    files: tuple[Path, ...]


@holds_folder("demo", plan=("page.html",))
def run_demo(out: Path, *, progress: Progress | None = None) -> DemoRun:
    """Predict the demo table's questions for its groups, twice: with the default method and with
    the fine-tuned embedded language model; write the answers by group, chart, page, tables and
    manifest."""
    started = time.monotonic()
    observed = demo_table()
    questions = observed.questions()
    groups = GroupScheme.of_standard(observed.subpopulations(), "demo")
    tuned = PredictSettings(method="zero-shot", adapter=SHIPPED)
    with Predictor(tuned) as of_model, Predictor(beside=of_model) as default:
        fine_tuned = of_model.predict(questions, groups, progress=progress)
        prediction = default.predict(questions, groups)
    scores = score_cells(observed, prediction.table)
    baseline = ("Gemma 3 270M, fine-tuned", score_cells(observed, fine_tuned.table))
    record = run_record(prediction, groups, time.monotonic() - started)
    model = str(prediction.record["model"])
    title = "Predicted and observed answers: General Social Survey, 2016 and 2018"
    worth = measure_worth(scores)
    story = tell(prediction.table, observed)
    answers = answers_chart(scores.frame, title=title)
    assert answers is not None  # the default method's settings are measured, or said not to be
    picture = write_figure(answers, out / "answers.png", dpi=110)
    figure = group_chart(scores, model=model, title=title, baseline=baseline)
    chart = write_figure(figure, out / "chart.png", dpi=110)
    wd = baseline[1].mean()["wd"]
    page = write_page(
        out / "page.html",
        scores,
        title=title,
        chart=figure,
        answers=answers,
        worth=worth[OVERALL],
        knowing_more=knowing_more(story),
        model_card={
            "Model": model,
            "Method": prediction.record["method"],
            "Trained on": _trained_on(prediction.record),
            "Worth": str(worth[OVERALL]),
            "Intervals": _intervals(prediction.table, scores),
        },
        data_card={
            "Survey": observed.meta["citation"],
            "Wording": observed.meta["wording"],
            "Terms": observed.meta["terms"],
            "Table (content hash)": observed.content_hash,
        },
        notes=[
            f"For comparison: {baseline[0]}, by itself, is at {wd:.3f}.",
            *abstentions(prediction.record),
        ],
    )
    report = Report(prediction.table)
    files = [picture, chart, page]
    files += [f for kind in chosen_formats(["parquet", "csv"]) for f in kind.write(report, out)]
    files.append(fine_tuned.table.write(out / "language_model.parquet"))
    files.append(
        write_manifest(
            out,
            record
            | {"scores": scores.mean(), "worth_here": {n: w.record() for n, w in worth.items()}}
            | {"knowing_more": knowing_more(story).to_dicts()}
            | {"language_model": {**fine_tuned.record, "scores": baseline[1].mean()}},
            files,
        )
    )
    problems = (*prediction.problems, *fine_tuned.problems)
    return DemoRun(prediction, scores, worth, story, baseline, problems, tuple(files))


def knowing_more(story: Sequence[Chapter]) -> pl.DataFrame:
    """The story as a table: what is known, distance, worth, intervals."""
    rows = []
    for chapter in story:
        means = chapter.scores.mean()
        rows.append(
            {
                "what is known": chapter.known,
                "distance": means["wd"],
                "worth, respondents a group": number_words(chapter.worth.respondents),
                "90% intervals hold": percent(means["covered"]),
                "half-width, points": f"{100 * means['half_width']:.0f}",
            }
        )
    return pl.DataFrame(rows)


def _intervals(table: PredictionTable, scores: CellScores) -> str:
    if table.frame["basis"].str.contains(NEVER_MEASURED, literal=True).any():
        return "never measured for these settings: any share is possible"
    held = scores.mean()["covered"]
    return f"measured on these questions, of whose shares they hold {100 * held:.0f}%"


def _trained_on(record: Mapping[str, Any]) -> str:
    """What a method, or the part of it that says so, was trained on."""
    said = [r["trained_on"] for r in (record, *record.get("parts", [])) if "trained_on" in r]
    return str(said[0].get("citation", "see its card")) if said else "see its card"
