"""Structured decoding: whatever the model would rather say, it writes one distribution."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.backends.conftest import TOKENIZERS  # noqa: E402

from opinioncast.backends.json_decoding import JsonDigits, number_properties  # noqa: E402
from opinioncast.backends.protocol import TextRequest  # noqa: E402
from opinioncast.backends.torch_backend import TorchBackend  # noqa: E402
from opinioncast.errors import ModelError  # noqa: E402
from opinioncast.methods.verbalised import Verbalised, parse_shares, share_schema  # noqa: E402

PROMPT = "Question: Is this a test?\nA. Yes\nB. No\nAnswer distribution:"


@pytest.mark.parametrize("tokenizer", sorted(TOKENIZERS))
@pytest.mark.parametrize("model", ["llama", pytest.param("gpt2", marks=pytest.mark.slow)])
def test_a_random_model_writes_a_distribution(
    make_folder: Callable[..., Path], model: str, tokenizer: str
) -> None:
    backend = TorchBackend.load(make_folder(model, tokenizer), dtype="float32", device="cpu")
    assert backend.supports_schema
    requests = [
        TextRequest(f"{PROMPT}{' ' * (i % 2)}", 5, share_schema("ABCDE"[:n]))
        for i, n in enumerate((2, 5, 3))
    ]
    requests.insert(1, TextRequest(PROMPT, 7))  # a free one in the same batch
    found = dict(backend.generate(requests))
    assert sorted(found) == [0, 1, 2, 3]
    assert found[1].tokens_out <= 7
    for i, n in ((0, 2), (2, 5), (3, 3)):
        labels = "ABCDE"[:n]
        # the tiny GPT-2 has no end token: it goes on for a token after the brace
        shares, _ = json.JSONDecoder().raw_decode(found[i].text.lstrip())
        assert list(shares) == list(labels)
        assert sum(shares.values()) == pytest.approx(1, abs=0.0011)
        read = parse_shares(found[i].text, labels, labels)
        assert isinstance(read, Verbalised)
        assert set(read.repairs) <= {"sum off by rounding", "text after the object"}


def test_what_digits_are_allowed_by_hand() -> None:
    digits = JsonDigits(TOKENIZERS["single bytes"]())
    assert digits.usable
    names = digits.pieces

    def allowed(written: str, left: int, *, last: bool = False) -> str:
        return "".join(sorted(names[t] for t in digits.allowed(written, left, last=last)))

    assert allowed("", 1000) == "0123456789"
    assert allowed("", 499) == "01234"  # 0.5.. would be too much already
    assert allowed("4", 435) == "0123"
    assert allowed("43", 435) == "012345"
    assert allowed("", 70, last=True) == "0"
    assert allowed("0", 70, last=True) == "7"
    assert allowed("", 1000, last=True) == "9"  # "0." stands already: 0.999


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "object"},
        {"type": "object", "properties": {"A": {"type": "string"}}},
        {"type": "object", "properties": {"A": {"type": "number", "minimum": 0}}},
    ],
)
def test_other_schemas_are_refused(schema: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="JSON schema"):
        number_properties(schema)


@pytest.mark.slow
def test_the_digits_are_the_models_own(embedded_backend: TorchBackend) -> None:
    """Given an answer to repeat, the model repeats it: only the last share is not its own."""
    backend = TorchBackend(embedded_backend.loaded, shared_prefix=False)
    shown = '{"A": 0.310, "B": 0.690}'
    prompt = f"{PROMPT} {shown}\n\n" * 3 + PROMPT
    ((_, said),) = backend.generate([TextRequest(prompt, 1, share_schema("AB"))])
    assert said.text.strip() == shown
