"""What a method does when nothing is said is what its help says."""

from __future__ import annotations

from dataclasses import fields

import pytest

from opinioncast.methods.blend import BlendSettings, BlendShares
from opinioncast.methods.few_shot import PAPER_NEIGHBOURS, FewShotSettings
from opinioncast.methods.nearest import NEIGHBOURS, NearestSettings
from opinioncast.methods.surveys import SurveysSettings
from opinioncast.options import options_of


@pytest.mark.parametrize("settings", [BlendSettings, NearestSettings, SurveysSettings])
def test_the_number_of_neighbours_is_the_one_in_the_help(settings: type) -> None:
    said = options_of(settings)["neighbours"].help
    assert f"few-shot {PAPER_NEIGHBOURS}" in said
    assert f"surveys, nearest and blend {NEIGHBOURS}" in said
    assert settings().neighbours is None


def test_the_blends_shares_and_temperature() -> None:
    found = BlendSettings()
    assert (found.blend, found.pool) == (BlendShares(0.5, 0.3, 0.2), "linear")
    assert "0.5,0.3,0.2" in options_of(BlendSettings)["blend"].help
    assert found.temperature == NearestSettings().temperature == 0.1


@pytest.mark.parametrize(
    "settings", [BlendSettings, NearestSettings, FewShotSettings, SurveysSettings]
)
def test_every_default_has_its_options_type(settings: type) -> None:
    """A default is not checked when a settings class is made without it."""
    options = options_of(settings)
    for field in fields(settings):
        if field.name in options:
            made = settings(**{field.name: field.default})
            assert getattr(made, field.name) == field.default
