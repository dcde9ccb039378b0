"""The cache of finished rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opinioncast.backends.protocol import (
    GeneratedText,
    LabelRequest,
    LabelScores,
    TextRequest,
)
from opinioncast.errors import StorageError
from opinioncast.kept_store import DroppedWarning
from opinioncast.methods import row_cache
from opinioncast.methods.row_cache import RowCache

REQUESTS = [LabelRequest(f"prompt {i}", ("A", "B")) for i in range(1200)]


def test_numbers_come_back_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scores = [LabelScores(rng.normal(size=2)) for _ in REQUESTS]
    with RowCache(tmp_path / "c.sqlite") as cache:
        keys = cache.keys(REQUESTS, {"weights": "x"})
        cache.put(zip(keys, scores, strict=True))
    with RowCache(tmp_path / "c.sqlite") as cache:
        found = cache.get(keys)
    assert len(found) == len(REQUESTS)
    for key, score in zip(keys, scores, strict=True):
        assert (found[key].log_probs == score.log_probs).all()


def test_two_open_caches_see_each_other(tmp_path: Path) -> None:
    with RowCache(tmp_path / "c.sqlite") as one, RowCache(tmp_path / "c.sqlite") as two:
        (key,) = one.keys(REQUESTS[:1], {})
        one.put([(key, LabelScores(np.zeros(2)))])
        assert key in two.get([key])


def test_keys_tell_labels_and_text_apart(tmp_path: Path) -> None:
    with RowCache(tmp_path / "c.sqlite") as cache:
        pairs = [
            LabelRequest("a", ("A", "B")),
            LabelRequest("a", ("B", "A")),
            LabelRequest("aA", ("B",)),
            LabelRequest("a", ("AB",)),
        ]
        assert len(set(cache.keys(pairs, {}))) == 4


def test_what_other_code_answered_is_asked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [TextRequest("a", 5)]
    with RowCache(tmp_path / "c.sqlite") as cache:

        def keys() -> list[bytes]:
            return [*cache.keys(REQUESTS[:1], {}), *cache.text_keys(texts, {})]

        found = [keys()]
        monkeypatch.setattr(row_cache, "_ANSWERS", 0)
        found.append(keys())
        monkeypatch.setattr(row_cache, "version", lambda package: "0.0.9")
        found.append(keys())
    assert len({key for three in found for key in three}) == 6


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.write_bytes(b"this is no database, not even nearly" * 100)
    with pytest.warns(DroppedWarning, match=r"c\.sqlite was damaged"):
        cache = RowCache(path)
    with cache:
        (key,) = cache.keys(REQUESTS[:1], {})
        cache.put([(key, LabelScores(np.zeros(2)))])
        assert key in cache.get([key])
        assert cache.dropped == 1


def test_numbers_that_are_none_are_asked_anew(tmp_path: Path) -> None:
    with RowCache(tmp_path / "c.sqlite") as cache:
        keys = cache.keys(REQUESTS[:4], {})
        bad = [np.array([np.nan, 0.0]), np.array([0.0, np.inf]), np.array([])]
        cache.put((k, LabelScores(v)) for k, v in zip(keys, bad, strict=False))
        cache.put([(keys[3], LabelScores(np.array([-np.inf, 0.0])))])
        with pytest.warns(DroppedWarning, match="3 entries"):
            assert list(cache.get(keys)) == [keys[3]]
        assert cache.dropped == 3


def test_a_full_disk_is_named_and_earlier_rows_stay(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with RowCache(path) as cache:
        keys = cache.keys(REQUESTS, {})
        cache.put([(keys[0], LabelScores(np.zeros(2)))])
        cache._store._db.execute("PRAGMA max_page_count=9")
        with pytest.raises(StorageError, match="full"):
            cache.put((key, LabelScores(np.zeros(26))) for key in keys)
    with RowCache(path) as cache:
        assert list(cache.get(keys)) == [keys[0]]


def test_texts_come_back_with_their_tokens(tmp_path: Path) -> None:
    schema = {"type": "object"}
    requests = [
        TextRequest("a", 5),
        TextRequest("a", 6),
        TextRequest("a", 5, schema),
        TextRequest("b", 5),
    ]
    with RowCache(tmp_path / "c.sqlite") as cache:
        keys = cache.text_keys(requests, {"weights": "x"})
        assert len({*keys, *cache.text_keys(requests, {"weights": "y"})}) == 8
        said = GeneratedText("naïve\n{“A”: 1}\x00 end", 12, 3, cut=True)
        cache.put_texts([(keys[0], said)])
        cache.put([(keys[1], LabelScores(np.zeros(2)))])  # another table
    with RowCache(tmp_path / "c.sqlite") as cache:
        assert cache.get_texts(keys) == {keys[0]: said}
        assert list(cache.get(keys)) == [keys[1]]


def test_a_cache_of_before_texts_were_kept_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with RowCache(path) as cache:
        keys = cache.keys(REQUESTS[:1], {})
        cache.put([(keys[0], LabelScores(np.zeros(2)))])
        cache._store._db.execute("DROP TABLE kept_texts")
    with RowCache(path) as cache:
        assert list(cache.get(keys)) == keys
        assert cache.get_texts(keys) == {}
