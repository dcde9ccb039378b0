"""The nearest questions of a training table: what the same group answered to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from opinioncast.errors import InputError
from opinioncast.methods.declaration import MethodKind, Resources
from opinioncast.methods.embedding.features import TextEncoder, Vectors
from opinioncast.methods.neighbours import TrainingQuestions
from opinioncast.methods.prediction import Prediction, Progress, Rows
from opinioncast.methods.scale_map import OptionVectors, apply_map, option_map
from opinioncast.models import SHIPPED_TRAINING
from opinioncast.options import check_types, option
from opinioncast.survey import Cells, OpinionTable, Question

Array = npt.NDArray[np.float64]
NEIGHBOURS = 20
"""Of this method; few-shot shows the paper's five."""


@dataclass(frozen=True, slots=True)
class NearestSettings:
    """Of the method nearest.

    Attributes:
        train: opinion table with other questions' answers; None: the one that ships.
        neighbours: training questions used for each question; None: 20.
        temperature: of their weights; small: the nearest counts almost alone.
        sentence_model: folder or hub name; None: the embedded one.

    Raises:
        InputError: no neighbours, or a temperature that is not above 0.
    """

    train: Path | None = option(
        None,
        "Opinion table for the methods surveys, nearest, few-shot and blend (default: the training "
        "table that ships) and total.",
    )
    neighbours: int | None = option(
        None,
        "Training questions used (few-shot 5, surveys, nearest and blend 20; few-shot 0: none "
        "shown).",
        flags=("--neighbours", "-k"),
    )
    temperature: float = option(
        0.1, "Of the nearest questions' weights; small: the nearest counts almost alone."
    )
    sentence_model: str | None = option(
        None, "Sentence model: a folder or hub name (default: the embedded one)."
    )

    def __post_init__(self) -> None:
        check_types(self)
        check_nearest(self.neighbours, self.temperature)


def check_nearest(neighbours: int | None, temperature: float) -> None:
    """Refuse what cannot weigh neighbours.

    Raises:
        InputError: fewer than one, or a temperature that is not above 0.
    """
    if (neighbours is not None and neighbours < 1) or not temperature > 0:
        raise InputError(
            "The nearest questions cannot be weighted",
            where="--neighbours" if temperature > 0 else "--temperature",
            expected="--neighbours 1 or more, a temperature above 0",
            found=f"{neighbours or NEIGHBOURS if neighbours != 0 else 0}, "
            f"temperature {temperature}",
        )


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

    @property
    def known_questions(self) -> Vectors:
        """Embeddings of the questions it looks among."""
        return self._training.vectors

    @cached_property
    def _training(self) -> TrainingQuestions:
        return TrainingQuestions(self.train, self.encoder)

    @cached_property
    def _known(self) -> list[OptionVectors]:
        return self._option_vectors(self._training.questions)

    def _option_vectors(self, questions: Sequence[Question]) -> list[OptionVectors]:
        texts = list(dict.fromkeys(o for q in questions for o in q.options))
        row = dict(zip(texts, self.encoder.encode(texts), strict=True))
        return [
            OptionVectors(q.options, q.ordinal, np.stack([row[o] for o in q.options]))
            for q in questions
        ]

    def predict(self, cells: Cells, *, progress: Progress | None = None) -> Prediction:
        """Groups the training table does not have are problems: nothing is known of them.

        A question that stands in the training table is its own nearest neighbour: good where it is
        asked again, and no test of new questions. The record counts such questions, and those of
        the same meaning, under ``same_questions``.
        """
        training, known_options = self._training, self._known
        scaled = np.array([q.has_scale for q in training.questions], dtype=bool)
        rows = Rows(cells, model=self.encoder.name, method=self.name)
        wanted_options: list[OptionVectors] = []
        cosines: Vectors = np.zeros((0, 0), dtype=np.float32)
        if cells.questions:
            cosines = training.cosines(cells.questions)
            wanted_options = self._option_vectors(cells.questions)
        for i, (question, asked) in enumerate(cells.by_question()):
            alike = np.argsort(-cosines[i], kind="stable")
            alike = alike[scaled[alike] == question.has_scale]
            maps: dict[int, Array] = {}
            for cell, group in asked:
                answered = training.answers.get(group.key, {})
                near = [int(j) for j in alike if int(j) in answered][: self.k]
                if not near:
                    rows.lack(cell, "no training question of this kind has the group")
                    continue
                for j in near:
                    if j not in maps:
                        maps[j] = option_map(known_options[j], wanted_options[i])
                mapped = [apply_map(answered[j].shares, known_options[j], maps[j]) for j in near]
                weights = np.exp((cosines[i, near] - cosines[i, near[0]]) / self.temperature)
                rows.put(cell, _mean(mapped, weights, wanted_options[i].off).tolist())
            if progress and asked:
                progress(asked[-1][0] + 1, len(cells))
        return rows.prediction(
            {
                "method": self.name,
                "model": f"nearest questions by {self.encoder.name}",
                "sentence_model": self.encoder.fingerprint,
                "train": self.train.content_hash,
                "k": self.k,
                "temperature": self.temperature,
                "same_questions": training.sameness(cells.questions).record(),
            }
        )


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


def nearest(settings: Any, resources: Resources) -> NearestQuestions:
    """The method by settings that have those of :class:`NearestSettings`."""
    return NearestQuestions(
        resources.table(settings.train or SHIPPED_TRAINING),
        resources.sentence_model(settings.sentence_model),
        NEIGHBOURS if settings.neighbours is None else settings.neighbours,
        settings.temperature,
    )


METHOD = MethodKind(
    name="nearest",
    help="What the same group answered to the questions of a table that mean most alike.",
    settings=NearestSettings,
    build=nearest,
    shapes=("method", "sentence_model", "train", "k", "temperature"),
    advice="give a --train table with answers of every group asked for (the one that ships has "
    "those of `-g all -g total`)",
    order=50,
)
