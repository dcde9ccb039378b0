"""Tiny random models of any family: what they say by themselves, and what the backend reads.

What ``backend_table.py`` and tests try families and adapters with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tokenizers
import torch
import transformers

from opinioncast.backends import LabelRequest
from opinioncast.backends.torch_backend import TorchBackend

LABELS = ("A", "B", "C")
TEXTS = [
    f"Question: {asked}\nA. Yes\nB. No\nC. Refused\n\nAsked of: {who}\nAnswer:"
    for asked in ("Is there a life after death?", "Can people be trusted?")
    for who in ("region: South", "region: North", "religion: nothing in particular, and more")
]
LLAMA = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "initializer_range": 0.35,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 1,
}


class Row(NamedTuple):
    """One thing that was tried.

    Attributes:
        name: a family, a kind of adapter, a service.
        outcome: ``equal``, ``equal, one by one`` or ``refused``.
        within: largest difference of a label's share or probability; None where it was refused.
        note: to what it is equal, or why it was refused.
    """

    name: str
    outcome: str
    within: float | None
    note: str


def tokenizer() -> Any:
    """Byte-level BPE with a few merges."""
    raw = tokenizers.Tokenizer(tokenizers.models.BPE())
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = tokenizers.decoders.ByteLevel()
    raw.train_from_iterator(
        [*TEXTS, "Answer: A\nAnswer: B\nAnswer: C\n" * 20],
        tokenizers.trainers.BpeTrainer(
            vocab_size=320,
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<s>", "</s>"],
            show_progress=False,
        ),
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>"
    )


def save_model(config: str, settings: Mapping[str, Any], folder: Path, *, seed: int) -> Path:
    """A random model of a family and its tokenizer."""
    built = tokenizer()
    torch.manual_seed(seed)
    made = getattr(transformers, config)(vocab_size=len(built), **settings)
    auto = transformers.AutoModelForCausalLM
    if made.is_encoder_decoder or type(made) not in auto._model_mapping:
        auto = transformers.AutoModelForSeq2SeqLM
    auto.from_config(made).save_pretrained(folder)
    built.save_pretrained(folder)
    return folder


def plain_probabilities(model: Any, built: Any) -> np.ndarray[Any, Any]:
    """Probability of each label after each text, by the model's own call. Shape (texts, labels)."""
    rows = []
    with torch.no_grad():
        for text in TEXTS:
            ids = built(text, add_special_tokens=False)["input_ids"]
            found = model(input_ids=torch.tensor([ids])).logits[0, -1].double().softmax(-1)
            rows.append([sum(float(found[t]) for t in _spellings(built, la)) for la in LABELS])
    return np.array(rows)


def _spellings(built: Any, label: str) -> set[int]:
    ways = [built(said, add_special_tokens=False)["input_ids"] for said in (label, f" {label}")]
    if any(len(tokens) != 1 for tokens in ways):
        raise ValueError("this tokenizer is made so that labels are one token each")
    return {tokens[0] for tokens in ways}


def read_probabilities(backend: TorchBackend) -> np.ndarray[Any, Any]:
    """The same, by the backend."""
    asked = [LabelRequest(text, LABELS, "tree") for text in TEXTS]
    scores = dict(backend.score(asked))
    return np.array([np.exp(scores[i].log_probs) for i in range(len(asked))])


def difference(found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> float:
    """Largest of any label's share or probability."""
    shares = [p / p.sum(axis=1, keepdims=True) for p in (found, wanted)]
    return float(max(np.abs(found - wanted).max(), np.abs(shares[0] - shares[1]).max()))


def worst_of(name: str, attempt: Callable[[int], Row], quick: bool) -> Row:
    """The worst of several random draws; of one where it is to be quick."""
    rows = [attempt(seed) for seed in range(1 if quick else 3)]
    return max(rows, key=lambda row: row.within if row.within is not None else np.inf)
