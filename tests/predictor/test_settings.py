"""Settings that check themselves, and refuse what nothing would use."""

from __future__ import annotations

from typing import Any

import pytest

from opinioncast import PredictSettings
from opinioncast.backends.api_settings import ApiSettings
from opinioncast.backends.reference import ModelReference
from opinioncast.errors import InputError
from opinioncast.methods.blend import BlendSettings
from opinioncast.methods.declaration import method_kinds
from opinioncast.methods.nearest import NearestSettings
from opinioncast.predictor.settings import all_options

URL = "http://127.0.0.1:1/v1"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"method": "uniform", "model": "no/such", "adapter": "/nowhere", "orders": "bogus"},
            "uses no language model",
        ),
        ({"method": "uniform", "use_cache": False}, "uses no language model"),
        ({"method": "zero-shot", "orders": "bogus"}, "Unknown option orders"),
        ({"method": "zero-shot", "layout": "sideways"}, "cannot be used"),
        ({"method": "oracle"}, "Unknown method"),
        ({"method": "zero-shot", "neighbours": 3}, "does not use"),
        ({"method": "nearest", "neighbours": 0}, "cannot be weighted"),
        ({"method": "nearest", "neighbours": "many"}, "cannot be used"),
        ({"method": "nearest", "nieghbours": 3}, "is not known"),
        ({"method": "total"}, "is missing"),
        ({"method": "pluralism", "modules": ["one"]}, "cannot be set up"),
        ({"method": "blend", "blend": "1,0,0"}, "cannot be mixed"),
        ({"method": "blend", "blend": "0.5,0,0.5", "train": "t.parquet"}, "has no part"),
        ({"model": "vllm:m", "gpu_memory": 2}, "out of range"),
        ({"model": "vllm:m", "device": "cpu"}, "does not use"),
        ({"model": f"api:m@{URL}", "adapter": "shipped"}, "does not use"),
        ({"model": f"api:m@{URL}", "base_url": URL}, "does not use"),
        ({"model": "api:m"}, "needs a service"),
        ({"model": "api:"}, "named by its backend alone"),
        ({"model": "vllm:m", "backend": "torch"}, "two backends"),
        ({"method": NearestSettings(), "neighbours": 3}, "beside the settings"),
        ({"method": object()}, "no settings of a method"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_said(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        PredictSettings(**options)


def test_a_near_name_is_offered() -> None:
    with pytest.raises(InputError, match="is not known") as caught:
        PredictSettings(method="nearest", nieghbours=3)
    assert "neighbours" in str(caught.value.hint)


def test_text_stands_for_what_it_means() -> None:
    settings = PredictSettings(method="blend", blend="0.4,0.4,0.2", neighbours="7", chat="true")
    assert isinstance(settings.of_method, BlendSettings)
    assert settings.of_method.blend.nearest == 0.4
    assert settings.of_method.neighbours == 7
    assert settings.of_method.chat is True


def test_the_method_follows_from_what_is_named() -> None:
    assert PredictSettings().method == "surveys"
    assert PredictSettings(model="some/model").method == "zero-shot"
    assert PredictSettings(adapter="shipped").method == "zero-shot"
    assert PredictSettings(backend="vllm").method == "zero-shot"


@pytest.mark.parametrize(
    ("model", "backend"),
    [
        ("some/model", "torch"),
        ("torch:some/model", "torch"),
        ("vllm:m", "vllm"),
        (f"api:m@{URL}", "api"),
    ],
)
def test_one_way_to_name_a_model(model: str, backend: str) -> None:
    settings = PredictSettings(model=model)
    assert settings.record()["backends"].keys() == {backend}
    assert settings.model is not None
    assert settings.model.model in ("m", "some/model")
    assert str(settings.model) == model


def test_settings_of_a_backend_may_be_given_whole() -> None:
    settings = PredictSettings(model="m", backend=ApiSettings(URL, timeout=5))
    assert settings.backend.timeout == 5
    assert settings.method == "zero-shot"


def test_settings_are_equal_where_they_mean_the_same() -> None:
    assert PredictSettings(method="nearest") == PredictSettings(NearestSettings())
    assert PredictSettings(method="nearest") != PredictSettings(method="nearest", neighbours=3)
    assert PredictSettings(model=ModelReference("m")) == PredictSettings(model="m")


def test_every_option_is_refused_by_the_methods_that_would_ignore_it() -> None:
    needed: dict[str, dict[str, Any]] = {
        "total": {"train": "t.parquet"},
        "pluralism": {"modules": ("a", "b")},
    }
    values = {"blend": "0.5,0.3,0.2", "modules": ("a", "b"), "chooser_reads": "text"}
    values |= {"orders": "given", "layout": "paper", "format": "qa", "answers": "words"}
    values |= {"pool": "log", "network": "folder", "train": "t.parquet"}
    values |= {"sentence_model": "m", "chooser": "m"}
    for name in {name for kind in method_kinds() for name in kind.options}:
        for kind in method_kinds():
            given = {**needed.get(kind.name, {}), name: values.get(name, 1)}
            if name in kind.options:
                PredictSettings(method=kind.name, **given)
            else:
                with pytest.raises(InputError, match=r"does not use|uses no language model"):
                    PredictSettings(method=kind.name, **given)


def test_every_option_says_what_it_is_for() -> None:
    for name, option in all_options().items():
        assert option.help.endswith("."), name
        assert option.flag.startswith("--"), name
