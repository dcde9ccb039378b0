"""The vLLM backend on vLLM itself with the embedded model, where vLLM is installed.

Not in CI: vLLM needs a GPU, or its build for CPUs, which compiles for minutes and pins other
versions than ours (docs/backends.md says how to install it).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")


from opinioncast.backends import LabelRequest, TextRequest
from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.backends.vllm_backend import VllmBackend
from opinioncast.backends.vllm_settings import VllmSettings
from opinioncast.methods.verbalised import share_schema
from opinioncast.models import SHIPPED_ADAPTER
from opinioncast.prompts import Answers, Layout

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed"),
]

Backends = tuple[TorchBackend, VllmBackend]


@pytest.fixture(scope="module", params=[None, str(SHIPPED_ADAPTER)], ids=["plain", "adapter"])
def backends(request: pytest.FixtureRequest, embedded_folder: Path) -> Iterator[Backends]:
    """PyTorch's and vLLM's in float32, where differences are those of arithmetic alone."""
    settings = VllmSettings(
        str(embedded_folder),
        adapter=request.param,
        dtype="float32",
        gpu_memory=0.2,
        context_length=1024,
    )
    here = TorchBackend.load(embedded_folder, adapter=request.param, device="cpu", dtype="float32")
    there = VllmBackend(settings)
    yield here, there
    there.close()


def test_the_same_numbers_as_the_torch_backend(
    backends: Backends, survey_requests: Callable[..., list[LabelRequest]]
) -> None:
    """Label probabilities within 1e-4 (4e-5 measured); labels of two tokens and words too."""
    requests = [r for a in Answers for r in survey_requests(Layout.QUESTION_FIRST, answers=a)]
    requests.append(LabelRequest("A number from 10 to 12:", ("10", "11", "12")))
    torch, vllm = (dict(b.score(requests)) for b in backends)
    assert sorted(vllm) == list(range(len(requests)))
    for i, scores in vllm.items():
        assert np.exp(scores.log_probs) == pytest.approx(np.exp(torch[i].log_probs), abs=1e-4)


def test_texts_and_schemas(backends: Backends) -> None:
    """The likeliest text is PyTorch's own; a text with a schema keeps to it."""
    free = TextRequest("The capital of France is", 12)
    held = TextRequest("Percentages as JSON:", 60, share_schema(("A", "B", "C")))
    torch, vllm = backends
    assert dict(vllm.generate([free])) == dict(torch.generate([free]))
    ((_, said),) = vllm.generate([held])
    shares = json.loads(said.text)
    assert list(shares) == ["A", "B", "C"]
    assert all(0 <= share <= 1 for share in shares.values())
