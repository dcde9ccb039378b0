"""Greedy generation against a loop that takes one token at a time."""

from __future__ import annotations

import pytest
import torch

from opinioncast.backends.torch_backend import TorchBackend


@pytest.mark.slow
def test_batches_say_what_single_prompts_say(embedded_folder: object) -> None:
    backend = TorchBackend.load(str(embedded_folder), dtype="float32", shared_prefix=False)
    prompts = ["The capital of France is", "Question: Is water wet?\nAnswer:", "One, two, three,"]
    model, tokenizer = backend.loaded.causal, backend.loaded.tokenizer
    found = backend.generate(prompts, max_new_tokens=6)
    for prompt, text in zip(prompts, found, strict=True):
        ids = list(backend.token_ids(prompt))
        start = len(ids)
        with torch.inference_mode():
            for _ in range(6):
                ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        assert text == tokenizer.decode(ids[start:], skip_special_tokens=True)
