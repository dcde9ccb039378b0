"""Weighted bases and shared respondents of a wave's questions, from its microdata."""

from __future__ import annotations

import numpy as np
import polars as pl

from opinioncast.banners.build import Counts, QuestionKey
from opinioncast.curate.coding import code_answers
from opinioncast.curate.design import read_weights
from opinioncast.curate.pipeline import CuratedWave
from opinioncast.survey import Subpopulation


def counts_of_wave(curated: CuratedWave) -> dict[QuestionKey, Counts]:
    """For each question kept: sums of weights of those who answered, of each two groups in common.

    Cost: one product of (groups, respondents) matrices a question.
    """
    wave = curated.wave
    coded = code_answers(wave, curated.questions)
    members = curated.groups.masks.astype(np.float64)
    places = {s: i for i, s in enumerate(curated.groups.subpopulations)}
    weights: dict[str | None, np.ndarray] = {}
    out: dict[QuestionKey, Counts] = {}
    for q, (question, name) in enumerate(curated.questions):
        variable = wave.variables[name].weight or wave.design.weight
        if variable not in weights:
            nobody = np.zeros(len(wave), dtype=bool)
            weights[variable] = np.nan_to_num(read_weights(wave, variable, nobody).values)
        own = np.where(coded.choice[:, q] >= 0, weights[variable], 0.0)
        used = own > 0
        inside, w = members[used], own[used, None]
        sums = (inside * w).T @ inside
        squares = (inside * w**2).T @ inside
        with np.errstate(invalid="ignore", divide="ignore"):
            kish = np.where(squares > 0, sums**2 / squares, 0.0)
        key = (question.family, question.wave, question.question_id)
        out[key] = Counts(places, np.diag(sums).copy(), kish)
    return out


def counts_of_bases(bases: pl.DataFrame) -> dict[QuestionKey, Counts]:
    """Weighted bases alone, of ``bases.csv`` beside a curated table.

    Args:
        bases: columns ``family, wave, question_id, attribute, group, weighted_n``.
    """
    out: dict[QuestionKey, Counts] = {}
    parts = bases.with_columns(pl.col("family", "wave").cast(pl.String).fill_null(""))
    for key, rows in parts.group_by("family", "wave", "question_id", maintain_order=True):
        places = {
            Subpopulation.from_key(a, g): i
            for i, (a, g) in enumerate(rows.select("attribute", "group").iter_rows())
        }
        weighted = rows["weighted_n"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        family, wave, question_id = map(str, key)
        out[family, wave, question_id] = Counts(places, weighted)
    return out
