"""Synthetic records for testing pipelines, drawn from predictions over a population."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from opinioncast.csv_files import write_csv
from opinioncast.errors import InputError
from opinioncast.evidence.posterior import Model
from opinioncast.evidence.prior import read_prior
from opinioncast.evidence.store import FOLDER, FRAME
from opinioncast.jobs.manifest import write_manifest
from opinioncast.jobs.update import one_thread, population_frame
from opinioncast.output_folder import holds_folder
from opinioncast.questionnaires import read_questionnaire
from opinioncast.report.disclosure import NOBODY_NAMED, Parties, disclosure_card, write_card
from opinioncast.survey import PredictionTable, Question, Subpopulation
from opinioncast.survey.tables import ORIGIN
from opinioncast.synthesis.files import WRITERS, write_codebook
from opinioncast.synthesis.people import draw_people, each_in_one_group
from opinioncast.synthesis.plan import Plan, plan_answers
from opinioncast.synthesis.records import Records, agreement, make_records
from opinioncast.synthesis.routing import Placed, Routing, read_routes, routing_of

CODEBOOK, AGREEMENT, CARD = "synthetic_codebook.csv", "synthetic_agreement.csv", "disclosure.md"
_SHIFTED = 0.005
"""Shifts of shares below this are not spoken of."""
_MOST = 1_000_000


@dataclass(frozen=True)
class SynthesisRequest:
    """What is wanted.

    Attributes:
        count: records.
        seed: of the draw: the same seed gives the same file.
        name: of the files: ``synthetic_NAME_nCOUNT.sav``.
        formats: endings of :data:`opinioncast.synthesis.files.WRITERS`.
        frame: population; None: that of the evidence read in, else US adults.
        ask_if: skip patterns, :func:`opinioncast.synthesis.routing.read_routes`.
        questionnaire: the file that was predicted, whose skip patterns are followed where they can
            be read; None: only ``ask_if``.
        parties: for the disclosure card.

    Raises:
        InputError: no record or more than a million, an unknown format, a name that is no file
            name.
    """

    count: int = 1000
    seed: int = 0
    name: str = "survey"
    formats: tuple[str, ...] = tuple(WRITERS)
    frame: Path | None = None
    ask_if: tuple[str, ...] = ()
    questionnaire: Path | None = None
    parties: Parties = NOBODY_NAMED

    def __post_init__(self) -> None:
        if not 1 <= self.count <= _MOST:
            raise InputError(
                "So many records cannot be drawn", expected=f"1 to {_MOST}", found=self.count
            )
        if self.seed < 0:
            raise InputError("A seed is below 0", expected="0 or more", found=self.seed)
        unknown = [f for f in self.formats if f not in WRITERS]
        if unknown or not self.formats:
            raise InputError(
                "Unknown format of synthetic records",
                where="--write",
                expected=", ".join(WRITERS),
                found=", ".join(unknown) or "none",
            )
        if not self.name or not all(c.isalnum() or c in "-_" for c in self.name):
            raise InputError(
                "A name cannot be part of a file's name",
                where="--name",
                expected="letters, digits, - and _",
                found=self.name,
            )


@dataclass(frozen=True)
class SynthesisRun:
    """What :func:`synthesize_to_files` made.

    Attributes:
        agreement: :func:`opinioncast.synthesis.records.agreement`.
        notes: what could not be kept of the predictions.
    """

    records: Records
    agreement: pl.DataFrame
    notes: tuple[str, ...]
    files: tuple[Path, ...]


@holds_folder("synthesize", plan=(CODEBOOK, AGREEMENT, CARD))
def synthesize_to_files(
    predictions: Path,
    out: Path,
    request: SynthesisRequest,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> SynthesisRun:
    """Draw records and write ``synthetic_NAME_nCOUNT`` as SPSS, Stata, parquet and CSV files,
    ``synthetic_codebook.csv``, ``synthetic_agreement.csv`` (crosstabs of the records beside the
    predictions, with a chi-square test of each), ``disclosure.md`` and ``manifest.json``.

    Args:
        predictions: ``predictions.parquet``, or the folder that holds it.

    Raises:
        InputError: predictions of people the population frame is not of; two questions of one id;
            skip patterns that cannot be read.
        DataError: a file that is no table of predictions.
    """
    started = time.monotonic()
    path = predictions / "predictions.parquet" if predictions.is_dir() else predictions
    table = PredictionTable.read(path)
    questions = _questions(table)
    routing = _routing(request, questions)
    kept = path.parent / FOLDER / FRAME
    earlier = kept if "based_on" in table.meta and kept.is_file() else None
    frame = population_frame(request.frame, table.meta.get("population"), earlier)
    frame = each_in_one_group(frame)
    model = Model(read_prior().with_frame(frame), frame)
    with one_thread():
        plans, refusals = _plans(model, table, questions, progress)
    rng = np.random.default_rng(request.seed)
    people = draw_people(frame, request.count, rng)
    records = make_records(people, questions, plans, refusals, routing.routes, rng)
    compared = agreement(records, people, questions, plans)
    notes = (*_notes(plans), *_routing_notes(routing))
    stem = f"synthetic_{request.name}_n{request.count}"
    files = [WRITERS[ending](records, out / f"{stem}.{ending}") for ending in request.formats]
    files.append(write_codebook(records, out / CODEBOOK))
    files.append(write_csv(compared, out / AGREEMENT))
    how = (
        f"{request.count} records drawn with seed {request.seed}: people from the population frame "
        f"({frame.card.get('population') or frame.card.get('source', 'not described')}), answers "
        "from the predictions for each person's groups, each question by itself."
    )
    card = disclosure_card(table, parties=request.parties, synthetic=how)
    files.append(write_card(card, out / CARD))
    record: dict[str, Any] = {
        "command": "synthesize",
        "origin": ORIGIN,
        "synthetic": True,
        "predictions": table.content_hash,
        "population_frame": dict(frame.card),
        "records": request.count,
        "seed": request.seed,
        "ask_if": list(request.ask_if),
        "questionnaire": request.questionnaire.name if request.questionnaire else None,
        "routing_followed": dict(routing.followed),
        "routing_not_followed": {
            q: {"routing": text, "why": why} for q, (text, why) in routing.unread.items()
        },
        "largest_shift": max((p.shift for p in plans.values()), default=0.0),
        "notes": list(notes),
        "seconds": round(time.monotonic() - started, 2),
    }
    files.append(write_manifest(out, record, files))
    return SynthesisRun(records, compared, notes, tuple(files))


def _routing(request: SynthesisRequest, questions: Sequence[Question]) -> Routing:
    """Skip patterns as typed, and those of the questionnaire."""
    typed = read_routes(request.ask_if, questions)
    if request.questionnaire is None:
        return Routing(typed, {}, {})
    asked = read_questionnaire(request.questionnaire)
    known = {q.question_id: q for q in questions}
    same = [q for q in asked.questions if q.question_id in known]
    other = [q for q in same if q.options != known[q.question_id].options]
    if other or not same:
        raise InputError(
            "The questionnaire is not the one that was predicted",
            where=str(request.questionnaire),
            expected="the questions of the predictions, with their options",
            found=f"{other[0].question_id} with {' | '.join(other[0].options)}"
            if other
            else f"none of {', '.join(list(known)[:10])}",
        )
    placed = [
        Placed(p.question_id, p.routing, p.codes, p.part_of, p.item) for p in asked.placements
    ]
    return routing_of(placed, questions, typed)


def _routing_notes(routing: Routing) -> tuple[str, ...]:
    alike: dict[tuple[str, str], list[str]] = {}
    for question_id, why in routing.unread.items():
        alike.setdefault(why, []).append(question_id)
    told = [
        f"{listed(names)}: asked of everyone here, since the skip pattern {text!r} is not followed "
        f"({why}); --ask-if says it another way"
        for (text, why), names in alike.items()
    ]
    if routing.followed:
        told.insert(
            0,
            "Skip patterns of the questionnaire are followed for "
            f"{len(routing.followed)} question{'s' * (len(routing.followed) > 1)}: "
            f"{listed(list(routing.followed))}",
        )
    return tuple(told)


def listed(names: Sequence[str]) -> str:
    """Some of many names, and how many more there are.

    >>> listed(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _questions(table: PredictionTable) -> list[Question]:
    questions = table.questions()
    ids = [q.question_id.casefold() for q in questions]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise InputError(
            "Predictions of several waves have questions of one id",
            expected="different ids: each is a variable of the file",
            found=", ".join(twice[:10]),
            hint="give one wave's predictions",
        )
    if not questions:
        raise InputError("There is no prediction to draw from", expected="at least one question")
    return questions


def _plans(
    model: Model,
    table: PredictionTable,
    questions: Sequence[Question],
    progress: Callable[[int, int], None] | None,
) -> tuple[dict[str, Plan], dict[str, Plan]]:
    """Of answers, and of refusals where predictions have any."""
    plans: dict[str, Plan] = {}
    refusals: dict[str, Plan] = {}
    by_question = table.frame.partition_by("question_id", as_dict=True)
    for i, question in enumerate(questions):
        if progress:
            progress(i, len(questions))
        rows = by_question[question.question_id,]
        groups = [Subpopulation.from_key(*k) for k in rows.select("attribute", "group").iter_rows()]
        shares = dict(zip(groups, rows["distribution"].to_list(), strict=True))
        plans[question.question_id] = plan_answers(model, shares, question.ordinal)
        rates = {
            s: [rate, 1 - rate]
            for s, rate in zip(groups, rows["refusal_rate"].to_list(), strict=True)
            if rate is not None
        }
        if rates:
            refusals[question.question_id] = plan_answers(model, rates, (1, 2))
    if progress:
        progress(len(questions), len(questions))
    return plans, refusals


def _notes(plans: Mapping[str, Plan]) -> tuple[str, ...]:
    notes: list[str] = []
    untold = {str(s): why for plan in plans.values() for s, why in plan.untold.items()}
    notes += [f"{group} is in no record: {why}" for group, why in untold.items()]
    shifted = {q: plan.shift for q, plan in plans.items() if plan.shift >= _SHIFTED}
    if shifted:
        most = max(shifted, key=lambda q: shifted[q])
        notes.append(
            f"Predictions of {len(shifted)} of {len(plans)} questions contradict each other: "
            "groups of different attributes add up to different wholes. Their shares were shifted, "
            f"by {100 * shifted[most]:.1f} points at most ({most}); predicted and planned shares "
            f"are in {AGREEMENT}."
        )
    return tuple(notes)
