"""Figures 7 and 8 are written in both formats and hold what the data say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from opinioncast.curate.overlap import QuestionSet, find_overlap
from opinioncast.curate.question_map import question_map
from opinioncast.errors import InputError
from opinioncast.report.overlap_figures import draw_question_map, draw_similarities


def some(name: str, n: int, seed: int) -> QuestionSet:
    raw = np.random.default_rng(seed).normal(size=(n, 8))
    vectors = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    ids = tuple(f"{name}{i}" for i in range(n))
    return QuestionSet(name, ids, ids, vectors)


@pytest.mark.slow
def test_histogram_files(tmp_path: Path) -> None:
    overlap = find_overlap(some("SubPOP-Train", 80, 1), some("OpinionQA", 60, 2))
    svg, png = draw_similarities(overlap, tmp_path / "similarity")
    text = svg.read_text("utf-8")
    assert "SubPOP-Train and OpinionQA: 4,800 pairs" in text
    assert f"{overlap.pairs.height} at 0.87 or more" in text
    assert png.read_bytes().startswith(b"\x89PNG")
    before = svg.read_bytes()
    draw_similarities(overlap, tmp_path / "similarity")
    assert svg.read_bytes() == before


@pytest.mark.slow
def test_histogram_of_nothing(tmp_path: Path) -> None:
    empty = QuestionSet("a", (), (), np.zeros((0, 8), np.float32))
    svg, _ = draw_similarities(find_overlap(empty, some("b", 3, 1)), tmp_path / "none")
    assert "0 pairs" in svg.read_text("utf-8")


@pytest.mark.slow
def test_map_files(tmp_path: Path) -> None:
    points = question_map([some("ATP", 40, 1), some("GSS", 15, 2)])
    svg, png = draw_question_map(points, tmp_path / "map")
    assert "ATP (40)" in svg.read_text("utf-8")
    assert "GSS (15)" in svg.read_text("utf-8")
    assert png.stat().st_size > 1000
    many = pl.DataFrame(
        {"id": ["q"] * 9, "set": list("abcdefghi"), "x": [0.0] * 9, "y": [0.0] * 9}
    ).with_columns(method=pl.lit("PCA"))
    with pytest.raises(InputError, match="so many sets"):
        draw_question_map(many, tmp_path / "map")
