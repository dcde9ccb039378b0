"""The error bar of a prediction: how far observed shares lay from predicted ones, measured.

For each setting (method, weights, prompts, option orders) that was run on held-out survey
questions, a file keeps the distance within which 9 in 10 observed shares fell, by number of
options. It is an empirical statement about questions like those measured, not a sampling error,
and it cannot know how unlike them a new question is. Settings never measured have no bar.
``benchmarks/error_bars.py`` measures it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.documents import parse_json, read_document
from opinioncast.errors import DataError
from opinioncast.methods.prediction import Prediction
from opinioncast.survey import PredictionTable

COVERAGE = 0.9
_MAX_OPTIONS = 6  # questions with more options are rare: they share one width


def measure(
    predicted: Sequence[Sequence[float]], observed: Sequence[Sequence[float]]
) -> dict[int, float]:
    """Half-width that holds 90% of observed shares, by number of options (6 stands for 6 or more).

    Args:
        predicted, observed: shares per cell, lists of equal lengths.

    Returns:
        The ceil(0.9 (m + 1))-th smallest absolute error of the m shares (the split-conformal
        quantile), made monotone: a count never seen takes the next smaller count's width.
    """
    errors: dict[int, list[npt.NDArray[np.float64]]] = {}
    for p, q in zip(predicted, observed, strict=True):
        errors.setdefault(min(len(p), _MAX_OPTIONS), []).append(np.abs(np.subtract(p, q)))
    widths = {}
    for k in sorted(errors):
        pooled = np.sort(np.concatenate(errors[k]))
        rank = min(int(np.ceil(COVERAGE * (len(pooled) + 1))), len(pooled))
        widths[k] = float(pooled[rank - 1])
    return widths


@dataclass(frozen=True)
class ErrorBars:
    """Measured widths of one or more settings."""

    entries: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, path: str | Path | None = None) -> Self:
        """Read a file of measured settings; the package's own when left out.

        Raises:
            DataError: not such a file.
        """
        source = str(path or "error_bars.json of the package")
        if path is None:
            text = (resources.files("opinioncast.methods") / "error_bars.json").read_text("utf-8")
            raw = parse_json(text, where=source, what="Measured errors", error=DataError)
        else:
            raw = read_document(path, "Measured errors", error=DataError)
        try:
            entries = raw["settings"]
        except (KeyError, TypeError) as error:
            raise DataError(
                "Measured errors cannot be read",
                where=source,
                expected='JSON with a list "settings"',
                found=error,
            ) from error
        return cls(entries)

    def widths(self, record: Mapping[str, Any]) -> Mapping[int, float] | None:
        """Widths by number of options for the settings in a method's ``record``, if measured."""
        wanted = settings_hash(record)
        for entry in self.entries:
            if wanted in entry["settings"]:
                return {int(k): float(v) for k, v in entry["half_width_90"].items()}
        return None

    def apply(self, prediction: Prediction) -> Prediction:
        """The prediction with ``share_error_90`` filled in where its settings were measured."""
        widths = self.widths(prediction.record)
        if widths is None:
            return prediction
        frame = prediction.table.frame
        column = [width_of(widths, k) for k in frame["options"].list.len()]
        filled = frame.with_columns(pl.Series("share_error_90", column, dtype=pl.Float64))
        return replace(prediction, table=PredictionTable(filled, prediction.table.meta))


_SHAPING = (
    "method",
    "prompt_template",
    "option_orders",
    "sentence_model",
    "trained_on",
    "temperature",
    "totals",
    "train",
    "k",
    "pool",
    "weights",
    "structured",
    "modules",
    "chooser",
    "chooser_reads",
    "comment_tokens",
)
"""What shapes a method's numbers, among all that its record says."""


def settings_hash(record: Mapping[str, Any]) -> str:
    """Hash of what shapes a method's numbers: weights, prompts, training data, mixture."""
    shaping = {key: record[key] for key in _SHAPING if key in record}
    backend = record.get("backend", {})
    shaping["model_weights"] = backend.get("weights") or dict(backend) or None
    if backend.get("adapter"):  # beside the weights where a backend does not hash the two together
        shaping["adapter"] = backend["adapter"]
    shaping["parts"] = [settings_hash(part) for part in record.get("parts", [])]
    text = json.dumps(shaping, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def width_of(widths: Mapping[int, float], options: int) -> float | None:
    """The width for a number of options: its own, or that of the next smaller count measured."""
    below = [k for k in widths if k <= options]
    return widths[max(below)] if below else None
