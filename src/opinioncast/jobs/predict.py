"""Predict a questionnaire: from questions and groups to a table, and to files a person can use."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opinioncast.errors import InputError
from opinioncast.evaluate.scores import CellScores, score_cells, share_cells
from opinioncast.evidence.frame import Frame
from opinioncast.evidence.known import known_in_questionnaire
from opinioncast.evidence.observations import Evidence
from opinioncast.evidence.store import forget
from opinioncast.jobs.manifest import write_manifest
from opinioncast.jobs.update import (
    WORDING_ALONE,
    Sources,
    Updated,
    gather,
    population_frame,
    read_on,
)
from opinioncast.methods.prediction import Prediction, Progress
from opinioncast.output_folder import holds_folder
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.questionnaires import Questionnaire
from opinioncast.report.report import Report, ReportFormat, chosen_formats
from opinioncast.survey import GroupScheme
from opinioncast.survey.tables import ORIGIN


@dataclass(frozen=True)
class PredictionRun:
    """What :func:`predict_questionnaire` made.

    Attributes:
        prediction: the method's; with evidence, its table is what starts from that.
        questionnaire: what was asked.
        scores: None where nothing observed was predicted.
        updated: what was read on the method's predictions, if there was evidence.
    """

    prediction: Prediction
    questionnaire: Questionnaire
    scores: CellScores | None
    folder: Path
    files: tuple[Path, ...]
    updated: Updated | None = None


@holds_folder("predict")
def predict_questionnaire(
    questionnaire: Questionnaire,
    groups: GroupScheme,
    settings: PredictSettings,
    out: Path,
    *,
    sources: Sources = WORDING_ALONE,
    formats: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> PredictionRun:
    """Predict a questionnaire and write it to ``out``, with a manifest.

    Where something is known (``known:`` in the questionnaire, ``sources``), predictions start from
    it, as :func:`opinioncast.jobs.update.update_to_files` would have them; evidence that cannot be
    read is refused before anything is predicted, evidence that contradicts itself before anything
    is written. Where the questionnaire holds observed
    distributions, those cells are scored too. Problem rows do not stop the files from being
    written; call the prediction's ``raise_for_problems`` afterwards.

    Args:
        sources: a pilot, published results, past waves; the population.
        formats: names of :func:`opinioncast.report.report.report_formats`; None: the usual ones.

    Raises:
        InputError, DataError, ModelError, StorageError: as in prediction; an unknown format.
    """
    started = time.monotonic()
    wanted = chosen_formats(formats)
    known = read_starting_point(questionnaire, groups, sources)
    with Predictor(settings) as predictor:
        prediction = predictor.predict(questionnaire.questions, groups, progress=progress)
    return write_prediction(
        prediction,
        questionnaire,
        groups,
        known,
        out,
        formats=wanted,
        record={"settings": settings.record()},
        started=started,
    )


@dataclass(frozen=True)
class StartingPoint:
    """What predictions start from, and the population that it is read on.

    Attributes:
        evidence: none: from the wording alone.
        frame: None where there is no evidence.
        prior: of `opinioncast learn-prior`; None: the shipped one.
    """

    evidence: tuple[Evidence, ...] = ()
    frame: Frame | None = None
    prior: Path | None = None


def read_starting_point(
    questionnaire: Questionnaire, groups: GroupScheme, sources: Sources
) -> StartingPoint:
    """What the questionnaire and the sources say is known.

    Raises:
        InputError: evidence that cannot be read; a population without evidence.
    """
    own = known_in_questionnaire(questionnaire, groups)
    if own is None and not sources:
        if sources.frame is not None:
            raise InputError(
                "A population frame alone changes nothing",
                expected="a pilot, known results or past waves, which it is for",
                found=f"--frame {sources.frame}",
                hint="leave it out, or give --pilot, --known or --past",
            )
        return StartingPoint()
    frame = population_frame(sources.frame, questionnaire.population)
    given = gather(sources, questionnaire.questions, groups)
    return StartingPoint((*([own] if own else []), *given), frame, sources.prior)


def write_prediction(
    prediction: Prediction,
    questionnaire: Questionnaire,
    groups: GroupScheme,
    known: StartingPoint,
    out: Path,
    *,
    formats: Sequence[ReportFormat],
    record: Mapping[str, object],
    started: float,
) -> PredictionRun:
    """What is known read on a method's predictions, scores, and all files with their manifest.

    Args:
        prediction: of every question of the questionnaire, from the wording alone.
        record: what the manifest says beside what it always does.
        started: when the run began, by ``time.monotonic()``.

    Raises:
        InputError: evidence that contradicts itself. StorageError: a file cannot be written.
    """
    updated = None
    files: list[Path] = []
    if known.evidence and known.frame is not None:
        updated = read_on(prediction.table, known.evidence, known.frame, known.prior)
        prediction = replace(prediction, table=updated.table)
        files = updated.keep(out)
    else:
        forget(out)  # an earlier run's evidence is not this one's
    scores = None
    observed = questionnaire.observed
    if observed is not None and share_cells(observed, prediction.table):
        scores = score_cells(observed, prediction.table)
    report = Report(prediction.table, observed, prediction.details)
    files += [file for kind in formats for file in kind.write(report, out)]
    files.append(
        write_manifest(
            out,
            run_record(prediction, groups, time.monotonic() - started)
            | {**record, "formats": [kind.name for kind in formats]}
            | {"questionnaire": questionnaire.name, "questionnaire_sha256": questionnaire.sha256}
            | {"questionnaire_notes": list(questionnaire.notes)}
            | {"population": questionnaire.population.record()}
            | (dict(updated.record) if updated else {})
            | ({"scores": scores.mean()} if scores else {}),
            files,
        )
    )
    return PredictionRun(prediction, questionnaire, scores, out, tuple(files), updated)


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
