"""From predictions and evidence to new predictions: questions read, intervals and labels set."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from opinioncast.errors import InputError
from opinioncast.evidence import calibration as kinds
from opinioncast.evidence.calibration import Calibration, interval
from opinioncast.evidence.logit import Piece
from opinioncast.evidence.observations import (
    Cell,
    Evidence,
    Pilot,
    Published,
    check_cells,
    without_same_people,
)
from opinioncast.evidence.past import Memory, from_past, kind_of
from opinioncast.evidence.people import Array
from opinioncast.evidence.posterior import DRAWS, Cells, Model, read_cells
from opinioncast.survey import PredictionTable, Question, Subpopulation
from opinioncast.survey.tables import MODEL, NEVER_MEASURED, NO_BASIS

BASE_UNTOLD = 1000.0
"""Respondents a published result is taken to rest on where its source tells no base."""
_RESULTS, _TOPLINE, _ANOTHER_YEAR = "published results", "a topline", "answers of another year"
_SAID = (_RESULTS, _TOPLINE, _ANOTHER_YEAR)
"""Words of ``basis`` in the order they are said in, after respondents."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Settings:
    """What a reading rests on beside the evidence."""

    model: Model
    calibration: Calibration
    memory: Memory
    draws: int = DRAWS


@dataclass(frozen=True)
class Reading:
    """New predictions.

    Attributes:
        frame: rows of the predictions, with ``distribution``, ``low``, ``high`` and ``basis``.
        pieces: what was used, for the manifest: name, kind, weight, terms, questions.
        left_out: evidence that was not used, with the reason.
        notes: what else a reader should know.
    """

    frame: pl.DataFrame
    pieces: tuple[dict[str, Any], ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def read_evidence(
    table: PredictionTable,
    evidence: Sequence[Evidence],
    settings: Settings,
    progress: Progress | None = None,
) -> Reading:
    """Predictions that start from what is known.

    The order of the evidence does not matter. A question without evidence keeps the method's
    shares; a group that the population frame cannot tell keeps them too, and is named.

    Args:
        table: of a method, without evidence.

    Raises:
        InputError: evidence that contradicts itself (:func:`check_cells`); two questions of one id.
    """
    questions = table.questions()
    options = {q.question_id: len(q.options) for q in questions}
    if len(options) < len(questions):
        ids = [q.question_id for q in questions]
        raise InputError(
            "Predictions of several waves have questions of one id",
            expected="different ids, so that evidence on one is not taken for another's",
            found=", ".join(sorted({i for i in ids if ids.count(i) > 1})[:10]),
            hint="update each wave's predictions by themselves",
        )
    used, left_out = without_same_people(evidence, options)
    notes: list[str] = []
    for piece in used:
        notes += piece.notes
        left_out += piece.left_out
        if isinstance(piece, Published):
            notes += check_cells(piece.cells, piece.name, settings.model.frame.share)
            if any(c.n_eff is None for c in piece.cells):
                notes.append(
                    f"{piece.name}: no base told; its shares are taken to rest on "
                    f"{BASE_UNTOLD:g} people"
                )
    frame = table.frame.with_row_index("row")
    unmeasured = replace(settings, model=settings.model.ignorant())
    columns: dict[str, list[Any]] = {
        n: [None] * len(table) for n in ("distribution", "low", "high")
    }
    basis = [MODEL] * len(table)
    untold: dict[Subpopulation, str] = {}
    for i, question in enumerate(questions):
        if progress:
            progress(i, len(questions))
        rows = frame.filter(
            (pl.col("question_id") == question.question_id)
            & (pl.col("family") == question.family)
            & (pl.col("wave") == question.wave)
        )
        cells = [Subpopulation.from_key(a, g) for a, g in rows.select("attribute", "group").rows()]
        predicted = dict(zip(cells, np.array(rows["distribution"].to_list()), strict=True))
        told = rows["basis"].fill_null("")
        unknown = (
            told.str.contains(NEVER_MEASURED, literal=True).any()
            or told.str.contains(NO_BASIS, literal=True).all()
        )
        own = unmeasured if unknown else settings
        answer = read_question(question, predicted, used, own)
        if answer.basis == MODEL and rows["low"].null_count() == 0:
            # nothing new is known: the intervals measured for the method itself stand
            for name in ("distribution", "low", "high"):
                for row, value in zip(rows["row"], rows[name].to_list(), strict=True):
                    columns[name][row] = value
            for row, value in zip(rows["row"], rows["basis"], strict=True):
                basis[row] = value or MODEL
            continue
        if unknown and answer.basis == MODEL:
            answer = _ignorant(answer)
        untold |= answer.cells.missing
        left_out += answer.left_out
        at = {s: j for j, s in enumerate(answer.cells.subpopulations)}
        for row, cell in zip(rows["row"], cells, strict=True):
            columns["distribution"][row] = predicted[cell].tolist()
            if cell in at:
                j = at[cell]
                columns["distribution"][row] = answer.cells.mean[j].tolist()
                columns["low"][row] = answer.low[j].tolist()
                columns["high"][row] = answer.high[j].tolist()
                basis[row] = answer.basis
    if progress:
        progress(len(questions), len(questions))
    notes += [
        f"{s}: {why}; its rows are the model's, without an interval" for s, why in untold.items()
    ]
    new = table.frame.with_columns(
        *(pl.Series(name, values, dtype=pl.List(pl.Float64)) for name, values in columns.items()),
        pl.Series("basis", basis, dtype=pl.String),
    )
    return Reading(
        new,
        tuple(_record(piece, set(options)) for piece in used),
        tuple(dict.fromkeys(left_out)),
        tuple(dict.fromkeys(notes)),
    )


def _ignorant(answer: Answer) -> Answer:
    """Without evidence, and by a method nobody measured on anything comparable: from 0 to 1."""
    shape = answer.cells.mean.shape
    basis = f"{MODEL}, {NEVER_MEASURED}"
    return replace(answer, low=np.zeros(shape), high=np.ones(shape), basis=basis)


@dataclass(frozen=True)
class Answer:
    """One question, read.

    Attributes:
        cells: posterior shares and draws.
        low, high: calibrated 90% interval, shape (cells, K).
        basis: what it rests on, in words.
        kind: of evidence, as calibration counts it.
        left_out: evidence on this question that says nothing about any cell of the frame.
    """

    cells: Cells
    low: Array
    high: Array
    basis: str
    kind: str
    left_out: tuple[str, ...] = ()


def read_question(
    question: Question,
    predicted: Mapping[Subpopulation, Array],
    evidence: Sequence[Evidence],
    settings: Settings,
) -> Answer:
    """Read the evidence on one question.

    Args:
        predicted: the method's shares of each cell to be told.
    """
    model = settings.model
    options = len(question.options)
    expected = model.expected(predicted, question.ordinal)
    pieces: list[Piece] = []
    years: list[tuple[float, Sequence[Piece]]] = []
    words: list[str] = []
    left_out: list[str] = []
    answers = 0
    for piece in evidence:
        if isinstance(piece, Pilot):
            if question.question_id in piece.choice:
                counts = piece.counts(question.question_id, options)
                pieces += model.people(piece.groups, piece.members, counts)
                answers += piece.n(question.question_id)
            continue
        cells = piece.of(question.question_id)
        said = published_pieces(model, cells)
        if cells and not said:
            left_out.append(
                f"{piece.name}, question {question.question_id}: the population frame tells none "
                "of its groups"
            )
        elif said and piece.years is not None and piece.years != 0:
            years.append((piece.years, said))
            words.append(_ANOTHER_YEAR)
        elif said:
            pieces += said
            groups = [c for c in cells if c.subpopulation.conditions]
            words.append(_RESULTS if groups else _TOPLINE)
    if years:
        drift = kind_of(question.has_scale)
        pieces += from_past(expected.mean, years, settings.memory, drift, expected.covariance)
    told = read_cells(
        model,
        expected,
        pieces,
        list(predicted),
        draws=settings.draws,
        seed=zlib.crc32(question.question_id.encode()),
    )
    if answers:
        words.insert(0, f"{answers} respondents" if answers > 1 else "1 respondent")
    words = sorted(set(words), key=lambda w: _SAID.index(w) if w in _SAID else -1)
    kind = _kind(answers, words)
    if not pieces:
        told = _as_predicted(told, predicted)
    factors = np.array([settings.calibration.factor(kind, s) for s in told.subpopulations])
    low, high = interval(told.draws, factors)
    # the mean of skewed draws may lie past the end of a narrow interval
    low, high = np.minimum(low, told.mean), np.maximum(high, told.mean)
    return Answer(told, low, high, _in_words(words), kind, tuple(left_out))


def published_pieces(model: Model, cells: Sequence[Cell]) -> list[Piece]:
    """One source's cells of one question as evidence."""
    if not cells:
        return []
    groups = [c.subpopulation for c in cells]
    shares = np.array([c.shares for c in cells])
    n_eff = np.array([BASE_UNTOLD if c.n_eff is None else c.n_eff for c in cells], dtype=float)
    covariance = model.shares_covariance(groups, shares, n_eff, max(c.rounding for c in cells))
    return list(model.published(groups, shares, covariance))


def _kind(answers: int, words: Sequence[str]) -> str:
    if answers:
        return kinds.FEW if answers < 50 else kinds.SOME
    if any(w in (_TOPLINE, _RESULTS) for w in words):
        return kinds.PUBLISHED
    return kinds.PAST if words else kinds.NOTHING


def _in_words(words: Sequence[str]) -> str:
    if not words:
        return MODEL
    if len(words) == 1:
        return f"{MODEL} and {words[0]}"
    return f"{MODEL}, {', '.join(words[:-1])} and {words[-1]}"


def _as_predicted(told: Cells, predicted: Mapping[Subpopulation, Array]) -> Cells:
    """The method's own shares, with the prior's spread about them on the logit scale."""
    shares = np.array([predicted[s] for s in told.subpopulations])
    if not len(shares):
        return told
    away = np.log(np.maximum(told.draws, 1e-6))
    away -= away.mean(axis=0)
    drawn = np.maximum(shares, 1e-4) * np.exp(away)
    drawn /= drawn.sum(axis=-1, keepdims=True)
    return Cells(told.subpopulations, shares, drawn, told.missing, told.normal)


def _record(piece: Evidence, known: set[str]) -> dict[str, Any]:
    if isinstance(piece, Pilot):
        sizes = {q: round(float(_effective(piece, q)), 1) for q in sorted(piece.choice)}
        return {
            "name": piece.name,
            "kind": "answers of people",
            "hash": piece.key,
            "terms": piece.terms,
            "respondents": len(piece.members),
            "effective_answers": sizes,
        }
    ids = sorted({c.question_id for c in piece.cells} & known)
    bases = {q: [c.n_eff for c in piece.of(q)] for q in ids}
    return {
        "name": piece.name,
        "kind": "published shares" if not piece.years else "published shares of another year",
        "hash": piece.key,
        "terms": piece.terms,
        "years": piece.years,
        "cells": len(piece.cells),
        "effective_base": {
            q: max((BASE_UNTOLD if b is None else b for b in values), default=None)
            for q, values in bases.items()
        },
    }


def _effective(piece: Pilot, question_id: str) -> float:
    choice = piece.choice[question_id]
    used = piece.weights[question_id][choice >= 0]
    return float(used.sum() ** 2 / (used**2).sum()) if used.any() else 0.0
