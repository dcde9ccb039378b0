"""Predict a questionnaire: from questions and groups to a table, and to files a person can use."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opinioncast.backends.sentences import SentenceModel
from opinioncast.csv_files import write_csv
from opinioncast.errors import InputError
from opinioncast.evaluate.scores import CellScores, score_cells, share_cells
from opinioncast.evidence.frame import Frame
from opinioncast.evidence.known import known_in_questionnaire
from opinioncast.evidence.observations import Evidence
from opinioncast.evidence.store import forget
from opinioncast.jobs.asked_before import (
    Relatives,
    Sentences,
    asked_before_frame,
    relatives,
)
from opinioncast.jobs.manifest import write_manifest
from opinioncast.jobs.update import (
    WORDING_ALONE,
    Sources,
    Updated,
    gather,
    population_frame,
    read_on,
)
from opinioncast.library.own import open_library
from opinioncast.methods.declaration import method_kind
from opinioncast.methods.prediction import Prediction, Progress
from opinioncast.output_folder import holds_folder
from opinioncast.predictor import Predictor, PredictSettings
from opinioncast.questionnaires import Questionnaire
from opinioncast.report.report import Report, ReportFormat, chosen_formats
from opinioncast.survey import US_ADULTS, GroupScheme
from opinioncast.survey.tables import ORIGIN

ASKED_BEFORE = "asked_before.csv"
"""In the folder of a prediction: the nearest questions of the library, with what was answered."""


@dataclass(frozen=True)
class PredictionRun:
    """What :func:`predict_questionnaire` made.

    Attributes:
        prediction: the method's; with evidence, its table is what starts from that.
        questionnaire: what was asked.
        scores: None where nothing observed was predicted.
        updated: what was read on the method's predictions, if there was evidence.
        asked_before: what the library knows of the questions, where it was to be looked up.
    """

    prediction: Prediction
    questionnaire: Questionnaire
    scores: CellScores | None
    folder: Path
    files: tuple[Path, ...]
    updated: Updated | None = None
    asked_before: Relatives | None = None


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
    drawing: Progress | None = None,
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
        progress, drawing: called with what is done and how much there is, of rows and of charts.

    Raises:
        InputError, DataError, ModelError, StorageError: as in prediction; an unknown format.
    """
    started = time.monotonic()
    wanted = chosen_formats(formats)
    with Predictor(settings) as predictor:
        sentences = predictor.sentences if sources.library else None
        known = read_starting_point(questionnaire, groups, sources, sentences)
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
        drawing=drawing,
    )


@dataclass(frozen=True)
class StartingPoint:
    """What predictions start from, and the population that it is read on.

    Attributes:
        evidence: none: from the wording alone.
        frame: None where there is no evidence.
        prior: of `opinioncast learn-prior`; None: the shipped one.
        asked_before: what the library knows of the questions; None: it was not looked up.
    """

    evidence: tuple[Evidence, ...] = ()
    frame: Frame | None = None
    prior: Path | None = None
    asked_before: Relatives | None = None


def read_starting_point(
    questionnaire: Questionnaire,
    groups: GroupScheme,
    sources: Sources,
    sentences: Sentences | None = None,
) -> StartingPoint:
    """What the questionnaire, the sources and the library say is known.

    Args:
        sentences: finds relatives in the library by meaning; None: by the very wording only.

    Raises:
        InputError: evidence that cannot be read; a population without evidence.
    """
    own = known_in_questionnaire(questionnaire, groups)
    before = _asked_before(questionnaire, sources, sentences) if sources.library else None
    at_hand = before.evidence if before is not None else ()
    if own is None and not sources and not at_hand:
        if sources.frame is not None:
            raise InputError(
                "A population frame alone changes nothing",
                expected="a pilot, known results or past waves, which it is for",
                found=f"--frame {sources.frame}",
                hint="leave it out, or give --pilot, --known or --past",
            )
        return StartingPoint(asked_before=before)
    frame = population_frame(sources.frame, questionnaire.population)
    given = gather(sources, questionnaire.questions, groups)
    evidence = (*([own] if own else []), *given, *at_hand)
    return StartingPoint(evidence, frame, sources.prior, before)


def sentences_for(settings: Mapping[str, Any]) -> Sentences | None:
    """The sentence model that predictions of these settings, as a manifest has them, looked the
    library up with; None where their method has none.

    Raises:
        ModelError: it cannot be opened.
    """
    if "sentence_model" not in method_kind(str(settings["method"])).options:
        return None
    return SentenceModel.load(settings.get("settings", {}).get("sentence_model"))


def _asked_before(
    questionnaire: Questionnaire, sources: Sources, sentences: Sentences | None
) -> Relatives:
    """What the library knows; of questions with observed answers, nothing that asks the same."""
    if questionnaire.population != US_ADULTS:
        note = f"the library is of {US_ADULTS}: it is not used for {questionnaire.population}"
        return Relatives(notes=(note,))
    observed = questionnaire.observed
    scored = [] if observed is None else observed.questions()
    return relatives(
        open_library(), questionnaire.questions, sentences, scored=scored, year=sources.year
    )


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
    drawing: Progress | None = None,
) -> PredictionRun:
    """What is known read on a method's predictions, scores, and all files with their manifest.

    Args:
        prediction: of every question of the questionnaire, from the wording alone.
        record: what the manifest says beside what it always does.
        started: when the run began, by ``time.monotonic()``.
        drawing: called with charts done and in all.

    Raises:
        InputError: evidence that contradicts itself. StorageError: a file cannot be written.
    """
    updated = None
    files: list[Path] = []
    if known.evidence and known.frame is not None:
        updated = read_on(prediction.table, known.evidence, known.frame, known.prior)
        if known.asked_before is not None:
            updated = updated.saying(known.asked_before.record())
        prediction = replace(prediction, table=updated.table)
        files = updated.keep(out)
    else:
        forget(out)  # an earlier run's evidence is not this one's
    scores = None
    observed = questionnaire.observed
    if observed is not None and share_cells(observed, prediction.table):
        scores = score_cells(observed, prediction.table)
    before = known.asked_before
    if before is not None and before.near:
        named = asked_before_frame(open_library(), before)
        files.append(write_csv(named, out / ASKED_BEFORE))
    report = Report(prediction.table, observed, prediction.details, drawing)
    files += [file for kind in formats for file in kind.write(report, out)]  # charts come last
    files.append(
        write_manifest(
            out,
            run_record(prediction, groups, time.monotonic() - started)
            | {**record, "formats": [kind.name for kind in formats]}
            | {"questionnaire": questionnaire.name, "questionnaire_sha256": questionnaire.sha256}
            | {"questionnaire_notes": list(questionnaire.notes)}
            | {"population": questionnaire.population.record()}
            | (dict(updated.record) if updated else {})
            | (before.record() if before is not None else {})
            | ({"scores": scores.mean()} if scores else {}),
            files,
        )
    )
    return PredictionRun(prediction, questionnaire, scores, out, tuple(files), updated, before)


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
        "cache_dropped": 0,
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
