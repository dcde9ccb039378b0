"""Greedy generation against a loop that takes one token at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from opinioncast.backends.protocol import TextRequest, can_write, continuations
from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.errors import ModelError


@pytest.mark.slow
def test_batches_say_what_single_prompts_say(embedded_float32: TorchBackend) -> None:
    backend = TorchBackend(embedded_float32.loaded, shared_prefix=False)
    prompts = ["The capital of France is", "Question: Is water wet?\nAnswer:", "One, two, three,"]
    model, tokenizer = backend.loaded.causal, backend.loaded.tokenizer
    found = continuations(backend, prompts, max_new_tokens=6)
    for prompt, text in zip(prompts, found, strict=True):
        ids = list(backend.token_ids(prompt))
        start = len(ids)
        with torch.inference_mode():
            for _ in range(6):
                ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        assert text == tokenizer.decode(ids[start:], skip_special_tokens=True)


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_every_request_is_answered_once_with_its_tokens(
    make_folder: Callable[..., Path], batch: int
) -> None:
    folder = make_folder("llama")
    loaded = TorchBackend.load(folder, dtype="float32", device="cpu", shared_prefix=False).loaded
    backend = TorchBackend(loaded, shared_prefix=False, generate_batch=batch)
    assert can_write(backend)
    texts = ["Question: Is this a test?", "Answer: A", "Which part of the United States"]
    requests = [TextRequest(text, limit) for text, limit in zip(texts, (3, 5, 4), strict=True)]
    found = list(backend.generate(requests))
    assert sorted(i for i, _ in found) == [0, 1, 2]
    said = dict(found)
    model, tokenizer = loaded.causal, loaded.tokenizer
    end = model.generation_config.eos_token_id
    for i, request in enumerate(requests):
        ids = list(backend.token_ids(request.text))
        start = len(ids)
        written: list[int] = []
        while len(written) < request.max_new_tokens and end not in written:
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([ids + written])).logits
            written.append(int(logits[0, -1].argmax()))
        plain = [token for token in written if token != end]
        assert said[i].text == tokenizer.decode(plain, skip_special_tokens=True)
        assert (said[i].tokens_in, said[i].tokens_out) == (start, len(written))


def test_a_models_own_penalties_change_nothing(make_folder: Callable[..., Path]) -> None:
    """Chat models ship a repetition penalty: not the likeliest token at each step."""
    folder = make_folder("llama")
    requests = [TextRequest("Question: Is this a test? Answer: A", 12)]

    def written() -> list[str]:
        backend = TorchBackend.load(folder, dtype="float32", device="cpu", shared_prefix=False)
        return [said.text for _, said in backend.generate(requests)]

    plain = written()
    settings = json.loads((folder / "generation_config.json").read_text("utf-8"))
    settings |= {"repetition_penalty": 5.0, "num_beams": 3, "do_sample": True, "temperature": 9.0}
    (folder / "generation_config.json").write_text(json.dumps(settings), "utf-8")
    assert written() == plain


def test_a_prompt_that_leaves_no_room_for_an_answer(make_folder: Callable[..., Path]) -> None:
    folder = make_folder("llama", max_position_embeddings=64)
    backend = TorchBackend.load(folder, dtype="float32", device="cpu", shared_prefix=False)
    with pytest.raises(ModelError, match="longer than the model can read"):
        list(backend.generate([TextRequest("word " * 20, 60)]))
