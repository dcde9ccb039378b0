"""The demo: predict shipped General Social Survey questions and compare with what people said."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.jobs.manifest import NAME, write_manifest
from opinioncast.jobs.predict import PredictSettings, run_method, run_record, write_tables
from opinioncast.methods.prediction import Prediction, Progress
from opinioncast.report.figure_files import write_figure
from opinioncast.report.group_chart import group_chart
from opinioncast.report.page import write_page
from opinioncast.survey import GroupScheme, OpinionTable, standard_attributes


def demo_table() -> OpinionTable:
    """The opinion table in the package: GSS 2016 and 2018, group level, wording paraphrased."""
    with resources.as_file(resources.files("opinioncast.recipes")) as folder:
        return OpinionTable.read(folder / "demo.parquet")


@dataclass(frozen=True)
class DemoRun:
    """What the demo made."""

    prediction: Prediction
    scores: CellScores
    files: tuple[Path, ...]


def run_demo(
    out: Path, settings: PredictSettings | None = None, *, progress: Progress | None = None
) -> DemoRun:
    """Predict the demo table's questions for its groups; write chart, page, tables and manifest."""
    started = time.monotonic()
    observed = demo_table()
    groups = GroupScheme("demo", standard_attributes(), (), "demo table").with_subpopulations(
        observed.subpopulations()
    )
    (out / NAME).unlink(missing_ok=True)
    prediction = run_method(
        observed.questions(), groups, settings or PredictSettings(), progress=progress
    )
    scores = score_cells(observed, prediction.table)
    record = run_record(prediction, groups, time.monotonic() - started)
    model = str(prediction.record["model"])
    title = "Predicted and observed answers: General Social Survey, 2016 and 2018"
    figure = group_chart(scores, model=model, title=title)
    chart = out / "chart.png"
    write_figure(figure, chart, dpi=110)
    page = write_page(
        out / "page.html",
        scores,
        title=title,
        chart=figure,
        model_card={
            "Model": model,
            "Method": prediction.record["method"],
            "Weights (SHA-256)": prediction.record["backend"]["weights"],
            "Option orders averaged": prediction.record["option_orders"],
            "Mean probability on option letters": f"{record['label_mass_mean']:.2f}",
        },
        data_card={
            "Survey": observed.meta["citation"],
            "Wording": observed.meta["wording"],
            "Terms": observed.meta["terms"],
            "Table (content hash)": observed.content_hash,
        },
    )
    files = [chart, page, *write_tables(prediction.table, out)]
    files.append(write_manifest(out, record | {"scores": scores.mean()}, files))
    return DemoRun(prediction, scores, tuple(files))
