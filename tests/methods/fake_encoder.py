"""A sentence model without weights: words hashed to directions, so that shared words mean alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt


@cache
def _direction(word: str, width: int) -> npt.NDArray[np.float32]:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
    return np.random.default_rng(seed).standard_normal(width).astype(np.float32)


@dataclass(frozen=True)
class FakeEncoder:
    """Bag-of-words vectors of length one; equal texts have equal vectors."""

    name: str = "fake"
    fingerprint: str = "fake-1"
    width: int = 32
    dropped: int = 0

    def encode(self, texts: Sequence[str], /) -> npt.NDArray[np.float32]:
        out = np.zeros((len(texts), self.width), dtype=np.float32)
        for row, text in zip(out, texts, strict=True):
            for word in re.findall(r"\w+", text.casefold()) or ["-"]:
                row += _direction(word, self.width)
            row /= np.linalg.norm(row)
        return out
