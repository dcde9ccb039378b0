"""The identity of a table: a hash of its rows that does not hang on a processor's last bit.

Sums and square roots may differ in the last bits between processors (the order of vectorised sums
does), so two machines that compute the same table from the same file rarely get the same bytes. The
hash therefore takes each number to 31 binary digits, about nine decimal ones: a change of one unit
in the ninth significant digit always changes it; one in the last bit does not, but for one number
in four million (those which lie on the border between two roundings; no rule is free of such).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

RULE = "v2:"
"""What a hash of :func:`content_hash` begins with; one without it was made by the first rule."""

_BITS = 31
# Where one rounding ends and the next begins. An irrational part keeps the borders away from the
# numbers that people and programs write down: halves, thirds, decimals.
_BORDER = (3 - 5**0.5) / 2
_ZERO = 1e-12
"""Below it a number is nothing: what is left where equal numbers are subtracted."""


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


def content_hash(frame: pl.DataFrame, key: Iterable[str]) -> str:
    """Hash of a frame's rows in the order of ``key`` (unique per row), column by column.

    It depends on names, order and values of the columns (numbers to nine significant digits); not
    on the order of rows, the file format or the number of chunks in memory. Text, integers, floats
    and lists of them may be in it, and nulls.

    Returns:
        ``v2:`` and the SHA-256 in hexadecimal digits.
    """
    digest = hashlib.sha256(json.dumps([frame.height, frame.columns]).encode())
    for column in frame[_order(frame, list(key))].get_columns():
        _feed(digest, column)
    return RULE + digest.hexdigest()


def hash_by_first_rule(frame: pl.DataFrame, key: Iterable[str]) -> str:
    """The hash that files of before ``v2:`` carry: SHA-256 of the rows as JSON, to the last bit."""
    digest = hashlib.sha256(json.dumps(frame.columns).encode())
    for row in frame.sort(*key).iter_rows():
        digest.update(json.dumps(row, ensure_ascii=False).encode())
    return digest.hexdigest()


def to_identity_digits(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each number to 31 binary digits, exactly the same on every processor.

    Only splitting off the exponent, one product with a power of two, one addition and rounding down
    are needed, and IEEE 754 fixes each to the last bit (a power of ten or a logarithm it does not).

    >>> from math import nextafter
    >>> two_machines = np.array([0.1, nextafter(0.1, 1)])
    >>> len(set(two_machines.tolist())), len(set(to_identity_digits(two_machines).tolist()))
    (2, 1)
    >>> len(set(to_identity_digits(np.array([0.123456789, 0.123456788])).tolist()))
    2
    """
    mantissa, exponent = np.frexp(values)  # in [0.5, 1)
    kept = np.floor(np.ldexp(mantissa, _BITS) + _BORDER)
    rounded: npt.NDArray[np.float64] = np.ldexp(kept, exponent - _BITS)
    rounded[np.abs(values) < _ZERO] = 0.0
    rounded[np.isnan(values)] = np.nan  # one pattern of bits for all of them
    return rounded


def _order(frame: pl.DataFrame, key: list[str]) -> pl.Series:
    """Where each row of the sorted frame stands: one joined text sorts four times as fast as five
    columns, and is taken wherever it tells all rows apart."""
    joined = frame.select(pl.concat_str(key, separator="\x1f").alias("key"))["key"]
    if joined.null_count() or joined.n_unique() < frame.height:
        return frame.select(pl.arg_sort_by(*key)).to_series()
    return joined.arg_sort()


def _feed(digest: _Digest, column: pl.Series) -> None:
    """Put a column's nulls, lengths and values into ``digest``: no two columns read alike."""
    digest.update(f"{_kind(column.dtype)} {len(column)} ".encode())
    there = column.is_not_null()
    digest.update(there.to_numpy().tobytes())
    column = column.filter(there)
    if isinstance(column.dtype, pl.List):
        lengths = column.list.len()
        digest.update(_bytes(lengths.cast(pl.Int64).to_numpy(), "<i8"))
        _feed(digest, column.filter(lengths > 0).explode())
    elif column.dtype == pl.String:
        digest.update(_bytes(column.str.len_bytes().cast(pl.Int64).to_numpy(), "<i8"))
        digest.update((column.str.join("").item() or "").encode())
    elif column.dtype.is_float():
        values = column.cast(pl.Float64).to_numpy().astype(np.float64)
        digest.update(_bytes(to_identity_digits(values), "<f8"))
    elif column.dtype.is_integer() or column.dtype == pl.Boolean:
        digest.update(_bytes(column.cast(pl.Int64).to_numpy(), "<i8"))
    else:
        raise TypeError(f"no identity for a column of {column.dtype}")


def _kind(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.List):
        return "list"
    if dtype == pl.String:
        return "text"
    return "float" if dtype.is_float() else "integer"


def _bytes(values: npt.NDArray[Any], as_type: str) -> bytes:
    return np.ascontiguousarray(values).astype(as_type).tobytes()
