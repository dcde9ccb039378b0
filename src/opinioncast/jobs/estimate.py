"""The design-based estimate: a pilot's shares made more precise by predictions, unbiased."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.csv_files import write_csv
from opinioncast.curate.design import SampleDesign, read_weights, sample_design
from opinioncast.curate.disclosure import complementary
from opinioncast.curate.pipeline import CuratedWave
from opinioncast.errors import DataError
from opinioncast.evidence.frame import Frame
from opinioncast.evidence.greg import Answered, mean_prediction
from opinioncast.evidence.matching import option_places
from opinioncast.evidence.people import Groups
from opinioncast.evidence.sample import Answers, Sample, read_sample
from opinioncast.jobs.manifest import write_manifest
from opinioncast.jobs.update import PilotFile, curated_pilot
from opinioncast.output_folder import holds_folder
from opinioncast.survey import PredictionTable, Question, Subpopulation
from opinioncast.survey.tables import MODEL

Array = npt.NDArray[np.float64]

TOLD = 0.9
"""An attribute that fewer of the pilot's people than this have a group of is left out: for them the
total's prediction stands in, which the population's mean knows nothing of."""

BASIS = "respondents of the pilot; predictions make it more precise and not biased"

_SCHEMA: dict[str, Any] = {
    "question_id": pl.String,
    "question": pl.String,
    "attribute": pl.String,
    "group": pl.String,
    "option": pl.String,
    "n": pl.Int64,
    "share": pl.Float64,
    "se": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "plain_share": pl.Float64,
    "plain_se": pl.Float64,
    "lambda": pl.Float64,
    "gain": pl.Float64,
}
_Z = 1.6448536269514722  # 90%, as the intervals of predictions


@dataclass(frozen=True)
class EstimateRun:
    """What :func:`estimate_to_files` made.

    Attributes:
        table: one row a question x group x option: ``share, se`` of the generalised regression
            estimate with its 90% interval, ``plain_share, plain_se`` of the pilot alone, ``lambda``
            of the question, ``gain`` of the cell (respondents that the pilot alone would need more,
            as a part of its own).
        notes: what was left out or filled in.
    """

    table: pl.DataFrame
    notes: tuple[str, ...]
    files: tuple[Path, ...]


@holds_folder("estimate", plan=("estimates.csv",))
def estimate_to_files(
    predictions: PredictionTable,
    pilot: PilotFile,
    frame: Frame,
    out: Path,
    *,
    folders: Sequence[Path] = (Path(),),
) -> EstimateRun:
    """Estimate every question that both have, in every group of the pilot; write
    ``estimates.csv`` and ``manifest.json`` to ``out``.

    Raises:
        DataError: predictions that people's answers to the pilot are in, no question in common, no
            attribute that both the pilot and the frame tell.
        InputError: what curation refuses.
    """
    started = time.monotonic()
    used = predictions.frame.filter(~pl.col("basis").str.split(",").list.first().eq(MODEL))
    if used.height:
        raise DataError(
            "The predictions rest on people's answers",
            expected="predictions of `opinioncast predict`; with the pilot's own answers in them "
            "the estimate would not be unbiased",
            found=f"{used.height} rows: {used['basis'][0]}",
        )
    wave, name, terms = curated_pilot(pilot, folders)
    table, notes = estimate(predictions, wave, frame)
    path = out / "estimates.csv"
    write_csv(table.with_columns(basis=pl.lit(BASIS)), path, decimals=6)
    record = {
        "basis": BASIS,
        "estimator": "generalised regression; Taylor linearisation of the residuals",
        "predictions": predictions.content_hash,
        "pilot": name,
        "terms": terms,
        "population": dict(frame.card) | {"content_hash": frame.content_hash},
        "notes": list(notes),
        "seconds": round(time.monotonic() - started, 2),
    }
    return EstimateRun(table, notes, (path, write_manifest(out, record, [path])))


def estimate(
    predictions: PredictionTable, wave: CuratedWave, frame: Frame
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The rows of :class:`EstimateRun`, and notes."""
    sample = read_sample(wave)
    notes = list(sample.notes)
    cells: dict[str, dict[tuple[str, str], Array]] = {}
    asked = {q.question_id: q for q in predictions.questions()}
    for row in predictions.frame.iter_rows(named=True):
        of_question = cells.setdefault(row["question_id"], {})
        of_question[row["attribute"], row["group"]] = np.array(row["distribution"])
    rows: list[tuple[Any, ...]] = []
    common = [a for a in sample.answers if a.question.question_id in asked]
    if not common:
        raise DataError(
            "The pilot asks none of the predicted questions",
            expected=f"question ids among {', '.join(list(asked)[:8])}",
            found=", ".join(a.question.question_id for a in sample.answers[:8]),
            hint="give the questions of the questionnaire and of the recipe the same ids",
        )
    designs: dict[str | None, SampleDesign | None] = {}
    policy = wave.result.table.meta["lonely_psu"]["policy"]  # the recipe's
    for answers in common:
        question = asked[answers.question.question_id]
        variable = {q.question_id: v for q, v in wave.questions}[question.question_id]
        weight = wave.wave.variables[variable].weight or wave.wave.design.weight
        if weight not in designs:
            nobody = np.zeros(len(sample), dtype=bool)
            sampled = read_weights(wave.wave, weight, nobody).sampled
            designs[weight] = sample_design(wave.wave, sampled, policy)
        rows += _of_question(
            question,
            answers,
            cells[question.question_id],
            sample,
            frame,
            designs[weight],
            wave.result.table.meta["min_n"],
            notes,
        )
    left = sorted(asked.keys() - {a.question.question_id for a in common})
    if left:
        notes.append(f"{len(left)} predicted questions are not in the pilot: {', '.join(left[:8])}")
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row"), tuple(dict.fromkeys(notes))


def _of_question(
    question: Question,
    answers: Answers,
    cells: Mapping[tuple[str, str], Array],
    sample: Sample,
    frame: Frame,
    design: SampleDesign | None,
    min_n: int,
    notes: list[str],
) -> list[tuple[Any, ...]]:
    places = option_places(question, answers.question.options)
    if places is None:
        raise DataError(
            "A question of the pilot has other options than the predictions",
            where=question.question_id,
            expected="; ".join(question.options),
            found="; ".join(answers.question.options),
            hint="options are matched by their text: correct the codebook or the recipe",
        )
    choice = np.where(answers.choice >= 0, np.array(places)[answers.choice], -1)
    attributes = _attributes(cells, sample, frame, answers, notes)
    if not attributes:
        raise DataError(
            "Nothing can make the pilot more precise",
            where=question.question_id,
            expected="predictions for all groups of an attribute that the pilot and the population "
            "frame tell",
            found=", ".join(dict.fromkeys(a for a, _ in cells)),
            hint="predict all groups (-g all), or give a frame with these attributes (--frame)",
        )
    total = cells.get(Subpopulation().key, np.mean([cells[c] for c in cells], axis=0))
    mine, filled = _predicted(cells, attributes, sample.groups, sample.members, total)
    theirs, _ = _predicted(cells, attributes, frame.groups, frame.members, total)
    if filled:
        notes.append(
            f"{question.question_id}: the prediction for all stands in {filled} times for that of "
            f"a group of {', '.join(attributes)} that the pilot does not know of a respondent"
        )
    answered = Answered(choice, answers.weights, mine, design)
    power = answered.power()
    rows = []
    groups = [Subpopulation(), *(Subpopulation((c,)) for c in sample.groups.columns)]
    held = _held_back(groups, sample, answered.counted, min_n)
    if held:
        notes.append(
            f"{question.question_id}: held back: {', '.join(map(str, sorted(held)))} (fewer than "
            f"{min_n} respondents, or what would give such a group away; min_n in the recipe)"
        )
    for group in groups:
        if group in held:
            continue
        inside = sample.groups.mask(sample.members, group)
        people = frame.groups.mask(frame.members, group)
        if inside is None or not (answered.counted & inside).any():
            continue
        if people is None or not frame.weights[people].any():
            notes.append(f"{group}: not in the population frame, so not estimated")
            continue
        weights = np.where(people, frame.weights, 0.0)
        found = answered.estimate(weights / weights.sum() @ theirs, inside, power)
        gain = found.gain
        for k, option in enumerate(question.options):
            share, se = float(found.shares[k]), float(found.errors[k])
            rows.append(
                (
                    question.question_id,
                    question.text,
                    *group.key,
                    option,
                    found.n,
                    share,
                    se,
                    share - _Z * se,
                    share + _Z * se,
                    float(found.plain[k]),
                    float(found.plain_errors[k]),
                    power,
                    None if math.isnan(gain) else gain,
                )
            )
    return rows


def _held_back(
    groups: Sequence[Subpopulation],
    sample: Sample,
    counted: npt.NDArray[np.bool_],
    min_n: int,
) -> set[Subpopulation]:
    masks = [sample.groups.mask(sample.members, group) for group in groups]
    n = np.array([0.0 if mask is None else (mask & counted).sum() for mask in masks])[:, None]
    small = (n > 0) & (n < min_n)
    held = small | complementary(n, np.array([counted.sum()], float), groups, min_n)
    return {group for group, back in zip(groups, held[:, 0], strict=True) if back}


def _attributes(
    cells: Mapping[tuple[str, str], Array],
    sample: Sample,
    frame: Frame,
    answers: Answers,
    notes: list[str],
) -> list[str]:
    """Attributes all of whose groups, in pilot and frame, are predicted; known of nearly all who
    answered."""
    counted = (answers.choice >= 0) & (answers.weights > 0)
    found = []
    for name, places in sample.groups.attributes.items():
        mine = {sample.groups.columns[i] for i in places}
        in_frame = frame.groups.attributes.get(name)
        if in_frame is None or not any(c in cells for c in mine):
            continue
        everyone = mine | {frame.groups.columns[i] for i in in_frame}
        lacking = [f"{a}={g}" for a, g in sorted(everyone) if (a, g) not in cells]
        told = float(sample.members[np.ix_(counted, places)].any(axis=1).mean())
        if lacking:
            notes.append(f"{name} is not used: {', '.join(lacking)} not predicted")
        elif told < TOLD:
            notes.append(f"{name} is not used: known of {100 * told:.0f}% of respondents only")
        else:
            found.append(name)
    return found


def _predicted(
    cells: Mapping[tuple[str, str], Array],
    attributes: Sequence[str],
    groups: Groups,
    members: npt.NDArray[np.bool_],
    total: Array,
) -> tuple[Array, int]:
    """What is predicted for each person, (people, options), and how often the total stood in.

    A person in two groups of an attribute, where a survey cannot tell them apart, gets their mean.
    """
    stack, told = [], []
    for name in attributes:
        places = groups.attributes[name]
        inside = members[:, places].astype(float)
        known = inside.sum(axis=1)
        shares = np.stack([cells[groups.columns[i]] for i in places])
        with np.errstate(invalid="ignore", divide="ignore"):
            stack.append(np.where(known[:, None] > 0, inside @ shares / known[:, None], 0.0))
        told.append(known > 0)
    return mean_prediction(np.stack(stack, axis=1), np.stack(told, axis=1), total)
