"""Baselines nobody should be without: uniform, the total population, the nearest questions.

They cost nothing and tell a user whether a language model is worth its price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.errors import DataError, InputError
from opinioncast.methods.embedding_features import TextEncoder, Vectors
from opinioncast.methods.prediction import Prediction, Problem, Progress
from opinioncast.methods.scale_map import OptionVectors, apply_map, option_map
from opinioncast.survey import (
    GroupScheme,
    OpinionTable,
    Question,
    Subpopulation,
    opinion_row,
)
from opinioncast.survey.groups import TOTAL_ATTRIBUTE, TOTAL_GROUP

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Uniform:
    """Every option alike: the upper bound of the paper (section 4.1)."""

    @property
    def name(self) -> str:
        return "uniform"

    def predict(
        self,
        questions: Sequence[Question],
        groups: GroupScheme,
        *,
        progress: Progress | None = None,
    ) -> Prediction:
        rows = [
            opinion_row(
                q, g, [1 / len(q.options)] * len(q.options), model=self.name, method=self.name
            )
            for q in questions
            for g in groups
        ]
        if progress:
            progress(len(rows), len(rows))
        return Prediction.of_rows(rows, {"method": self.name, "model": self.name})


@dataclass(frozen=True)
class TotalPopulation:
    """Everyone answers as the total population does, where that is known.

    Attributes:
        totals: an opinion table; only its ``TOTAL`` rows are read. For a table without them,
            :func:`totals_from_groups` makes some of its groups. A question is found by family,
            wave and id and must have the same options.
    """

    totals: OpinionTable

    @property
    def name(self) -> str:
        return "total population"

    def predict(
        self,
        questions: Sequence[Question],
        groups: GroupScheme,
        *,
        progress: Progress | None = None,
    ) -> Prediction:
        """Questions without a total are problems, one per cell.

        Raises:
            DataError: a question has other options in the totals.
        """
        known = {
            (r["family"], r["wave"], r["question_id"]): r
            for r in self.totals.frame.filter(pl.col("attribute") == TOTAL_ATTRIBUTE).iter_rows(
                named=True
            )
        }
        rows: list[dict[str, Any]] = []
        problems: list[Problem] = []
        for question in questions:
            total = known.get((question.family, question.wave, question.question_id))
            if total is not None and tuple(total["options"]) != question.options:
                raise DataError(
                    "A question has other options in the table of totals",
                    where=f'question "{question.question_id}"',
                    expected=str(list(question.options)),
                    found=total["options"],
                )
            for group in groups:
                if total is None:
                    problems.append(
                        _missing(question, group, "the total population's answer is not known")
                    )
                    continue
                rows.append(
                    opinion_row(
                        question,
                        group,
                        total["distribution"],
                        refusal_rate=total["refusal_rate"],
                        model=self.name,
                        method=self.name,
                    )
                )
        if progress:
            progress(len(rows) + len(problems), len(rows) + len(problems))
        record = {
            "method": self.name,
            "model": self.name,
            "totals": self.totals.content_hash,
            "totals_from": self.totals.meta.get("totals_from", "TOTAL rows"),
        }
        return Prediction.of_rows(rows, record, problems)


def totals_from_groups(table: OpinionTable) -> OpinionTable:
    """TOTAL rows made of a table's groups: per question, the mean weighted by ``n`` over its rows.

    An approximation: a table that holds several attributes counts each person once per attribute,
    and groups it leaves out are not in the total. ``n`` and refusal rate are left null for that
    reason. TOTAL rows the table already has are not used.

    Raises:
        DataError: a row without ``n``.
    """
    groups = table.frame.filter(pl.col("attribute") != TOTAL_ATTRIBUTE)
    bare = groups.filter(pl.col("n").is_null() | (pl.col("n") <= 0))
    if bare.height:
        row = bare.row(0, named=True)
        raise DataError(
            "A total cannot be made of groups of unknown size",
            where=f"{row['question_id']} / {row['attribute']} = {row['group']}",
            expected="n in every row",
            found=f"{bare.height} rows without",
            hint="curate the table with TOTAL among its groups",
        )
    key = ["family", "wave", "question_id", "question", "options", "ordinal"]
    rows = []
    for values, part in groups.group_by(key, maintain_order=True):
        shares = np.stack(part["distribution"].to_list())
        weights = part["n"].to_numpy()
        mean = weights @ shares / weights.sum()
        rows.append(
            dict(zip(key, values, strict=True))
            | {
                "attribute": TOTAL_ATTRIBUTE,
                "group": TOTAL_GROUP,
                "distribution": (mean / mean.sum()).tolist(),
            }
        )
    meta = dict(table.meta) | {"totals_from": "n-weighted mean over the groups of the table"}
    return OpinionTable.from_rows(rows, meta)


@dataclass(frozen=True)
class NearestQuestions:
    """The mean answer of the same group to the nearest questions of a training table.

    Nearest by cosine of the questions' embeddings, among questions the group was asked; weights
    are softmax(cosine / temperature). Each neighbour's distribution is put onto the question's own
    options by :func:`opinioncast.methods.scale_map.apply_map`. Questions with a scale learn
    from questions with a scale, the others from the others.

    Attributes:
        train: what other questions were answered, with the groups wanted.
        encoder: sentence model.
        k: neighbours.
        temperature: of the weights; small: the nearest counts almost alone.

    Raises:
        InputError: k or temperature that is not positive.
    """

    train: OpinionTable
    encoder: TextEncoder
    k: int = 20
    temperature: float = 0.1

    def __post_init__(self) -> None:
        if self.k < 1 or not self.temperature > 0:
            raise InputError(
                "The nearest questions cannot be weighted",
                expected="k of 1 or more, a temperature above 0",
                found=f"k {self.k}, temperature {self.temperature}",
            )

    @property
    def name(self) -> str:
        return "nearest questions"

    @cached_property
    def _known(self) -> tuple[list[Question], Vectors, list[OptionVectors]]:
        questions = self.train.questions()
        return questions, *self._embedded(questions)

    def _embedded(self, questions: Sequence[Question]) -> tuple[Vectors, list[OptionVectors]]:
        vectors = self.encoder.encode([q.text for q in questions])
        texts = list(dict.fromkeys(o for q in questions for o in q.options))
        row = dict(zip(texts, self.encoder.encode(texts), strict=True))
        return vectors, [
            OptionVectors(q.options, q.ordinal, np.stack([row[o] for o in q.options]))
            for q in questions
        ]

    def predict(
        self,
        questions: Sequence[Question],
        groups: GroupScheme,
        *,
        progress: Progress | None = None,
    ) -> Prediction:
        """Groups the training table does not have are problems: nothing is known of them."""
        known, vectors, known_options = self._known
        place = {(q.family, q.wave, q.question_id): i for i, q in enumerate(known)}
        answers: dict[tuple[str, str], dict[int, list[float]]] = {}
        columns = ("family", "wave", "question_id", "attribute", "group", "distribution")
        for f, w, i, a, g, shares in self.train.frame.select(columns).iter_rows():
            answers.setdefault((a, g), {})[place[f, w, i]] = shares
        scaled = np.array([q.has_scale for q in known], dtype=bool)
        rows: list[dict[str, Any]] = []
        problems: list[Problem] = []
        if questions:
            wanted, wanted_options = self._embedded(questions)
            cosines = wanted @ vectors.T
        for i, question in enumerate(questions):
            alike = np.argsort(-cosines[i], kind="stable")
            alike = alike[scaled[alike] == question.has_scale]
            maps: dict[int, Array] = {}
            for group in groups:
                answered = answers.get(group.key, {})
                near = [int(j) for j in alike if int(j) in answered][: self.k]
                if not near:
                    problems.append(
                        _missing(question, group, "no training question of this kind has the group")
                    )
                    continue
                for j in near:
                    if j not in maps:
                        maps[j] = option_map(known_options[j], wanted_options[i])
                mapped = [apply_map(answered[j], known_options[j], maps[j]) for j in near]
                weights = np.exp((cosines[i, near] - cosines[i, near[0]]) / self.temperature)
                rows.append(
                    opinion_row(
                        question,
                        group,
                        _mean(mapped, weights, wanted_options[i].off).tolist(),
                        model=self.encoder.name,
                        method=self.name,
                    )
                )
            if progress:
                progress((i + 1) * len(groups), len(questions) * len(groups))
        record = {
            "method": self.name,
            "model": f"nearest questions by {self.encoder.name}",
            "sentence_model": self.encoder.fingerprint,
            "train": self.train.content_hash,
            "k": self.k,
            "temperature": self.temperature,
        }
        return Prediction.of_rows(rows, record, problems)


def _mean(
    mapped: Sequence[tuple[Array, float | None]],
    weights: Array,
    off: npt.NDArray[np.bool_],
) -> Array:
    """Weighted mean; the share off the scale comes from the neighbours that offered such an option.

    Where none did, each off-scale option gets the uniform distribution's share.
    """
    shares = np.average([m for m, _ in mapped], axis=0, weights=weights)
    if not off.any() or off.all():
        return np.asarray(shares / shares.sum())
    told = [(o, w) for (_, o), w in zip(mapped, weights, strict=True) if o is not None]
    outside = (
        float(np.average([o for o, _ in told], weights=[w for _, w in told]))
        if told
        else float(off.mean())
    )
    shares = np.where(off, 0.0, shares)
    return np.asarray(shares / shares.sum() * (1 - outside) + off / off.sum() * outside)


def _missing(question: Question, group: Subpopulation, what: str) -> Problem:
    return Problem(question.question_id, group.attribute, group.group, what, missing=True)
