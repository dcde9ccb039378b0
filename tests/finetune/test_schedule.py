"""The learning rate's rise and fall, at values worked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from opinioncast.finetune.recipe import OptimizerRecipe
from opinioncast.finetune.schedule import schedule


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"schedule": "constant", "warmup": 0}, [1, 1, 1, 1, 1]),
        ({"schedule": "linear", "warmup": 0}, [1, 0.8, 0.6, 0.4, 0.2]),
        ({"schedule": "cosine", "warmup": 0}, [1, 0.904508, 0.654508, 0.345492, 0.095492]),
        # two updates of rising, to 1/3 and 2/3; then from the third on
        ({"schedule": "constant", "warmup": 0.4}, [1 / 3, 2 / 3, 1, 1, 1]),
        ({"schedule": "linear", "warmup": 0.4}, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
        ({"schedule": "cosine", "warmup": 0.4}, [1 / 3, 2 / 3, 1, 0.75, 0.25]),
    ],
)
def test_rates(settings: dict[str, Any], expected: list[float]) -> None:
    optimizer = OptimizerRecipe(**settings)
    assert [schedule(s, 5, optimizer) for s in range(5)] == pytest.approx(expected, abs=1e-6)
