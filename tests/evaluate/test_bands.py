"""Bands: fixed ones of entropy, equal ones of similarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from opinioncast.errors import InputError
from opinioncast.evaluate.bands import entropy_bands, similarity_bands
from opinioncast.evaluate.scores import score_cells
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

WOMEN = Subpopulation((("SEX", "Female"),))
QUESTIONS = [Question(f"q{i}", f"{i}", ("a", "b"), (1, 2)) for i in range(8)]
SHARES: list[list[float]] = [[1, 0], [0.95, 0.05], [0.8, 0.2], [0.5, 0.5]] * 2
OBSERVED = OpinionTable.from_rows(
    [opinion_row(q, WOMEN, p) for q, p in zip(QUESTIONS, SHARES, strict=True)]
)
SCORES = score_cells(
    OBSERVED, PredictionTable.from_rows([opinion_row(q, WOMEN, [0.5, 0.5]) for q in QUESTIONS[:7]])
)


def test_entropy_bands() -> None:
    frame = entropy_bands(SCORES).by("entropy_band")
    # H(.95) / log 2 = 0.29, H(.8) / log 2 = 0.72; the last split question has no prediction
    assert [b.split()[1] for b in frame["entropy_band"]] == ["agreed", "leaning", "evenly"]
    assert frame["asked"].to_list() == [4, 2, 2]
    assert frame["cells"].to_list() == [4, 2, 1]
    assert frame["wd"].to_list() == pytest.approx([0.475, 0.3, 0])


@pytest.mark.parametrize("rows", [1024, 3])
def test_similarity_bands(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr("opinioncast.evaluate.bands._ROWS", rows)

    def encode(texts: Sequence[str]) -> np.ndarray:
        angle = np.array([float(t) for t in texts]) / 10
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    training = [Question("t", "7", ("a", "b")), Question("u", "7", ("a", "b"))]
    banded = similarity_bands(SCORES, OBSERVED.questions(), training, encode, bands=2)
    frame = banded.by("similarity_band")
    middle = (np.cos(0.3) + np.cos(0.4)) / 2
    assert frame["similarity_band"].to_list() == [
        f"1 of 2 (cosine {np.cos(0.7):.2f} to {middle:.2f})",
        f"2 of 2 (cosine {middle:.2f} to 1.00)",
    ]
    assert frame["asked"].to_list() == [4, 4]
    similarity = banded.frame["similarity"].to_list()
    assert similarity == pytest.approx([np.cos((7 - i) / 10) for i in range(7)])
    with pytest.raises(InputError, match="no training question"):
        similarity_bands(SCORES, OBSERVED.questions(), [], encode)
