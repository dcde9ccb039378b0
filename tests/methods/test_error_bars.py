"""Measured errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opinioncast.errors import DataError
from opinioncast.methods.error_bars import ErrorBars, measure, settings_hash


def test_nine_in_ten_fall_within_the_width() -> None:
    rng = np.random.default_rng(1)
    predicted = [[0.5, 0.5]] * 4000
    observed = [[p, 1 - p] for p in rng.beta(4, 4, 4000)]
    width = measure(predicted[:2000], observed[:2000])[2]
    inside = np.mean([abs(o[0] - 0.5) <= width for o in observed[2000:]])
    assert inside == pytest.approx(0.9, abs=0.03)


def test_hand_worked_rank() -> None:
    # 18 shares with errors 0.01 .. 0.18 in pairs: rank ceil(0.9 * 19) = 18, the largest.
    predicted = [[0.5, 0.5]] * 9
    observed = [[0.5 + e / 100, 0.5 - e / 100] for e in range(1, 10)]
    assert measure(predicted, observed) == {2: pytest.approx(0.09)}


def test_six_stands_for_more() -> None:
    assert set(measure([[0.1] * 10], [[0.1] * 10])) == {6}


def test_the_packaged_file_can_be_read() -> None:
    for entry in ErrorBars.read().entries:
        assert {"settings", "half_width_90"} <= set(entry)
        assert all(0 < float(v) < 1 for v in entry["half_width_90"].values())


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(DataError, match="Measured errors cannot be read"):
        ErrorBars.read(tmp_path / "x.json")


def test_an_adapter_beside_the_weights_is_another_setting() -> None:
    base = {"method": "zero-shot", "backend": {"weights": "w", "adapter": None}}
    tuned = {"method": "zero-shot", "backend": {"weights": "w", "adapter": "a"}}
    whole = {"method": "zero-shot", "backend": {"weights": "w"}}
    assert settings_hash(whole) == settings_hash(base) != settings_hash(tuned)
