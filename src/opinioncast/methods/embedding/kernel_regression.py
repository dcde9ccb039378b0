"""Kernel ridge regression over frozen sentence embeddings: the network's closed-form companion.

Each option of each training question is a point x = (question, option in context, option, scale);
its value is the centred log share of the total population, and for each condition ("I am female.")
how far the group's lies from the total's. Two options are alike by

    k(x, x') = exp(-width (|q - q'|^2 + |c - c'|^2 + |o - o'|^2))
               * mean over both directions of x's scale of exp(-scale_width |s - s'|^2)

and the values of a new option are k(x, .) (K + ridge)^-1 times the values known (a Gaussian
process's mean). The shares of a group are the softmax over the question's options of
temperature x (total + sum over its conditions). A condition that was not trained on takes a mixture
of those that were, by the same kind of regression on the conditions' embeddings.

It is exact: no seed, no epochs; some seconds for a thousand questions. It keeps the training
questions' embeddings, hence weighs more than the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from opinioncast.errors import DataError, InputError
from opinioncast.evaluate.scores import score_cells
from opinioncast.methods.embedding.features import (
    QuestionFeatures,
    TextEncoder,
    Vectors,
    condition_text,
    group_texts,
    question_features,
)
from opinioncast.methods.embedding.files import fitting_weights, read_model, write_model
from opinioncast.methods.embedding.measure import (
    ANY,
    SOME,
    Metric,
    check_measurable,
    check_numbers,
)
from opinioncast.methods.embedding.rows import Shares, rows_in_batches
from opinioncast.methods.prediction import Prediction, Progress
from opinioncast.survey import (
    Cells,
    OpinionTable,
    Question,
    standard_attributes,
)
from opinioncast.survey.groups import TOTAL_ATTRIBUTE
from opinioncast.survey.sameness import asked_before, digests

Array = npt.NDArray[np.float64]
KIND = "embedding kernel regression"
TEMPERATURES = tuple(round(0.5 + 0.1 * i, 1) for i in range(16))
"""0.5 to 2: what the calibration tries."""
_BATCH = 64  # questions at a time in prediction


@dataclass(frozen=True, slots=True)
class KernelSettings:
    """Settings of the regression; the defaults were chosen on GSS and ANES questions.

    Attributes:
        width, scale_width: of the kernel; larger is more local.
        ridge: of options.
        group_width, group_ridge: of the regression between conditions.
        smooth: share of the uniform distribution mixed into observed shares before the logarithm.

    Raises:
        InputError: a number that cannot be.
    """

    width: float = 0.5
    scale_width: float = 0.5
    ridge: float = 0.05
    group_width: float = 1.0
    group_ridge: float = 0.1
    smooth: float = 0.1

    def __post_init__(self) -> None:
        widths = dict.fromkeys(("width", "scale_width", "group_width"), (0, ANY))
        # without a ridge there may be no solution
        ridges = dict.fromkeys(("ridge", "group_ridge"), (SOME, ANY))
        check_numbers(self, {**widths, **ridges, "smooth": (0, 1 - SOME)})


@dataclass(frozen=True)
class KernelRegression:
    """The method.

    Attributes:
        points: embeddings of the training options, one row each: question, context, option, scale.
        weights: (K + ridge)^-1 times the known values, shape (points, 1 + conditions).
        seen: condition texts, in the order of the columns.
        seen_vectors: their embeddings.
        temperature: factor on the log shares, fitted on validation questions.
        record: data, settings, scores.
        asked: :func:`opinioncast.survey.sameness.digests` of the training questions.
    """

    encoder: TextEncoder
    settings: KernelSettings
    points: Mapping[str, Vectors]
    weights: Vectors
    seen: Sequence[str]
    seen_vectors: Vectors
    temperature: float
    record: Mapping[str, Any]
    asked: str = ""

    @property
    def name(self) -> str:
        return "embedding kernel regression"

    def predict(self, cells: Cells, *, progress: Progress | None = None) -> Prediction:
        """Predict every cell; refusals are not predicted."""
        mix = self._mix(group_texts(list(cells.groups), cells.groups.attributes))

        def shares(part: Sequence[Question]) -> Iterator[Shares]:
            points = _points(question_features(part, self.encoder))
            values = _kernel(points, self._known, self.settings) @ self.weights @ mix.T
            ends = np.cumsum([len(q.options) for q in part])
            for logits in np.split(values, ends[:-1]):
                found = np.exp(self.temperature * (logits - logits.max(axis=0)))
                yield list((found / found.sum(axis=0)).T)

        rows = rows_in_batches(
            cells,
            shares,
            batch=_BATCH,
            model=self.encoder.name,
            method=self.name,
            progress=progress,
        )
        record = {
            "method": self.name,
            "model": f"kernel regression on {self.encoder.name}",
            "sentence_model": self.encoder.fingerprint,
            "temperature": self.temperature,
            "trained_on": self.record,
            "same_questions": asked_before(cells.questions, self.asked),
        }
        return rows.prediction(record)

    @cached_property
    def known_questions(self) -> Vectors:
        """Embeddings of the questions it was fitted on, each once."""
        vectors = np.unique(self.points["question"].astype(np.float16), axis=0)
        return np.asarray(vectors, dtype=np.float32)

    @cached_property
    def _known(self) -> _Points:
        return _Points.of(self.points)

    def _mix(self, texts: Sequence[Sequence[str]]) -> Array:
        """How much of each column a group takes, shape (groups, 1 + conditions)."""
        column = {text: i for i, text in enumerate(self.seen)}
        new = list(dict.fromkeys(t for ts in texts for t in ts if t not in column))
        learned = dict(zip(new, self._from_seen(new), strict=True))
        mix = np.zeros((len(texts), 1 + len(self.seen)))
        mix[:, 0] = 1
        for row, conditions in zip(mix, texts, strict=True):
            for text in conditions:
                if text in column:
                    row[1 + column[text]] += 1
                else:
                    row[1:] += learned[text]
        return mix

    def _from_seen(self, texts: Sequence[str]) -> Array:
        """Weights by which unseen conditions take after the seen ones."""
        if not texts or not self.seen:
            return np.zeros((len(texts), len(self.seen)))
        seen = self.seen_vectors.astype(float)
        width = self.settings.group_width
        between = _rbf(seen, seen, width) + self.settings.group_ridge * np.eye(len(seen))
        new = self.encoder.encode(texts).astype(float)
        return np.asarray(np.linalg.solve(between, _rbf(seen, new, width)).T)

    def save(self, folder: str | Path) -> list[Path]:
        """Write the folder that :meth:`load` reads.

        Repeated vectors (a question's, a common option's) are written once.

        Raises:
            StorageError: the folder cannot be written.
        """
        tensors: dict[str, npt.NDArray[Any]] = {"weights": self.weights, "seen": self.seen_vectors}
        for name, vectors in self.points.items():
            unique, index = np.unique(vectors.astype(np.float16), axis=0, return_inverse=True)
            tensors |= {f"{name}.vectors": unique, f"{name}.rows": index.astype(np.int32).ravel()}
        config = {
            "settings": asdict(self.settings),
            "temperature": self.temperature,
            "seen": list(self.seen),
            "record": dict(self.record),
            "asked": self.asked,
        }
        return write_model(folder, KIND, tensors, config, self.encoder)

    @classmethod
    def load(cls, folder: str | Path, encoder: TextEncoder) -> KernelRegression:
        """Read what :meth:`save` wrote.

        Raises:
            ModelError: see :func:`opinioncast.methods.embedding.files.read_model`.
        """
        tensors, config = read_model(folder, KIND, encoder)
        with fitting_weights(folder):
            return cls(
                encoder,
                KernelSettings(**config["settings"]),
                {n: tensors[f"{n}.vectors"][tensors[f"{n}.rows"]] for n in _PARTS},
                tensors["weights"],
                config["seen"],
                tensors["seen"],
                config["temperature"],
                config["record"],
                config.get("asked", ""),
            )


_PARTS = ("question", "context", "option", "scale")


def fit_kernel(
    train: OpinionTable,
    validation: OpinionTable,
    encoder: TextEncoder,
    settings: KernelSettings | None = None,
    *,
    metric: Metric = "wd",
    progress: Callable[[int, int], None] | None = None,
) -> KernelRegression:
    """Fit on ``train``, then the temperature on ``validation`` (least mean Wasserstein distance, or
    KL divergence). In whatever order the tables' rows stand, the model is the same.

    Questions without a TOTAL row are left out (the record counts them), as are intersections: their
    conditions add up. Cells that are missing count as no difference from the total.

    Raises:
        DataError: no TOTAL rows at all, or an attribute without wording.
    """
    check_measurable(validation, metric)
    train, validation = train.in_key_order(), validation.in_key_order()
    settings = settings or KernelSettings()
    model = fit_on(train, encoder, settings)
    cells = Cells.of_table(validation)
    scores = {}
    for i, t in enumerate(TEMPERATURES):
        warmed = replace(model, temperature=t)
        scores[t] = score_cells(validation, warmed.predict(cells).table).mean()[metric]
        if progress:
            progress(i + 1, len(TEMPERATURES))
    best = min(scores, key=lambda t: scores[t])
    record = dict(model.record) | {
        "validation_hash": validation.content_hash,
        "validation_questions": len(cells.questions),
        "metric": metric,
        f"validation_{metric}": scores[best],
    }
    return replace(model, temperature=best, record=record)


def fit_on(train: OpinionTable, encoder: TextEncoder, settings: KernelSettings) -> KernelRegression:
    shares: dict[tuple[str, str, str], dict[tuple[str, str], list[float]]] = {}
    columns = ("family", "wave", "question_id", "attribute", "group", "distribution")
    for f, w, q, a, g, distribution in train.frame.select(columns).iter_rows():
        shares.setdefault((f, w, q), {})[a, g] = distribution
    asked = train.questions()
    questions = [
        q
        for q in asked
        if any(a == TOTAL_ATTRIBUTE for a, _ in shares[q.family, q.wave, q.question_id])
    ]
    if not questions:
        raise DataError(
            "A table has no totals to learn levels from",
            expected="rows of TOTAL",
            found="none",
            hint="curate the table with TOTAL among its groups",
        )
    single = [s for s in train.subpopulations() if len(s.conditions) == 1]
    attributes = standard_attributes()
    strange = sorted({s.attribute for s in single} - set(attributes))
    if strange:
        raise DataError(
            "A table has an attribute without wording",
            expected=", ".join(attributes),
            found=", ".join(strange),
        )
    seen = [condition_text(attributes[s.attribute], s.group) for s in single]
    values = []
    for question in questions:
        cells = shares[question.family, question.wave, question.question_id]
        total = next(v for (a, _), v in cells.items() if a == TOTAL_ATTRIBUTE)
        level = _centred_log(total, settings.smooth)
        differences = [
            _centred_log(cells[s.key], settings.smooth) - level if s.key in cells else 0 * level
            for s in single
        ]
        values.append(np.stack([level, *differences], axis=1))
    points = _points(question_features(questions, encoder))
    kernel = _kernel(points, _Points.of(points), settings)
    kernel[np.diag_indices_from(kernel)] += settings.ridge
    record = {
        "settings": asdict(settings),
        "train_hash": train.content_hash,
        "train_questions": len(questions),
        "questions_without_total": len(asked) - len(questions),
        "groups": len(train.subpopulations()),
    }
    weights = np.linalg.solve(kernel, np.concatenate(values)).astype(np.float32)
    return KernelRegression(
        encoder,
        settings,
        points,
        weights,
        seen,
        encoder.encode(seen),
        1.0,
        record,
        digests(questions),
    )


def _centred_log(shares: Sequence[float], smooth: float) -> Array:
    p = np.asarray(shares, dtype=float)
    if smooth == 0 and not (p > 0).all():
        raise InputError(
            "A share of 0 has no logarithm",
            where="KernelSettings.smooth",
            expected="a number above 0, where nobody chose some option",
            found=smooth,
        )
    log = np.log((1 - smooth) * p + smooth / len(p))
    return np.asarray(log - log.mean())


def _points(features: QuestionFeatures) -> dict[str, Vectors]:
    """The real options of all questions, one after the other."""
    row, option = np.nonzero(features.real)
    return {
        "question": features.question[row],
        "context": features.context[row, option],
        "option": features.option[row, option],
        "scale": features.scale[row, option],
    }


def _kernel(left: Mapping[str, Vectors], right: _Points, settings: KernelSettings) -> Array:
    """Shape (left points, right points)."""
    texts = np.hstack([left[n] for n in _PARTS if n != "scale"])
    meaning = _near(texts, right.texts, right.texts_square, settings.width)
    turned = left["scale"] * np.array([-1, 1, 1, 1, 1, 1], dtype=np.float32)
    place = _near(left["scale"], right.scale, right.scale_square, settings.scale_width)
    place += _near(turned, right.scale, right.scale_square, settings.scale_width)
    return np.asarray(meaning * place / 2)


@dataclass(frozen=True)
class _Points:
    """Points that others are compared with again and again.

    Attributes:
        texts, scale: of each point, shape (points, numbers).
        texts_square, scale_square: their squared lengths.
    """

    texts: Array
    scale: Array
    texts_square: Array
    scale_square: Array

    @classmethod
    def of(cls, points: Mapping[str, Vectors]) -> _Points:
        texts = np.hstack([points[n] for n in _PARTS if n != "scale"]).astype(float)
        scale = points["scale"].astype(float)
        return cls(texts, scale, (texts**2).sum(axis=1), (scale**2).sum(axis=1))


def _rbf(left: npt.NDArray[Any], right: npt.NDArray[Any], width: float) -> Array:
    b = right.astype(float)
    return _near(left, b, (b**2).sum(axis=1), width)


def _near(left: npt.NDArray[Any], right: Array, square: Array, width: float) -> Array:
    a = left.astype(float)
    distance = (a**2).sum(axis=1)[:, None] + square - 2 * a @ right.T
    return np.asarray(np.exp(-width * np.clip(distance, 0, None)))
