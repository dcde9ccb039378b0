"""Intervals that hold: measured factors by which the posterior's are widened or narrowed.

For questions apart, with evidence of each kind, the score of a share is how far the observed one
lay from the predicted one, in half-widths of its interval on the logit scale. The factor is the
90% point of these scores over questions (split conformal); a group's own factor is shrunk to the
pooled one, because few questions say little about one group. No factor is below one: an interval
that held more than it had to is left as it is, for questions less like those measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from opinioncast.documents import read_document
from opinioncast.errors import DataError, InputError
from opinioncast.evidence.people import Array
from opinioncast.files import atomic_path
from opinioncast.survey import Subpopulation

COVERAGE = 0.9
SHIPPED_CALIBRATION = "calibration.json"
_PRIOR_SCORES = 400
"""Shares of the pooled factor that a group's own factor is averaged with."""
_EDGE = 0.003
"""A share below this is no further on the logit scale."""

NOTHING, FEW, SOME, PUBLISHED, PAST = (
    "nothing",
    "fewer than 50 answers",
    "50 answers or more",
    "published shares",
    "another year",
)
"""Kinds of evidence with a factor of their own."""

_SURVEY_SCORES = {FEW: 400, SOME: 400, PUBLISHED: 150}
"""Scores of a group's factor that a survey's own factor is averaged with: on surveys left out of
the fit, intervals then hold about 90% and in the worst group about 85%. A topline says nothing of
the groups, so surveys differ most where it is all that is known."""


@dataclass(frozen=True)
class Calibration:
    """Factors by kind of evidence.

    Attributes:
        pooled: kind -> factor on logit half-widths.
        groups: kind -> group -> its factor.
        card: what it was measured on.
    """

    pooled: Mapping[str, float]
    groups: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)

    def factor(self, kind: str, subpopulation: Subpopulation) -> float:
        return self.groups.get(kind, {}).get(str(subpopulation), self.pooled.get(kind, 1.0))

    def write(self, path: Path) -> Path:
        content = {
            "card": dict(self.card),
            "pooled": dict(self.pooled),
            "groups": dict(self.groups),
        }
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        return path


def read_calibration(path: Path | None = None) -> Calibration:
    """Read measured factors; the package's own when left out.

    Raises:
        DataError: not such a file.
    """
    if path is None:
        path = Path(str(resources.files("opinioncast.models") / "evidence" / SHIPPED_CALIBRATION))
    try:
        raw = read_document(path, "Measured factors of intervals")
        groups = {str(kind): _factors(own) for kind, own in raw["groups"].items()}
        return Calibration(_factors(raw["pooled"]), groups, dict(raw["card"]))
    except (InputError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "Measured factors of intervals cannot be read",
            where=str(path),
            expected="JSON with pooled, groups and card",
            found=error,
        ) from error


def _factors(raw: Mapping[str, Any]) -> dict[str, float]:
    """Names with positive numbers; ValueError else."""
    found = {str(name): float(value) for name, value in raw.items()}
    odd = [name for name, value in found.items() if not 0 < value < np.inf]
    if odd:
        raise ValueError(f"{odd[0]}: {found[odd[0]]} is no factor")
    return found


def interval(draws: Array, factor: Array | float = 1.0) -> tuple[Array, Array]:
    """The 90% interval of each share, asymmetric near 0 and 1.

    Args:
        draws: shape (draws, cells, K).
        factor: on half-widths of the logit, one or one per cell.

    Returns:
        low and high, shape (cells, K).
    """
    tail = (1 - COVERAGE) / 2
    low, middle, high = np.quantile(_logit(draws), [tail, 0.5, 1 - tail], axis=0)
    wide = np.broadcast_to(np.asarray(factor, dtype=float), low.shape[:1])[:, None]
    return (
        np.asarray(_share(middle - wide * (middle - low))),
        np.asarray(_share(middle + wide * (high - middle))),
    )


def scores(draws: Array, observed: Array) -> Array:
    """How far observed shares lay off, in half-widths of the uncalibrated interval, (cells, K)."""
    tail = (1 - COVERAGE) / 2
    low, middle, high = np.quantile(_logit(draws), [tail, 0.5, 1 - tail], axis=0)
    off = _logit(observed) - middle
    return np.asarray(
        np.where(
            off < 0, -off / np.maximum(middle - low, 1e-6), off / np.maximum(high - middle, 1e-6)
        )
    )


def fit(
    measured: Sequence[tuple[str, Subpopulation, Array]], surveys: Sequence[str] | None = None
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Factors from scores.

    Args:
        measured: kind of evidence, group, and the scores of one cell's shares.
        surveys: which survey each of them is of. How far a group is off hangs on what a survey asks
            about: its factor is then that of the survey that needs most, shrunk to the group's own.

    Returns:
        pooled factors, and group factors shrunk to them.
    """
    pooled: dict[str, float] = {}
    groups: dict[str, dict[str, float]] = {}
    of = [""] * len(measured) if surveys is None else surveys
    for kind in dict.fromkeys(k for k, _, _ in measured):
        own = [(s, v, w) for (k, s, v), w in zip(measured, of, strict=True) if k == kind]
        pooled[kind] = _quantile(np.concatenate([v for _, v, _ in own]))
        groups[kind] = {}
        for group in dict.fromkeys(s for s, _, _ in own):
            mine = [(v, w) for s, v, w in own if s == group]
            factor = _shrunk([v for v, _ in mine], pooled[kind], _PRIOR_SCORES)
            if kind in _SURVEY_SCORES and surveys is not None:
                own_survey = (
                    _shrunk([v for v, w in mine if w == survey], factor, _SURVEY_SCORES[kind])
                    for survey in dict.fromkeys(w for _, w in mine)
                )
                factor = max(factor, *own_survey)
            groups[kind][str(group)] = round(max(1.0, factor), 4)
        if kind in _SURVEY_SCORES and surveys is not None:
            # a group that was never measured needs what those measured need on average
            pooled[kind] = max(pooled[kind], float(np.mean(list(groups[kind].values()))))
        pooled[kind] = round(max(1.0, pooled[kind]), 4)
    return pooled, groups


def _shrunk(scores_of: Sequence[Array], to: float, weight: float) -> float:
    """The factor that some scores ask for, averaged with another as if of ``weight`` scores."""
    values = np.concatenate(scores_of)
    count = len(values)
    return (count * _quantile(values) + weight * to) / (count + weight)


def _quantile(values: Array) -> float:
    ordered = np.sort(values)
    return float(ordered[min(int(np.ceil(COVERAGE * (len(ordered) + 1))), len(ordered)) - 1])


def _logit(shares: Array) -> Array:
    inside = np.clip(shares, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inside / (1 - inside)))


def _share(logits: Array) -> Array:
    shares = 1 / (1 + np.exp(-logits))
    # at the edge of what the scale can tell, the interval reaches the end
    return np.where(
        shares <= _EDGE * 1.0001, 0.0, np.where(shares >= 1 - _EDGE * 1.0001, 1.0, shares)
    )
