"""Earlier and later waves: what the same question's answers of another year still say.

A question's coefficients drift about what the prior expects of them: after y years they are
correlated exp(-y / memory) with what they were (a stationary process, so a source of long ago says
as little as none, and none counts twice). The level and the contrasts between groups have memories
of their own, learned from questions asked again and again. Sources of one side of the present form
a chain: what an older one says reaches the present through the younger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from opinioncast.documents import read_document
from opinioncast.errors import DataError, InputError
from opinioncast.evidence.logit import Message, Piece, posterior
from opinioncast.evidence.people import Array

SCALE, NO_SCALE = "scale", "no scale"
"""Kinds of question with a memory of their own."""

SHIPPED_MEMORY = "memory.json"


@dataclass(frozen=True)
class Memory:
    """How long answers stay what they were, in years.

    Attributes:
        level: of the population's answer, by kind of question (:data:`SCALE`, :data:`NO_SCALE`).
        contrasts: of the differences between groups, by kind.
    """

    level: Mapping[str, float]
    contrasts: Mapping[str, float]
    card: Mapping[str, Any] = field(default_factory=dict)

    def correlation(self, years: float, kind: str, shape: tuple[int, int]) -> Array:
        """Correlation of each coefficient with itself after so many years, theta's size."""
        out = np.empty(shape)
        out[:, 0] = np.exp(-abs(years) / self.level[kind])
        out[:, 1:] = np.exp(-abs(years) / self.contrasts[kind])
        return out.ravel()


def read_memory(path: Path | None = None) -> Memory:
    """Read memories; the package's own when left out.

    Raises:
        DataError: not such a file.
    """
    if path is None:
        path = Path(str(resources.files("opinioncast.models") / "evidence" / SHIPPED_MEMORY))
    try:
        raw = read_document(path, "Memories of questions")
        level, contrasts = (
            {kind: float(raw[part][kind]) for kind in (SCALE, NO_SCALE)}
            for part in ("level", "contrasts")
        )
        if not all(0 < y < np.inf for y in (*level.values(), *contrasts.values())):
            raise ValueError("a memory that is no number of years above 0")
        return Memory(level, contrasts, dict(raw["card"]))
    except (InputError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "Memories of questions cannot be read",
            where=str(path),
            expected="JSON with level, contrasts and card",
            found=error,
        ) from error


@dataclass(frozen=True)
class _Likelihood:
    """What sources so far say of theta minus the prior mean, in natural form."""

    information: Array
    precision: Array

    def after(self, correlation: Array, covariance: Array) -> _Likelihood:
        """The same, said of theta some years on, whose prior covariance stays what it is."""
        left = 1 - correlation**2
        mixed = np.eye(len(left)) + self.precision @ (covariance * left[None, :])
        both = np.linalg.solve(mixed, np.column_stack([self.precision, self.information]))
        precision = correlation[:, None] * both[:, :-1] * correlation[None, :]
        return _Likelihood(correlation * both[:, -1], (precision + precision.T) / 2)

    def __add__(self, other: _Likelihood) -> _Likelihood:
        return _Likelihood(self.information + other.information, self.precision + other.precision)


def from_past(
    mean: Array,
    sources: Sequence[tuple[float, Sequence[Piece]]],
    memory: Memory,
    kind: str,
    covariance: Array | None = None,
) -> list[Message]:
    """Past (and later) waves as evidence on the present.

    Args:
        mean: prior mean of theta.
        covariance: of the prior, with no term between features, theta's size squared; None: one
            everywhere.
        sources: years from each to the present (negative: it is later), with its evidence.

    Returns:
        One message for the past and one for the future, where there are sources.
    """
    messages = []
    spread = np.eye(mean.size) if covariance is None else covariance
    known = np.asarray(np.linalg.inv(spread), dtype=np.float64)
    for later in (False, True):
        side = sorted(
            ((abs(y), p) for y, p in sources if (y < 0) is later), key=lambda s: s[0], reverse=True
        )
        said: _Likelihood | None = None
        for i, (years, pieces) in enumerate(side):
            own = _likelihood(mean, pieces, known)
            said = own if said is None else said + own
            next_years = side[i + 1][0] if i + 1 < len(side) else 0.0
            said = said.after(memory.correlation(years - next_years, kind, mean.shape), spread)
        if said is not None:
            information = said.information + said.precision @ mean.ravel()
            messages.append(Message(information, said.precision))
    return messages


def _likelihood(mean: Array, pieces: Sequence[Piece], known: Array) -> _Likelihood:
    fitted = posterior(mean, pieces, precision=known)
    precision = fitted.precision - known
    off = (fitted.mean - mean).ravel()
    return _Likelihood(fitted.precision @ off, precision)


def kind_of(has_scale: bool) -> str:
    return SCALE if has_scale else NO_SCALE
