"""Distributions that other samples of the same people would have given (paper, Appendix D).

This module draws; it does not measure. Each replicate is a full set of distributions of a group;
:mod:`opinioncast.evaluate.bounds` turns them into Wasserstein distances. So ``curate`` needs no
distance and ``evaluate`` needs no microdata.

A replicate is a count per respondent. All shares of all replicates are then one matrix product:
(replicates x respondents) counts with (respondents x options) weighted one-hot answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from opinioncast.curate.coding import (
    REASONS,
    Bools,
    CodedAnswers,
    Ints,
    check_masks,
    code_answers,
)
from opinioncast.curate.design import Array, LonelyPsu, SampleDesign, read_weights, sample_design
from opinioncast.errors import DataError, InputError
from opinioncast.survey.groups import Subpopulation
from opinioncast.survey.question import Question
from opinioncast.survey.wave import Missing, Wave

_CELLS = 8_000_000
"""Numbers in the largest temporary array (64 MB); sets how many replicates go at a time."""


@dataclass(frozen=True)
class WaveQuestions:
    """What is resampled: a wave, its questions with their variables, and who is in which group.

    Attributes:
        masks: shape (respondents, groups), for the same subpopulations in every wave.
    """

    wave: Wave
    questions: Sequence[tuple[Question, str]]
    masks: Bools


@dataclass(frozen=True)
class Replicates:
    """The bootstrap distributions of one group.

    Attributes:
        questions: of all waves, in the order given.
        shares: options of all questions one after the other, shape (replicates, options); NaN where
            nobody who answered the question was drawn.
    """

    subpopulation: Subpopulation
    questions: tuple[Question, ...]
    shares: Array


@dataclass(frozen=True)
class _Part:
    """One wave made ready: weighted answers as entries (respondent, flat option, weight)."""

    wave: Wave
    coded: CodedAnswers
    masks: Bools
    rows: Ints
    option: Ints
    weight: Array
    sampled: Bools


def resample_respondents(
    waves: Sequence[WaveQuestions],
    subpopulations: Sequence[Subpopulation],
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> Iterator[Replicates]:
    """The paper's bootstrap: n_g respondents of each group drawn with replacement, R times.

    A respondent is drawn together with all answers, in all waves, and the weight of each wave.
    Waves share people through their ``respondent_id``; without it each row is another person. A
    person who was in the group in one wave only counts for the questions of that wave.

    The draws of a group depend on ``seed`` and the group alone: not on the other groups, nor on how
    many replicates are worked on at a time.

    Raises:
        InputError: no wave, fewer than one replicate, masks or questions that do not fit.
        DataError: a weight or answer variable that cannot be used, a respondent id that is missing
            or appears twice in a wave.
    """
    parts = _parts(waves, subpopulations, replicates)
    people, persons = _persons(parts)
    questions = _questions(waves)
    for g, subpopulation in enumerate(subpopulations):
        member = np.zeros(persons, dtype=bool)
        for part, person in zip(parts, people, strict=True):
            member[person[part.masks[:, g]]] = True
        size = int(member.sum())
        index = np.cumsum(member) - 1
        rng = _generator(seed, subpopulation)
        step = max(1, _CELLS // max(size, 1))
        columns: list[list[Array]] = [[] for _ in parts]
        answers = [_one_hot(part, g) for part in parts]
        for at in range(0, replicates if size else 0, step):
            rows = min(step, replicates - at)
            drawn = rng.integers(0, size, (rows, size)) + np.arange(rows)[:, None] * size
            counts = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
            for p, (part, (members, onehot)) in enumerate(zip(parts, answers, strict=True)):
                times = counts[:, index[people[p][members]]].astype(np.float64)
                columns[p].append(_normalised(times @ onehot, part.coded.starts))
        yield Replicates(subpopulation, questions, _join(columns, parts, replicates))


def resample_psus(
    waves: Sequence[WaveQuestions],
    subpopulations: Sequence[Subpopulation],
    *,
    replicates: int = 1000,
    seed: int = 0,
    lonely_psu: LonelyPsu = "fail",
) -> Iterator[Replicates]:
    """Design-based bootstrap: whole PSUs drawn within strata, once for all groups of a wave.

    In a stratum of n_h PSUs, n_h - 1 are drawn with replacement and their weights multiplied by
    n_h / (n_h - 1), less what a finite population leaves no room for (Rao and Wu 1988; Rao, Wu and
    Yue 1992). Drawing n_h would understate the
    variance by (n_h - 1) / n_h, by half in surveys with two PSUs per stratum. The paper resamples
    respondents and knows no PSUs; where interviews cluster, this one gives the larger, honest
    distances. Waves are resampled independently of each other.

    Args:
        lonely_psu: ``fail``, or ``certainty``: a stratum's only PSU is in every replicate.

    Raises:
        InputError: as :func:`resample_respondents`; another ``lonely_psu``; a wave without strata
            and PSUs.
        DataError: as :func:`resample_respondents`; lonely PSUs under ``fail``.
    """
    if lonely_psu not in ("fail", "certainty"):
        raise InputError(
            "This policy for lonely PSUs has no bootstrap",
            expected="fail or certainty",
            found=lonely_psu,
        )
    parts = _parts(waves, subpopulations, replicates)
    designs = []
    for number, part in enumerate(parts):
        design = sample_design(part.wave, part.sampled, lonely_psu)
        if design is None:
            raise InputError(
                "A wave has no strata and no PSUs to resample",
                where=f"{part.wave.family} {part.wave.wave}",
                expected="a design with strata or PSU",
                hint="use resample_respondents",
            )
        rng = np.random.default_rng([seed, number])
        designs.append((design, _rao_wu(design, replicates, rng)))
    questions = _questions(waves)
    for g, subpopulation in enumerate(subpopulations):
        columns = []
        for part, (design, times) in zip(parts, designs, strict=True):
            inside = part.masks[part.rows, g]
            width = int(part.coded.starts[-1])
            place = design.psu[part.rows[inside]] * width + part.option[inside]
            totals = np.bincount(place, part.weight[inside], len(design.stratum) * width)
            sums = times @ totals.reshape(-1, width)
            columns.append([_normalised(sums, part.coded.starts)])
        yield Replicates(subpopulation, questions, _join(columns, parts, replicates))


def _rao_wu(design: SampleDesign, replicates: int, rng: np.random.Generator) -> Array:
    """How much each PSU counts in each replicate, shape (replicates, PSUs)."""
    times = np.ones((replicates, len(design.stratum)))
    for stratum, n in enumerate(design.sizes):
        if n > 1:
            drawn = rng.multinomial(n - 1, np.full(n, 1 / n), replicates)
            shrunk = np.sqrt(design.unsampled[stratum]) * (drawn * (n / (n - 1)) - 1)
            times[:, design.stratum == stratum] = 1 + shrunk
    return times


def _parts(
    waves: Sequence[WaveQuestions], subpopulations: Sequence[Subpopulation], replicates: int
) -> list[_Part]:
    if not waves:
        raise InputError("No wave to resample", expected="at least one wave")
    if replicates < 1:
        raise InputError("Too few replicates", expected="1 or more", found=replicates)
    return [_part(w, check_masks(w.wave, subpopulations, w.masks)) for w in waves]


def _part(asked: WaveQuestions, masks: Bools) -> _Part:
    wave = asked.wave
    coded = code_answers(wave, asked.questions)
    names = [wave.variables[v].weight or wave.design.weight for _, v in asked.questions]
    used = (coded.choice >= 0) | (coded.reason == REASONS.index(Missing.REFUSED.value))
    rows, option = coded.entries()
    question = np.searchsorted(coded.starts, option, side="right") - 1
    weight = np.zeros(len(rows))
    sampled = np.zeros(len(wave), dtype=bool)
    for name in dict.fromkeys(names):
        mine = np.array([n == name for n in names])
        needed = used[:, mine].any(axis=1) & masks.any(axis=1)
        checked = read_weights(wave, name, needed)
        entries = mine[question]
        weight[entries] = checked.values[rows[entries]]
        sampled |= checked.sampled
    return _Part(wave, coded, masks, rows, option, weight, sampled)


def _persons(parts: Sequence[_Part]) -> tuple[list[Ints], int]:
    """The person behind each row of each wave, and how many persons there are."""
    known: dict[object, int] = {}
    people = []
    for number, part in enumerate(parts):
        name = part.wave.respondent_id
        if name is None:
            ids: list[object] = [(number, row) for row in range(len(part.wave))]
        else:
            column = part.wave.respondents[name]
            bad = int((column.is_null() | column.is_duplicated()).sum())
            if bad:
                raise DataError(
                    "Respondent ids are missing or appear twice",
                    where=f"{part.wave.family} {part.wave.wave}, variable {name}",
                    expected="one id per row",
                    found=f"{bad} rows: {column.filter(column.is_duplicated()).head(3).to_list()}",
                )
            ids = [(part.wave.family, name, value) for value in column.to_list()]
        people.append(np.array([known.setdefault(i, len(known)) for i in ids], dtype=np.intp))
    return people, len(known)


def _one_hot(part: _Part, group: int) -> tuple[Ints, Array]:
    """Members of a group who answered anything, and their weighted answers (members, options)."""
    inside = part.masks[part.rows, group]
    rows, option = part.rows[inside], part.option[inside]
    members, index = np.unique(rows, return_inverse=True)
    onehot = np.zeros((len(members), int(part.coded.starts[-1])))
    onehot[index, option] = part.weight[inside]
    return members, onehot


def _normalised(sums: Array, starts: Ints) -> Array:
    """Weighted counts (replicates, options) as shares of each question."""
    bases = np.add.reduceat(sums, starts[:-1], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / np.repeat(bases, np.diff(starts), axis=1))


def _join(columns: Sequence[Sequence[Array]], parts: Sequence[_Part], replicates: int) -> Array:
    """Replicates below each other, waves side by side; NaN for a wave in which nobody was drawn."""
    blocks = [
        np.concatenate(chunks)
        if chunks
        else np.full((replicates, int(part.coded.starts[-1])), np.nan)
        for chunks, part in zip(columns, parts, strict=True)
    ]
    return np.concatenate(blocks, axis=1)


def _questions(waves: Sequence[WaveQuestions]) -> tuple[Question, ...]:
    """All questions with the family and wave their rows carry in the opinion table."""
    return tuple(
        replace(q, family=w.wave.family, wave=w.wave.wave) for w in waves for q, _ in w.questions
    )


def _generator(seed: int, subpopulation: Subpopulation) -> np.random.Generator:
    digest = hashlib.sha256(repr(subpopulation.key).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
