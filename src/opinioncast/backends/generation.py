"""Greedy text generation with a causal model, in left-padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from opinioncast.backends.torch_model import LoadedModel


def generate_texts(
    loaded: LoadedModel, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, batch: int = 8
) -> list[str]:
    """What the model says after each prompt, without the prompt; the likeliest token at each step.

    Args:
        prompts: token ids of each prompt.
    """
    tokenizer: Any = loaded.tokenizer
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    pad = 0 if pad is None else pad
    texts = [""] * len(prompts)
    by_length = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for start in range(0, len(by_length), batch):
        part = by_length[start : start + batch]
        width = max(len(prompts[i]) for i in part)
        ids = torch.tensor([[pad] * (width - len(prompts[i])) + list(prompts[i]) for i in part])
        mask = torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in part])
        with torch.inference_mode():
            out = loaded.causal.generate(
                input_ids=ids.to(loaded.device),
                attention_mask=mask.to(loaded.device),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                pad_token_id=pad,
            )
        for i, row in zip(part, out[:, width:].tolist(), strict=True):
            texts[i] = tokenizer.decode(row, skip_special_tokens=True)
    return texts
