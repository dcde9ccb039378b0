"""Estimates of memory and hours, by hand."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.finetune.recipe import FinetuneRecipe
from opinioncast.reproduce.needs import NOTHING, prediction_needs, training_needs
from opinioncast.reproduce.recipe import MethodRow
from opinioncast.reproduce.setting import load_setting

PAPER = load_setting("paper")
LORA = FinetuneRecipe(name="x", table="t", layout="paper")  # type: ignore[arg-type]


def test_an_adapter_of_seven_billion_weights() -> None:
    """Weights of 13.48 GB and 12 beside; 4 x 6.74e9 x 71 operations a row at 125e12 a second."""
    found = training_needs(PAPER, "llama2_7b", LORA, 71_038)
    assert found.memory == pytest.approx(2 * 6.74 + 12)
    assert found.processors == 1
    assert found.hours == pytest.approx(4 * 6.74e9 * 71 * 71_038 / 125e12 / 3600)
    assert found.words() == "25"


def test_seventy_billion_need_several() -> None:
    found = training_needs(PAPER, "llama3_70b", LORA, 1000)
    assert found.processors == 3  # 153.2 GB on processors of 80 of which 72 are free
    one = training_needs(PAPER, "llama2_7b", LORA, 1000).hours
    assert found.hours == pytest.approx((one or 0) * 70.6 / 6.74 / 3)
    assert found.words() == "153 (3 x)"
    whole = LORA.model_copy(update={"lora": None})
    needs = training_needs(PAPER, "llama2_7b", whole, 1000)
    assert needs.memory == pytest.approx(16 * 6.74 + 12)
    assert needs.hours == pytest.approx((one or 0) * 6 / 4 / 2)  # on two


def test_predictions_and_what_is_not_known() -> None:
    row = MethodRow(name="z", method="zero-shot")
    found = prediction_needs(PAPER, "llama2_7b", row, 1000)
    assert found.hours == pytest.approx(2 * 6.74e9 * 71 * 1000 / 125e12 / 3600)
    written = prediction_needs(PAPER, "llama2_7b", MethodRow(name="f", method="few-shot"), 1000)
    assert written.hours == pytest.approx((found.hours or 0) * 900 / 71)
    unknown = PAPER.model_copy(update={"machine": None})
    assert prediction_needs(unknown, "llama2_7b", row, 1000) == NOTHING
    assert NOTHING.words() == ""
