"""Bands to average scores by: how divided people are, how like the training questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.errors import InputError
from opinioncast.evaluate.scores import QUESTION, CellScores
from opinioncast.survey.question import Question
from opinioncast.survey.sameness import Sameness
from opinioncast.survey.tables import KEY

Encode = Callable[[Sequence[str]], npt.NDArray[np.floating]]
"""Texts to vectors of length one, shape (texts, dimensions)."""

_ROWS = 1024  # questions compared at a time
EVENNESS_EDGES = (0.5, 0.75, 0.9)
_EVENNESS_NAMES = (
    "1 agreed (evenness below 0.5)",
    "2 leaning (0.5 to 0.75)",
    "3 divided (0.75 to 0.9)",
    "4 evenly split (0.9 to 1)",
)


def entropy_bands(scores: CellScores) -> CellScores:
    """Add ``entropy_band``: people's entropy over its maximum, log(options), in four fixed bands.

    Fixed, so that surveys can be compared. Where people agree, a model that says "evenly split" of
    everything is far off; where they are split it looks good for free.
    """
    name = pl.lit(_EVENNESS_NAMES[0])
    for edge, label in zip(EVENNESS_EDGES, _EVENNESS_NAMES[1:], strict=True):
        name = pl.when(pl.col("evenness") >= edge).then(pl.lit(label)).otherwise(name)
    return scores.with_column("entropy_band", scores.asked.select(*KEY, entropy_band=name))


TRAINING_NAMES = {
    "key": "1 asked in training too: the same key",
    "wording": "2 asked in training too: the same wording",
    "meaning": "3 asked in training too: the same meaning",
}
NEW_QUESTION = "4 not asked in training"


def training_bands(scores: CellScores, asked: Sequence[Question], same: Sameness) -> CellScores:
    """Add ``training_band``: whether, and by what, a question is one that the training asks too.

    Args:
        asked: the questions of the scored table.
        same: of these with the training questions.
    """
    reasons = {s.question[:3]: TRAINING_NAMES[s.reason] for s in same.found}
    frame = pl.DataFrame(
        {
            **{c: [getattr(q, c) for q in asked] for c in QUESTION},
            "training_band": [
                reasons.get((q.family, q.wave, q.question_id), NEW_QUESTION) for q in asked
            ],
        }
    )
    return scores.with_column("training_band", frame)


def similarity_bands(
    scores: CellScores,
    asked: Sequence[Question],
    training: Sequence[Question],
    encode: Encode,
    *,
    bands: int = 4,
) -> CellScores:
    """Add ``similarity`` and ``similarity_band``: the cosine to the nearest training question.

    Bands hold about equal numbers of questions; their names say their range. If scores rise with
    similarity, the model recalls more than it generalises.

    Args:
        asked: the questions of the scored table.
        training: what the model was trained on.

    Raises:
        InputError: no training question.
    """
    if not training:
        raise InputError(
            "There is no training question to compare with", expected="at least one", found=0
        )
    texts = list(dict.fromkeys(q.text for q in training))
    known = np.asarray(encode(texts))
    mine = np.asarray(encode([q.text for q in asked]))
    nearest = np.concatenate(
        [(mine[i : i + _ROWS] @ known.T).max(axis=1) for i in range(0, len(mine), _ROWS)]
    ).astype(float)
    edges = np.quantile(nearest, np.linspace(0, 1, bands + 1))
    place = np.clip(np.searchsorted(edges, nearest, side="right") - 1, 0, bands - 1)
    labels = [
        f"{i + 1} of {bands} (cosine {edges[i]:.2f} to {edges[i + 1]:.2f})" for i in range(bands)
    ]
    frame = pl.DataFrame(
        {
            **{c: [getattr(q, c) for q in asked] for c in QUESTION},
            "similarity": nearest,
            "similarity_band": [labels[i] for i in place],
        }
    )
    return scores.with_column("similarity", frame).with_column("similarity_band", frame)
