"""The error bar of a prediction: how far observed shares lay from predicted ones, measured.

For each setting (model weights, prompt template, option orders) that was run on held-out survey
questions, a file keeps the distance within which 9 in 10 observed shares fell, by number of
options. It is an empirical statement about questions like those measured, not a sampling error, and
it cannot know how unlike them a new question is. Settings that were never measured have no bar.
``benchmarks/error_bars.py`` measures it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from opinioncast.errors import DataError

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
        if path is None:
            text = (resources.files("opinioncast.methods") / "error_bars.json").read_text("utf-8")
        else:
            text = Path(path).read_text("utf-8")
        try:
            entries = json.loads(text)["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                "Measured errors cannot be read",
                where=str(path or "error_bars.json of the package"),
                expected='JSON with a list "settings"',
                found=error,
            ) from error
        return cls(entries)

    def lookup(
        self, fingerprint: Mapping[str, Any], *, template: str, option_orders: str
    ) -> Callable[[int], float | None] | None:
        """The width by number of options for these settings, or None if they were not measured.

        An entry lists the weights' hash in every dtype it holds for: rounding moves shares by far
        less than the bar.
        """
        for entry in self.entries:
            if (
                fingerprint.get("weights") in entry["weights"]
                and entry["prompt_template"] == template
                and entry["option_orders"] == option_orders
            ):
                widths = {int(k): float(v) for k, v in entry["half_width_90"].items()}
                return lambda k: width_of(widths, k)
        return None


def width_of(widths: Mapping[int, float], options: int) -> float | None:
    """The width for a number of options: its own, or that of the next smaller count measured."""
    below = [k for k in widths if k <= options]
    return widths[max(below)] if below else None
