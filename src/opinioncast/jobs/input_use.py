"""Does a method use its input? One opinion table predicted as asked and three ways poorer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from opinioncast.evaluate.input_use import input_use
from opinioncast.jobs.manifest import write_manifest
from opinioncast.methods.prediction import Problem, Progress
from opinioncast.output_folder import holds_folder
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.report.dot_chart import DotPanel, DotSeries, dot_figure
from opinioncast.report.figure_files import save_figure
from opinioncast.report.tables import write_table
from opinioncast.survey import (
    GroupScheme,
    OpinionTable,
    PredictionTable,
    Question,
    Subpopulation,
)
from opinioncast.survey.tables import ORIGIN

AXIS = "Wasserstein distance above that as asked (0: not used)"


@dataclass(frozen=True)
class InputUseRun:
    """What :func:`input_use_to_files` made: the table of :func:`input_use`, and files.

    Attributes:
        problems: rows that went wrong as asked; in the poorer ways many do (only counted).
    """

    table: pl.DataFrame
    files: tuple[Path, ...]
    problems: tuple[Problem, ...] = ()


@holds_folder("input-use")
def input_use_to_files(
    opinions: OpinionTable,
    settings: PredictSettings,
    out: Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> InputUseRun:
    """Run the four predictions, score them, and write ``input_use`` as table and figure.

    Models are opened once; rows are cached as in ``predict``. Only distances are
    written, whatever the survey's terms.

    Raises:
        InputError, ModelError, StorageError: as in prediction.
        DataError: predictions that share no cell with the table.
    """
    started = time.monotonic()
    scheme = GroupScheme.of_standard(opinions.subpopulations(), "the opinion table")
    problems: list[tuple[Problem, ...]] = []

    with Predictor(settings) as predictor:

        def predict(
            questions: Sequence[Question], groups: Sequence[Subpopulation]
        ) -> PredictionTable:
            wanted = scheme.with_subpopulations(groups)
            found = predictor.predict(questions, wanted, progress=progress)
            problems.append(found.problems)
            return found.table

        frame = input_use(opinions, predict, seed=seed)
        how = predictor.how_asked
    first, *poorer_ways = problems  # as asked comes first
    caption = f"What {settings.method} loses without parts of its input. {ORIGIN.capitalize()}."
    if first:
        caption += f" {len(first)} rows as asked are not to be relied on."
    said = ("note",) if any(frame["note"].to_list()) else ()
    shown = [*(c for c in frame.columns if c not in ("asked", "note")), *said]
    files = write_table(frame, out / "input_use", caption=caption, shown=shown)
    poorer = frame.filter(pl.col("p_value").is_not_null())
    values, low, high = (poorer[c].to_list() for c in ("worse_by", "low", "high"))
    panel = DotPanel(
        settings.method, poorer["input"].to_list(), [DotSeries("worse by", values, low, high)]
    )
    note = f"{frame['cells'][0]:,} cells. Bars: 95% intervals over questions."
    figure = dot_figure([panel], title="Is the input used?", axis=AXIS, note=note)
    files += save_figure(figure, out / "input_use")
    record = {
        "origin": ORIGIN,
        "settings": settings.record(),
        **how,
        "problems": {"as asked": len(first), "in the poorer ways": sum(map(len, poorer_ways))},
        "seed": seed,
        "opinions": opinions.content_hash,
        "seconds": round(time.monotonic() - started, 2),
    }
    files.append(write_manifest(out, record, files))
    return InputUseRun(frame, tuple(files), first)
