"""Damaged parquet files, over and over: polars' own error at worst."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from opinioncast.parquet_files import parquet_columns, read_parquet


def test_a_whole_file(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    frame.write_parquet(tmp_path / "a.parquet")
    assert read_parquet(tmp_path / "a.parquet").equals(frame)
    assert read_parquet(tmp_path / "a.parquet", ["b"]).columns == ["b"]
    assert parquet_columns(tmp_path / "a.parquet") == ["a", "b"]
    with pytest.raises(FileNotFoundError):
        read_parquet(tmp_path / "absent.parquet")


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame(
        {"a": range(300), "b": [[i / 7] * 3 for i in range(300)], "c": ["x"] * 300}
    ).write_parquet(path)
    raw = bytearray(path.read_bytes())
    draw = random.Random(seed)
    if seed % 2:
        for _ in range(draw.choice([1, 5, 60])):
            raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    else:
        start = draw.randrange(len(raw))
        del raw[start : start + draw.randrange(1, len(raw))]
    path.write_bytes(raw)
    for read in (read_parquet, parquet_columns):
        try:
            read(path)
        except (pl.exceptions.PolarsError, OSError):
            continue
