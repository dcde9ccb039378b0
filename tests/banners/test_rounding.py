from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest

from opinioncast.banners.rounding import half_up, points_text, share_text, shown_share


@pytest.mark.slow
@pytest.mark.parametrize("decimals", [0, 1, 2])
def test_every_half_goes_up_whatever_its_binary_form(decimals: int) -> None:
    unit = Decimal(1).scaleb(-decimals)
    for thousandth in range(100 * 10 ** (decimals + 1) + 1):
        share = Decimal(thousandth) / 10 ** (decimals + 3)
        expected = (share * 100).quantize(unit, ROUND_HALF_UP)
        assert half_up(100 * float(share), decimals) == pytest.approx(float(expected), abs=1e-12)


def test_what_is_little_is_not_nothing() -> None:
    assert share_text(0.0049) == "<0.5"
    assert share_text(0.005) == "1"
    assert share_text(0) == "-"
    assert share_text(0.0004, 1) == "<0.05"
    assert share_text(float("nan")) == ""
    assert shown_share(0.0049) == 0.0049
    assert shown_share(0.995) == 1.0
    assert points_text(-0.125, 1) == "-12.5"
    assert points_text(-0.004) == "0"
