"""Predict a questionnaire: from questions and groups to a table, and to files a person can use."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opinioncast.evaluate.scores import CellScores, score_cells, share_cells
from opinioncast.jobs.manifest import NAME, write_manifest
from opinioncast.methods.prediction import Prediction, Progress
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.questionnaires import Questionnaire
from opinioncast.report.report import Report, chosen_formats
from opinioncast.survey import GroupScheme
from opinioncast.survey.tables import ORIGIN


@dataclass(frozen=True)
class PredictionRun:
    """What :func:`predict_questionnaire` made: the prediction, its scores if any, its files."""

    prediction: Prediction
    scores: CellScores | None
    folder: Path
    files: tuple[Path, ...]


def predict_questionnaire(
    questionnaire: Questionnaire,
    groups: GroupScheme,
    settings: PredictSettings,
    out: Path,
    *,
    formats: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> PredictionRun:
    """Predict a questionnaire and write it to ``out``, with a manifest.

    Where the questionnaire holds observed distributions, those cells are scored too. Problem rows
    do not stop the files from being written; call the prediction's ``raise_for_problems``
    afterwards.

    Args:
        formats: names of :func:`opinioncast.report.report.report_formats`; None: the usual ones.

    Raises:
        InputError, DataError, ModelError, StorageError: as in prediction; an unknown format.
    """
    started = time.monotonic()
    wanted = chosen_formats(formats)
    (out / NAME).unlink(missing_ok=True)  # of an earlier run: its files are about to change
    with Predictor(settings) as predictor:
        prediction = predictor.predict(questionnaire.questions, groups, progress=progress)
    scores = None
    observed = questionnaire.observed
    if observed is not None and share_cells(observed, prediction.table):
        scores = score_cells(observed, prediction.table)
    report = Report(prediction.table, observed, prediction.details)
    files = [file for kind in wanted for file in kind.write(report, out)]
    files.append(
        write_manifest(
            out,
            run_record(prediction, groups, time.monotonic() - started)
            | {"settings": settings.record(), "formats": [kind.name for kind in wanted]}
            | {"questionnaire": questionnaire.name, "questionnaire_sha256": questionnaire.sha256}
            | {"questionnaire_notes": list(questionnaire.notes)}
            | {"population": questionnaire.population.record()}
            | ({"scores": scores.mean()} if scores else {}),
            files,
        )
    )
    return PredictionRun(prediction, scores, out, tuple(files))


def run_record(prediction: Prediction, groups: GroupScheme, seconds: float) -> dict[str, object]:
    """What every manifest of a prediction says."""
    mass = prediction.frame["label_mass"]
    missing = sum(p.missing for p in prediction.problems)
    return {
        "origin": ORIGIN,
        "parse_failures": 0,  # a method that reads no text has none, and reads and writes no token
        "tokens_in": 0,
        "tokens_out": 0,
        "retries": 0,  # nor is anything asked again where no service is asked, or anything paid
        "cost": None,
        **prediction.record,
        "groups": groups.name,
        "rows": len(prediction),
        "rows_missing": missing,
        "rows_without_label_mass": len(prediction.problems) - missing,
        "label_mass_mean": mass.mean(),
        "label_mass_min": mass.min(),
        "seconds": round(seconds, 2),
        "problems": [str(p) for p in prediction.problems],
    }
