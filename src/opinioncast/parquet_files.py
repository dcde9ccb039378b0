"""Reading parquet: a damaged file is an error of polars, whatever polars makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl


def read_parquet(path: str | Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """A parquet file as a frame.

    Raises:
        polars.exceptions.PolarsError: it is no parquet file, or is damaged.
        OSError: it cannot be opened.
    """
    with _no_panic(path):
        return pl.read_parquet(Path(path), columns=None if columns is None else list(columns))


def parquet_columns(path: str | Path) -> list[str]:
    """Names of a parquet file's columns, with the errors of :func:`read_parquet`."""
    with _no_panic(path):
        return list(pl.read_parquet_schema(Path(path)))


@contextmanager
def _no_panic(path: str | Path) -> Iterator[None]:
    """Some damage stops polars' Rust code, with something no ``except Exception`` catches."""
    with Path(path).open("rb"):  # what may not be read says so itself
        pass
    try:
        yield
    except BaseException as stop:
        if type(stop).__name__ != "PanicException":
            raise
        raise pl.exceptions.ComputeError(f"a damaged parquet file ({stop})") from None
