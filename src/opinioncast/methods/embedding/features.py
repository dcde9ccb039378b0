"""What the embedding network sees: questions, options and groups as numbers.

Texts go through a frozen sentence model; the scale adds a handful of numbers per option. Nothing
says where an option stands in the list, so predictions do not depend on the listing order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from opinioncast.survey import Attribute, Question, Subpopulation
from opinioncast.survey.question import OFF_SCALE

Vectors = npt.NDArray[np.float32]
SCALE_FEATURES = 6
"""Signed position (-1 to 1), its square, end of scale, off the scale, has a scale, log count."""


class TextEncoder(Protocol):
    """A sentence model: :class:`opinioncast.backends.sentences.SentenceModel`, or a test's."""

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str:
        """Equal fingerprints give equal vectors for equal texts."""
        ...

    def encode(self, texts: Sequence[str], /) -> Vectors:
        """Unit vectors, shape (texts, dimensions)."""
        ...


@dataclass(frozen=True)
class QuestionFeatures:
    """Questions padded to the longest option list; ``D`` is the width of the sentence model.

    Attributes:
        question: wording, shape (questions, D).
        context: wording and option together, shape (questions, options, D).
        option: option text alone, shape (questions, options, D).
        scale: :data:`SCALE_FEATURES` numbers, shape (questions, options, 6).
        real: False where padded, shape (questions, options).
    """

    question: Vectors
    context: Vectors
    option: Vectors
    scale: Vectors
    real: npt.NDArray[np.bool_]


def question_features(questions: Sequence[Question], encoder: TextEncoder) -> QuestionFeatures:
    """Features of ``questions``; each text is embedded once."""
    texts = [q.text for q in questions]
    pairs = [f"{q.text} [SEP] {o}" for q in questions for o in q.options]
    options = [o for q in questions for o in q.options]
    unique = list(dict.fromkeys([*texts, *pairs, *options]))
    row = {text: i for i, text in enumerate(unique)}
    vectors = encoder.encode(unique)
    width = max((len(q.options) for q in questions), default=0)
    shape = (len(questions), width)
    real = np.zeros(shape, dtype=bool)
    context = np.zeros((*shape, vectors.shape[1]), dtype=np.float32)
    option = np.zeros_like(context)
    scale = np.zeros((*shape, SCALE_FEATURES), dtype=np.float32)
    for i, q in enumerate(questions):
        k = len(q.options)
        real[i, :k] = True
        context[i, :k] = vectors[[row[f"{q.text} [SEP] {o}"] for o in q.options]]
        option[i, :k] = vectors[[row[o] for o in q.options]]
        scale[i, :k] = scale_features(q)
    return QuestionFeatures(vectors[[row[t] for t in texts]], context, option, scale, real)


def scale_features(question: Question) -> Vectors:
    """Shape (options, 6). Off-scale options and questions without a scale have position 0."""
    ordinal = np.array(question.ordinal)
    on = (ordinal != OFF_SCALE) & question.has_scale
    signed = np.zeros(len(ordinal))
    if question.has_scale:
        signed[on] = 2 * (ordinal[on] - ordinal[on].min()) / question.scale_range - 1
    columns = (
        signed,
        signed**2,
        np.abs(signed) == 1,
        ordinal == OFF_SCALE,
        np.full(len(ordinal), question.has_scale),
        np.full(len(ordinal), np.log(len(ordinal)) - np.log(5)),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def condition_text(attribute: Attribute, group: str) -> str:
    """How the network reads one condition of a group: its first-person sentence."""
    return f"{attribute.label}: {attribute.bio.format(attribute.phrase(group))}"


def group_texts(
    groups: Sequence[Subpopulation], attributes: Mapping[str, Attribute]
) -> list[list[str]]:
    """The conditions of each group as texts: none for the total population.

    Raises:
        InputError: an attribute that is not in ``attributes`` (``GroupScheme.check`` finds it).
    """
    return [[condition_text(attributes[a], g) for a, g in s.conditions] for s in groups]
