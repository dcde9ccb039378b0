"""Greedy text generation with a causal model, in left-padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from transformers import LogitsProcessorList

from opinioncast.backends.json_decoding import JsonDecoding, JsonDigits, JsonPlan
from opinioncast.backends.protocol import GeneratedText
from opinioncast.backends.torch_model import LoadedModel


def generate_texts(
    loaded: LoadedModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: Sequence[int],
    plans: Sequence[JsonPlan | None] | None = None,
    digits: JsonDigits | None = None,
    batch: int = 8,
    padded: bool = True,
) -> Iterator[tuple[int, GeneratedText]]:
    """Yield (index, what the model says after that prompt); the likeliest token at each step.

    Prompts of like length share a batch, and the results come batch by batch.

    Args:
        prompts: token ids of each prompt.
        max_new_tokens: of each prompt; a model that ends its text sooner is heard out no longer.
        padded: prompts of unlike length may share a batch; else only those of one length do.
        plans: the JSON object each answer must be; None: free text. They need ``digits``.
    """
    tokenizer: Any = loaded.tokenizer
    plans = plans or [None] * len(prompts)
    ends = _end_tokens(loaded)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    pad = 0 if pad is None else pad
    by_length = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for part in _batches(by_length, [len(p) if not padded else 0 for p in prompts], batch):
        width = max(len(prompts[i]) for i in part)
        ids = torch.tensor([[pad] * (width - len(prompts[i])) + list(prompts[i]) for i in part])
        mask = torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in part])
        chosen = [plans[i] for i in part]
        processors = LogitsProcessorList()
        if digits is not None and any(chosen):
            processors.append(JsonDecoding(chosen, digits, width, ends))
        with torch.inference_mode():
            out = loaded.causal.generate(
                input_ids=ids.to(loaded.device),
                attention_mask=mask.to(loaded.device),
                max_new_tokens=max(max_new_tokens[i] for i in part),
                do_sample=False,
                pad_token_id=pad,
                logits_processor=processors,
            )
        for i, row in zip(part, out[:, width:].tolist(), strict=True):
            said = row[: max_new_tokens[i]]
            end = next((at for at, token in enumerate(said) if token in ends), len(said))
            text = tokenizer.decode(said[:end], skip_special_tokens=True)
            yield i, GeneratedText(text, len(prompts[i]), min(end + 1, len(said)))


def _batches(order: Sequence[int], kinds: Sequence[int], batch: int) -> Iterator[Sequence[int]]:
    """``order`` in parts of at most ``batch``, each of one kind."""
    for _, same in groupby(order, key=lambda i: kinds[i]):
        part = list(same)
        for start in range(0, len(part), batch):
            yield part[start : start + batch]


def _end_tokens(loaded: LoadedModel) -> frozenset[int]:
    """Token ids at which this model's generation stops; ids it has no embedding for are none."""
    settings = getattr(loaded.causal, "generation_config", None)
    found = getattr(settings, "eos_token_id", None)
    if found is None:
        found = loaded.tokenizer.eos_token_id
    if found is None:
        return frozenset()
    size = loaded.causal.get_input_embeddings().weight.shape[0]
    listed = found if isinstance(found, list) else [found]
    return frozenset(token for token in listed if token < size)
