"""Questions on a plane, near where their wordings mean alike (paper, Figure 7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.curate.overlap import QuestionSet, Vectors
from opinioncast.errors import InputError

_PERPLEXITY = 30


def question_map(sets: Sequence[QuestionSet], *, seed: int = 0) -> pl.DataFrame:
    """Two coordinates per question.

    t-SNE where scikit-learn is installed (it comes with ``[demo]``), else, and for fewer than ten
    questions, the first two principal components; ``method`` says which.

    Returns:
        Columns id, set, x, y, method.

    Raises:
        InputError: no question, or sets embedded by different models.
    """
    filled = [s for s in sets if s.ids]
    if len({s.vectors.shape[1] for s in filled}) != 1:
        raise InputError(
            "The questions cannot be put on one map",
            expected="at least one question, all embedded by the same model",
            found={s.name: s.vectors.shape for s in sets},
        )
    vectors = np.concatenate([s.vectors for s in filled])
    method, points = _project(vectors, seed)
    return pl.DataFrame(
        {
            "id": [i for s in filled for i in s.ids],
            "set": [s.name for s in filled for _ in s.ids],
            "x": points[:, 0],
            "y": points[:, 1],
        }
    ).with_columns(method=pl.lit(method))


def _project(vectors: Vectors, seed: int) -> tuple[str, npt.NDArray[np.float64]]:
    if len(vectors) >= 10:
        try:
            from sklearn.manifold import TSNE
        except ImportError:
            pass
        else:
            perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
            model = TSNE(metric="cosine", init="pca", perplexity=perplexity, random_state=seed)
            return "t-SNE", np.asarray(model.fit_transform(vectors), dtype=float)
    return "PCA", principal_components(vectors)


def principal_components(vectors: Vectors) -> npt.NDArray[np.float64]:
    """The first two principal components, shape (vectors, 2); their signs are fixed."""
    centred = np.asarray(vectors, dtype=float) - np.mean(vectors, axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(vectors), 2))
    for i, axis in enumerate(axes[:2]):
        points[:, i] = centred @ axis * np.sign(axis[np.abs(axis).argmax()])
    return points
